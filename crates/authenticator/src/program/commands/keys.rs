//! `key new`, `key import`, `key remove`.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use keystead_core::{Purpose, SecretBytes};
use keystead_daemon::FolderDisk;
use keystead_daemon::home::Folders;
use keystead_vault::ImportError;
use rustix::fd::AsFd;

use super::{ask, converse, print_key, say_done, strange};
use crate::control::{Command, KEY_FILE_BYTES_MAX, Reply};
use crate::holder::key_line;
use crate::keyring::{Candidate, CandidateError, Keyring};
use crate::program::conversation::Conversation;
use crate::program::failure::Failure;
use crate::program::passphrase::Source;
use crate::program::print;
use crate::program::terminal::yes_or_no;
use crate::show::Safe;

/// `key new`
pub(crate) fn new(
    folders: &Folders,
    name: String,
    (algorithm, purpose): (String, Option<Purpose>),
    source: Source,
) -> Result<(), Failure> {
    let command = Command::KeyNew {
        name,
        algorithm,
        purpose: purpose.map(Purpose::number),
    };
    let reply = converse(folders, None, async |talk: &mut Conversation| {
        let passphrase = passphrase_where_locked(talk, source).await?;
        ask(talk, command, passphrase).await
    })?;
    made(reply)
}

/// `key import`: the file is read and opened here first, so that what is wrong with it is said
/// before anything else is asked.
pub(crate) fn import(
    folders: &Folders,
    file: &Path,
    name: Option<String>,
    file_source: Source,
    source: Source,
) -> Result<(), Failure> {
    let content = read_file(file)?;
    let file_passphrase = open(file, &content, file_source)?;
    let file_passphrase_bytes = file_passphrase.as_ref().map(SecretBytes::len);
    let command = Command::KeyImport {
        name,
        file_bytes: content.len(),
        file_passphrase_bytes,
    };
    let reply = converse(folders, None, async |talk: &mut Conversation| {
        let passphrase = passphrase_where_locked(talk, source).await?;
        let parts = [
            Some(&content),
            file_passphrase.as_ref(),
            passphrase.as_ref(),
        ];
        ask(talk, command, Some(joined(&parts))).await
    })?;
    made(reply)?;
    if file != Path::new(STANDARD_INPUT) {
        let file = file.display();
        print::talk(format_args!(
            "{file} still holds it: delete that file when the key has proved itself here."
        ));
    }
    Ok(())
}

/// `key remove`
pub(crate) fn remove(folders: &Folders, name: String, yes: bool) -> Result<(), Failure> {
    let keys = Keyring::load(&FolderDisk::open(&folders.state)?)?;
    let named = keys.entries().iter().find(|it| it.name.as_str() == name);
    let Some(key) = named.and_then(key_line) else {
        return Err(Failure::new(
            "there is no key of that name",
            "keystead-authenticator key list shows them",
        ));
    };
    if !yes {
        print::talk(format_args!(
            "{}  {}  {}",
            key.name, key.algorithm, key.fingerprint
        ));
        confirm("Forget this key? There is no way back.")?;
    }
    say_done(converse(folders, None, async |talk: &mut Conversation| {
        ask(talk, Command::KeyRemove { name }, None).await
    })?)
}

/// `key remove --approval`
pub(crate) fn remove_approval(folders: &Folders, server: String, yes: bool) -> Result<(), Failure> {
    let keys = Keyring::load(&FolderDisk::open(&folders.state)?)?;
    if !keys.approvals().any(|it| it.server.as_str() == server) {
        return Err(Failure::new(
            "no key here approves for a server of that name",
            "keystead-authenticator key list shows them",
        ));
    }
    if !yes {
        let server = Safe(&server);
        print::talk(format_args!(
            "What the key server {server} lets only you approve, nobody can approve then."
        ));
        confirm("Forget this key? There is no way back.")?;
    }
    say_done(converse(folders, None, async |talk: &mut Conversation| {
        ask(talk, Command::ApprovalRemove { server }, None).await
    })?)
}

pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    match yes_or_no(question, CONFIRM_WAIT_S, &AtomicBool::new(false)) {
        Ok(Some(true)) => Ok(()),
        Ok(Some(false) | None) => Err(Failure::refused("nothing was removed")),
        Err(error) => Err(Failure::new(
            format!("nobody can be asked: {error}"),
            "run it in a terminal, or give --yes",
        )),
    }
}

pub(super) async fn passphrase_where_locked(
    talk: &mut Conversation,
    source: Source,
) -> Result<Option<SecretBytes>, Failure> {
    let Reply::Status(status) = ask(talk, Command::Status, None).await? else {
        return Err(strange());
    };
    match status.locked {
        true => Ok(Some(source.read("Passphrase: ")?)),
        false => Ok(None),
    }
}

fn made(reply: Reply) -> Result<(), Failure> {
    let Reply::Key(key) = reply else {
        return Err(strange());
    };
    print_key(Some(key))
}

/// The passphrase that opens the file, if it needs one.
fn open(
    file: &Path,
    content: &SecretBytes,
    source: Source,
) -> Result<Option<SecretBytes>, Failure> {
    let failure = |error: &CandidateError| Failure::new(error.to_string(), error.hint());
    match Candidate::of_file(content, None, None) {
        Ok(_) => return Ok(None),
        Err(CandidateError::Key(ImportError::NoPassphrase)) => {}
        Err(error) => return Err(failure(&error)),
    }
    let mut tries_left = TRIES;
    loop {
        let passphrase = source.read(&format!("Passphrase of {}: ", file.display()))?;
        tries_left -= 1;
        match Candidate::of_file(content, Some(&passphrase), None) {
            Ok(_) => return Ok(Some(passphrase)),
            Err(CandidateError::Key(ImportError::WrongPassphrase))
                if tries_left > 0 && source.fd.is_none() =>
            {
                print::talk("wrong passphrase");
            }
            Err(error) => return Err(failure(&error)),
        }
    }
}

/// Straight into locked memory.
fn read_file(path: &Path) -> Result<SecretBytes, Failure> {
    let unreadable = |error: io::Error| {
        Failure::new(
            format!("{} cannot be read: {error}", path.display()),
            "name the file of the private key, or - for standard input",
        )
    };
    if path == Path::new(STANDARD_INPUT) {
        return read_all(rustix::stdio::stdin()).map_err(unreadable);
    }
    read_all(File::open(path).map_err(unreadable)?).map_err(unreadable)
}

fn read_all(from: impl AsFd) -> io::Result<SecretBytes> {
    let mut content = SecretBytes::fill(KEY_FILE_BYTES_MAX, |_| ());
    let mut len = 0;
    loop {
        let rest = content.expose_mut().get_mut(len..).unwrap_or_default();
        if rest.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        match rustix::io::read(&from, rest)? {
            0 => break,
            read => len += read,
        }
    }
    content.truncate(len);
    Ok(content)
}

pub(super) fn joined(parts: &[Option<&SecretBytes>]) -> SecretBytes {
    let there = || parts.iter().flatten();
    let len = there().map(|it| it.len()).sum();
    SecretBytes::fill(len, |mut out| {
        for part in there() {
            let Some((place, rest)) = out.split_at_mut_checked(part.len()) else {
                return;
            };
            place.copy_from_slice(part.expose());
            out = rest;
        }
    })
}

/// As everywhere.
const STANDARD_INPUT: &str = "-";

/// How often a passphrase may be mistyped, as at `ssh-add`.
const TRIES: u32 = 3;

/// 60 s to find out whether it is the right key; then nothing was removed.
const CONFIRM_WAIT_S: u64 = 60;
