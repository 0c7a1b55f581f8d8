//! The private keys that `keystead-vault` takes in and gives back from the disk, and those that
//! stay in a token.

use keystead_authenticator::local::{SecurityKey, SkReply};
use keystead_core::SecretBytes;
use keystead_vault::wallet::{SealedSeed, Words};
use keystead_vault::{AgreementKey, SealedApprovalKey, SealedKey, SignOptions, SigningKey};

/// A key that comes in signs, and its signature is of the algorithm that its public half names.
pub(crate) fn agent_form(bytes: &[u8]) {
    if let Ok(imported) = SigningKey::import_agent(bytes) {
        sign(&imported.key);
    }
}

/// Files without a passphrase: with one, an input could ask for minutes of work.
pub(crate) fn file(bytes: &[u8]) {
    if let Ok(imported) = SigningKey::import_file(bytes, None) {
        sign(&imported.key);
    }
    if let Ok(key) = AgreementKey::import_file(bytes) {
        assert!(key.algorithm().agrees());
        assert!(key.agree(&key.public().to_blob()).is_ok());
    }
}

/// What lies on the disk is written back byte for byte.
pub(crate) fn sealed(bytes: &[u8]) {
    if let Ok(sealed) = SealedKey::decode(bytes) {
        assert_eq!(sealed.encode(), bytes);
    }
}

/// The same of a key that approves for a key server; it is never one of the others.
pub(crate) fn approval(bytes: &[u8]) {
    if let Ok(sealed) = SealedApprovalKey::decode(bytes) {
        assert_eq!(sealed.encode(), bytes);
        assert!(SealedKey::decode(bytes).is_err());
    }
}

/// A wallet's seed on the disk is written back byte for byte, and is no other kind of key.
pub(crate) fn wallet(bytes: &[u8]) {
    if let Ok(sealed) = SealedSeed::decode(bytes) {
        assert_eq!(sealed.encode(), bytes);
        assert!(SealedKey::decode(bytes).is_err());
    }
}

/// Words that are read are as many as they say, each where it stands, and read again.
pub(crate) fn words(bytes: &[u8]) {
    let Ok(words) = Words::read(bytes) else {
        return;
    };
    let all: Vec<&str> = words.iter().collect();
    assert_eq!(all.len(), words.count().get());
    assert!(
        (1..)
            .zip(&all)
            .all(|(at, word)| words.is_at(at, word.as_bytes()))
    );
    assert!(Words::read(all.join(" ").as_bytes()).is_ok());
}

/// A token's handle, and what OpenSSH's program says of it.
pub(crate) fn security_key(bytes: &[u8]) {
    let key = SecretBytes::fill(bytes.len(), |place| place.copy_from_slice(bytes));
    let _ = SecurityKey::parse(key, None).map(|key| key.provider().map(str::len));
    let _ = SkReply::parse(bytes);
}

/// RFC 8332 flag 4: every key can sign with it.
fn sign(key: &SigningKey) {
    let has_presence = key.public().algorithm().has_presence();
    let signed = key.sign(b"content", SignOptions::from_flags(4));
    assert_eq!(
        signed.is_ok(),
        !has_presence,
        "{}",
        key.public().algorithm()
    );
}
