//! The operator's commands: each asks the running server and prints what it says.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use keystead_daemon::line::{Limits, LineReader};
use keystead_daemon::{socket, utc};
use serde::Serialize;
use tokio::io::AsyncWriteExt;

use super::failure::Failure;
use super::{arguments, print};
use crate::operator::{Ask, SOCKET, Tell, User};
use crate::settings::Settings;

/// Asks, and hands each answer but the last to `take`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "two end an answer; all others are its content"
)]
fn ask(
    folder: &Path,
    ask: &Ask,
    mut take: impl FnMut(Tell) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stream = socket::connect(&folder.join(SOCKET)).await?;
        let (reader, mut writer) = stream.into_split();
        let mut line = serde_json::to_vec(ask).map_err(std::io::Error::other)?;
        line.push(b'\n');
        writer.write_all(&line).await?;
        let mut reader = LineReader::new(reader, Limits::ANSWERS);
        loop {
            let line = reader.next().await.map_err(|error| broke(&error))?;
            let Some(line) = line else {
                let hint = "see what the server says on its standard error";
                return Err(Failure::not_reached("the server gave no answer", hint));
            };
            match serde_json::from_slice(&line).map_err(|error| broke(&error))? {
                Tell::Done => return Ok(()),
                Tell::Failed { message, hint } => return Err(Failure::new(message, hint)),
                more => take(more)?,
            }
        }
    })
}

/// `user list|lock|unlock|delete`.
pub(crate) fn user(folder: &Path, user: arguments::User) -> Result<(), Failure> {
    match user {
        arguments::User::List { form } => list(folder, form),
        arguments::User::Lock { name } => {
            only(folder, &Ask::Lock { name: name.clone() })?;
            print::talk(format_args!("{name} is locked and logged out"));
            Ok(())
        }
        arguments::User::Unlock { name } => {
            only(folder, &Ask::Unlock { name: name.clone() })?;
            print::talk(format_args!("{name} is unlocked"));
            Ok(())
        }
        arguments::User::Delete { name, yes } => {
            if !yes {
                confirm(&format!(
                    "Delete {name}, with all secrets and keys, for ever?"
                ))?;
            }
            only(folder, &Ask::Delete { name: name.clone() })?;
            print::talk(format_args!(
                "{name} is deleted; backups keep it until they expire"
            ));
            Ok(())
        }
    }
}

fn list(folder: &Path, form: arguments::Form) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Users {
        version: u32,
        users: Vec<User>,
    }
    let mut users = Vec::new();
    ask(folder, &Ask::Users, |tell| {
        if let Tell::User(user) = tell {
            users.push(user);
        }
        Ok(())
    })?;
    if form.json {
        let version = JSON_VERSION;
        return print::json(&Users { version, users });
    }
    if users.is_empty() {
        print::talk("no accounts; `keystead-server invite NAME` makes an invitation");
    }
    let rows = users.into_iter().map(|user| {
        let since = utc(user.made_unix_s);
        let secrets = format!("{} secrets", user.secrets);
        vec![user.name, user.state, format!("since {since}"), secrets]
    });
    print::table(&rows.collect::<Vec<_>>())
}

/// `invite NAME`.
pub(crate) fn invite(folder: &Path, name: String, form: arguments::Form) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Invitation {
        version: u32,
        link: String,
        until_unix_s: u64,
    }
    let mut made = None;
    ask(folder, &Ask::Invite { name }, |tell| {
        if let Tell::Invitation { link, until_unix_s } = tell {
            made = Some((link, until_unix_s));
        }
        Ok(())
    })?;
    let Some((link, until_unix_s)) = made else {
        return Err(Failure::not_reached("the server gave no link", ""));
    };
    if form.json {
        let version = JSON_VERSION;
        return print::json(&Invitation {
            version,
            link,
            until_unix_s,
        });
    }
    print::line(&link)?;
    print::talk(format_args!(
        "for one registration until {}; the person runs: keystead server register LINK",
        utc(until_unix_s)
    ));
    Ok(())
}

/// `backup FILE`.
pub(crate) fn backup(folder: &Path, file: &Path) -> Result<(), Failure> {
    check_new(file)?;
    let mut made = None;
    ask(folder, &Ask::Backup, |tell| {
        if let Tell::File { file, entries } = tell {
            made = Some((folder.join(file), entries));
        }
        Ok(())
    })?;
    let Some((from, entries)) = made else {
        return Err(Failure::not_reached("the server made no backup", ""));
    };
    if let Err(error) = move_file(&from, file) {
        let _ = std::fs::remove_file(&from);
        return Err(Failure::of(&error, "choose a folder with room"));
    }
    print::talk(format_args!(
        "{}: the database with {entries} log entries; the master key is not in it",
        file.display()
    ));
    Ok(())
}

/// What is there is never written over.
fn check_new(file: &Path) -> Result<(), Failure> {
    if !file.exists() {
        return Ok(());
    }
    let message = format!("{} is there already", file.display());
    Err(Failure::new(message, "name another file"))
}

/// By a new name, or by a copy where that is another file system; durable either way.
fn move_file(from: &Path, to: &Path) -> std::io::Result<()> {
    if std::fs::rename(from, to).is_err() {
        let mut source = std::fs::File::open(from)?;
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut target = options.write(true).create_new(true).open(to)?;
        if let Err(error) = std::io::copy(&mut source, &mut target) {
            let _ = std::fs::remove_file(to);
            return Err(error);
        }
        target.sync_all()?;
        std::fs::remove_file(from)?;
    }
    let folder = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::File::open(folder)?.sync_all()
}

/// `rotate-master-key`.
pub(crate) fn rotate(folder: &Path) -> Result<(), Failure> {
    let mut rows = 0;
    ask(folder, &Ask::RotateMasterKey, |tell| {
        if let Tell::Progress { done } = tell {
            rows = done;
        }
        Ok(())
    })?;
    print::talk(format_args!(
        "the master key is new, {rows} rows are sealed anew; keep a copy of master.key, and the \
         old one as long as you keep backups made before now: only it opens them"
    ));
    if Settings::load(folder).is_ok_and(|it| !it.database.starts_with("sqlite:")) {
        print::talk(
            "if other servers share this database: copy master.key into the folder of each of \
             them now, they refuse until then",
        );
    }
    Ok(())
}

/// `audit export`.
pub(crate) fn export(
    folder: &Path,
    user: Option<String>,
    output: Option<&Path>,
) -> Result<(), Failure> {
    let mut out: Box<dyn Write> = match output {
        None => Box::new(std::io::stdout().lock()),
        Some(path) => {
            check_new(path)?;
            let made = std::fs::File::create_new(path).map_err(|error| {
                Failure::of(&error, format!("name another file than {}", path.display()))
            })?;
            Box::new(BufWriter::new(made))
        }
    };
    let mut write = |text: &str| match writeln!(out, "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::hung_up()),
        written => Ok(written?),
    };
    let asked = ask(folder, &Ask::AuditExport { user }, |tell| {
        if let Tell::Line { text } = tell {
            write(&text)?;
        }
        Ok(())
    });
    if let (Err(_), Some(path)) = (&asked, output) {
        // Half an export would be taken for a whole one.
        let _ = std::fs::remove_file(path);
    }
    asked?;
    Ok(out.flush()?)
}

/// Tells a running server that its certificates are new; none runs: nothing to tell.
pub(crate) fn reload(folder: &Path) -> Result<(), Failure> {
    match only(folder, &Ask::Reload) {
        Err(failure) if failure.is_not_reached() => Ok(()),
        told => told,
    }
}

/// Asks what has no answer but that it was done.
fn only(folder: &Path, question: &Ask) -> Result<(), Failure> {
    ask(folder, question, |_| Ok(()))
}

/// Asks the person; without a terminal, `--yes` is needed.
pub(crate) fn confirm(question: &str) -> Result<(), Failure> {
    if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Err(Failure::new(
            "nobody can be asked here",
            "say it with --yes",
        ));
    }
    print::talk(format_args!("{question} Type yes: "));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim() == "yes" {
        return Ok(());
    }
    Err(Failure::new("nothing was done", "type yes to go on"))
}

fn broke(error: &dyn std::error::Error) -> Failure {
    let hint = "see that both are of one version";
    let failure = Failure::of(error, hint);
    Failure::not_reached(
        format!("the server's answer broke: {}", failure.message),
        hint,
    )
}

/// Of every JSON object that is printed.
const JSON_VERSION: u32 = 1;
