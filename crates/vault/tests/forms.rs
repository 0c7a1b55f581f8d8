//! Secrets in the forms of other programs: what is written here the installed `ssh-keygen` and
//! `openssl` read, and what they make comes in and goes out again as it was.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; what its functions do fails it"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use keystead_core::SecretBytes;
use keystead_vault::ImportError;
use keystead_vault::client::{Brought, EncodingError, Form, Value};
use keystead_vault::held::{Kind, New, RsaSize};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &SecretBytes) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content.expose()).unwrap();
        // ssh-keygen reads no key that others could.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    output.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(11)
}

fn made(new: New) -> Value {
    Value::generate(new, &mut rng()).ok().unwrap()
}

const RSA: New = New::Rsa(RsaSize::Bits3072);

fn read(file: &[u8], passphrase: Option<&str>) -> Result<Value, EncodingError> {
    let passphrase = passphrase.map(|it| SecretBytes::take(&mut it.as_bytes().to_vec()));
    Brought::read(file, None, passphrase.as_ref()).map(|it| it.value)
}

#[track_caller]
fn check_same(value: &Value, again: &Value) {
    assert_eq!(value.kind(), again.kind());
    assert!(value.bytes().ct_eq(again.bytes()));
    assert_eq!(value.public_key(), again.public_key());
}

/// Every form of every kind comes in again as what it was.
#[test]
fn what_goes_out_comes_in() {
    for new in [New::Ed25519, New::P256, New::Secp256k1, RSA] {
        let value = made(new);
        for form in [Form::Pkcs8, Form::Traditional, Form::OpenSsh] {
            let written = match value.write(form, "alex@laptop", &mut rng()) {
                Ok(written) => written,
                Err(error) => {
                    let (kind, none) = (
                        value.kind(),
                        EncodingError::NoForm {
                            kind: value.kind(),
                            form,
                        },
                    );
                    assert_eq!(error, none);
                    assert!(
                        (kind, form) == (Kind::Ed25519, Form::Traditional)
                            || (kind, form) == (Kind::Secp256k1, Form::OpenSsh)
                    );
                    continue;
                }
            };
            let brought = Brought::read(written.expose(), None, None).ok().unwrap();
            check_same(&value, &brought.value);
            let comment: &[u8] = match form {
                Form::OpenSsh => b"alex@laptop",
                Form::Raw | Form::Pkcs8 | Form::Traditional => b"",
            };
            assert_eq!(brought.comment, comment);
            // The last byte is the line's end.
            for len in 0..written.len() - 1 {
                let cut = Brought::read(&written.expose()[..len], Some(value.kind()), None);
                assert!(cut.is_err(), "{form:?} {len}");
            }
        }
        let raw = value.write(Form::Raw, "", &mut rng()).ok().unwrap();
        let again = Brought::read(raw.expose(), Some(value.kind()), None);
        check_same(&value, &again.ok().unwrap().value);
    }
}

#[test]
fn ssh_keygen_reads_what_is_written_for_it() {
    let folder = Folder::new();
    for (name, new, type_name) in [
        ("ed25519", New::Ed25519, "ssh-ed25519"),
        ("p256", New::P256, "ecdsa-sha2-nistp256"),
        ("rsa", RSA, "ssh-rsa"),
    ] {
        let value = made(new);
        let written = value
            .write(Form::OpenSsh, "alex@laptop", &mut rng())
            .unwrap();
        let file = folder.write(name, &written);
        let public = run("ssh-keygen", &["-y", "-f", text(&file)]);
        let public = String::from_utf8(public).unwrap();
        assert!(public.starts_with(type_name), "{public}");
        assert!(public.trim_end().ends_with(" alex@laptop"), "{public}");
        // It signs with it, and verifies by the public half.
        let message = folder.path("message");
        std::fs::write(&message, "hello").unwrap();
        run(
            "ssh-keygen",
            &[
                "-q",
                "-Y",
                "sign",
                "-n",
                "test",
                "-f",
                text(&file),
                text(&message),
            ],
        );
        std::fs::remove_file(folder.path("message.sig")).unwrap();
    }
}

#[test]
fn openssl_reads_what_is_written_for_it() {
    let folder = Folder::new();
    for (name, new) in [
        ("ed25519", New::Ed25519),
        ("p256", New::P256),
        ("secp256k1", New::Secp256k1),
        ("rsa", RSA),
    ] {
        let value = made(new);
        for form in [Form::Pkcs8, Form::Traditional] {
            let Ok(written) = value.write(form, "", &mut rng()) else {
                continue;
            };
            let file = folder.write(name, &written);
            let public = run(
                "openssl",
                &["pkey", "-in", text(&file), "-pubout", "-outform", "DER"],
            );
            let own = value.public_key().unwrap();
            assert!(public.ends_with(own), "{name} {form:?}");
            // Its own PKCS#8 of the same key is the same, byte for byte.
            if form == Form::Pkcs8 {
                let again = run("openssl", &["pkey", "-in", text(&file)]);
                assert_eq!(again, written.expose(), "{name}");
            }
        }
    }
}

#[test]
fn keys_of_openssl_and_ssh_keygen_come_in_and_leave_as_they_were() {
    let folder = Folder::new();
    for (name, arguments) in [
        (
            "p256",
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ][..],
        ),
        (
            "k256",
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:secp256k1",
            ],
        ),
        ("ed25519", &["genpkey", "-algorithm", "ED25519"]),
        (
            "rsa",
            &[
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:3072",
            ],
        ),
    ] {
        let file = folder.path(name);
        run("openssl", &[arguments, &["-out", text(&file)]].concat());
        let content = std::fs::read(&file).unwrap();
        let value = read(&content, None).ok().unwrap();
        let written = value.write(Form::Pkcs8, "", &mut rng()).ok().unwrap();
        assert_eq!(written.expose(), content, "{name}");

        let encrypted = folder.path("encrypted");
        let (from, to) = (text(&file), text(&encrypted));
        let options = [
            "pkcs8",
            "-topk8",
            "-v2",
            "aes-256-cbc",
            "-passout",
            "pass:sesame",
        ];
        run(
            "openssl",
            &[&options[..], &["-in", from, "-out", to]].concat(),
        );
        let content = std::fs::read(&encrypted).unwrap();
        check_same(&value, &read(&content, Some("sesame")).ok().unwrap());
        let none = read(&content, None).err();
        assert_eq!(none, Some(EncodingError::Import(ImportError::NoPassphrase)));
        let wrong = read(&content, Some("simsim")).err();
        assert_eq!(
            wrong,
            Some(EncodingError::Import(ImportError::WrongPassphrase))
        );
    }
}

/// SEC 1 as openssl writes it, with its parameters in a part of their own; OpenSSH's own.
#[test]
fn keys_in_older_and_other_forms_come_in_and_leave_as_they_were() {
    let folder = Folder::new();
    let file = folder.path("sec1");
    run(
        "openssl",
        &[
            "ecparam",
            "-name",
            "secp256k1",
            "-genkey",
            "-out",
            text(&file),
        ],
    );
    let content = std::fs::read(&file).unwrap();
    let value = read(&content, None).ok().unwrap();
    assert_eq!(value.kind(), Kind::Secp256k1);

    for (name, arguments) in [
        ("ssh-ed25519", &["-t", "ed25519"][..]),
        ("ssh-p256", &["-t", "ecdsa", "-b", "256"]),
        ("ssh-rsa", &["-t", "rsa", "-b", "3072"]),
    ] {
        let file = folder.path(name);
        let first = ["-q", "-N", "", "-C", "alex@laptop", "-f", text(&file)];
        run("ssh-keygen", &[&first, arguments].concat());
        let value = read(&std::fs::read(&file).unwrap(), None).ok().unwrap();
        let written = value
            .write(Form::OpenSsh, "alex@laptop", &mut rng())
            .unwrap();
        let again = folder.write("again", &written);
        let public = run("ssh-keygen", &["-y", "-f", text(&again)]);
        assert_eq!(public, run("ssh-keygen", &["-y", "-f", text(&file)]));
    }
}

#[test]
fn what_is_no_such_key_is_named() {
    let folder = Folder::new();
    let file = folder.path("p384");
    run(
        "ssh-keygen",
        &[
            "-q",
            "-N",
            "",
            "-t",
            "ecdsa",
            "-b",
            "384",
            "-f",
            text(&file),
        ],
    );
    let content = std::fs::read(&file).unwrap();
    let other = EncodingError::Import(ImportError::OtherType {
        type_name: "ecdsa-sha2-nistp384".into(),
    });
    assert_eq!(read(&content, None).err(), Some(other));
    // As bytes it may be kept all the same.
    let kept = Brought::read(&content, Some(Kind::Arbitrary), None)
        .ok()
        .unwrap();
    assert_eq!(kept.value.bytes().expose(), content);

    let file = folder.path("brainpool");
    let curve = "ec_paramgen_curve:brainpoolP256r1";
    run(
        "openssl",
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            curve,
            "-out",
            text(&file),
        ],
    );
    let brainpool = read(&std::fs::read(&file).unwrap(), None).err();
    let other = EncodingError::Import(ImportError::OtherType {
        type_name: "1.3.36.3.3.2.8.1.1.7".into(),
    });
    assert_eq!(brainpool, Some(other));

    let wanted = Brought::read(
        made(New::P256)
            .write(Form::Pkcs8, "", &mut rng())
            .unwrap()
            .expose(),
        Some(Kind::Ed25519),
        None,
    );
    let other = EncodingError::OtherKind {
        found: Kind::P256,
        wanted: Kind::Ed25519,
    };
    assert_eq!(wanted.err(), Some(other));
    for (kind, len) in [(Kind::Ed25519, 31), (Kind::P256, 33), (Kind::Secp256k1, 0)] {
        assert!(Brought::read(&vec![1; len], Some(kind), None).is_err());
    }
    // Zero and the group's order are no scalars; the order less one is (SEC 2 section 2.4.1).
    let order = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\
        \xba\xae\xdc\xe6\xaf\x48\xa0\x3b\xbf\xd2\x5e\x8c\xd0\x36\x41\x41";
    let mut last = *order;
    last[31] -= 1;
    for (scalar, is_one) in [([0; 32], false), (*order, false), (last, true)] {
        let read = Brought::read(&scalar, Some(Kind::Secp256k1), None);
        assert_eq!(read.is_ok(), is_one);
    }
}

/// Two draws differ, and each byte of a long one takes every value.
#[test]
fn secrets_are_drawn_uniformly() {
    let value = made(New::Arbitrary { bytes: 65_536 });
    let mut counts = [0_u32; 256];
    value
        .bytes()
        .expose()
        .iter()
        .for_each(|byte| counts[usize::from(*byte)] += 1);
    // 256 of each on the mean, with a deviation of 16.
    assert!(
        counts.iter().all(|count| (160..360).contains(count)),
        "{counts:?}"
    );
    let mut rng = rng();
    let mut draw = || Value::generate(New::Ed25519, &mut rng).ok().unwrap();
    assert!(!draw().bytes().ct_eq(draw().bytes()));
    for bytes in [0, 65_537] {
        assert!(Value::generate(New::Arbitrary { bytes }, &mut rng).is_err());
    }
}
