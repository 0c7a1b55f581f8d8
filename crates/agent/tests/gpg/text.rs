//! The text behind a digest, as gpg 2.2.40 hashes it: digests of its signatures over a commit,
//! dated 1,795,361,600.

use keystead_agent::gpg::{MappedKey, Signer, preimage};
use keystead_formats::openpgp::digest::Digest;
use keystead_formats::openpgp::{HashAlgorithm, Trailer};

use crate::scene::{map, unhex};

const TEXT: &[u8] =
    b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 1 +0000\n\nmessage\n";
const SIGNED_UNIX_S: u32 = 1_795_361_600;

/// `gpg -bsu FINGERPRINT`.
const BY_FINGERPRINT: &str = "5c2e5b9fa0cb25a51cca36af2310df0f71eb052d2f3ad553b97a6edd9a999f6a";
/// `gpg -bsu eve@example.org`.
const BY_MAIL: &str = "657e77636bfaec6235ffd61fe12e9c4d010a509d72445b9f931193d221cee9bd";

/// The key of these signatures.
fn eve() -> MappedKey {
    let mut key = map().keys()[0].clone();
    key.algorithm = keystead_core::Algorithm::Ed25519;
    key.public_key = unhex(
        "0000000b7373682d6564323535313900000020\
         f14a46f9f3358b1537b3142baecf93ef69ec5d36574c8b8b91af51bec5f1adbc",
    );
    key.user_id = "Eve <eve@example.org>".to_owned();
    key.fingerprint = "EBDB9DF6BF9F5AF66B66642008096366059F3105".parse().ok();
    key
}

fn digest(hex: &str) -> Digest {
    Digest::new(HashAlgorithm::Sha256, &unhex(hex)).unwrap()
}

#[track_caller]
fn check(
    key: &MappedKey,
    text: &[u8],
    hex: &str,
    now_unix_s: u32,
    words: &[&str],
) -> Option<Trailer> {
    let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
    let signer = Signer::of(key, &words).unwrap();
    let hashed = preimage(text, &digest(hex), &signer, now_unix_s)?;
    let (document, trailer) = Trailer::split(&hashed).unwrap();
    assert_eq!(document, text);
    assert_eq!(HashAlgorithm::Sha256.hash(&[&hashed]), unhex(hex));
    Some(trailer)
}

#[test]
fn what_gpg_has_signed_is_proved() {
    for later_s in [0, 1, 10] {
        let trailer = check(&eve(), TEXT, BY_FINGERPRINT, SIGNED_UNIX_S + later_s, &[]).unwrap();
        assert_eq!(trailer.created_unix_s, SIGNED_UNIX_S);
        assert_eq!(trailer.signers_user_id, None);
    }
    let by_mail = check(&eve(), TEXT, BY_MAIL, SIGNED_UNIX_S, &[]).unwrap();
    assert_eq!(by_mail.signers_user_id.as_deref(), Some("eve@example.org"));
    // The mail of another user id of the key stands on the command line.
    let mut other = eve();
    other.user_id = "Eve <first@example.org>".to_owned();
    assert!(check(&other, TEXT, BY_MAIL, SIGNED_UNIX_S, &["gpg", "-bsau"]).is_none());
    let words = ["gpg", "-bsau", "Eve <Eve@Example.org>"];
    assert!(check(&other, TEXT, BY_MAIL, SIGNED_UNIX_S, &words).is_some());
}

#[test]
fn what_is_something_else_is_not() {
    let none = |key: &MappedKey, text: &[u8], now_unix_s| {
        assert!(check(key, text, BY_FINGERPRINT, now_unix_s, &[]).is_none());
    };
    none(&eve(), b"another text", SIGNED_UNIX_S);
    none(&eve(), &TEXT[1..], SIGNED_UNIX_S);
    none(&eve(), b"", SIGNED_UNIX_S);
    none(&eve(), TEXT, SIGNED_UNIX_S + 11);
    none(&eve(), TEXT, SIGNED_UNIX_S - 1);
    none(&eve(), TEXT, 0);
    let mut other = eve();
    other.fingerprint = "8156A08FAB6EA3A9E6B3812342DBBBE41051F798".parse().ok();
    none(&other, TEXT, SIGNED_UNIX_S);
    other.fingerprint = None;
    assert!(Signer::of(&other, &[]).is_none());
}
