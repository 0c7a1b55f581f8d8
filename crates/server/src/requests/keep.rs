//! Methods 4 to 6: what the client sealed is kept, keys are made and taken.
//!
//! **Invariant**: the same request again, under the same nonce, gives what the first gave
//! and stores nothing; another under that nonce is a *conflict*. A value never changes: to
//! rotate is to make another that names the old one.

use aws_lc_rs::digest::{SHA256, digest};
use keystead_channel::log::Detail;
use keystead_channel::session::requests::{
    Answer, Generate, Import, KeyPurpose, KeyType, Label, NewKey, Policy, Put, Request,
};
use keystead_channel::session::{
    ApproverId, KeyId, Octets, RequestId, Status, UserId, request_hash,
};
use keystead_core::SecretBytes;
use keystead_daemon::SystemRng;
use keystead_vault::held::{HeldError, HeldKey, New, RsaSize};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::act::{Asking, Decision, Refusal, finish};
use super::parts::{self, SEAL_BYTES};
use crate::policy;
use crate::rows::{HeldSecret, Rows, SERVER_HELD};
use crate::server::Server;
use crate::session::Served;
use crate::signing::{check_purposes, kind_of};
use crate::store::Now;

/// Method 4: the server keeps what it cannot read.
pub(super) async fn put(server: &Server, asking: Asking, put: Put, made: [u8; 16]) -> Served {
    let label = Label::Sealed(put.label);
    let checked = check_sealed(server, put.kind, put.value.0.len())
        .and_then(|()| check_label(server, &label));
    if let Err(status) = checked {
        return asking.refuse(server, Refusal::without_key(status)).await;
    }
    let fresh = Fresh {
        key: KeyId::of(&asking.caller.user, &put.nonce),
        kind: put.kind,
        // 0 to 2: it fits.
        context: u8::try_from(put.context.number()).unwrap_or(SERVER_HELD),
        value: SecretBytes::take(&mut put.value.0.into_boxed_slice()),
        public_key: Vec::new(),
        label: parts::label_bytes(&label),
        purposes: 0,
        policy: None,
        replaces: put.replaces,
        made,
    };
    keep(server, asking, fresh).await
}

/// Method 5: the server makes a key or secret, and knows it.
pub(super) async fn make(
    server: &Server,
    asking: Asking,
    make: Generate,
    made: [u8; 16],
) -> Served {
    let terms = Terms {
        label: make.label,
        purposes: make.purposes.0,
        policy: make.policy,
        replaces: make.replaces,
    };
    let new = terms
        .check(server, make.kind)
        .and_then(|()| new_of(server, make.kind, make.size));
    let held = match new {
        Ok(new) => generate(new).await,
        Err(status) => Err(status),
    };
    match held {
        Ok(held) => {
            let fresh = Fresh::held(&asking, make.nonce, make.kind, &held, terms, made);
            keep(server, asking, fresh).await
        }
        Err(status) => asking.refuse(server, Refusal::without_key(status)).await,
    }
}

/// Method 6: the server takes a key or secret, and knows it.
pub(super) async fn import(
    server: &Server,
    asking: Asking,
    import: Import,
    made: [u8; 16],
) -> Served {
    let terms = Terms {
        label: import.label,
        purposes: import.purposes.0,
        policy: import.policy,
        replaces: import.replaces,
    };
    let value = import.value.0;
    let held = terms
        .check(server, import.kind)
        .and_then(|()| check_value(server, value.len()))
        .and_then(|()| HeldKey::import(kind_of(import.kind), value).map_err(status_of));
    match held {
        Ok(held) => {
            let fresh = Fresh::held(&asking, import.nonce, import.kind, &held, terms, made);
            keep(server, asking, fresh).await
        }
        Err(status) => asking.refuse(server, Refusal::without_key(status)).await,
    }
}

/// What a request that stores is known by when it comes again: a hash of all it says but
/// its request id. Others have none.
pub(super) fn mark(user: &UserId, request: &Request) -> [u8; 16] {
    if !matches!(
        request,
        Request::Put(_) | Request::Make(_) | Request::Import(_)
    ) {
        return [0; 16];
    }
    // An import's value is in it.
    let body = Zeroizing::new(request.encode(RequestId([0; 16])));
    let hash = request_hash(user, request.method().number(), &body);
    hash.first_chunk().copied().unwrap_or_default()
}

/// What is to be stored.
struct Fresh {
    key: KeyId,
    kind: KeyType,
    context: u8,
    value: SecretBytes,
    public_key: Vec<u8>,
    label: Vec<u8>,
    purposes: u32,
    policy: Option<Policy>,
    replaces: Option<KeyId>,
    made: [u8; 16],
}

impl Fresh {
    fn held(
        asking: &Asking,
        nonce: [u8; 32],
        kind: KeyType,
        held: &HeldKey,
        terms: Terms,
        made: [u8; 16],
    ) -> Self {
        let bytes = held.encoding().expose();
        Self {
            key: KeyId::of(&asking.caller.user, &nonce),
            kind,
            context: SERVER_HELD,
            value: SecretBytes::fill(bytes.len(), |place| place.copy_from_slice(bytes)),
            public_key: held.public_key().unwrap_or_default().to_vec(),
            label: parts::label_bytes(&terms.label),
            purposes: parts::purpose_bits(&terms.purposes),
            policy: terms.policy,
            replaces: terms.replaces,
            made,
        }
    }

    fn detail(&self) -> Detail {
        let hash = digest(&SHA256, &self.public_key);
        let hash = hash.as_ref().try_into().ok();
        Detail {
            key_type: Some(self.kind),
            public_key: hash.filter(|_| !self.public_key.is_empty()),
            replaces: self.replaces,
            policy: self.policy.as_ref().map(Detail::policy_hash),
            ..Detail::NONE
        }
    }

    fn into_row(self, account: crate::rows::AccountNo, now: Now) -> HeldSecret {
        HeldSecret {
            account,
            key: self.key,
            // 1 to 5: it fits.
            kind: u8::try_from(self.kind.number()).unwrap_or_default(),
            context: self.context,
            revision: 0,
            version: 0,
            made_ms: now.ms,
            value: self.value,
            public_key: self.public_key,
            label: self.label,
            purposes: self.purposes,
            policy: self.policy.map(|policy| policy.encode()),
            replaces: self.replaces,
            retrieved: 0,
            made: self.made,
        }
    }
}

/// Under what terms the server holds a key.
struct Terms {
    label: Label,
    purposes: Vec<KeyPurpose>,
    policy: Option<Policy>,
    replaces: Option<KeyId>,
}

impl Terms {
    fn check(&self, server: &Server, kind: KeyType) -> Result<(), Status> {
        check_label(server, &self.label)?;
        check_purposes(kind, &self.purposes)
    }
}

async fn keep(server: &Server, asking: Asking, fresh: Fresh) -> Served {
    let account = asking.caller.account;
    let (key, replaces) = (fresh.key, fresh.replaces);
    let has_quorum = fresh.policy.as_ref().is_some_and(|it| it.quorum.is_some());
    let quota = server.settings.secrets.per_user_max;
    let settled = asking.decide(
        server,
        move |wanted| {
            wanted.secret(account, key);
            if let Some(old) = replaces {
                wanted.secret(account, old);
            }
            if has_quorum {
                wanted.account(account);
            }
        },
        move |now, rows| {
            let refuse = |status| Refusal::of(status, key);
            if let Some(there) = rows.secret(account, key)? {
                if there.made != fresh.made {
                    return Err(refuse(Status::Conflict));
                }
                let answer = new_key(key, &there.public_key);
                return Ok(Decision::done(answer, Some(key), fresh.detail()));
            }
            check_fresh(rows, account, &fresh, quota).map_err(refuse)?;
            let answer = new_key(key, &fresh.public_key);
            let decision = Decision::done(answer, Some(key), fresh.detail());
            rows.put_secret(fresh.into_row(account, now));
            Ok(decision)
        },
    );
    finish(server, settled.await)
}

/// What can be judged under the lock alone.
fn check_fresh(
    rows: &Rows<'_>,
    account: crate::rows::AccountNo,
    fresh: &Fresh,
    quota: u32,
) -> Result<(), Status> {
    if let Some(old) = fresh.replaces {
        let old = rows.secret(account, old).map_err(|_| Status::Corrupt)?;
        let old = old.ok_or(Status::NotFound)?;
        if parts::kind(old)? != fresh.kind {
            return Err(Status::WrongType);
        }
    }
    if let Some(policy) = &fresh.policy {
        let mut approvers = Vec::new();
        if policy.quorum.is_some() {
            let owner = rows.account(account).map_err(|_| Status::Corrupt)?;
            let known = owner.map(|it| it.approvers.as_slice()).unwrap_or_default();
            approvers.extend(known.iter().map(|it| ApproverId::of(&it.key)));
        }
        policy::check(policy, &approvers)?;
    }
    let chain = rows.chain(account).map_err(|_| Status::Corrupt)?;
    match chain {
        Some(chain) if chain.secrets < quota => Ok(()),
        Some(_) => Err(Status::Quota),
        None => Err(Status::LoginRequired),
    }
}

fn new_key(key: KeyId, public_key: &[u8]) -> Answer {
    let public_key = Some(public_key).filter(|it| !it.is_empty());
    let new_key = NewKey {
        key,
        public_key: public_key.map(|it| Octets(it.to_vec())),
    };
    Answer::done(new_key.encode())
}

/// Whether a value of this type can be so long, once sealed: 24 of nonce, its length u32,
/// itself, its type u8, 16 of tag.
fn check_sealed(server: &Server, kind: KeyType, len: usize) -> Result<(), Status> {
    let len = len
        .checked_sub(SEAL_BYTES + LENGTH_AND_TYPE_BYTES)
        .filter(|len| *len > 0)
        .ok_or(Status::Malformed)?;
    check_value(server, len)?;
    match kind {
        KeyType::Ed25519 | KeyType::P256 | KeyType::Secp256k1 if len != SCALAR_BYTES => {
            Err(Status::InvalidKey)
        }
        KeyType::Ed25519
        | KeyType::P256
        | KeyType::Secp256k1
        | KeyType::Rsa
        | KeyType::Arbitrary => Ok(()),
    }
}

fn check_value(server: &Server, len: usize) -> Result<(), Status> {
    match u32::try_from(len) {
        Ok(len) if len <= server.settings.secrets.value_bytes_max => Ok(()),
        Ok(_) | Err(_) => Err(Status::TooLarge),
    }
}

fn check_label(server: &Server, label: &Label) -> Result<(), Status> {
    parts::check_label(label, server.settings.secrets.label_bytes_max)
}

/// What is made of a type and size: 32 bytes and 3,072 bits where none is said.
fn new_of(server: &Server, kind: KeyType, size: Option<u32>) -> Result<New, Status> {
    match (kind, size) {
        (KeyType::Arbitrary, None) => Ok(New::Arbitrary { bytes: 32 }),
        (KeyType::Arbitrary, Some(bytes)) => {
            let bytes = usize::try_from(bytes).map_err(|_| Status::TooLarge)?;
            check_value(server, bytes)?;
            Ok(New::Arbitrary { bytes })
        }
        (KeyType::Rsa, None | Some(3_072)) => Ok(New::Rsa(RsaSize::Bits3072)),
        (KeyType::Rsa, Some(4_096)) => Ok(New::Rsa(RsaSize::Bits4096)),
        (KeyType::Rsa, Some(_)) => Err(Status::InvalidKey),
        (KeyType::Ed25519, None) => Ok(New::Ed25519),
        (KeyType::P256, None) => Ok(New::P256),
        (KeyType::Secp256k1, None) => Ok(New::Secp256k1),
        (KeyType::Ed25519 | KeyType::P256 | KeyType::Secp256k1, Some(_)) => Err(Status::Malformed),
    }
}

/// RSA keys are made beside the sessions, few at a time; all others at once.
async fn generate(new: New) -> Result<HeldKey, Status> {
    if !matches!(new, New::Rsa(_)) {
        return HeldKey::generate(new, &mut SystemRng).map_err(status_of);
    }
    let Ok(permit) = RSA_AT_ONCE.try_acquire() else {
        return Err(Status::Busy);
    };
    let made = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        HeldKey::generate(new, &mut SystemRng).map_err(status_of)
    });
    made.await.unwrap_or(Err(Status::Unavailable))
}

fn status_of(error: HeldError) -> Status {
    match error {
        HeldError::Broken => Status::Unavailable,
        HeldError::Length | HeldError::Range | HeldError::Rsa | HeldError::Unfit | _ => {
            Status::InvalidKey
        }
    }
}

/// 2 RSA keys of all users that are made at the same time: each takes a processor for up to
/// a second.
static RSA_AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Length u32 in front of a sealed value, type u8 behind it.
const LENGTH_AND_TYPE_BYTES: usize = 4 + 1;

/// An Ed25519 seed, a scalar of both curves.
const SCALAR_BYTES: usize = 32;
