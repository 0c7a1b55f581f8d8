//! Keys that agree, out of files of `openssl genpkey`: both halves are openssl's.
#![cfg(test)]

use keystead_vault::{AgreementKey, ImportError};

/// `openssl genpkey -algorithm X25519`.
const X25519: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEIHjmbY9Ryu87hR0xVTyB+pZAUCNZ58RnffOV60jLuhtR
-----END PRIVATE KEY-----
";
const X25519_PUBLIC: &str = "e17b1056a06cd726ae63c6c57a55d62290bff2f70279b339b88635db2112f542";

/// `openssl ecparam -name prime256v1 -genkey | openssl pkcs8 -topk8 -nocrypt`.
const P256: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwN63sL83vjfiFES/
WE9DwyXA2/8GjITYu+4jM8GjQWuhRANCAARfyN4GsP3uxw9dg7WSR23To4af6JQf
nsbgcOrMqvfSb7N9uN68gQ1tOPtWZe1rKwVIRIcNo6v6ZYXNu2XzsVXc
-----END PRIVATE KEY-----
";
const P256_PUBLIC: &str = "045fc8de06b0fdeec70f5d83b592476dd3a3869fe8941f9ec6e070eaccaaf7d26f\
    b37db8debc810d6d38fb5665ed6b2b054844870da3abfa6585cdbb65f3b155dc";

/// Ed25519, of RFC 8410 section 10.3.
const ED25519: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";

#[test]
fn the_public_half_is_openssls() {
    let check = |file: &str, expected: &str| {
        let key = AgreementKey::import_file(file.as_bytes()).unwrap();
        let public: String = key
            .public()
            .to_blob()
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        assert_eq!(public, expected);
    };
    check(X25519, X25519_PUBLIC);
    check(P256, P256_PUBLIC);
}

#[test]
fn what_is_no_key_that_agrees() {
    let check = |file: &str, expected: &ImportError| {
        let found = AgreementKey::import_file(file.as_bytes()).err();
        assert_eq!(found.as_ref(), Some(expected), "{file}");
    };
    let other = ImportError::OtherType {
        type_name: "1.3.101.112".to_owned(),
    };
    check(ED25519, &other);
    check(
        &X25519.replace(" PRIVATE", " ENCRYPTED PRIVATE"),
        &ImportError::NoPassphrase,
    );
    check("", &ImportError::Malformed);
    // The scalar is another one than that of the public half behind it.
    let torn = P256.replace("wN63sL83vjfiFES", "wN63sL83vjfiFET");
    check(&torn, &ImportError::Inconsistent);
    for file in [X25519, P256] {
        for len in 0..file.len() - "-----END PRIVATE KEY-----\n".len() {
            assert!(AgreementKey::import_file(&file.as_bytes()[..len]).is_err());
        }
    }
}
