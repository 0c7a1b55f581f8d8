//! Messages of gpg 2.2.40 to its agent, with the wrapping key 00 … 0f; the keys are of a test.

use super::*;

const WRAPPING: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// `gpg --import` of an Ed25519 key with two subkeys, of ECDH on Curve25519 and P-256.
const ED25519: &str = "9cafc19bb8198de459b6aa91c6dc6e249fe511b2b24dd1ee6f7460c5d8e74a3b579f1c2a118a37b2e021bba9\
6b69ff77a43c08085f168dc3f99e11f58204625af4893e5410679447771d3ef464409f61200441b8b514c560\
f4eff4d371e0dbf8f167b5576434764e96998736e2eb3f535b1d7e9f8bd481998a1931cc92a25657795be18a\
3a392550221ec6033cbe2ac7d020e57366cc031ee8c50201de3d21f5dc45f95aad95de168563b33612588290\
b40d44c637d04e364799cd426e933e061a0d215c6f78685d";
const X25519: &str = "e3835e3d55463a8c776b5f3f2ea47fff705331561d43ad93802eca3ef5e9195b742b020c8fba5fc8d758f99f\
bf3c4be2e06f6e2decaa655193cea1ea87b88fba5f5042d08b6e680c0adfda0b63519ace1f0e1ea617f18586\
84165e10e2f0ff8220c158d38ecd5fc4662e2524a803d1a59d5647cdaa6e1508893bc23024682b53960c9246\
7a7fa6b51ff22bb76d806fbc96143c949290a89c0de28280fae65b3899c0af122134cba92ca5c53edc4fd041\
376450a870284f520810e9ba48da55766553e88ed8271a7e792270cf54e766a9";
const ECDH_P256: &str = "25700fc7a0a7138f1c5f81143de0763292169fdce83c91be436297cff8eaac7f9939e151520ee83b7accf778\
d1e08d1fdc3c54f221f3cc8de94230d02d0ac145d7917ea3bc8454eb30d248d46e1ceee5c9f08d693991ca26\
26707fdea08250ade7372117cebbd6ff0c6c4dbe0873a8deeb08488591d93805f775dbba0985112c0d0d815e\
1d0854e3bfb0226cd8b0d7431400ff91b3a4db3b41fe2d72ce59d8f1abf77f1faa5c6dbb778fdbb7b84aa0c4\
dbefdc1a6ad1e5d28382f86146d4b8043911ca9a29103ed0ec3ab49149da1d787d2b77068a98dd2d1bc5637c\
a79b132921aa9b91da1da1e7136f1c3b81f0ecb0";

/// Of a key with the passphrase `abc`; its private half was computed by another implementation
/// (Python's `hashlib` and `cryptography`).
const PROTECTED: &str = "44a63bcd03c105884263c71e92ce161ea1d80a3cafba1431b0b87e9761482510742997cd3261cb27076ada1d\
23dd4af14530f260d638d88d161ee07ab69bbc3ae02ccdf931576fdbfe66a9f7ad58c4d56eb04a846191c3eb\
28b3df8836746ea35bc7e3ebb043017dd5b4a1eae7a39dc04eade5ec028a5570ea7b4fdb0cc3bd1a3c3d8c63\
cbbc15a5025335568caefb0d1e553dad031bd2f84727296c81762f63cf8a2525a46e62e31600a8ce5fb3ce9a\
36ee82374113a941741f4be0ff8348148e4da3362e72ba2c5e7c95643a4d0a79b4c857bed29f3cad1d3bfa39\
f8176c7b3e8343ce64ba558911fa28acaea46d687ffc1fc1ca2460e2a208f6e83e9cbb16bdd9049eb990b54b\
b5b28eda402614bf";

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
    let check = |wrapped: &str, algorithm, pem: &str| {
        let key = open(Transferred::unwrap(&WRAPPING, &unhex(wrapped)).unwrap());
        assert_eq!(key.algorithm(), algorithm);
        let again = PublicKey::of_keeper(algorithm, key.public_key()).unwrap();
        assert_eq!(&again, key.public());
        let text = std::str::from_utf8(key.pkcs8().expose())
            .unwrap()
            .to_owned();
        let expected = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
        assert_eq!(text, expected);
    };
    check(
        ED25519,
        Algorithm::Ed25519,
        "MC4CAQAwBQYDK2VwBCIEIHmdnVilCzb8svlkRdulTUeawkqSi6+NytWDDgXPzNcp",
    );
    check(
        PROTECTED,
        Algorithm::Ed25519,
        "MC4CAQAwBQYDK2VwBCIEIND+I2RolxEUaJjSyhHjy5tS9qcLJM2DiSzZmmLXbuFW",
    );
    check(
        X25519,
        Algorithm::X25519,
        "MC4CAQAwBQYDK2VuBCIEICjf6uSWOVqQTC0IEqDARy+unCVJmQdU0pMczhd2RftC",
    );
    check(
        ECDH_P256,
        Algorithm::EcdhP256,
        "MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCCb8xZQq2h1MQmQAcvT\nOr89n/Xn05R2IZtiaHiz/GKo+g==",
    );
}

#[test]
fn what_does_not_come() {
    assert_eq!(error(&[]), TransferError::Unwrap);
    assert_eq!(error(&vec![0; 8_200]), TransferError::Unwrap);
    let mut damaged = unhex(ED25519);
    damaged[20] ^= 1;
    assert_eq!(error(&damaged), TransferError::Unwrap);
    let whole = unhex(ED25519);
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
    let Arrived::Protected(key) = Transferred::unwrap(&WRAPPING, &unhex(PROTECTED)).unwrap() else {
        panic!("it has a passphrase");
    };
    for wrong in [&b""[..], b"abd", b"abcabc", &[0; 4_200]] {
        let error = key.open(wrong).map(|_| ()).unwrap_err();
        assert_eq!(error, TransferError::Passphrase, "{}", wrong.len());
    }
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
    let other = |name: &str| Err(TransferError::Algorithm(name.to_owned()));
    check("", "", Ok(()));
    check("3:AES", "6:AES256", Ok(()));
    check("1:3", "1:0", Ok(()));
    check("4:SHA1", "6:SHA512", Ok(()));
    check("4:sha1", "3:sum", other("sum"));
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
