//! Messages of gpg 2.2.40 to its agent, with the wrapping key 00 … 0f; the keys are of a test.

use super::*;

const WRAPPING: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// `gpg --import` of an Ed25519 key with two subkeys, of ECDH on Curve25519 and P-256, and of a key
/// with the passphrase `abc`.
const CAPTURED: &str = include_str!("../../../tests/messages/gnupg-2.2.40.txt");

/// One key, protected in every way, by another implementation (Python's `hashlib` and
/// `cryptography`).
const PROTECTED: &str = include_str!("../../../tests/messages/protected.txt");

fn imported(name: &str) -> Vec<u8> {
    let mut lines = CAPTURED.lines().filter_map(|it| it.strip_prefix("import "));
    unhex(lines.find_map(|it| it.strip_prefix(name)).unwrap().trim())
}

/// Name and expression.
fn protected() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let lines = PROTECTED.lines().filter(|it| !it.starts_with('#'));
    lines
        .map(|it| it.split_once(' ').unwrap())
        .map(|(name, hex)| (name, unhex(hex)))
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let digits = pairs.map(|pair| std::str::from_utf8(pair).unwrap());
    digits
        .map(|it| u8::from_str_radix(it, 16).unwrap())
        .collect()
}

fn error(wrapped: &[u8]) -> TransferError {
    match Transferred::unwrap(&WRAPPING, wrapped) {
        Ok(_) => panic!("it was read"),
        Err(error) => error,
    }
}

fn open(arrived: Arrived) -> Transferred {
    match arrived {
        Arrived::Open(key) => key,
        Arrived::Protected(key) => key.open(b"abc").unwrap(),
    }
}

#[test]
fn keys_of_gpg_become_pkcs8() {
    let check = |name: &str, algorithm, pem: &str| {
        let key = open(Transferred::unwrap(&WRAPPING, &imported(name)).unwrap());
        assert_eq!(key.algorithm(), algorithm);
        let again = PublicKey::of_keeper(algorithm, key.public_key()).unwrap();
        assert_eq!(&again, key.public());
        assert_eq!(pem_of(&key), pem);
    };
    check(
        "ed25519 ",
        Algorithm::Ed25519,
        "MFECAQEwBQYDK2VwBCIEIHmdnVilCzb8svlkRdulTUeawkqSi6+NytWDDgXPzNcp\n\
         gSEA8UpG+fM1ixU3sxQrrs+T72nsXTZXTIuLka9RvsXxrbw=",
    );
    check("protected ", Algorithm::Ed25519, OPENED);
    check(
        "x25519 ",
        Algorithm::X25519,
        "MFECAQEwBQYDK2VuBCIEICjf6uSWOVqQTC0IEqDARy+unCVJmQdU0pMczhd2RftC\n\
         gSEAiypIb31TWweRq0sEn21Tp8e8TNk7VGJHb+JXckU45iI=",
    );
    check(
        "ecdh-p256 ",
        Algorithm::EcdhP256,
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgm/MWUKtodTEJkAHL\n\
         0zq/PZ/159OUdiGbYmh4s/xiqPqhRANCAASBkwK6fI8m6eDiVKfhTlw7CD65riac\n\
         WnIXunm/LWVYvTUBmURGx/cyCiOpfFC2KJokYp7yron8+DtjW2yED2jw",
    );
}

/// Without its first and last line; both halves, as Python writes them.
fn pem_of(key: &Transferred) -> String {
    let pem = key.pkcs8();
    let text = std::str::from_utf8(pem.expose()).unwrap();
    let text = text.strip_prefix("-----BEGIN PRIVATE KEY-----\n").unwrap();
    text.strip_suffix("\n-----END PRIVATE KEY-----\n")
        .unwrap()
        .to_owned()
}

/// The key of `protected.txt`, and of the captured one with a passphrase.
const OPENED: &str = "MFECAQEwBQYDK2VwBCIEIND+I2RolxEUaJjSyhHjy5tS9qcLJM2DiSzZmmLXbuFW\n\
    gSEAxz3BWtyIyRTomAdsvTF9Qobj8NWl1gJE7sarQ/Li0uk=";

#[test]
fn what_does_not_come() {
    assert_eq!(error(&[]), TransferError::Unwrap);
    assert_eq!(error(&vec![0; 8_200]), TransferError::Unwrap);
    let whole = imported("ed25519 ");
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        assert_eq!(error(&damaged), TransferError::Unwrap, "{at}");
    }
    for len in 0..whole.len() {
        assert_eq!(error(&whole[..len]), TransferError::Unwrap, "{len}");
    }
}

#[test]
fn expressions_that_are_none() {
    let key = "(19:openpgp-private-key(7:version1:4)(4:algo5:EDDSA)(5:curve7:Ed25519)\
        (4:skey1:_33:@QQ1:_1:d)(4:csum1:1)(10:protection4:none))";
    let key = key.replace("QQ", &"q".repeat(32));
    let check = |text: &str, expected: Result<(), TransferError>| {
        let found = Transferred::read(text.as_bytes()).map(|_| ());
        assert_eq!(found, expected, "{text}");
    };
    let malformed = Err(TransferError::Malformed);
    check(&key, Ok(()));
    check(&format!("{key}{}", "\0".repeat(2)), Ok(()));
    check(&format!("{key}{}", "\0".repeat(8)), Ok(()));
    check(&format!("{key}{}", "\0".repeat(9)), malformed.clone());
    check(&format!("{key}x"), malformed.clone());
    for len in 0..key.len() {
        assert!(Transferred::read(&key.as_bytes()[..len]).is_err(), "{len}");
    }
    let of = |from: &str, to: &str| key.replace(from, to);
    let other = |name: &str| Err(TransferError::Algorithm(name.to_owned()));
    check(&of("(5:curve7:Ed25519)", ""), other("EDDSA"));
    check(&of("7:Ed25519", "5:Ed448"), other("Ed448"));
    check(&of("5:EDDSA", "4:ECDH"), other("Ed25519"));
    check(&of("1:_1:d", "1:e1:d"), malformed.clone());
    let long = format!("1:_33:{}", "d".repeat(33));
    check(&of("1:_1:d", &long), malformed.clone());
    check(&of("33:@", "33:A"), malformed.clone());
    check(&of("4:none", "3:sum"), malformed);
}

#[test]
fn passphrases_of_gpg() {
    for (name, text) in protected() {
        let Ok(Arrived::Protected(key)) = Transferred::read(&text) else {
            panic!("{name}: it has a passphrase");
        };
        assert_eq!(pem_of(&key.open(b"abc").unwrap()), OPENED, "{name}");
        for wrong in [&b""[..], b"ab", b"abd", b"abcabd", &[0; 4_200]] {
            let error = key.open(wrong).map(|_| ()).unwrap_err();
            assert_eq!(error, TransferError::Passphrase, "{name} {}", wrong.len());
        }
    }
}

/// Whoever changes a bit gets no other private key out of it with the SHA-1 behind it.
#[test]
fn no_changed_bit_gives_another_key() {
    for (name, whole) in protected() {
        // What takes long is tried with one of each kind.
        if !name.ends_with("-0") && !name.ends_with("-16") {
            continue;
        }
        for at in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let Ok(Arrived::Protected(key)) = Transferred::read(&changed) else {
                continue;
            };
            if let Ok(key) = key.open(b"abc") {
                let private = |pem: &str| pem.split('\n').next().unwrap().to_owned();
                let is_sum = name.starts_with("sum");
                assert!(
                    is_sum || private(&pem_of(&key)) == private(OPENED),
                    "{name} {at}"
                );
            }
        }
    }
}

#[test]
fn protections_that_are_none() {
    let iv = "i".repeat(16);
    let protection = format!("4:sha13:AES16:{iv}1:34:SHA18:saltsalt2:96");
    let text = |protection: &str| {
        let q = "q".repeat(32);
        format!(
            "(19:openpgp-private-key(7:version1:4)(4:algo5:EDDSA)(5:curve7:Ed25519)\
            (4:skey1:_33:@{q}1:e22:{})(4:csum1:0)(10:protection{protection}))",
            "e".repeat(22)
        )
    };
    let check = |from: &str, to: &str, expected: Result<(), TransferError>| {
        let text = text(&protection.replace(from, to));
        let found = Transferred::read(text.as_bytes()).map(|_| ());
        assert_eq!(found, expected, "{text}");
    };
    let malformed = Err(TransferError::Malformed);
    let other = |name: &str| Err(TransferError::Protection(name.to_owned()));
    check("", "", Ok(()));
    check("3:AES", "6:AES256", Ok(()));
    check("1:3", "1:0", Ok(()));
    check("4:SHA1", "6:SHA512", Ok(()));
    check("4:sha1", "3:sum", Ok(()));
    check("4:sha1", "3:sha", malformed.clone());
    check("3:AES", "5:CAST5", other("CAST5"));
    check("4:SHA1", "9:RIPEMD160", other("RIPEMD160"));
    check("1:3", "4:1001", malformed.clone());
    check("8:saltsalt", "7:saltsal", malformed.clone());
    check("2:96", "3:256", malformed.clone());
    check("2:96", "0:", malformed.clone());
    check(&format!("16:{iv}"), "1:X", malformed);
    let whole = text(&protection);
    for len in 0..whole.len() {
        assert!(
            Transferred::read(&whole.as_bytes()[..len]).is_err(),
            "{len}"
        );
    }
}

#[test]
fn what_gpg_wants_made() {
    let check = |text: &str, expected: Result<KeyType, TransferError>| {
        assert_eq!(wanted_key(text.as_bytes()), expected, "{text}");
    };
    let other = |name: &str| Err(TransferError::Algorithm(name.to_owned()));
    check(
        "(genkey(ecc(curve 7:Ed25519)(flags eddsa comp)))",
        Ok(KeyType::Ed25519),
    );
    check(
        "(genkey(ecc(curve 10:Curve25519)(flags djb-tweak comp)))",
        Ok(KeyType::X25519),
    );
    check(
        "(genkey(ecc(curve 10:NIST P-256)(flags nocomp)))",
        other("NIST P-256"),
    );
    check("(genkey(rsa(nbits 4:3072)))", other("rsa"));
    check("(genkey)", other(""));
    check("(genkey(ecc(flags comp)))", Err(TransferError::Malformed));
    check("(private-key)", Err(TransferError::Malformed));
    check("(", Err(TransferError::Malformed));
}
