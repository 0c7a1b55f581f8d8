//! Hosts by the names that this person's `known_hosts` has for them.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::known_hosts::{Names, name_with_port, names_of};

use crate::failure::{Failure, Status};

/// SHA-256 of the host keys that these names, or fingerprints, stand for.
pub(crate) fn keys_of(names: &[&str]) -> Result<Vec<[u8; 32]>, Failure> {
    let text = known_hosts();
    let mut keys = Vec::new();
    for name in names {
        match name.strip_prefix(FINGERPRINT) {
            Some(hash) => keys.push(of_fingerprint(hash).ok_or_else(|| {
                Failure::new(format!("{name:?} is no fingerprint")).status(Status::Usage)
            })?),
            None => keys.extend(known(&text, name)?),
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// `SHA256:…`
pub(crate) fn fingerprint(hash: &[u8; 32]) -> String {
    format!("{FINGERPRINT}{}", STANDARD_NO_PAD.encode(hash))
}

/// All keys of a host, as `known_hosts` has them.
fn known(text: &str, name: &str) -> Result<Vec<[u8; 32]>, Failure> {
    let candidate = match name.rsplit_once(':') {
        Some((host, port)) if !host.starts_with('[') && port.parse::<u16>().is_ok() => {
            name_with_port(host, port.parse().unwrap_or(SSH_PORT))
        }
        _ => name.to_lowercase(),
    };
    let candidates = [candidate];
    let mut keys = Vec::new();
    for line in text.lines() {
        let Some(key) = key_of(line) else { continue };
        // The whole text, so that a revocation elsewhere counts.
        if let Names::Known(names) = names_of(text, &key, &candidates)
            && names.iter().any(|it| candidates.contains(it))
        {
            keys.push(key.id().0);
        }
    }
    if keys.is_empty() {
        return Err(Failure::new(format!("known_hosts has no key of {name}"))
            .hint("log in there once, or name its key: SHA256:… (`ssh-keyscan HOST | ssh-keygen -lf -`)")
            .status(Status::Usage));
    }
    Ok(keys)
}

/// The key of a line, which stands behind the names and its type; authorities' lines have none
/// that a host shows.
fn key_of(line: &str) -> Option<PublicKey> {
    if line.starts_with(['#', '@']) {
        return None;
    }
    let base64 = line.split_ascii_whitespace().nth(2)?;
    PublicKey::from_blob(&STANDARD.decode(base64).ok()?).ok()
}

fn known_hosts() -> String {
    let Some(ssh) = std::env::home_dir().map(|it| it.join(".ssh")) else {
        return String::new();
    };
    let own = ["known_hosts", "known_hosts2"].map(|it| ssh.join(it));
    let texts = own.iter().map(|it| fs::read(it).unwrap_or_default());
    let texts: Vec<String> = texts
        .map(|it| String::from_utf8_lossy(&it).into_owned())
        .collect();
    texts.join("\n")
}

fn of_fingerprint(base64: &str) -> Option<[u8; 32]> {
    STANDARD_NO_PAD.decode(base64).ok()?.try_into().ok()
}

const FINGERPRINT: &str = "SHA256:";

const SSH_PORT: u16 = 22;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ";

    #[track_caller]
    fn check(line: &str, name: &str, is_known: bool) {
        assert_eq!(known(line, name).is_ok(), is_known, "{line} {name}");
    }

    #[test]
    fn a_host_by_its_name() {
        let line = format!("db1,10.0.0.1 ssh-ed25519 {KEY}");
        check(&line, "db1", true);
        check(&line, "DB1", true);
        check(&line, "10.0.0.1", true);
        check(&line, "db2", false);
        check(&format!("[db1]:2222 ssh-ed25519 {KEY}"), "db1:2222", true);
        check(&format!("[db1]:2222 ssh-ed25519 {KEY}"), "db1", false);
        check(&format!("@revoked db1 ssh-ed25519 {KEY}"), "db1", false);
        check(&format!("# db1 ssh-ed25519 {KEY}"), "db1", false);
        let revoked = format!("db1 ssh-ed25519 {KEY}\n@revoked * ssh-ed25519 {KEY}");
        check(&revoked, "db1", false);
        check("db1 ssh-ed25519", "db1", false);
    }

    #[test]
    fn fingerprints_there_and_back() {
        let key = PublicKey::from_blob(&STANDARD.decode(KEY).unwrap()).unwrap();
        let text = fingerprint(&key.id().0);
        assert_eq!(text, key.fingerprint());
        assert_eq!(keys_of(&[&text]).unwrap(), [key.id().0]);
        for wrong in ["SHA256:", "SHA256:AAAA", "SHA256:!"] {
            assert!(keys_of(&[wrong]).is_err(), "{wrong}");
        }
    }
}
