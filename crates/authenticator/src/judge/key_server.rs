//! From a key server's text to what a person is asked.
//!
//! **Invariant**: pure; the text is read to its last byte, its hash computed anew, and whatever
//! of it changes what is done is in the words. A request that has nothing to approve, or more
//! than one thing, is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keystead_channel::session::requests::{
    ApproverChange, DigestName, Hours, Intent, Label, Policy, PolicyChange, Quorum, RecoveryStep,
    Request, Retrieve, Sign, SignFields, SshLogin, UnprovedDestination,
};
use keystead_channel::session::{Approval, ApproverId, KeyId, UnlockText};
use keystead_core::{Outcome, hex};
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::key::key_id;

use super::{No, hop, no, pinned_name};
use crate::keyring::ApprovalEntry;
use crate::pins::Pins;
use crate::show::Safe;
use crate::words::{Asked, Called, Conditions, Deed, HeldKey, ServerAct};

/// A text that may be put to a person.
#[derive(Debug, PartialEq, Eq)]
pub struct Judged {
    /// What is asked.
    pub asked: Asked,
    /// What the server gave it, so that it is approved once.
    pub nonce: [u8; 16],
}

/// What a text is judged by.
#[derive(Clone, Copy)]
pub struct ServerRules<'a> {
    /// Which host is called what.
    pub pins: &'a Pins,
}

/// The server that a text is from, before anything else of it is looked at.
///
/// # Errors
/// [`No`] where the text cannot be read whole, or its hash is not its request's.
pub fn read_approval(text: &[u8]) -> Result<(Approval, Request), No> {
    Approval::read(text).map_err(|fault| {
        no(
            Outcome::Refuse,
            format!("the key server's text is none: {fault}"),
        )
    })
}

/// The account whose lock is to be lifted, and where.
///
/// # Errors
/// [`No`] where the text cannot be read whole, or is of another time than now: who signs for a
/// time to come gives a lift away that nobody sees.
pub fn read_unlock(text: &[u8], now_unix_s: u64) -> Result<UnlockText, No> {
    let unlock = UnlockText::read(text).map_err(|fault| {
        let reason = format!("the text that lifts a lock is none: {fault}");
        no(Outcome::Refuse, reason)
    })?;
    match unlock.is_now(now_unix_s) {
        true => Ok(unlock),
        false => Err(no(
            Outcome::Refuse,
            "the text that lifts a lock is of another time than now",
        )),
    }
}

/// What is asked of an approver who lifts a lock.
#[must_use]
pub fn judge_unlock(unlock: &UnlockText, own: &ApprovalEntry) -> Judged {
    let deed = Deed::Unlock {
        account: unlock.account.as_str().to_owned(),
    };
    let asked = Asked::Server(ServerAct {
        server: own.server.clone(),
        server_id: hex::encode(&own.server_id),
        deed,
        key: None,
        until_unix_s: unlock.unix_s.saturating_add(UnlockText::LIFE_S),
    });
    Judged {
        asked,
        nonce: unlock.nonce(),
    }
}

/// Judges a text that was read, of the server with this approval key.
///
/// # Errors
/// [`No`]: a request that nobody can approve, or whose fields say two things.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a request that is not named here is approved by nobody"
)]
pub fn judge_approval(
    approval: &Approval,
    request: &Request,
    own: &ApprovalEntry,
    rules: ServerRules<'_>,
) -> Result<Judged, No> {
    let mut key = key_of(request).map(|id| held_key(id, approval));
    let deed = match request {
        Request::Sign(sign) => sign_deed(sign, key.as_mut(), rules.pins)?,
        Request::Retrieve(retrieve) => retrieve_deed(retrieve)?,
        Request::Policy(PolicyChange { key: _, policy }) => {
            Deed::Policy(conditions(policy, own, rules.pins))
        }
        Request::Approvers(change) => approvers_deed(change, own)?,
        _ => return Err(no(Outcome::Refuse, "nothing that anyone approves")),
    };
    let asked = Asked::Server(ServerAct {
        server: own.server.clone(),
        server_id: hex::encode(&own.server_id),
        deed,
        key,
        until_unix_s: approval.expires_unix_ms / 1_000,
    });
    Ok(Judged {
        asked,
        nonce: approval.nonce,
    })
}

/// A label can be changed by whoever has the session, so it never stands alone: with it the
/// fingerprint, or the id under which the server keeps the key.
fn held_key(id: KeyId, approval: &Approval) -> HeldKey {
    let fingerprint = approval.public_key.as_ref().and_then(|it| ed25519(&it.0));
    match &approval.label {
        Some(Label::Open(text)) => HeldKey {
            label: text.0.clone(),
            fingerprint: fingerprint.or_else(|| Some(format!("key {id}"))),
        },
        Some(Label::Sealed(_)) | None => HeldKey {
            label: format!("the key {id}"),
            fingerprint,
        },
    }
}

/// The key that a request names; none where it is about the account's approvers.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other requests are refused by `judge_approval`"
)]
fn key_of(request: &Request) -> Option<KeyId> {
    match request {
        Request::Sign(asked) => Some(asked.key),
        Request::Retrieve(asked) => Some(asked.key),
        Request::Policy(asked) => Some(asked.key),
        _ => None,
    }
}

fn sign_deed(sign: &Sign, key: Option<&mut HeldKey>, pins: &Pins) -> Result<Deed, No> {
    Ok(match &sign.fields {
        SignFields::SshLogin(login) => login_deed(login, key, pins)?,
        SignFields::SshSig(sshsig) => Deed::Namespace {
            namespace: sshsig.namespace.0.clone(),
            hash_name: sshsig.hash_name.0.clone(),
            hash: hex::encode(&sshsig.hash.0),
        },
        SignFields::OpenPgp(openpgp) => Deed::OpenPgp {
            hash: openpgp.hash,
            digest: hex::encode(&openpgp.digest.0),
        },
        SignFields::Message(bytes, digest) => Deed::Message {
            content: bytes.bytes.0.clone(),
            sha256: hex::encode(&key_id(&bytes.bytes.0).0),
            digest: match digest {
                DigestName::None => "as they are",
                DigestName::Sha256 => "hashed by SHA-256",
                DigestName::Sha384 => "hashed by SHA-384",
                DigestName::Sha512 => "hashed by SHA-512",
                DigestName::Keccak256 => "hashed by Keccak-256",
            },
        },
        SignFields::Digest(bytes) => Deed::Digest {
            digest: hex::encode(&bytes.bytes.0),
        },
    })
}

fn login_deed(login: &SshLogin, key: Option<&mut HeldKey>, pins: &Pins) -> Result<Deed, No> {
    let unreadable = |what: &str| no(Outcome::Refuse, format!("the {what} cannot be read"));
    let public =
        PublicKey::from_blob(&login.public_key.0).map_err(|_| unreadable("key of the login"))?;
    if let Some(key) = key {
        key.fingerprint = Some(public.fingerprint());
    }
    let host = match &login.host_key {
        None => None,
        Some(blob) => {
            let host_key =
                PublicKey::from_blob(&blob.0).map_err(|_| unreadable("host key of the login"))?;
            let called = pinned_name(&host_key.fingerprint(), pins);
            Some(hop(&host_key, called))
        }
    };
    Ok(Deed::Login {
        user: login.user.0.clone(),
        host,
    })
}

fn retrieve_deed(retrieve: &Retrieve) -> Result<Deed, No> {
    match retrieve.intent {
        Intent::Export => Ok(Deed::Retrieve { is_export: true }),
        Intent::LocalOnly => Ok(Deed::Retrieve { is_export: false }),
        Intent::Null => Err(no(Outcome::Refuse, "a retrieval that gives nothing out")),
    }
}

fn approvers_deed(change: &ApproverChange, own: &ApprovalEntry) -> Result<Deed, No> {
    // Destructured, so that a field that is added cannot be passed over here.
    let ApproverChange {
        add,
        remove,
        recovery_code,
        recovery,
    } = change;
    match (add, remove, recovery_code, recovery) {
        (None, None, None, Some(RecoveryStep::Cancel)) => Ok(Deed::CancelRecovery),
        (Some(add), None, None, None) => Ok(Deed::AddApprover {
            label: add.label.0.clone(),
            id: ApproverId::of(&add.public_key).to_string(),
        }),
        (None, Some(remove), None, None) => Ok(Deed::RemoveApprover {
            id: remove.to_string(),
            is_own: *remove == ApproverId::of(&own.public),
        }),
        // A recovery code never waits for an approval.
        _ => Err(no(
            Outcome::Refuse,
            "a change of approvers that is none, or two",
        )),
    }
}

fn conditions(policy: &Policy, own: &ApprovalEntry, pins: &Pins) -> Conditions {
    let Policy {
        users,
        host_keys,
        namespaces,
        unproved_destination,
        hours,
        hourly_max,
        quorum,
    } = policy;
    let mut rows = Vec::new();
    let texts = |all: Vec<&str>| {
        let all: Vec<String> = all.into_iter().map(|it| Safe(it).to_string()).collect();
        match all.is_empty() {
            true => "none at all".to_owned(),
            false => all.join(", "),
        }
    };
    if let Some(users) = users {
        rows.push(("Users", texts(users.0.iter().map(|it| &*it.0).collect())));
    }
    if let Some(keys) = host_keys {
        let names: Vec<String> = keys.0.iter().map(|it| host_words(it, pins)).collect();
        rows.push(("Hosts", texts(names.iter().map(String::as_str).collect())));
    }
    if let Some(spaces) = namespaces {
        let spaces = spaces.0.iter().map(|it| &*it.0).collect();
        rows.push(("Namespaces", texts(spaces)));
    }
    if let Some(hours) = hours {
        rows.push(("Hours", hours_words(*hours)));
    }
    if let Some(count) = hourly_max {
        rows.push(("Count", format!("at most {count} an hour")));
    }
    if let Some(quorum) = quorum {
        rows.push(("Approvers", quorum_words(quorum, own)));
    }
    let mut warnings = Vec::new();
    if *unproved_destination == Some(UnprovedDestination::Allow) {
        warnings.push("logins to a destination not proved are allowed");
    }
    if quorum.as_ref().is_none_or(|it| it.count == 0) {
        warnings.push("nobody is asked to approve from then on");
    }
    Conditions { rows, warnings }
}

/// A pinned name, or the fingerprint.
fn host_words(sha256: &[u8; 32], pins: &Pins) -> String {
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(sha256));
    match pinned_name(&fingerprint, pins) {
        Called::Pinned(name) => format!("{name} ({fingerprint})"),
        Called::Told(_) | Called::Nameless => fingerprint,
    }
}

fn hours_words(hours: Hours) -> String {
    let Hours {
        weekdays,
        from_minute,
        to_minute,
    } = hours;
    let days = WEEKDAYS.iter().enumerate();
    let days: Vec<&str> = days
        .filter(|(at, _)| weekdays >> at & 1 == 1)
        .map(|(_, name)| *name)
        .collect();
    let days = match days.len() {
        0 => "on no day".to_owned(),
        7 => "every day".to_owned(),
        _ => days.join(" "),
    };
    let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{days}, {} to {} UTC", clock(from_minute), clock(to_minute))
}

fn quorum_words(quorum: &Quorum, own: &ApprovalEntry) -> String {
    let own = ApproverId::of(&own.public);
    let names: Vec<String> = quorum
        .approvers
        .0
        .iter()
        .map(|it| match *it == own {
            true => "the key here".to_owned(),
            false => it.to_string(),
        })
        .collect();
    format!("{} of: {}", quorum.count, names.join(", "))
}

/// Of a raw Ed25519 key, as SSH has it; others are known by the blob of a login alone.
fn ed25519(raw: &[u8]) -> Option<String> {
    let raw: &[u8; 32] = raw.try_into().ok()?;
    Some(PublicKey::ed25519(raw).fingerprint())
}

/// Bit 0 is Monday.
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

#[cfg(test)]
mod tests;
