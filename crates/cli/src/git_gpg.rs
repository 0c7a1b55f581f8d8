//! git's `gpg.program`: gpg itself, which gets the object that it signs in a file without a name,
//! so that our agent can show its text to the holder.
//!
//! **Invariant:** gpg gets its arguments and every byte of its input as they came, and its exit
//! status is ours: this process becomes it. Nothing said here is believed: the text counts only
//! where the digest that gpg asks for is proved to be of it (`spec/pairing.md` section 5.3).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::failure::Failure;
use crate::report;

/// The name that makes this program git's gpg.
pub(crate) const NAME: &str = "keystead-git-gpg";

/// What the file is called in `/proc/PID/fd`.
pub(crate) const OBJECT: &str = "keystead-git-object";

/// Runs with the arguments behind the name.
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let mut command = Command::new("gpg");
    command.args(arguments);
    if signs(arguments) {
        match input() {
            Ok(object) => {
                command.stdin(Stdio::from(object));
            }
            Err(error) => {
                report(&Failure::new(format!(
                    "what git wants signed cannot be read: {error}"
                )));
                return ExitCode::FAILURE;
            }
        }
    }
    // Comes back only when it could not be run.
    let error = command.exec();
    report(&Failure::new(format!("gpg: {error}")).hint("install GnuPG"));
    ExitCode::from(NOT_FOUND)
}

/// Does git sign (`gpg --status-fd=2 -bsau KEY`)? To verify, it names a file.
fn signs(arguments: &[OsString]) -> bool {
    let is_sign = |word: &OsString| {
        let word = word.to_string_lossy();
        let letters = word.strip_prefix('-').filter(|it| !it.starts_with('-'));
        word == "--detach-sign" || letters.is_some_and(|it| it.contains('b') && it.contains('s'))
    };
    arguments.iter().any(is_sign)
}

/// All of standard input; nobody can change it any more, this program neither.
fn input() -> io::Result<File> {
    let object = memfd_create(OBJECT, MemfdFlags::ALLOW_SEALING)?;
    let mut object = File::from(object);
    io::copy(&mut io::stdin().lock(), &mut object)?;
    object.rewind()?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&object, seals)?;
    Ok(object)
}

/// As shells have it: no such command.
const NOT_FOUND: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_runs() {
        let check = |line: &str, expected: bool| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(signs(&words), expected, "{line}");
        };
        // git's gpg-interface.c: `sign_buffer_gpg`, `verify_gpg_signed_buffer`.
        check("--status-fd=2 -bsau ABCD", true);
        check("--detach-sign -o - -u ABCD", true);
        check(
            "--keyid-format=long --status-fd=1 --verify /tmp/.git_vtag -",
            false,
        );
        check("--version", false);
        check("-u subs@example.org", false);
    }
}
