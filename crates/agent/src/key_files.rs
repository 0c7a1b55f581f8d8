//! `.pub` files of the keys that are kept elsewhere, for `IdentityFile`, `user.signingkey` and
//! `ssh-copy-id`.
//!
//! **Invariant:** the folder holds one file a key and no other `.pub` file; a name that a keeper
//! gave never leads out of it.

use std::collections::BTreeSet;
use std::io;

use keystead_daemon::Disk;

use crate::agent::{Agent, Turn};
use crate::certificates;
use crate::front::KeptKey;

impl Agent {
    /// Brings the files in line with the keys.
    pub(crate) fn write_key_files(&mut self, turn: &mut Turn<'_, '_>) {
        if let Err(error) = write(&self.kept_keys(), turn.io.disk) {
            self.notice(format!("the .pub files cannot be written: {error}"));
        }
    }
}

fn write(keys: &[KeptKey], disk: &mut dyn Disk) -> io::Result<()> {
    let names = names(keys);
    for (kept, name) in keys.iter().zip(&names) {
        let path = format!("{FOLDER}/{name}");
        let line = format!("{}\n", kept.key.line(&kept.comment()));
        if disk.read(&path)?.as_deref() != Some(line.as_bytes()) {
            disk.replace(&path, line.as_bytes())?;
        }
    }
    for old in disk.list(FOLDER)? {
        let is_key = old.ends_with(".pub") && !old.ends_with(certificates::SUFFIX);
        if is_key && !names.contains(&old) {
            disk.remove(&format!("{FOLDER}/{old}"))?;
        }
    }
    Ok(())
}

/// The files' names, in the order of the keys: `NAME.pub`; of keys with one name all but the
/// first `NAME-KEEPER.pub`, and then with a number.
#[must_use]
pub fn names(keys: &[KeptKey]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for kept in keys {
        let mut name = plain(kept.name.as_str());
        if name.ends_with("-cert") {
            // `NAME-cert.pub` is where OpenSSH looks for the certificate of `NAME.pub`.
            name.push('_');
        }
        let both = format!("{name}-{}", plain(kept.keeper.as_str()));
        let numbered = (2_u64..).map(|number| format!("{both}-{number}"));
        let free = [name, both.clone()]
            .into_iter()
            .chain(numbered)
            .find(|name| !taken.contains(name))
            .unwrap_or_default();
        taken.insert(free.clone());
        names.push(format!("{free}.pub"));
    }
    names
}

/// Letters, digits and `._-@` stay; others become `_`, a dot in front too.
fn plain(name: &str) -> String {
    let stays = |at: usize, c: char| match c {
        '.' => at > 0,
        '_' | '-' | '@' => true,
        other => other.is_alphanumeric(),
    };
    let chars = name.char_indices();
    chars
        .map(|(at, c)| if stays(at, c) { c } else { '_' })
        .collect()
}

/// In the state folder.
pub const FOLDER: &str = "keys";
