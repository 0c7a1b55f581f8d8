//! The real gpg takes what is built here: keys of every curve, subkeys, expiry, revocation.

use std::path::Path;
use std::process::{Command, Output};

use ed25519_dalek::Signer as _;
use k256::ecdsa::signature::hazmat::PrehashSigner as _;
use keystead_formats::openpgp::build::{Revocation, Signer};
use keystead_formats::openpgp::transferable::revocation_certificate;
use keystead_formats::openpgp::{
    Curve, Form, KeyPacket, PublicKey, Signature, Transferable, Unsigned, Usage,
};

/// A private key, made for a test.
pub(crate) enum TestKey {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(p256::ecdsa::SigningKey),
    K256(k256::ecdsa::SigningKey),
}

impl TestKey {
    fn of(curve: Curve, seed: u8) -> Self {
        let seed = [seed; 32];
        match curve {
            Curve::NistP256 => Self::P256(p256::ecdsa::SigningKey::from_slice(&seed).unwrap()),
            Curve::Secp256k1 => Self::K256(k256::ecdsa::SigningKey::from_slice(&seed).unwrap()),
            _ => Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed))),
        }
    }

    fn public(&self) -> PublicKey {
        match self {
            Self::Ed25519(key) => PublicKey::ed25519(key.verifying_key().as_bytes()),
            Self::P256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                PublicKey::ecdsa(Curve::NistP256, point.as_bytes()).unwrap()
            }
            Self::K256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                PublicKey::ecdsa(Curve::Secp256k1, point.as_bytes()).unwrap()
            }
        }
    }

    fn sign(&self, unsigned: Unsigned) -> Signature {
        let digest = unsigned.digest();
        let signature = match self {
            Self::Ed25519(key) => key.sign(digest.bytes()).to_bytes().to_vec(),
            Self::P256(key) => {
                let made: p256::ecdsa::Signature = key.sign_prehash(digest.bytes()).unwrap();
                made.to_bytes().to_vec()
            }
            Self::K256(key) => {
                let made: k256::ecdsa::Signature = key.sign_prehash(digest.bytes()).unwrap();
                made.to_bytes().to_vec()
            }
        };
        unsigned.finish(&signature).unwrap()
    }
}

const CREATED: u32 = 1_600_000_000;
const USER_ID: &str = "Jürgen Test <test@example.org>";
/// In 2099: gpg 2.2 counts to 2106.
const EXPIRES_AFTER_S: u32 = 2_500_000_000;

/// A primary with S, E and A, and its revocation.
fn build(curve: Curve, form: Form) -> (Transferable, String) {
    let (primary_key, sign_key, login_key) = (
        TestKey::of(curve, 1),
        TestKey::of(curve, 2),
        TestKey::of(curve, 4),
    );
    let primary = KeyPacket::new(primary_key.public(), CREATED);
    let encryption = match curve {
        Curve::Ed25519 => {
            let point = curve25519_public([3; 32]);
            PublicKey::ecdh(Curve::Curve25519, &point).unwrap()
        }
        curve => {
            let key = TestKey::of(curve, 3).public();
            PublicKey::ecdh(curve, key.point().unwrap()).unwrap()
        }
    };
    let signer = Signer::new(&primary).unwrap();
    let mut key = Transferable::new(primary.clone());
    let signed = primary_key.sign(signer.user_id(USER_ID, form, CREATED));
    key.push_user_id(USER_ID, &signed);
    let sign = KeyPacket::new(sign_key.public(), CREATED);
    let back = Signer::new(&sign).unwrap().back(&primary, form, CREATED);
    let back = sign_key.sign(back);
    let bound = signer.binding(&sign, Usage::Sign, Some(&back), form, CREATED);
    key.push_subkey(sign.clone(), &primary_key.sign(bound));
    let encrypt = KeyPacket::new(encryption, CREATED);
    let bound = signer.binding(&encrypt, Usage::Encrypt, None, form, CREATED);
    key.push_subkey(encrypt, &primary_key.sign(bound));
    let login = KeyPacket::new(login_key.public(), CREATED);
    let bound = signer.binding(&login, Usage::Authenticate, None, form, CREATED);
    key.push_subkey(login, &primary_key.sign(bound));
    let revoked = signer.revocation(Revocation::Retired, "test", CREATED);
    (key, revocation_certificate(&primary_key.sign(revoked)))
}

pub(crate) fn curve25519_public(secret: [u8; 32]) -> [u8; 32] {
    let point = curve25519_dalek::MontgomeryPoint::mul_base_clamped(secret);
    point.to_bytes()
}

pub(crate) fn gpg(home: &Path, arguments: &[&str], input: &[u8]) -> Output {
    use std::io::Write as _;
    let mut command = Command::new("gpg");
    command.env("GNUPGHOME", home).env("LC_ALL", "C.UTF-8");
    command.args(["--batch", "--no-autostart"]);
    command.args(arguments);
    let pipe = std::process::Stdio::piped;
    command.stdin(pipe()).stdout(pipe()).stderr(pipe());
    let mut child = command.spawn().expect("gpg is installed");
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn listing(home: &Path) -> String {
    let listed = gpg(
        home,
        &["--with-colons", "--with-keygrip", "--check-sigs"],
        b"",
    );
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    String::from_utf8(listed.stdout).unwrap()
}

pub(crate) fn home() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let private = std::fs::Permissions::from_mode(0o700);
    let mut builder = tempfile::Builder::new();
    builder
        .prefix("gnupg")
        .permissions(private)
        .tempdir()
        .unwrap()
}

#[test]
fn keys_of_every_curve_and_form() {
    let full = Form::Full {
        expires_after_s: None,
    };
    let ending = Form::Full {
        expires_after_s: Some(EXPIRES_AFTER_S),
    };
    for curve in [Curve::Ed25519, Curve::NistP256, Curve::Secp256k1] {
        for form in [Form::Trezor, full, ending] {
            check(curve, form);
        }
    }
}

fn check(curve: Curve, form: Form) {
    let what = format!("{curve:?} {form:?}");
    let (key, revocation) = build(curve, form);
    let home = home();
    let imported = gpg(home.path(), &["--import"], key.armor().as_bytes());
    let said = String::from_utf8_lossy(&imported.stderr).into_owned();
    assert!(imported.status.success(), "{what}: {said}");
    let listed = listing(home.path());
    let rows: Vec<Vec<&str>> = listed.lines().map(|it| it.split(':').collect()).collect();
    let row =
        |kind: &str| -> Vec<&Vec<&str>> { rows.iter().filter(|row| row[0] == kind).collect() };
    // doc/DETAILS of GnuPG: 12 is what the key may do, 7 when it ends.
    let uses: Vec<&str> = row("sub").iter().map(|row| row[11]).collect();
    assert_eq!(uses, ["s", "e", "a"], "{what}: {listed}");
    assert!(row("pub")[0][11].starts_with("sc"), "{what}: {listed}");
    let ends = u64::from(CREATED) + u64::from(EXPIRES_AFTER_S);
    let ends = if matches!(
        form,
        Form::Full {
            expires_after_s: Some(_)
        }
    ) {
        ends.to_string()
    } else {
        String::new()
    };
    for row in row("pub").into_iter().chain(row("sub")) {
        assert_eq!(row[6], ends, "{what}: {listed}");
    }
    let grips: Vec<String> = row("grp").iter().map(|row| row[9].to_owned()).collect();
    let packets = std::iter::once(key.primary()).chain(key.subkeys());
    let expected: Vec<String> = packets
        .map(|it| it.key().unwrap().keygrip().to_string())
        .collect();
    assert_eq!(grips, expected, "{what}");
    // `!` in column 2 of a checked signature: it is good.
    let signatures = row("sig");
    assert_eq!(signatures.len(), 4, "{what}: {listed}");
    assert!(
        signatures.iter().all(|row| row[1] == "!"),
        "{what}: {listed}"
    );
    let revoked = gpg(home.path(), &["--import"], revocation.as_bytes());
    let said = String::from_utf8_lossy(&revoked.stderr).into_owned();
    assert!(revoked.status.success(), "{what}: {said}");
    let listed = listing(home.path());
    let is_revoked = listed.lines().any(|line| line.starts_with("pub:r:"));
    assert!(is_revoked, "{what}: {listed}");
}
