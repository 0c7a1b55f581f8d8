//! Logins to be signed: blobs, host keys, binds.

use keystead_core::{Evidence, KeyEntry, KeyType, RequestBody, SessionBind, SignForm, SignRequest};
use keystead_formats::ssh::userauth::UserAuth;
use keystead_formats::ssh::{PublicKey, signature};
use keystead_vault::{RawSignature, SignOptions, SigningKey};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub(crate) const SESSION: [u8; 32] = [3; 32];

/// A host that signs sessions.
pub(crate) struct Host(SigningKey);

impl Host {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        Self(SigningKey::generate(KeyType::Ed25519, &mut rng).unwrap())
    }

    pub(crate) fn public(&self) -> PublicKey {
        match self.0.public() {
            keystead_vault::PublicKey::Ed25519(bytes) => PublicKey::ed25519(bytes),
            _ => panic!("another key"),
        }
    }

    /// An SSH signature by its key.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let options = SignOptions::from_flags(0);
        let RawSignature::Ed25519(raw) = self.0.sign(message, options).unwrap() else {
            panic!("another key")
        };
        signature::ed25519(&raw)
    }

    pub(crate) fn bind(&self, session_id: &[u8], forwarding: bool) -> SessionBind {
        SessionBind {
            host_key: self.public().blob().to_vec(),
            session_id: session_id.to_vec(),
            signature: self.sign(session_id),
            forwarding,
        }
    }
}

/// The blob of a login as `alex`, hostbound where a host is given.
pub(crate) fn blob(key: &KeyEntry, host: Option<&Host>) -> Vec<u8> {
    blob_as(key, host, "alex")
}

/// As [`blob`], by another name.
pub(crate) fn blob_as(key: &KeyEntry, host: Option<&Host>, user: &str) -> Vec<u8> {
    let key = PublicKey::from_blob(&key.public_key).unwrap();
    UserAuth {
        session_id: SESSION.to_vec(),
        user: user.into(),
        algorithm: key.type_name().to_owned(),
        key,
        host_key: host.map(Host::public),
    }
    .encode()
}

/// A request to sign `content`.
pub(crate) fn sign(key: &KeyEntry, content: Vec<u8>, evidence: Evidence) -> RequestBody {
    RequestBody::Sign(SignRequest {
        key: key.id,
        form: SignForm::Ssh,
        content,
        flags: 0,
        evidence,
        identity: None,
    })
}

/// A login at `host`, proved, called `name`.
pub(crate) fn login(key: &KeyEntry, host: &Host, name: &str) -> RequestBody {
    let evidence = Evidence {
        binds: vec![host.bind(&SESSION, false)],
        host_names: vec![name.to_owned()],
        ..Evidence::default()
    };
    sign(key, blob(key, Some(host)), evidence)
}
