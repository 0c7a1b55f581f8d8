//! The map of keys in `GNUPGHOME`.

use keystead_agent::gpg::KeyMap;

use crate::scene::map;

#[test]
fn there_and_back() {
    let json = map().encode().unwrap();
    assert_eq!(KeyMap::parse(&json).unwrap(), map());
    assert_eq!(map().keys().len(), 2);
}

#[test]
fn whole_or_not_at_all() {
    let json = map().encode().unwrap();
    let end = json.trim_ascii_end().len();
    for len in 0..end {
        assert!(KeyMap::parse(&json[..len]).is_err(), "{len}");
    }
    let text = String::from_utf8(json).unwrap();
    let check = |from: &str, to: &str, error: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let refused = KeyMap::parse(changed.as_bytes()).unwrap_err();
        assert!(refused.to_string().contains(error), "{refused}");
    };
    check("\"version\": 1", "\"version\": 2", "version 2");
    check("\"keygrip\"", "\"more\": 1, \"keygrip\"", "JSON");
    check("A0000", "A000", "keygrip");
    check("ecdsa-sha2-nistp256", "rot13", "algorithm");
    check("0101", "010", "key_id");
    check("1111", "x111", "fingerprint");
    check("gpg://Alex", "ftp://Alex", "identity");
    check("nist256p1", "p256", "curve");
    let twice = text.replace(
        "B0000000000000000000000000000000000000B2",
        crate::scene::SIGN,
    );
    let refused = KeyMap::parse(twice.as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("already"), "{refused}");
}
