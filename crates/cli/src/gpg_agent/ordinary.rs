//! The ordinary gpg-agent: where it is, and where GnuPG has its sockets.
//!
//! **Invariant:** this program never starts itself in its place.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use super::socket;
use crate::agent_link::own_program;

/// Programs of the GnuPG that is installed.
#[derive(Debug, Clone)]
pub(crate) struct Ordinary {
    pub(crate) agent: PathBuf,
}

impl Ordinary {
    /// Where `gpgconf` says that programs are, else on the way of `PATH`. A program that was moved
    /// aside for ours keeps its name with one of [`ASIDE`] behind it.
    pub(crate) fn find() -> Option<Self> {
        if std::env::var_os(GUARD).is_some() {
            // A copy of ours stands where the ordinary one should.
            return None;
        }
        let own = own_program().ok();
        let own = own.as_deref().and_then(file_id);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let listed = gpgconf(None);
        let mut folders: Vec<PathBuf> = dir(&listed, "bindir").into_iter().collect();
        folders.extend(std::env::split_paths(&path));
        folders.extend(FOLDERS.map(PathBuf::from));
        let candidates = folders
            .iter()
            .flat_map(|folder| ASIDE.map(|suffix| folder.join(format!("{}{suffix}", super::NAME))));
        let other = |it: &PathBuf| file_id(it).is_some_and(|id| Some(id) != own);
        let agent = candidates.filter(|it| it.is_absolute()).find(other)?;
        Some(Self { agent })
    }

    /// A command that starts it.
    pub(crate) fn command(&self) -> Command {
        let mut command = guarded(&self.agent);
        command.arg0(super::NAME);
        command
    }

    /// Whether it can do nothing with these words and its files: then it has said why, and this is
    /// how to end. Nothing is started. With `speaks` it says what it finds odd, too.
    pub(crate) fn refuses(&self, arguments: &[OsString], speaks: bool) -> Option<ExitCode> {
        let mut test = self.command();
        test.arg("--gpgconf-test").args(arguments);
        let output = test.stdin(Stdio::null()).output().ok()?;
        if speaks || !output.status.success() {
            let _ = io::stderr().write_all(&output.stderr);
        }
        let code = output.status.code().and_then(|it| u8::try_from(it).ok());
        (!output.status.success()).then(|| ExitCode::from(code.unwrap_or(super::FAILED)))
    }

    /// Takes this process over: only with words that start no agent.
    pub(crate) fn take_over(&self, arguments: &[OsString]) -> io::Error {
        self.command().args(arguments).exec()
    }
}

/// A command that never becomes this program in the place of the ordinary agent.
pub(crate) fn guarded(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(GUARD, "1");
    command
}

/// Where GnuPG has its sockets for one home folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) homedir: PathBuf,
    /// Where the system's configuration is.
    pub(crate) system: PathBuf,
    pub(crate) standard: PathBuf,
    pub(crate) extra: PathBuf,
    pub(crate) browser: PathBuf,
    pub(crate) ssh: PathBuf,
}

impl Places {
    /// As `gpgconf` has them; without it, in the home folder.
    pub(crate) fn of(homedir: Option<&Path>) -> io::Result<Self> {
        let whole = homedir.map(std::path::absolute).transpose()?;
        let listed = gpgconf(whole.as_deref());
        let system = dir(&listed, "sysconfdir").unwrap_or_else(|| PathBuf::from(SYSTEM));
        if let (Some(homedir), Some(standard), Some(extra), Some(browser), Some(ssh)) = (
            dir(&listed, "homedir"),
            dir(&listed, "agent-socket"),
            dir(&listed, "agent-extra-socket"),
            dir(&listed, "agent-browser-socket"),
            dir(&listed, "agent-ssh-socket"),
        ) {
            return Ok(Self {
                homedir,
                system,
                standard,
                extra,
                browser,
                ssh,
            });
        }
        let homedir = match whole.or_else(|| std::env::var_os("GNUPGHOME").map(PathBuf::from)) {
            Some(homedir) => std::path::absolute(homedir)?,
            None => {
                let home = std::env::var_os("HOME").ok_or(io::ErrorKind::NotFound)?;
                PathBuf::from(home).join(".gnupg")
            }
        };
        Ok(Self {
            system,
            standard: homedir.join(SOCKET_NAME),
            extra: homedir.join("S.gpg-agent.extra"),
            browser: homedir.join("S.gpg-agent.browser"),
            ssh: homedir.join("S.gpg-agent.ssh"),
            homedir,
        })
    }

    /// Of all sockets that are listened at the one with the longest path.
    pub(crate) fn longest_socket(&self) -> PathBuf {
        let own = [&self.standard, &self.extra, &self.browser];
        let real = own.map(|it| socket::redirected(it).unwrap_or_else(|_| it.clone()));
        let all = real.into_iter().chain(self.behind());
        all.max_by_key(|it| it.as_os_str().len())
            .unwrap_or_default()
    }

    /// Where the ordinary agent listens for us: beside the socket that gpg knows, where that really
    /// is, since its folder takes sockets, and paths of this length.
    pub(crate) fn behind(&self) -> [PathBuf; 4] {
        let real = socket::redirected(&self.standard).unwrap_or_else(|_| self.standard.clone());
        let folder = real.parent().unwrap_or(Path::new("/"));
        // Two home folders may have their sockets in one folder, under names of their own.
        let name = match real.file_name().and_then(OsStr::to_str) {
            None | Some(SOCKET_NAME) => "S.keystead".to_owned(),
            Some(name) => format!("{name}.k"),
        };
        ["std", "extra", "browser", "ssh"].map(|it| folder.join(format!("{name}.{it}")))
    }
}

/// `gpgconf --list-dirs`: `name:path` lines; nothing where it cannot be run.
fn gpgconf(homedir: Option<&Path>) -> Vec<u8> {
    let mut command = Command::new("gpgconf");
    if let Some(homedir) = homedir {
        command.arg("--homedir").arg(homedir);
    }
    let output = command
        .arg("--list-dirs")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    output.map(|it| it.stdout).unwrap_or_default()
}

fn dir(listed: &[u8], name: &str) -> Option<PathBuf> {
    let mut lines = listed.split(|byte| *byte == b'\n');
    let path = lines.find_map(|it| it.strip_prefix(name.as_bytes())?.strip_prefix(b":"))?;
    Some(PathBuf::from(OsString::from_vec(unescaped(path))))
}

/// `%XX` stands for an odd byte.
fn unescaped(line: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|it| str::from_utf8(it).ok());
        let escape = digits.and_then(|it| u8::from_str_radix(it, HEXADECIMAL).ok());
        rest = match (byte, escape) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                behind.get(2..).unwrap_or_default()
            }
            _ => {
                bytes.push(byte);
                behind
            }
        };
    }
    bytes
}

/// Which file it is, if it can be run.
fn file_id(path: &Path) -> Option<(u64, u64)> {
    let file = std::fs::metadata(path).ok()?;
    let runs = file.is_file() && file.mode() & ANY_EXECUTE != 0;
    runs.then(|| (file.dev(), file.ino()))
}

/// What GnuPG calls it.
const SOCKET_NAME: &str = "S.gpg-agent";

/// Set for what this program starts as the ordinary agent. It stands in no person's way.
const GUARD: &str = "KEYSTEAD_BEHIND_GPG_AGENT";

/// GnuPG's usual place.
const SYSTEM: &str = "/etc/gnupg";

/// Where to look when nothing else says.
const FOLDERS: [&str; 2] = ["/usr/bin", "/usr/local/bin"];

/// Names of a program that a package or a person has moved aside (dpkg-divert(1)).
const ASIDE: [&str; 3] = ["", ".distrib", ".real"];

/// chmod(2).
const ANY_EXECUTE: u32 = 0o111;

const HEXADECIMAL: u32 = 16;

/// Whether GnuPG would make this home folder by itself: the one that nobody named.
pub(crate) fn is_default(homedir: Option<&OsStr>) -> bool {
    homedir.is_none() && std::env::var_os("GNUPGHOME").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_gpgconf() {
        let check = |line: &str, expected: &str| {
            assert_eq!(unescaped(line.as_bytes()), expected.as_bytes(), "{line}");
        };
        check("/home/a/.gnupg", "/home/a/.gnupg");
        check("/a%3ab%25", "/a:b%");
        check("/a%", "/a%");
        check("/a%2", "/a%2");
        check("/a%zz", "/a%zz");
    }

    #[test]
    fn lines_of_gpgconf() {
        let listed = b"sysconfdir:/etc/gnupg\nagent-socket:/a%3ab/S\nhomedir:/h\n";
        assert_eq!(dir(listed, "agent-socket"), Some("/a:b/S".into()));
        assert_eq!(dir(listed, "homedir"), Some("/h".into()));
        assert_eq!(dir(listed, "agent-ssh-socket"), None);
        assert_eq!(dir(b"", "homedir"), None);
    }

    #[test]
    fn sockets_of_a_folder_that_was_named() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::of(Some(folder.path())).unwrap();
        assert_eq!(places.homedir, folder.path());
        assert_eq!(places.standard.file_name(), Some(OsStr::new("S.gpg-agent")));
        for (behind, name) in places
            .behind()
            .iter()
            .zip(["std", "extra", "browser", "ssh"])
        {
            assert_eq!(behind.parent(), places.standard.parent());
            assert!(behind.to_string_lossy().ends_with(name));
        }
    }

    #[test]
    fn sockets_that_are_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            homedir: folder.path().to_owned(),
            system: PathBuf::new(),
            standard: folder.path().join(SOCKET_NAME),
            extra: PathBuf::new(),
            browser: PathBuf::new(),
            ssh: PathBuf::new(),
        };
        let check = |text: &str, expected: &str| {
            std::fs::write(&places.standard, text).unwrap();
            assert_eq!(places.behind()[0], Path::new(expected), "{text}");
        };
        check("%Assuan%\nsocket=/run/a\n", "/run/a.k.std");
        check(
            "%Assuan%\nsocket=/run/x/S.gpg-agent\n",
            "/run/x/S.keystead.std",
        );
        let longest = places.longest_socket();
        assert_eq!(longest, Path::new("/run/x/S.keystead.browser"));
    }

    #[test]
    fn the_ordinary_agent_is_not_this_program() {
        let ordinary = Ordinary::find().unwrap();
        assert!(ordinary.agent.is_absolute());
        assert_ne!(
            file_id(&ordinary.agent),
            file_id(&std::env::current_exe().unwrap())
        );
    }
}
