//! `git …`: git signs with a key that lives elsewhere, and knows whose signatures are good.

mod config;
mod hunk;
mod openpgp;
mod signers;
mod test;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use keystead_agent::control::Key;
use keystead_formats::ssh::line::KeyLine;

use crate::agent_link::{self, folders};
use crate::arguments::{GitSetup, SignatureFormat, Signer};
use crate::commands::{file, key};
use crate::failure::{Failure, Status};
use crate::git_gpg;
use crate::git_keygen;
use crate::terminal::{print, say};

use config::{Config, Record, TakenBack};
use signers::Signers;

pub(crate) use hunk::Hunk;
pub(crate) use test::run as test;

/// `git setup [--key KEY] [--mail MAIL] [--signer MAIL KEYFILE]… [--print|--undo] [--config FILE]`
pub(crate) fn setup(setup: &GitSetup) -> Result<(), Failure> {
    if setup.undo {
        return undo();
    }
    let config = Config::of(setup.config.as_deref())?;
    let known = Record::load()?;
    if let Some(known) = known.as_ref().filter(|it| it.config != config.path) {
        let message = format!("{} is set up already", known.config.display());
        return Err(Failure::new(message)
            .hint("`keystead git setup --undo` puts that one back first")
            .status(Status::Usage));
    }
    let allowed = match &known {
        Some(known) => known.allowed_signers.clone(),
        None => allowed_signers(&config)?,
    };
    let signers = setup.signers();
    let mut lines: Vec<String> = Vec::new();
    for signer in &signers {
        lines.extend(lines_of(signer)?);
    }
    let mut settings = Vec::new();
    if setup.format == SignatureFormat::Openpgp {
        if !signers.is_empty() || setup.mail.is_some() {
            return Err(
                Failure::new("gpg knows by itself whose signatures are good")
                    .hint("leave --signer and --mail out")
                    .status(Status::Usage),
            );
        }
        settings.extend(openpgp::settings(&config, setup.key.as_deref())?);
    } else {
        settings.push(("gpg.ssh.allowedSignersFile", shown(&allowed)?));
    }
    if signers.is_empty() && setup.format == SignatureFormat::Ssh {
        let status = agent_link::fresh_status()?;
        let key = key::one_of(&status.keys, setup.key.as_deref())?;
        lines.push(own_line(setup, &config, key)?);
        settings.extend(signing(key)?);
    }
    let wanted = Wanted {
        config,
        allowed,
        settings,
        lines,
    };
    if setup.print {
        return wanted.print();
    }
    wanted.write(known)?;
    wanted.print()?;
    say("`keystead git setup --undo` takes it all back, `keystead git test` tries it");
    Ok(())
}

/// What is to be in the two files.
struct Wanted {
    config: Config,
    allowed: PathBuf,
    settings: Vec<(&'static str, String)>,
    lines: Vec<String>,
}

impl Wanted {
    fn write(&self, known: Option<Record>) -> Result<(), Failure> {
        link_program(git_keygen::NAME)?;
        link_program(git_gpg::NAME)?;
        let before = text(&self.allowed)?;
        let mut signers = Signers::parse(&before)?;
        for line in &self.lines {
            signers.add(line.clone());
        }
        let after = signers.text();
        let mut record = match known {
            Some(known) => known,
            None => {
                let record = Record::new(&self.config, self.allowed.clone());
                record.store()?;
                record
            }
        };
        if after != before {
            file::replace(&self.allowed, after.as_bytes())?;
        }
        for (name, value) in &self.settings {
            record.set(&self.config, name, value)?;
        }
        Ok(())
    }

    fn print(&self) -> Result<(), Failure> {
        say(format_args!("in {}:", self.config.path.display()));
        for (name, value) in &self.settings {
            print(format_args!("{name} = {value}"))?;
        }
        if !self.lines.is_empty() {
            say(format_args!("in {}:", self.allowed.display()));
        }
        self.lines.iter().try_for_each(print)
    }
}

fn undo() -> Result<(), Failure> {
    let Some(record) = Record::load()? else {
        say("nothing is set up; nothing to undo");
        return Ok(());
    };
    let shown = record.config.display();
    match record.take_back()? {
        TakenBack::Exactly => say(format_args!("{shown} is as it was")),
        TakenBack::ButFor(changed) => {
            say(format_args!(
                "{shown} was edited since; its values are as they were"
            ));
            for name in changed {
                say(format_args!(
                    "note: {name} was set anew since, and is left as it is"
                ));
            }
        }
    }
    let before = text(&record.allowed_signers)?;
    let after = Signers::parse(&before)?.text_without();
    let is_ours = record.allowed_signers == own_allowed_signers()?;
    if is_ours && after.is_empty() {
        remove(&record.allowed_signers)?;
    } else if after != before {
        file::replace(&record.allowed_signers, after.as_bytes())?;
    }
    remove(&program(git_keygen::NAME)?)?;
    remove(&program(git_gpg::NAME)?)?;
    Record::forget()
}

/// The settings that make git sign with `key`.
fn signing(key: &Key) -> Result<Vec<(&'static str, String)>, Failure> {
    let yes = || "true".to_owned();
    Ok(vec![
        ("gpg.format", "ssh".to_owned()),
        ("gpg.ssh.program", shown(&program(git_keygen::NAME)?)?),
        ("user.signingKey", shown(&key.file)?),
        ("commit.gpgSign", yes()),
        ("tag.gpgSign", yes()),
    ])
}

/// The line that makes our own signatures good.
fn own_line(setup: &GitSetup, config: &Config, key: &Key) -> Result<String, Failure> {
    let mail = match &setup.mail {
        Some(mail) => mail.clone(),
        None => config.values("user.email")?.pop().ok_or_else(|| {
            Failure::new("git does not know whose commits these are")
                .hint("`git config --global user.email MAIL` tells it, or name it with --mail")
                .status(Status::Usage)
        })?,
    };
    signers::line(&mail, &key_line(&key.public_key)?)
}

/// The lines for somebody else: a line a key of the file.
fn lines_of(signer: &Signer) -> Result<Vec<String>, Failure> {
    let text = text(&signer.file)?;
    let keys = text.lines().map(str::trim);
    let keys = keys.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Result<Vec<String>, Failure> = keys
        .map(|line| signers::line(&signer.mail, &key_line(line)?))
        .collect();
    let lines = lines.map_err(|failure| {
        let message = format!("{}: {}", signer.file.display(), failure.message);
        Failure { message, ..failure }
    })?;
    if lines.is_empty() {
        let message = format!("{}: no public key in it", signer.file.display());
        return Err(Failure::new(message).hint("name a .pub file"));
    }
    Ok(lines)
}

fn key_line(line: &str) -> Result<KeyLine, Failure> {
    KeyLine::parse(line).map_err(|error| {
        Failure::new(format!("not a public key: {error}")).hint("name a .pub file")
    })
}

/// The file that git uses already, else one of ours.
fn allowed_signers(config: &Config) -> Result<PathBuf, Failure> {
    let named = config.values("gpg.ssh.allowedSignersFile")?.pop();
    let Some(named) = named.filter(|it| !it.is_empty()) else {
        return own_allowed_signers();
    };
    // git-config(1), pathname.
    let path = match named.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None => PathBuf::from(&named),
    };
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Failure::new(format!(
        "gpg.ssh.allowedSignersFile is {named}, which differs from folder to folder"
    ))
    .hint("give it a whole path (`git config --global gpg.ssh.allowedSignersFile PATH`)"))
}

fn own_allowed_signers() -> Result<PathBuf, Failure> {
    Ok(folders()?.config.join("allowed_signers"))
}

/// Our `ssh-keygen`, or `gpg`, for git: a link to this program, which knows itself by that name.
pub(crate) fn program(name: &str) -> Result<PathBuf, Failure> {
    Ok(folders()?.state.join(name))
}

fn link_program(name: &str) -> Result<(), Failure> {
    let folders = folders()?;
    folders
        .make()
        .map_err(|error| Failure::of(&error).hint(error.hint()))?;
    let (link, target) = (program(name)?, std::env::current_exe()?);
    if fs::read_link(&link).is_ok_and(|found| found == target) {
        return Ok(());
    }
    // Whole or not at all: git may be signing just now.
    let fresh = folders.state.join(format!("{name}.{}", std::process::id()));
    symlink(&target, &fresh)
        .and_then(|()| fs::rename(&fresh, &link))
        .map_err(|error| file::failure(&link, &error))
}

/// The file's text; nothing where there is none.
fn text(path: &Path) -> Result<String, Failure> {
    let bytes = file::read(path)?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| Failure::new(format!("{}: not UTF-8", path.display())))
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file::failure(path, &error)),
        _ => Ok(()),
    }
}

fn shown(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::new(format!("{} is not UTF-8", path.display())))
}
