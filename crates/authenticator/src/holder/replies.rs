//! Replies that several commands give.

use keystead_core::{KeyEntry, Purpose, hex};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::key::{Material, fingerprint};
use keystead_formats::{age, minisign};

use crate::control::{KeyLine, Reply};
use crate::judge::algorithm_of;

/// A key as it is listed.
#[must_use]
pub fn key_line(entry: &KeyEntry) -> Option<KeyLine> {
    let algorithm = algorithm_of(entry)?;
    Some(KeyLine {
        name: entry.name.to_string(),
        algorithm: algorithm.short_name().to_owned(),
        public_key: public_line(entry)?,
        fingerprint: fingerprint(&entry.public_key),
    })
}

/// The public half as the programs take it that the key is for.
fn public_line(entry: &KeyEntry) -> Option<String> {
    let x25519 = || entry.public_key.as_slice().try_into().ok();
    match entry.purposes.as_slice() {
        [Purpose::AgeUnwrap] => Some(age::identity::recipient(x25519()?)),
        [Purpose::Signify] => {
            let blob = PublicKey::from_blob(&entry.public_key).ok()?;
            let Material::Ed25519(public) = blob.material() else {
                return None;
            };
            Some(minisign::PublicKey::of(*public).line())
        }
        _ if algorithm_of(entry)?.is_ssh() => {
            let public = PublicKey::from_blob(&entry.public_key).ok()?;
            Some(public.line(entry.name.as_str()))
        }
        _ => Some(hex::encode(&entry.public_key)),
    }
}

pub(super) fn log_failed(error: &std::io::Error) -> Reply {
    Reply::failed(format!("the log cannot be written: {error}"), DISK_HINT)
}

pub(super) const DISK_HINT: &str = "check the state folder's free space and permissions";
