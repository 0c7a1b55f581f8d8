//! `ssh publish`: a public key is put where it is to be accepted.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use keystead_agent::control::Key;

use crate::agent_link;
use crate::arguments::{Publish, PublishTo};
use crate::commands::key;
use crate::failure::{Failure, Status};
use crate::terminal::{harmless, print, say};

/// `ssh publish user@host|github|gitlab [--key KEY] [--port PORT] [--signing] [--print]`
pub(crate) fn run(publish: &Publish) -> Result<(), Failure> {
    let status = agent_link::fresh_status()?;
    let key = key::one_of(&status.keys, publish.key.as_deref())?;
    match &publish.to {
        PublishTo::Host(_) if publish.signing => Err(Failure::new(
            "a host's authorized_keys has no keys that sign commits",
        )
        .hint("`keystead git setup --signer MAIL KEYFILE` there makes them trusted")
        .status(Status::Usage)),
        PublishTo::Host(host) => to_host(publish, host, key),
        PublishTo::Github => to_forge(publish, &GITHUB, key),
        PublishTo::Gitlab => to_forge(publish, &GITLAB, key),
    }
}

/// Adds the line to `authorized_keys` there.
fn to_host(publish: &Publish, host: &str, key: &Key) -> Result<(), Failure> {
    if publish.print {
        say(format_args!("to ~/.ssh/authorized_keys of {host}:"));
        return print(&key.public_key);
    }
    let mut command = Command::new("ssh");
    if let Some(port) = publish.port {
        command.args(["-p", &port.to_string()]);
    }
    let mut ssh = command
        // Nobody sits at the other end.
        .arg("-T")
        .args(["--", host, REMOTE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            Failure::new(format!("ssh: {error}")).hint("install the OpenSSH client")
        })?;
    if let Some(mut stdin) = ssh.stdin.take() {
        // It ended early: its status says why.
        let _ = stdin.write_all(format!("{}\n", key.public_key).as_bytes());
    }
    let output = ssh.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.lines().last() {
        Some(ADDED) => {
            say(format_args!(
                "{} is in ~/.ssh/authorized_keys of {host} now",
                key.name
            ));
            say(format_args!("next: `ssh {host}` asks its holder"));
            Ok(())
        }
        Some(THERE) => {
            say(format_args!(
                "{} is in ~/.ssh/authorized_keys of {host} already",
                key.name
            ));
            Ok(())
        }
        _ if output.status.code() == Some(SSH_FAILED) => {
            Err(Failure::new(format!("no access to {host}"))
                .hint("log in there as you do now, and append the line of `keystead key show`")
                .status(Status::NotReached))
        }
        said => Err(Failure::new(format!(
            "{host} did not take the key{}",
            said.map(|said| format!(": {}", harmless(said)))
                .unwrap_or_default()
        ))
        .hint("append the line of `keystead key show` to ~/.ssh/authorized_keys there")),
    }
}

/// A place on the web that keeps public keys of its users.
struct Forge {
    name: &'static str,
    /// Its own program, which knows who one is there.
    program: &'static str,
    /// What it is told, before the title.
    login: &'static [&'static str],
    signing: &'static [&'static str],
    /// Where a person pastes the key.
    page: &'static str,
}

/// With the forge's own program, else by hand.
fn to_forge(publish: &Publish, forge: &Forge, key: &Key) -> Result<(), Failure> {
    let Forge {
        name,
        program,
        page,
        ..
    } = forge;
    if publish.port.is_some() {
        return Err(Failure::new(format!("{name} has no port to choose")).status(Status::Usage));
    }
    if publish.print {
        say(format_args!("to {page}:"));
        return print(&key.public_key);
    }
    match by_program(publish, forge, key) {
        Ok(Told::Added) => {
            say(format_args!("{} is at {name} now", key.name));
            return Ok(());
        }
        Ok(Told::There) => {
            say(format_args!("{} is at {name} already", key.name));
            return Ok(());
        }
        Ok(Told::Failed(said)) => say(format_args!("{program} did not add it: {said}")),
        Err(_) => {}
    }
    print(&key.public_key)?;
    if has_display() && open(page) {
        say(format_args!("paste this line at {page}, which is open now"));
    } else {
        say(format_args!("paste this line at {page}"));
    }
    Ok(())
}

/// What a forge's program made of it.
enum Told {
    Added,
    There,
    /// Its last line.
    Failed(String),
}

fn by_program(publish: &Publish, forge: &Forge, key: &Key) -> io::Result<Told> {
    let usage = if publish.signing {
        forge.signing
    } else {
        forge.login
    };
    let output = Command::new(forge.program)
        .args(["ssh-key", "add"])
        .arg(&key.file)
        .args(usage)
        .args(["--title", &format!("{} (keystead)", key.name)])
        .stdin(Stdio::null())
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = harmless(String::from_utf8_lossy(&said).trim());
    let is_there = ["already", "has already been taken"];
    if is_there.iter().any(|words| said.contains(words)) {
        return Ok(Told::There);
    }
    if output.status.success() {
        return Ok(Told::Added);
    }
    let last = said.lines().last().unwrap_or("it did not say why");
    Ok(Told::Failed(last.to_owned()))
}

fn has_display() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

fn open(page: &str) -> bool {
    let opened = Command::new("xdg-open")
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    opened.is_ok_and(|status| status.success())
}

const GITHUB: Forge = Forge {
    name: "github",
    program: "gh",
    // Its default, and versions before 2.24 have no such option.
    login: &[],
    signing: &["--type", "signing"],
    page: "https://github.com/settings/ssh/new",
};

const GITLAB: Forge = Forge {
    name: "gitlab",
    program: "glab",
    login: &["--usage-type", "auth"],
    signing: &["--usage-type", "signing"],
    page: "https://gitlab.com/-/user_settings/ssh_keys",
};

/// Runs there: reads the line, adds it unless its key is there (whatever options and comment stand
/// beside it), and says which. Files that it makes are the user's alone; a last line without its
/// end gets one. For any login shell: it has no line break, no `!` and no single quote in the
/// inner script.
const REMOTE: &str = "exec sh -c '\
    umask 077; cd || exit 1; IFS= read -r line || exit 1; \
    rest=${line#* }; key=${line%% *}\" \"${rest%% *}; \
    mkdir -p .ssh && touch .ssh/authorized_keys || exit 1; \
    if grep -v \"^[[:space:]]*#\" .ssh/authorized_keys | grep -qF \"$key\"; \
    then echo keystead-there; exit 0; fi; \
    if [ -s .ssh/authorized_keys ] && [ -n \"$(tail -c 1 .ssh/authorized_keys)\" ]; \
    then echo >> .ssh/authorized_keys || exit 1; fi; \
    printf \"%s\\n\" \"$line\" >> .ssh/authorized_keys || exit 1; \
    if type restorecon >/dev/null 2>&1; then restorecon -F .ssh .ssh/authorized_keys; fi; \
    echo keystead-added'";

const ADDED: &str = "keystead-added";

const THERE: &str = "keystead-there";

/// ssh(1): its own status when something of its own went wrong.
const SSH_FAILED: i32 = 255;
