//! Keys that the installed `ssh-keygen` and `openssl` made come in, whatever
//! they are encrypted by, and nothing that was altered does.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; what its functions do fails it"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::{Algorithm, SecretBytes};
use keystead_vault::{ImportError, Imported, SigningKey};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a key, and gives its file.
    fn keygen(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let file = self.path(name);
        run(
            "ssh-keygen",
            &["-q", "-C", "alex@laptop", "-f", text(&file)],
            arguments,
        );
        file
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(program: &str, first: &[&str], rest: &[&str]) {
    let output = Command::new(program).args(first).args(rest).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {first:?} {rest:?}: {said}"
    );
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::take(&mut text.as_bytes().to_vec())
}

fn import(file: &Path, passphrase: Option<&str>) -> Result<Imported, ImportError> {
    let passphrase = passphrase.map(secret);
    SigningKey::import_file(&std::fs::read(file).unwrap(), passphrase.as_ref())
}

fn error(file: &Path, passphrase: Option<&str>) -> Option<ImportError> {
    import(file, passphrase).err()
}

/// The blob in the `.pub` file beside it.
fn public(file: &Path) -> Vec<u8> {
    let line = std::fs::read_to_string(file.with_extension("pub")).unwrap();
    STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap()
}

#[track_caller]
fn check(file: &Path, passphrase: Option<&str>, algorithm: Algorithm) -> Imported {
    let imported = import(file, passphrase).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    assert_eq!(imported.key.algorithm(), algorithm);
    assert_eq!(imported.key.public().to_blob(), public(file));
    assert_eq!(imported.certificate, None);
    imported
}

const TYPES: [(&str, &str, Algorithm); 7] = [
    ("ed25519", "256", Algorithm::Ed25519),
    ("ecdsa", "256", Algorithm::EcdsaP256),
    ("ecdsa", "384", Algorithm::EcdsaP384),
    ("ecdsa", "521", Algorithm::EcdsaP521),
    ("rsa", "2048", Algorithm::Rsa),
    ("rsa", "3072", Algorithm::Rsa),
    ("rsa", "4096", Algorithm::Rsa),
];

/// Every type in OpenSSH's own format, in PKCS#8 and in PEM.
#[test]
fn every_type_in_every_format_of_ssh_keygen() {
    let folder = Folder::new();
    for (kind, bits, algorithm) in TYPES {
        for format in ["RFC4716", "PKCS8", "PEM"] {
            let name = format!("{kind}{bits}{format}");
            let arguments = ["-N", "", "-t", kind, "-b", bits, "-m", format];
            let file = folder.keygen(&name, &arguments);
            let imported = check(&file, None, algorithm);
            let bytes = std::fs::read(&file).unwrap();
            let is_own = bytes.starts_with(b"-----BEGIN OPENSSH");
            let expected: &[u8] = if is_own { b"alex@laptop" } else { b"" };
            assert_eq!(imported.comment, expected, "{name}");
            // A passphrase for a file that needs none.
            check(&file, Some("unneeded"), algorithm);
        }
    }
}

/// A scalar is written without its leading zeros: one key in 256 has some.
#[test]
fn short_scalars_come_in() {
    let folder = Folder::new();
    for round in 0..40 {
        let arguments = ["-N", "", "-t", "ecdsa", "-b", "521"];
        let file = folder.keygen(&format!("key{round}"), &arguments);
        check(&file, None, Algorithm::EcdsaP521);
    }
}

#[test]
fn every_cipher_of_ssh_keygen() {
    let folder = Folder::new();
    let ciphers = [
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
        "aes128-cbc",
        "aes192-cbc",
        "aes256-cbc",
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
    ];
    for cipher in ciphers {
        for (kind, algorithm) in [
            ("ed25519", Algorithm::Ed25519),
            ("ecdsa", Algorithm::EcdsaP256),
        ] {
            let arguments = ["-N", "correct horse", "-a", "2", "-Z", cipher, "-t", kind];
            let file = folder.keygen(&format!("{kind}-{}", cipher.replace('.', "-")), &arguments);
            check(&file, Some("correct horse"), algorithm);
            assert_eq!(
                error(&file, None),
                Some(ImportError::NoPassphrase),
                "{cipher}"
            );
            for wrong in ["correct hors", "battery", ""] {
                assert_eq!(
                    error(&file, Some(wrong)),
                    Some(ImportError::WrongPassphrase),
                    "{cipher}"
                );
            }
        }
    }
    let arguments = ["-N", "correct horse", "-Z", "3des-cbc", "-t", "ed25519"];
    let method = "3des-cbc".to_owned();
    let file = folder.keygen("3des", &arguments);
    assert_eq!(
        error(&file, Some("correct horse")),
        Some(ImportError::OtherEncryption { method })
    );
}

#[test]
fn rounds_have_a_limit() {
    let folder = Folder::new();
    let file = folder.keygen(
        "key",
        &["-N", "correct horse", "-a", "600", "-t", "ed25519"],
    );
    assert_eq!(
        error(&file, Some("correct horse")),
        Some(ImportError::TooCostly)
    );
}

/// PBES2 as `openssl pkcs8` writes it.
#[test]
fn every_encryption_of_openssl() {
    let folder = Folder::new();
    for (kind, bits, algorithm) in [TYPES[1], TYPES[2], TYPES[4]] {
        let plain = folder.keygen(
            &format!("{kind}{bits}"),
            &["-N", "", "-t", kind, "-b", bits, "-m", "PKCS8"],
        );
        for cipher in ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"] {
            for hash in [
                "hmacWithSHA1",
                "hmacWithSHA256",
                "hmacWithSHA384",
                "hmacWithSHA512",
            ] {
                let file = folder.path(&format!("{kind}{bits}-{cipher}-{hash}"));
                std::fs::copy(plain.with_extension("pub"), file.with_extension("pub")).unwrap();
                let first = ["pkcs8", "-topk8", "-in", text(&plain), "-out", text(&file)];
                let rest = [
                    "-v2",
                    cipher,
                    "-v2prf",
                    hash,
                    "-passout",
                    "pass:correct horse",
                ];
                run("openssl", &first, &rest);
                check(&file, Some("correct horse"), algorithm);
                assert_eq!(error(&file, None), Some(ImportError::NoPassphrase));
                assert_eq!(
                    error(&file, Some("battery")),
                    Some(ImportError::WrongPassphrase)
                );
            }
        }
        let file = folder.path("scrypt");
        let first = ["pkcs8", "-topk8", "-in", text(&plain), "-out", text(&file)];
        run(
            "openssl",
            &first,
            &["-scrypt", "-passout", "pass:correct horse"],
        );
        // RFC 7914 section 7.
        let method = "1.3.6.1.4.1.11591.4.11".to_owned();
        assert_eq!(
            error(&file, Some("correct horse")),
            Some(ImportError::OtherEncryption { method })
        );
    }
}

/// What `openssl` itself makes, with the parameters in front where it writes them.
#[test]
fn keys_of_openssl() {
    let folder = Folder::new();
    let made = |name: &str, first: &[&str], rest: &[&str]| {
        let file = folder.path(name);
        run("openssl", &[first, &["-out", text(&file)]].concat(), rest);
        import(&file, None)
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .key
            .algorithm()
    };
    let curve = |it| ["ecparam", "-genkey", "-name", it];
    assert_eq!(made("a", &curve("prime256v1"), &[]), Algorithm::EcdsaP256);
    assert_eq!(made("b", &curve("secp384r1"), &[]), Algorithm::EcdsaP384);
    assert_eq!(made("c", &curve("secp521r1"), &[]), Algorithm::EcdsaP521);
    let algorithm = |it| ["genpkey", "-algorithm", it];
    assert_eq!(made("d", &algorithm("ed25519"), &[]), Algorithm::Ed25519);
    let bits = ["-pkeyopt", "rsa_keygen_bits:2048"];
    assert_eq!(made("e", &algorithm("rsa"), &bits), Algorithm::Rsa);
    assert_eq!(
        made("f", &["genrsa", "-traditional"], &["2048"]),
        Algorithm::Rsa
    );
}

/// What is not held is named.
#[test]
fn keys_that_are_not_held() {
    let folder = Folder::new();
    let openssl = |name: &str, arguments: &[&str]| {
        let file = folder.path(name);
        run(
            "openssl",
            &[arguments[0], "-out", text(&file)],
            &arguments[1..],
        );
        error(&file, None).unwrap().to_string()
    };
    assert_eq!(
        openssl("k1", &["ecparam", "-genkey", "-name", "secp256k1"]),
        "keys of type 1.3.132.0.10 cannot be held"
    );
    assert_eq!(
        openssl("x", &["genpkey", "-algorithm", "x25519"]),
        "keys of type 1.3.101.110 cannot be held"
    );
    assert_eq!(
        openssl(
            "short",
            &[
                "genpkey",
                "-algorithm",
                "rsa",
                "-pkeyopt",
                "rsa_keygen_bits:1024"
            ]
        ),
        "RSA key has 1024 bits; 2048 to 8192 can be held"
    );
    assert_eq!(
        openssl(
            "weak",
            &[
                "genpkey",
                "-algorithm",
                "rsa",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
                "-pkeyopt",
                "rsa_keygen_pubexp:3"
            ]
        ),
        "RSA key has a weak public exponent"
    );
    let rsa = folder.keygen("rsa", &["-N", "correct horse", "-t", "rsa", "-m", "PEM"]);
    assert_eq!(
        error(&rsa, Some("correct horse")).unwrap().to_string(),
        "the key is encrypted by OpenSSL's old method, which is not known here"
    );
    assert_eq!(
        error(&rsa.with_extension("pub"), None),
        Some(ImportError::Public)
    );
}

/// Every prefix, and every altered byte that is not a comment's, is refused.
#[test]
fn cut_and_altered_files_stay_out() {
    let folder = Folder::new();
    for (kind, bits, format) in [
        ("ed25519", "256", "RFC4716"),
        ("ecdsa", "256", "RFC4716"),
        ("ecdsa", "256", "PKCS8"),
        ("ecdsa", "256", "PEM"),
    ] {
        let arguments = ["-N", "", "-t", kind, "-b", bits, "-m", format];
        let file = folder.keygen(&format!("{kind}{format}"), &arguments);
        let whole = std::fs::read_to_string(&file).unwrap();
        for len in 0..whole.trim_end().len() {
            let cut = SigningKey::import_file(&whole.as_bytes()[..len], None);
            assert!(cut.is_err(), "{kind} {format}: {len}");
        }
        let (begin, rest) = whole.split_once('\n').unwrap();
        let (body, end) = rest.split_once("-----END").unwrap();
        let bytes = STANDARD.decode(body.replace('\n', "")).unwrap();
        let is_comment = |at: usize| {
            let comment = b"alex@laptop";
            let from = bytes.windows(comment.len()).position(|it| it == comment);
            from.is_some_and(|from| (from..from + comment.len()).contains(&at))
        };
        let own = import(&file, None).unwrap().key.public().to_blob();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            let altered = STANDARD.encode(altered);
            let altered = format!("{begin}\n{altered}\n-----END{end}");
            match SigningKey::import_file(altered.as_bytes(), None) {
                // PKCS#8 may carry attributes or say another version: the same key.
                Ok(imported) => assert!(
                    is_comment(at) || imported.key.public().to_blob() == own,
                    "{kind} {format}: byte {at}"
                ),
                Err(_) => assert!(!is_comment(at)),
            }
        }
    }
}
