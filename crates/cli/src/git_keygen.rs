//! git's `gpg.ssh.program`: ssh-keygen, which looks for an agent in `SSH_AUTH_SOCK` alone, is told
//! of ours when one of our keys is to sign.
//!
//! **Invariant:** everything else goes to ssh-keygen as it came, so verifying, and signing with a
//! key of somebody else's agent, are as without us.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use keystead_agent::key_files;
use keystead_core::KeyId;
use keystead_formats::ssh::line::KeyLine;

use crate::agent_link::{self, folders};
use crate::failure::Failure;
use crate::report;

/// The name that makes this program git's ssh-keygen.
pub(crate) const NAME: &str = "keystead-ssh-keygen";

/// Runs with the arguments behind the name.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let mut command = Command::new("ssh-keygen");
    command.args(&arguments);
    if is_ours(&arguments) {
        match agent_link::status() {
            Ok(status) => {
                command.env("SSH_AUTH_SOCK", status.ssh_auth_sock);
            }
            Err(failure) => {
                report(&failure);
                return ExitCode::from(failure.status.code());
            }
        }
    }
    // Comes back only when it could not be run.
    let error = command.exec();
    report(&Failure::new(format!("ssh-keygen: {error}")).hint("install the OpenSSH client"));
    ExitCode::from(NOT_FOUND)
}

/// Is one of our keys to sign (ssh-keygen(1), `-Y sign -f KEY`)?
fn is_ours(arguments: &[OsString]) -> bool {
    if value_of("-Y", arguments) != Some(OsStr::new("sign")) {
        return false;
    }
    let key = value_of("-f", arguments).and_then(|file| key_in(Path::new(file)));
    let Some((key, Ok(folders))) = key.map(|key| (key, folders())) else {
        return false;
    };
    let files = fs::read_dir(folders.state.join(key_files::FOLDER));
    files.is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| key_in(&file.path()) == Some(key)))
    })
}

fn value_of<'a>(option: &str, arguments: &'a [OsString]) -> Option<&'a OsStr> {
    let mut words = arguments.iter().skip_while(|word| *word != option);
    words.nth(1).map(OsString::as_os_str)
}

/// The key of a public key file; of a private one, the key of the file beside it.
fn key_in(path: &Path) -> Option<KeyId> {
    let read = |path: &Path| {
        let is_small = fs::metadata(path).ok()?.len() <= KEY_FILE_BYTES_MAX;
        let text = is_small.then(|| fs::read_to_string(path).ok())??;
        let key = KeyLine::parse(text.lines().next()?).ok()?.key;
        Some(key.without_certificate().id())
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    read(path).or_else(|| read(Path::new(&beside)))
}

/// RSA of 16,384 bits with its certificate has some 8 KiB.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// As shells have it: no such command.
const NOT_FOUND: u8 = 127;
