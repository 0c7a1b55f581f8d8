//! A home folder of gpg: what of it is changed, and how that is taken back.
//!
//! **Invariant:** each file is changed whole or not at all, and what `gpg.conf` was is written down
//! before it is changed, so that `--undo` gives it back byte for byte.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use keystead_agent::gpg::{KeyMap, MappedKey};
use keystead_daemon::socket::PATH_BYTES_MAX;
use keystead_formats::openpgp::Keygrip;
use serde::{Deserialize, Serialize};

use crate::agent_link::folders;
use crate::commands::file;
use crate::commands::git::Hunk;
use crate::failure::{Failure, Status};
use crate::gpg_agent::{self, Answering};
use crate::terminal::{harmless, say};

/// One `GNUPGHOME`.
pub(super) struct Home {
    pub(super) path: PathBuf,
    /// It was named, or the environment names it.
    is_named: bool,
    /// As a command for it is called.
    option: String,
}

impl Home {
    /// Asks `gpgconf` where it is, and makes it as gpg would.
    pub(super) fn of(named: Option<&Path>) -> Result<Self, Failure> {
        let whole = named.map(std::path::absolute).transpose()?;
        let places = gpg_agent::Places::of(whole.as_deref())?;
        let home = Self {
            path: places.homedir,
            is_named: named.is_some() || std::env::var_os("GNUPGHOME").is_some(),
            option: whole.map_or_else(String::new, |it| {
                format!(" --homedir {}", harmless(&quoted(&it.to_string_lossy())))
            }),
        };
        if !home.path.is_dir() {
            if home.is_named {
                let message = format!("{} is no folder", home.path.display());
                return Err(Failure::new(message).status(Status::Usage));
            }
            // gpg makes its own by looking at it.
            home.gpg(&["--list-keys"], &[])?;
        }
        Ok(home)
    }

    /// Runs gpg without a person, and gives what it printed.
    pub(super) fn gpg<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        input: &[u8],
    ) -> Result<Output, Failure> {
        self.run(arguments, &["--batch", "--no-tty", "--quiet"], input)
    }

    fn run<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        options: &[&str],
        input: &[u8],
    ) -> Result<Output, Failure> {
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(&self.path)
            .args(options)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                Failure::new(format!("gpg: {error}"))
                    .hint("install GnuPG")
                    .status(Status::NotRun)
            })?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that has ended says below why.
            let _ = stdin.write_all(input);
        }
        Ok(child.wait_with_output()?)
    }

    /// The same, where anything but success is a failure.
    pub(super) fn gpg_done<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        input: &[u8],
    ) -> Result<String, Failure> {
        let output = self.gpg(arguments, input)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|it| !it.trim().is_empty());
            return Err(Failure::new(last.unwrap_or("gpg failed").to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Gives gpg a key. One that writes its list of keys at the same moment makes that fail, which
    /// another try does not.
    pub(super) fn import(&self, key: &[u8]) -> Result<(), Failure> {
        let _held = self.hold()?;
        let mut tried = self.gpg_done(&["--import"], key);
        for _ in 1..IMPORT_TRIES {
            if tried.is_ok() {
                break;
            }
            tried = self.gpg_done(&["--import"], key);
        }
        tried.map(drop)
    }

    /// Other commands that have gpg change its keys wait for as long as it is held.
    pub(super) fn hold(&self) -> Result<File, Failure> {
        gpg_agent::hold_keyring(&self.path)
    }

    /// Runs gpg as if a person answered what it asks about a key that it changes; call it while
    /// the home folder is held.
    pub(super) fn gpg_talk(&self, arguments: &[&str], words: &[u8]) -> Result<(), Failure> {
        let output = self.run(arguments, &["--no-tty", "--no-batch"], words)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|it| it.starts_with("gpg: "));
        Err(Failure::new(last.unwrap_or("gpg failed").to_owned()))
    }

    pub(super) fn map(&self) -> Result<KeyMap, Failure> {
        gpg_agent::read_keys(&self.path)
    }

    /// Puts keys into the map, in the place of those with the same keygrip.
    pub(super) fn put(&self, keys: &[MappedKey]) -> Result<(), Failure> {
        gpg_agent::change_keys(&self.path, |map| map.put(keys))
    }

    /// Takes a key out of it that came to nothing.
    pub(super) fn forget(&self, keygrip: Keygrip) -> Result<(), Failure> {
        gpg_agent::change_keys(&self.path, |map| {
            map.remove(keygrip);
            Ok(())
        })
    }

    /// Where goes what gpg makes or imports.
    pub(super) fn set_custody(&self, keeper: Option<String>) -> Result<(), Failure> {
        gpg_agent::change_keys(&self.path, |map| {
            map.set_custody(keeper);
            Ok(())
        })
    }

    /// Whether an agent can listen for gpg there at all: the path of a socket is short.
    pub(super) fn check_sockets(&self) -> Result<(), Failure> {
        check_length(&gpg_agent::Places::of(Some(&self.path))?.longest_socket())
    }

    /// Lets gpg start this program as its agent. False: it does already.
    pub(super) fn use_agent(&self) -> Result<bool, Failure> {
        self.check_sockets()?;
        let program = link_agent()?;
        let path = self.path.join("gpg.conf");
        let before = file::read(&path)?;
        let text = String::from_utf8(before.clone().unwrap_or_default())
            .map_err(|_| Failure::new(format!("{}: not UTF-8", path.display())))?;
        let line = format!("agent-program {}", program.display());
        let after = with_line(&text, &line);
        let Some(hunk) = Hunk::between(&text, &after) else {
            self.end_ordinary()?;
            return Ok(false);
        };
        if self.setup()?.is_none() {
            let setup = Setup {
                version: VERSION,
                was_there: before.is_some(),
                hunk,
            };
            let json = serde_json::to_vec_pretty(&setup).map_err(|error| Failure::of(&error))?;
            file::replace(&self.path.join(SETUP_NAME), &json)?;
        }
        file::replace(&path, after.as_bytes())?;
        self.end_agent()?;
        say(format_args!("in {}:", path.display()));
        say(format_args!("{line}"));
        if !self.is_named && Path::new(SYSTEMD_SOCKET).exists() {
            say(
                "note: where systemd starts gpg-agent for you, gpg finds that one; \
                 `systemctl --user mask --now gpg-agent.socket` lets gpg start its own",
            );
        }
        Ok(true)
    }

    /// Ends gpg's own agent where ours should be: something started it by its built-in path, such as
    /// `gpgconf --launch`. Behind ours the same one runs, with the same keys.
    fn end_ordinary(&self) -> Result<(), Failure> {
        let socket = gpg_agent::Places::of(Some(&self.path))?.standard;
        let Some(Answering::Ordinary(process)) = Answering::at(&socket) else {
            return Ok(());
        };
        process.end(&socket).map_err(|error| {
            Failure::new(format!("{process} answers gpg, and does not end: {error}"))
        })?;
        say(format_args!(
            "note: {process} answered gpg, and knows no key held elsewhere; it was ended, and gpg \
             starts keystead with it behind (`keystead doctor` says what may have started it)"
        ));
        Ok(())
    }

    /// The command that gives `gpg.conf` back.
    pub(super) fn undoing(&self) -> String {
        format!("keystead gpg init --undo{}", self.option)
    }

    /// The command that has gpg keep its keys again.
    pub(super) fn ending(&self) -> String {
        format!("keystead gpg custody off{}", self.option)
    }

    /// Gives `gpg.conf` back as it was.
    pub(super) fn undo(&self) -> Result<(), Failure> {
        let Some(setup) = self.setup()? else {
            say("nothing is set up; nothing to undo");
            return Ok(());
        };
        let path = self.path.join("gpg.conf");
        let text = String::from_utf8(file::read(&path)?.unwrap_or_default())
            .map_err(|_| Failure::new(format!("{}: not UTF-8", path.display())))?;
        match setup.hunk.take_back(&text) {
            Some(before) if before.is_empty() && !setup.was_there => {
                std::fs::remove_file(&path).map_err(|error| file::failure(&path, &error))?;
                say(format_args!("{} is gone again", path.display()));
            }
            Some(before) => {
                file::replace(&path, before.as_bytes())?;
                say(format_args!("{} is as it was", path.display()));
            }
            None => {
                // Edited since: our line goes, the rest stays as somebody wants it.
                let program = program()?;
                let line = format!("agent-program {}", program.display());
                let stays = |it: &&str| it.trim_end() != line;
                let rest: String = text.split_inclusive('\n').filter(stays).collect();
                file::replace(&path, rest.as_bytes())?;
                say(format_args!(
                    "{} was edited since; our line is out of it",
                    path.display()
                ));
            }
        }
        self.end_agent()?;
        let record = self.path.join(SETUP_NAME);
        std::fs::remove_file(&record).map_err(|error| file::failure(&record, &error))
    }

    fn setup(&self) -> Result<Option<Setup>, Failure> {
        let path = self.path.join(SETUP_NAME);
        let Some(json) = file::read(&path)? else {
            return Ok(None);
        };
        let setup: Setup = serde_json::from_slice(&json)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        Ok(Some(setup))
    }

    /// The agent that runs was started by the old setting; gpg starts the next.
    fn end_agent(&self) -> Result<(), Failure> {
        let ended = Command::new("gpgconf")
            .arg("--homedir")
            .arg(&self.path)
            .args(["--kill", "gpg-agent"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Failure::new(format!("gpgconf: {error}")))?;
        if ended.status.success() {
            return Ok(());
        }
        Err(Failure::new("the gpg-agent that runs does not end")
            .hint("`gpgconf --kill gpg-agent` ends it; then run this again"))
    }
}

/// What `--undo` needs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Setup {
    version: u32,
    /// `gpg.conf` was there before.
    was_there: bool,
    hunk: Hunk,
}

fn check_length(socket: &Path) -> Result<(), Failure> {
    let bytes = socket.as_os_str().len();
    if bytes <= PATH_BYTES_MAX {
        return Ok(());
    }
    let message = format!(
        "no agent can listen for gpg at {}, which has {bytes} bytes: at most {PATH_BYTES_MAX} fit",
        harmless(&socket.to_string_lossy())
    );
    Err(Failure::new(message)
        .hint("name a home folder with a shorter path (--homedir, GNUPGHOME)")
        .status(Status::Usage))
}

/// The text with one such line, in the place of what named another agent.
fn with_line(text: &str, line: &str) -> String {
    let names_agent = |it: &&str| it.split_whitespace().next() == Some("agent-program");
    let mut placed = false;
    let mut after = String::new();
    for old in text.split_inclusive('\n') {
        if !names_agent(&old) {
            after.push_str(old);
        } else if !placed {
            placed = true;
            after.push_str(line);
            after.push('\n');
        }
    }
    if !placed {
        if !after.is_empty() && !after.ends_with('\n') {
            after.push('\n');
        }
        after.push_str(line);
        after.push('\n');
    }
    after
}

/// Where this program is called gpg-agent.
fn program() -> Result<PathBuf, Failure> {
    Ok(folders()?.state.join(gpg_agent::NAME))
}

/// Lays that link, whole or not at all: gpg may be starting it just now.
fn link_agent() -> Result<PathBuf, Failure> {
    let folders = folders()?;
    folders
        .make()
        .map_err(|error| Failure::of(&error).hint(error.hint()))?;
    let (link, target) = (program()?, std::env::current_exe()?);
    if std::fs::read_link(&link).is_ok_and(|found| found == target) {
        return Ok(link);
    }
    let fresh = folders
        .state
        .join(format!("{}.{}", gpg_agent::NAME, std::process::id()));
    symlink(&target, &fresh)
        .and_then(|()| std::fs::rename(&fresh, &link))
        .map_err(|error| file::failure(&link, &error))?;
    Ok(link)
}

/// As a word of a shell's command line.
fn quoted(text: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "/._-".contains(it);
    match text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// The record of what was changed, in `GNUPGHOME`.
pub(crate) const SETUP_NAME: &str = "keystead-setup";

const VERSION: u32 = 1;

/// Four: what is wrong with the key itself is still said at once.
const IMPORT_TRIES: usize = 4;

/// With this file Debian and others let systemd listen at gpg's socket.
const SYSTEMD_SOCKET: &str = "/usr/lib/systemd/user/gpg-agent.socket";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_word_of_a_shell() {
        let check = |text: &str, expected: &str| assert_eq!(quoted(text), expected);
        check("/home/a.b/gnupg_2-x", "/home/a.b/gnupg_2-x");
        check("/home/my home", "'/home/my home'");
        check("/home/it's", r"'/home/it'\''s'");
    }

    #[test]
    fn sockets_of_a_home_that_is_too_deep() {
        let longest = format!("/{}", "h".repeat(PATH_BYTES_MAX - 1));
        assert!(check_length(Path::new(&longest)).is_ok());
        let error = check_length(Path::new(&format!("{longest}/"))).err();
        let message = error.map(|it| it.message).unwrap_or_default();
        assert!(
            message.ends_with("which has 108 bytes: at most 107 fit"),
            "{message}"
        );
    }

    #[test]
    fn one_line_names_the_agent() {
        let check = |before: &str, expected: &str| {
            assert_eq!(with_line(before, "agent-program /a"), expected);
            assert_eq!(with_line(expected, "agent-program /a"), expected);
            if let Some(hunk) = Hunk::between(before, expected) {
                assert_eq!(hunk.take_back(expected).as_deref(), Some(before));
            }
        };
        check("", "agent-program /a\n");
        check("batch", "batch\nagent-program /a\n");
        check("batch\n", "batch\nagent-program /a\n");
        check(
            "batch\nagent-program /b\nquiet\nagent-program /c\n",
            "batch\nagent-program /a\nquiet\n",
        );
        check(
            "#agent-program /b\n",
            "#agent-program /b\nagent-program /a\n",
        );
    }
}
