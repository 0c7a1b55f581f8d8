//! `.pub` files of the keys that are kept elsewhere, for `IdentityFile`, `user.signingkey` and
//! `ssh-copy-id`.
//!
//! **Invariant:** the folder holds one file a key and no other `.pub` file but certificates; a name
//! that a keeper gave never leads out of it.

use std::collections::BTreeSet;
use std::io;

use keystead_daemon::Disk;

use crate::agent::{Agent, Turn};
use crate::certificates;
pub use crate::certificates::FOLDER;
use crate::kept::KeptKey;

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
        let name = plain(kept.name.as_str());
        let both = format!("{name}-{}", plain(kept.keeper.as_str()));
        let numbered = (2_u64..).map(|number| format!("{both}-{number}"));
        let free = [name, both.clone()]
            .into_iter()
            .chain(numbered)
            .find(|name| !taken.contains(name) && !is_certificates(name))
            .unwrap_or_default();
        taken.insert(free.clone());
        names.push(format!("{free}.pub"));
    }
    names
}

/// `NAME-cert.pub` is where OpenSSH looks for the certificate of `NAME.pub`.
fn is_certificates(stem: &str) -> bool {
    format!("{stem}.pub").ends_with(certificates::SUFFIX)
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

#[cfg(test)]
mod tests {
    use keystead_core::{Name, PairingId};
    use keystead_formats::ssh::PublicKey;

    use super::*;

    #[test]
    fn one_name_a_key_and_none_of_a_certificate() {
        let check = |keys: &[(&str, &str)], expected: &[&str]| {
            let kept = |(name, keeper): &(&str, &str)| KeptKey {
                pairing: PairingId([1; 8]),
                keeper: Name::new(*keeper).unwrap(),
                name: Name::new(*name).unwrap(),
                key: PublicKey::ed25519(&[1; 32]),
                identity: None,
            };
            let keys: Vec<KeptKey> = keys.iter().map(kept).collect();
            assert_eq!(names(&keys), expected);
        };
        check(&[("main", "a")], &["main.pub"]);
        check(
            &[("main", "a"), ("main", "b"), ("main", "b")],
            &["main.pub", "main-b.pub", "main-b-2.pub"],
        );
        check(&[("../x", "a"), (".y", "a")], &["_._x.pub", "_y.pub"]);
        check(&[("main-cert", "a")], &["main-cert-a.pub"]);
        check(
            &[("main", "a"), ("main", "cert")],
            &["main.pub", "main-cert-2.pub"],
        );
    }
}
