//! `key sign`: a message or a digest, signed by a key that a server holds.
//!
//! **Invariant:** what is asked follows from what the key is for; a key of SSH's purposes signs
//! nothing here.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use keystead_core::hex;
use keystead_keeper::server::protocol::Octets;
use keystead_keeper::server::protocol::requests::{
    Bytes, DigestName, Entry, KeyPurpose, KeyType, Request, Sign, SignFields, Signed,
};

use crate::agent_link::block_on;
use crate::arguments::SignByKey;
use crate::commands::server_entry::one_of;
use crate::failure::{Failure, Status};
use crate::server_link::{self, ServerLink};
use crate::terminal::print;

/// `key sign KEY FILE|--digest HEX --keeper SERVER [--hash HASH]`
pub(crate) fn run(wanted: &SignByKey) -> Result<(), Failure> {
    let page = server_link::server(&server_link::book()?, Some(wanted.keeper.as_str()))?;
    let given = match (&wanted.file, &wanted.digest) {
        (Some(file), _) => Given::Message(read(file)?, hash_named(wanted.hash.as_deref())?),
        (None, Some(digits)) => Given::Digest(digest(digits)?),
        (None, None) => return Err(usage("sign what? name a file, or --digest")),
    };
    let signed = block_on(async {
        let mut link = ServerLink::open().await?;
        let entries = link.list(&page.name).await?.entries;
        let key = one_of(&entries, &wanted.key)?;
        let request = Request::Sign(Sign {
            key: key.key,
            fields: fields(key, given)?,
        });
        link.result(&page.name, &request, Signed::decode).await
    })?;
    print(hex::encode(&signed.signature.0))
}

/// What was given to be signed.
enum Given {
    /// Hashed as was told, if it was.
    Message(Vec<u8>, Option<DigestName>),
    Digest(Vec<u8>),
}

/// What the server is asked: as the key's one purpose has it.
fn fields(key: &Entry, given: Given) -> Result<SignFields, Failure> {
    let is_for = |purpose| key.purposes.0.contains(&purpose);
    match given {
        Given::Message(bytes, hash) if is_for(KeyPurpose::Message) => {
            let hash = hash.unwrap_or(match key.kind {
                KeyType::Ed25519 | KeyType::Arbitrary => DigestName::None,
                KeyType::P256 | KeyType::Secp256k1 | KeyType::Rsa => DigestName::Sha256,
            });
            let bytes = Octets(bytes);
            Ok(SignFields::Message(Bytes { bytes }, hash))
        }
        Given::Digest(bytes) if is_for(KeyPurpose::Digest) => {
            let bytes = Octets(bytes);
            Ok(SignFields::Digest(Bytes { bytes }))
        }
        Given::Message(..) => Err(usage("this key is not for messages")
            .hint("`keystead key new --purpose message --keeper SERVER` makes one that is")),
        Given::Digest(_) => Err(usage("this key is not for digests")
            .hint("`keystead key new --purpose digest --keeper SERVER` makes one that is")),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let of =
        |error: std::io::Error| Failure::new(format!("{} cannot be read: {error}", file.display()));
    let mut bytes = Vec::new();
    let most = MESSAGE_BYTES_MAX.saturating_add(1);
    let read = match file == Path::new("-") {
        true => std::io::stdin().lock().take(most).read_to_end(&mut bytes),
        false => File::open(file)
            .map_err(of)?
            .take(most)
            .read_to_end(&mut bytes),
    };
    read.map_err(of)?;
    match u64::try_from(bytes.len()) {
        Ok(len) if len <= MESSAGE_BYTES_MAX => Ok(bytes),
        _ => Err(usage("a message has at most 65,536 bytes")
            .hint("sign its digest: a key for it, and --digest")),
    }
}

fn hash_named(name: Option<&str>) -> Result<Option<DigestName>, Failure> {
    Ok(Some(match name {
        None => return Ok(None),
        Some("none") => DigestName::None,
        Some("sha256") => DigestName::Sha256,
        Some("sha384") => DigestName::Sha384,
        Some("sha512") => DigestName::Sha512,
        Some("keccak256") => DigestName::Keccak256,
        Some(other) => {
            return Err(usage(&format!("no hash is called {other:?}"))
                .hint("sha256, sha384, sha512, keccak256 or none"));
        }
    }))
}

fn digest(digits: &str) -> Result<Vec<u8>, Failure> {
    let bytes = hex::decode(&digits.to_ascii_lowercase())
        .filter(|it| (1..=DIGEST_BYTES_MAX).contains(&it.len()));
    bytes.ok_or_else(|| usage("a digest has 2 to 128 hexadecimal digits"))
}

fn usage(message: &str) -> Failure {
    Failure::new(message).status(Status::Usage)
}

/// `spec/session.md`, section 7.
const MESSAGE_BYTES_MAX: u64 = 65_536;

/// 64 bytes: SHA-512's.
const DIGEST_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_hexadecimal_digits() {
        for (digits, expected) in [
            ("00ff", Some(vec![0, 255])),
            ("", None),
            ("0", None),
            ("0g", None),
            ("+f", None),
            ("00FF", Some(vec![0, 255])),
        ] {
            assert_eq!(digest(digits).ok(), expected, "{digits:?}");
        }
        assert!(digest(&"00".repeat(64)).is_ok());
        assert!(digest(&"00".repeat(65)).is_err());
    }

    #[test]
    fn hashes_have_names() {
        for (name, expected) in [
            (None, Some(None)),
            (Some("none"), Some(Some(DigestName::None))),
            (Some("keccak256"), Some(Some(DigestName::Keccak256))),
            (Some("SHA256"), None),
            (Some("md5"), None),
        ] {
            assert_eq!(hash_named(name).ok(), expected, "{name:?}");
        }
    }
}
