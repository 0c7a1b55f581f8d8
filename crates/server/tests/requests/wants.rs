//! Requests, written short.

use keystead_channel::session::requests::{
    Audit, AuditPage, Bytes, Context, DigestName, Entries, Entry, Generate, Import, Intent,
    KeyPurpose, KeyType, Label, LabelChange, List as Page, NewKey, Policy, PolicyChange, Put,
    Request, Retrieve, Retrieved, Scope, Show, Sign, SignFields, Signed, SshLogin, SshSig,
};
use keystead_channel::session::{KeyId, List, Octets, SecretOctets, Text};
use keystead_core::SecretBytes;

use crate::world::{Person, Seen, seen};

pub(crate) const NO_POLICY: Policy = Policy {
    users: None,
    host_keys: None,
    namespaces: None,
    unproved_destination: None,
    hours: None,
    hourly_max: None,
    quorum: None,
};

pub(crate) const SSH: &[KeyPurpose] = &[KeyPurpose::SshLogin, KeyPurpose::SshSig];

/// What a client seals a secret of `len` bytes to: here only its length counts.
pub(crate) fn sealed(len: usize, byte: u8) -> Octets<{ sealed_max() }> {
    Octets(vec![byte; 24 + 4 + len + 1 + 16])
}

const fn sealed_max() -> usize {
    keystead_channel::session::requests::SEALED_VALUE_BYTES_MAX
}

pub(crate) fn put(person: &mut Person, context: Context, len: usize) -> Put {
    Put {
        nonce: person.nonce(),
        context,
        kind: KeyType::Arbitrary,
        value: sealed(len, 0x5a),
        label: Octets(vec![0x1b; 24 + 6 + 16]),
        replaces: None,
    }
}

pub(crate) fn make(person: &mut Person, kind: KeyType, purposes: &[KeyPurpose]) -> Generate {
    Generate {
        nonce: person.nonce(),
        kind,
        label: Label::Open(Text("key".into())),
        replaces: None,
        size: None,
        purposes: List(purposes.to_vec()),
        policy: None,
    }
}

pub(crate) fn import(
    person: &mut Person,
    kind: KeyType,
    value: &[u8],
    purposes: &[KeyPurpose],
) -> Import {
    Import {
        nonce: person.nonce(),
        kind,
        label: Label::Open(Text("key".into())),
        replaces: None,
        value: SecretOctets(SecretBytes::take(&mut value.to_vec())),
        purposes: List(purposes.to_vec()),
        policy: None,
    }
}

pub(crate) fn retrieve(key: KeyId, intent: Intent, kind: KeyType) -> Request {
    Request::Retrieve(Retrieve { key, intent, kind })
}

pub(crate) fn export(key: KeyId, kind: KeyType) -> Request {
    retrieve(key, Intent::Export, kind)
}

pub(crate) fn show(key: KeyId) -> Request {
    Request::Show(Show { key })
}

pub(crate) fn delete(key: KeyId) -> Request {
    Request::Delete(Show { key })
}

pub(crate) fn list(after: Option<KeyId>, limit: u32) -> Request {
    Request::List(Page { after, limit })
}

pub(crate) fn label(key: KeyId, revision: u32, label: Label) -> Request {
    Request::Label(LabelChange {
        key,
        revision,
        label,
    })
}

pub(crate) fn policy(key: KeyId, policy: Policy) -> Request {
    Request::Policy(PolicyChange { key, policy })
}

pub(crate) fn message(key: KeyId, message: &[u8], digest: DigestName) -> Request {
    let bytes = Bytes {
        bytes: Octets(message.to_vec()),
    };
    sign(key, SignFields::Message(bytes, digest))
}

pub(crate) fn sshsig(key: KeyId, namespace: &str) -> Request {
    sign(
        key,
        SignFields::SshSig(SshSig {
            namespace: Text(namespace.to_owned()),
            hash_name: Text("sha512".to_owned()),
            hash: Octets(vec![3; 64]),
        }),
    )
}

/// A login by an Ed25519 key.
pub(crate) fn login(key: KeyId, public: &[u8], user: &str, host_key: Option<&[u8]>) -> Request {
    let public: &[u8; 32] = public.try_into().unwrap();
    let blob = keystead_formats::ssh::PublicKey::ed25519(public);
    sign(
        key,
        SignFields::SshLogin(SshLogin {
            session: Octets(vec![1; 32]),
            user: Text(user.to_owned()),
            algorithm: Text("ssh-ed25519".to_owned()),
            public_key: Octets(blob.blob().to_vec()),
            host_key: host_key.map(|blob| Octets(blob.to_vec())),
        }),
    )
}

fn sign(key: KeyId, fields: SignFields) -> Request {
    Request::Sign(Sign { key, fields })
}

impl Person {
    pub(crate) async fn new_key(&mut self, request: &Request) -> (KeyId, Vec<u8>) {
        let made = NewKey::decode(&self.done(request).await).unwrap();
        (made.key, made.public_key.map(|it| it.0).unwrap_or_default())
    }

    pub(crate) async fn value(&mut self, request: &Request) -> (Option<Context>, Vec<u8>) {
        let retrieved = Retrieved::decode(&self.done(request).await).unwrap();
        let value = retrieved.value.map(|it| it.0.expose().to_vec());
        (retrieved.context, value.unwrap_or_default())
    }

    pub(crate) async fn signature(&mut self, request: &Request) -> Vec<u8> {
        Signed::decode(&self.done(request).await)
            .unwrap()
            .signature
            .0
    }

    pub(crate) async fn entry(&mut self, key: KeyId) -> Entry {
        Entry::decode(&self.done(&show(key)).await).unwrap()
    }

    pub(crate) async fn entries(&mut self, request: &Request) -> Entries {
        Entries::decode(&self.done(request).await).unwrap()
    }

    /// The newest of the person's entries, before that of this look.
    pub(crate) async fn last_leaf(&mut self) -> Seen {
        self.leaves().await.pop().unwrap()
    }

    pub(crate) async fn leaves(&mut self) -> Vec<Seen> {
        let mut leaves = Vec::new();
        let mut cursor = None;
        loop {
            let audit = Audit {
                scope: Scope::All,
                keys: None,
                after_unix_ms: None,
                before_unix_ms: None,
                cursor,
                proofs: false,
            };
            let page = self.done(&Request::Audit(audit)).await;
            let page = AuditPage::decode(&page).unwrap();
            let read = page.leaves.0.iter().map(|it| seen(&it.0));
            leaves.extend(read);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return leaves,
            }
        }
    }
}
