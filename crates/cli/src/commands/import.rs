//! `key import`: a private key goes into a keeper's custody.
//!
//! **Invariant:** the key and its passphrase are opaque bytes in locked memory from the first to
//! the last; only whether the file is sealed is looked at, by its first line.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;

use keystead_agent::control::{Command, Key, Reply};
use keystead_core::{Name, SecretBytes};
use keystead_daemon::process;
use rustix::fd::AsFd;

use crate::agent_link::{AgentLink, block_on, unexpected};
use crate::arguments::Import;
use crate::commands::{custody, file, key};
use crate::failure::{Failure, Status};
use crate::passphrase;
use crate::terminal::{print, say};

/// `key import FILE|- [--name NAME] [--keeper NAME] [--passphrase-fd N] …`
pub(crate) fn run(import: &Import) -> Result<(), Failure> {
    if let Some(server) = key::server_of(import.keeper.as_ref())? {
        return to_server(import, server);
    }
    if import.purpose.is_some() || import.password_fd.is_some() {
        let message = "an authenticator takes neither a purpose nor a password";
        return Err(Failure::new(message)
            .hint("leave --purpose and --password-fd out")
            .status(Status::Usage));
    }
    to_authenticator(import)
}

fn to_authenticator(import: &Import) -> Result<(), Failure> {
    process::harden()?;
    let is_stdin = import.file == Path::new("-");
    if is_stdin && import.passphrase_fd == Some(0) {
        return Err(Failure::new("standard input cannot be key and passphrase")
            .hint("give the passphrase on another descriptor: --passphrase-fd 3 3<FILE")
            .status(Status::Usage));
    }
    let private_key = if is_stdin {
        read(io::stdin(), &import.file)?
    } else {
        let opened = File::open(&import.file);
        read(
            opened.map_err(|error| file::failure(&import.file, &error))?,
            &import.file,
        )?
    };
    let sealing = Sealing::of(private_key.expose()).ok_or_else(|| {
        Failure::new(format!("{}: no private key in it", import.file.display()))
            .hint("name an OpenSSH or PKCS#8 private key file")
            .status(Status::Usage)
    })?;
    let passphrase = match sealing {
        Sealing::Open => None,
        Sealing::Passphrase => {
            let question = format!("Passphrase of {}: ", import.file.display());
            Some(passphrase::read(import.passphrase_fd, &question)?)
        }
    };
    let command = Command::ImportKey {
        keeper: import.keeper.as_ref().map(Name::to_string),
        name: import.name.as_ref().map(Name::to_string),
        key_bytes: private_key.len(),
        passphrase_bytes: passphrase.as_ref().map(SecretBytes::len),
        lifetime_s: import.lifetime_s,
        confirm: import.confirm,
    };
    let keys = block_on(async {
        let mut link = AgentLink::open().await?;
        link.send(&command).await?;
        link.send_secret(&private_key).await?;
        if let Some(passphrase) = &passphrase {
            link.send_secret(passphrase).await?;
        }
        taken(&mut link).await
    });
    let keys = keys.map_err(|failure| match (failure.status, &failure.hint) {
        // A keeper gives no reasons to a workstation.
        (Status::Refused, None) => failure.hint(
            "its holder said no, or it cannot read the file (a wrong passphrase, a kind of key \
             that it does not take); the log there says which",
        ),
        _ => failure,
    })?;
    for key in &keys {
        say(format_args!(
            "{} has {} in custody; its public half:",
            key.keeper, key.name
        ));
        print(&key.public_key)?;
    }
    if !is_stdin {
        say(format_args!(
            "{} still holds the private key: remove it, and its copies, when you have seen that \
             the keeper's works",
            import.file.display()
        ));
    }
    Ok(())
}

/// A key server gets it from `keystead-custody`, which reads its encoding.
fn to_server(import: &Import, server: &str) -> Result<(), Failure> {
    if import.confirm || import.lifetime_s.is_some() {
        return Err(
            Failure::new("a key server keeps rules, not limits of a key")
                .hint("`keystead policy set --server` sets them")
                .status(Status::Usage),
        );
    }
    let Some(name) = &import.name else {
        return Err(Failure::new("what shall it be called there?")
            .hint("give it --name NAME")
            .status(Status::Usage));
    };
    let named = ["key", "import", "--keeper", server, "--name", name.as_str()];
    let mut words = named.map(OsString::from).to_vec();
    match import.file == Path::new("-") {
        true => words.extend(["--from-fd", "0"].map(OsString::from)),
        false => words.extend(["--from-file".into(), import.file.clone().into_os_string()]),
    }
    if let Some(purpose) = &import.purpose {
        words.extend(["--purpose".into(), OsString::from(purpose)]);
    }
    if let Some(fd) = import.password_fd {
        words.extend(["--password-fd".into(), OsString::from(fd.to_string())]);
    }
    if let Some(fd) = import.passphrase_fd {
        words.extend(["--passphrase-fd".into(), OsString::from(fd.to_string())]);
    }
    custody::become_custody("keystead", words.into_iter())
}

async fn taken(link: &mut AgentLink) -> Result<Vec<Key>, Failure> {
    let Reply::Keys { keys } = key::held(link).await? else {
        return Err(unexpected());
    };
    Ok(keys)
}

/// Whether a passphrase opens the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sealing {
    Open,
    Passphrase,
}

impl Sealing {
    /// By the file's first lines; none when it is no private key.
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .skip_while(|line| !line.starts_with(b"-----BEGIN "));
        let begin = lines.next()?;
        let is_key = begin.ends_with(b"PRIVATE KEY-----");
        let second = lines.next().unwrap_or_default();
        let is_sealed = match begin {
            b"-----BEGIN OPENSSH PRIVATE KEY-----" => !second.starts_with(UNSEALED_OPENSSH),
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----" => true,
            // RFC 1421, section 4.6.1.1, as OpenSSL writes traditional keys.
            _ => second.starts_with(b"Proc-Type: 4,ENCRYPTED"),
        };
        is_key.then_some(if is_sealed {
            Self::Passphrase
        } else {
            Self::Open
        })
    }
}

/// To the end, into locked memory.
fn read(from: impl AsFd, path: &Path) -> Result<SecretBytes, Failure> {
    let mut bytes = SecretBytes::fill(KEY_FILE_BYTES_MAX + 1, |_| ());
    let mut len = 0;
    loop {
        let room = bytes.expose_mut().get_mut(len..).unwrap_or_default();
        let read =
            rustix::io::read(&from, room).map_err(|errno| file::failure(path, &errno.into()))?;
        len += read;
        if len > KEY_FILE_BYTES_MAX {
            let message = format!("{}: too long for a private key", path.display());
            return Err(Failure::new(message).status(Status::Usage));
        }
        if read == 0 {
            bytes.truncate(len);
            return Ok(bytes);
        }
    }
}

/// OpenSSH PROTOCOL.key: `"openssh-key-v1\0" ‖ string "none"` in base64, as far as it does not
/// depend on what follows.
const UNSEALED_OPENSSH: &[u8] = b"b3BlbnNzaC1rZXktdjEAAAAABG5vbm";

/// RSA of 16,384 bits has some 13 KiB as PEM; the agent takes 64 KiB behind a line.
const KEY_FILE_BYTES_MAX: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Sealing>) {
        assert_eq!(Sealing::of(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn a_sealed_file_is_known_by_its_first_lines() {
        let (open, sealed) = (Some(Sealing::Open), Some(Sealing::Passphrase));
        let openssh = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
        check(
            &format!("{openssh}b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n"),
            open,
        );
        check(
            &format!("{openssh}b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAA\r\n"),
            sealed,
        );
        check("-----BEGIN PRIVATE KEY-----\nMC4C\n", open);
        check("-----BEGIN ENCRYPTED PRIVATE KEY-----\r\nMC4C\n", sealed);
        check("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n", open);
        check("some words\n\n-----BEGIN EC PRIVATE KEY-----\nMHc\n", open);
        check(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES\n",
            sealed,
        );
        check("-----BEGIN PUBLIC KEY-----\nMCow\n", None);
        check("ssh-ed25519 AAAA\n", None);
        check("", None);
    }
}
