//! What the vectors say of identities, decryption and keys that are not SSH's, in types.

use keystead_core::{
    Curve, DecryptForm, DecryptRequest, Derivation, Evidence, Identity, KeyEntry, KeyId,
    MakeKeyRequest, MeResponse, Plaintext, PublicKeyRequest, Purpose, RequestBody, ResponseBody,
    SecretBytes, SignForm, SignRequest, WalletFingerprint,
};

use crate::common::{counting, name};

/// The body of a request, and how long it waits.
pub(crate) fn request(what: &str, key: KeyId) -> Option<(RequestBody, u16)> {
    let body = match what {
        "public key" => RequestBody::PublicKey(PublicKeyRequest {
            identity: of_ssh(),
            wallet: None,
        }),
        "public key, of one wallet" => RequestBody::PublicKey(PublicKeyRequest {
            identity: identity("age://backup", Curve::Curve25519, 0, Derivation::Agree),
            wallet: Some(WalletFingerprint([1, 2, 3, 4])),
        }),
        "make a key, for age" => RequestBody::MakeKey(MakeKeyRequest {
            name: name("backup"),
            algorithm: "x25519".into(),
            purposes: vec![Purpose::AgeUnwrap],
        }),
        "decrypt" | "decrypt, age" => RequestBody::Decrypt(decrypt(what, key)),
        _ => RequestBody::Sign(sign(what, key)?),
    };
    let is_make = matches!(body, RequestBody::MakeKey(_));
    Some((body, if is_make { 300 } else { 60 }))
}

fn decrypt(what: &str, key: KeyId) -> DecryptRequest {
    let (form, content, evidence, identity) = if what == "decrypt" {
        let evidence = Evidence {
            files: vec!["letter.gpg".into()],
            ..of_user()
        };
        let content = [&[4], &counting::<64>(0x10)[..]].concat();
        let own = of_gpg(Curve::Nist256p1, 0, Derivation::Agree);
        (DecryptForm::Point, content, evidence, Some(own))
    } else {
        let content = counting::<64>(0x50).to_vec();
        (DecryptForm::Age, content, Evidence::default(), None)
    };
    DecryptRequest {
        key,
        form,
        content,
        evidence,
        identity,
    }
}

fn sign(what: &str, key: KeyId) -> Option<SignRequest> {
    let (form, content, evidence, identity) = match what {
        "sign, an identity" => {
            let content = b"whole blob".to_vec();
            (SignForm::Ssh, content, Evidence::default(), of_ssh())
        }
        "sign, OpenPGP" => {
            let content = [&[8], &counting::<32>(0x30)[..]].concat();
            let own = of_gpg(Curve::Secp256k1, u32::MAX, Derivation::Sign);
            (SignForm::OpenPgp, content, of_user(), own)
        }
        "sign, minisign" => {
            let own = identity("signify://releases", Curve::Ed25519, 0, Derivation::Sign);
            let evidence = Evidence {
                files: vec!["release.tar".into()],
                ..Evidence::default()
            };
            (SignForm::Minisign, minisign(), evidence, own)
        }
        _ => return None,
    };
    Some(SignRequest {
        key,
        form,
        content,
        flags: 0,
        evidence,
        identity: Some(identity),
    })
}

/// The body of a response; `key` is the SSH key of the vectors.
pub(crate) fn body(
    what: &str,
    key: impl Fn(&str) -> KeyEntry,
    id_of: impl Fn(&[u8]) -> KeyId,
    receipt_key: [u8; 32],
) -> Option<ResponseBody> {
    Some(match what {
        "public key" => ResponseBody::Key(key("alex@db1.example.org")),
        "decrypt" => plaintext(&[&[4], &counting::<64>(0x90)[..]].concat()),
        "decrypt, age" => plaintext(&counting::<16>(0xb0)),
        "sign, OpenPGP" => ResponseBody::Signature(counting::<64>(0xc0).to_vec()),
        "make a key, for age" => {
            let public_key = counting::<32>(0xa0).to_vec();
            ResponseBody::Key(KeyEntry {
                id: id_of(&public_key),
                algorithm: "x25519".into(),
                public_key,
                name: name("backup"),
                purposes: vec![Purpose::AgeUnwrap],
            })
        }
        "me, wallets" => ResponseBody::Me(MeResponse {
            name: name("phone"),
            keys: Vec::new(),
            transports: Vec::new(),
            push_url: None,
            receipt_key,
            wallets: vec![
                WalletFingerprint([1, 2, 3, 4]),
                WalletFingerprint([0xa1, 0xb2, 0xc3, 0xd4]),
            ],
        }),
        _ => return None,
    })
}

fn identity(uri: &str, curve: Curve, index: u32, derivation: Derivation) -> Identity {
    Identity::new(uri, curve, index, derivation).unwrap()
}

fn of_gpg(curve: Curve, index: u32, derivation: Derivation) -> Identity {
    identity(&format!("gpg://{USER}"), curve, index, derivation)
}

fn of_ssh() -> Identity {
    identity(
        "ssh://alex@db1.example.org",
        Curve::Ed25519,
        7,
        Derivation::Sign,
    )
}

fn of_user() -> Evidence {
    Evidence {
        user_id: Some(USER.into()),
        ..Evidence::default()
    }
}

/// {1: true, 2: 64 bytes, 3: "timestamp:1700000000"}
fn minisign() -> Vec<u8> {
    let mut content = vec![0xa3, 0x01, 0xf5, 0x02, 0x58, 0x40];
    content.extend(counting::<64>(0x20));
    content.extend([0x03, 0x74]);
    content.extend(b"timestamp:1700000000");
    content
}

fn plaintext(bytes: &[u8]) -> ResponseBody {
    ResponseBody::Plaintext(Plaintext::new(SecretBytes::take(&mut bytes.to_vec())))
}

const USER: &str = "Alex <alex@example.org>";
