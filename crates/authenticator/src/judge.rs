//! From a sign request to what a person is asked, or to the answer that needs no person.
//!
//! **Invariant**: [`judge`] is pure and asks only for what was parsed to its
//! last byte; a bind that is false, or that belongs to another session, is
//! never passed over.

use keystead_core::{Evidence, KeyEntry, Outcome, Purpose, SignRequest};
use keystead_formats::ssh::sshsig::SshSig;
use keystead_formats::ssh::userauth::UserAuth;
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned};

use crate::commit::{Commit, GitObject, Tag};
use crate::entry::to_hex;
use crate::pins::{Known, Pins};
use crate::show::Safe;
use crate::words::{Asked, Called, Content, Destination, Hop, Login, NotProved, Sign};

/// An answer that no person is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct No {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, for the log and the holder's terminal.
    pub reason: String,
    /// What the holder can do, if anything.
    pub hint: Option<String>,
}

/// Judges a sign request for `key`, which it names.
///
/// # Errors
/// [`No`]: unsupported flags; `Opaque`; another key in the blob; a false bind, or one of
/// another session; a purpose that the key has not; a changed host key.
pub fn judge(request: &SignRequest, key: &KeyEntry, pins: &Pins) -> Result<Asked, No> {
    if request.flags != 0 {
        // RFC 9987 section 3.6.1 has flags for RSA alone, and there is no RSA key here.
        return Err(no(
            Outcome::Unsupported,
            "flags that this key has no use for",
        ));
    }
    let hops = proved_hops(&request.evidence)?;
    let asked = match ToBeSigned::parse(&request.content) {
        ToBeSigned::UserAuth(userauth) => {
            Asked::Login(login(&userauth, &hops, &request.evidence, key, pins)?)
        }
        ToBeSigned::SshSig(sshsig) => {
            Asked::Sign(sign(&sshsig, &hops, &request.evidence, key, pins))
        }
        ToBeSigned::Certificate(_) | ToBeSigned::Opaque => {
            let bytes = request.content.len();
            let reason = format!(
                "opaque: {bytes} bytes that are neither a login nor a signature in a namespace"
            );
            return Err(no(Outcome::Refuse, reason));
        }
    };
    let purpose = asked.purpose().unwrap_or(Purpose::Opaque);
    if !key.purposes.contains(&purpose) {
        let reason = format!("the key {} is not for {}", key.name, purpose.as_str());
        return Err(no(Outcome::Refuse, reason));
    }
    Ok(asked)
}

/// The chain of binds, every signature in it verified.
fn proved_hops(evidence: &Evidence) -> Result<Vec<SessionBind>, No> {
    let mut hops = Vec::with_capacity(evidence.binds.len());
    for (at, bind) in evidence.binds.iter().enumerate() {
        let hop = SessionBind::from_parts(
            &bind.host_key,
            &bind.session_id,
            &bind.signature,
            bind.forwarding,
        )
        .map_err(|_| no(Outcome::Refuse, "a session-bind that cannot be read"))?;
        if hop.verify().is_err() {
            let reason = format!(
                "a session-bind whose signature is false (host key {})",
                hop.host_key.fingerprint()
            );
            return Err(no(Outcome::Refuse, reason));
        }
        let is_last = at.saturating_add(1) == evidence.binds.len();
        if !hop.forwarding && !is_last {
            return Err(no(
                Outcome::Refuse,
                "a session-bind behind one that does not forward",
            ));
        }
        hops.push(hop);
    }
    Ok(hops)
}

fn login(
    userauth: &UserAuth,
    hops: &[SessionBind],
    evidence: &Evidence,
    key: &KeyEntry,
    pins: &Pins,
) -> Result<Login, No> {
    if userauth.key.blob() != key.public_key {
        return Err(no(
            Outcome::Refuse,
            "the login is for another key than the request names",
        ));
    }
    let (destination, way) = match hops.split_last() {
        None => (Destination::NotProved(NotProved::NoBind), hops),
        Some((last, _)) if last.forwarding => (Destination::NotProved(NotProved::Forwarded), hops),
        Some((last, before)) => {
            check_session(userauth, last)?;
            let called = called(&last.host_key, &evidence.host_names, pins)?;
            (Destination::Proved(hop(&last.host_key, called)), before)
        }
    };
    Ok(Login {
        user: userauth.user.clone(),
        destination,
        way: way
            .iter()
            .map(|it| pinned_hop(&it.host_key, pins))
            .collect(),
        key: key.name.clone(),
        program: evidence.process_path.clone(),
    })
}

/// The login is for the session, and in the hostbound form the host, that the last bind proves.
fn check_session(userauth: &UserAuth, last: &SessionBind) -> Result<(), No> {
    if userauth.session_id != last.session_id {
        return Err(no(
            Outcome::Refuse,
            "the login is for another session than the host signed",
        ));
    }
    match &userauth.host_key {
        Some(host_key) if host_key.blob() != last.host_key.blob() => {
            let reason = format!(
                "the login is bound to host key {}, and {} signed the session",
                host_key.fingerprint(),
                last.host_key.fingerprint()
            );
            Err(no(Outcome::Refuse, reason))
        }
        Some(_) | None => Ok(()),
    }
}

fn called(host_key: &PublicKey, names: &[String], pins: &Pins) -> Result<Called, No> {
    let fingerprint = host_key.fingerprint();
    match pins.look_up(names, &fingerprint) {
        Known::Pinned(name) => Ok(Called::Pinned(name.to_owned())),
        Known::Told(told) => Ok(Called::Told(told.into_iter().map(str::to_owned).collect())),
        Known::Nameless => Ok(pinned_name(&fingerprint, pins)),
        Known::Changed { name, pinned } => {
            let reason = format!(
                "the host key of {} changed: pinned {pinned}, now {fingerprint}",
                Safe(name)
            );
            let name = Safe(name);
            Err(No {
                hint: Some(format!(
                    "keystead-authenticator host accept {name} {fingerprint}"
                )),
                ..no(Outcome::Block, reason)
            })
        }
    }
}

fn hop(host_key: &PublicKey, called: Called) -> Hop {
    Hop {
        called,
        host_key: host_key.fingerprint(),
    }
}

/// A hop that the workstation gives no names for.
fn pinned_hop(host_key: &PublicKey, pins: &Pins) -> Hop {
    hop(host_key, pinned_name(&host_key.fingerprint(), pins))
}

fn pinned_name(fingerprint: &str, pins: &Pins) -> Called {
    let pinned = pins.iter().find(|(_, pin)| pin.host_key == fingerprint);
    pinned.map_or(Called::Nameless, |(name, _)| {
        Called::Pinned(name.to_owned())
    })
}

fn sign(
    sshsig: &SshSig,
    hops: &[SessionBind],
    evidence: &Evidence,
    key: &KeyEntry,
    pins: &Pins,
) -> Sign {
    Sign {
        namespace: sshsig.namespace.clone(),
        hash_name: sshsig.hash_algorithm.name().to_owned(),
        hash: to_hex(&sshsig.hash),
        content: content(sshsig, evidence.preimage.as_deref()),
        way: hops
            .iter()
            .map(|it| pinned_hop(&it.host_key, pins))
            .collect(),
        key: key.name.clone(),
        program: evidence.process_path.clone(),
    }
}

fn content(sshsig: &SshSig, preimage: Option<&[u8]>) -> Content {
    let Some(preimage) = preimage else {
        return Content::NotProved;
    };
    if !sshsig.is_of(preimage) {
        return Content::Differs;
    }
    let object = GitObject::parse(preimage).filter(|_| sshsig.namespace == GIT_NAMESPACE);
    match object {
        Some(GitObject::Commit(commit)) => commit_content(&commit),
        Some(GitObject::Tag(tag)) => tag_content(&tag),
        None => Content::Unreadable {
            bytes: preimage.len(),
        },
    }
}

fn commit_content(commit: &Commit<'_>) -> Content {
    let mut rows = vec![("Tree", commit.tree.to_owned())];
    rows.extend(commit.parents.iter().map(|it| ("Parent", (*it).to_owned())));
    rows.push(("Author", Safe(commit.author).to_string()));
    if commit.committer != commit.author {
        rows.push(("Committer", Safe(commit.committer).to_string()));
    }
    if !commit.others.is_empty() {
        rows.push(("Also signed", Safe(&commit.others.join(", ")).to_string()));
    }
    Content::Git {
        what: "a git commit",
        rows,
        message: commit.message.to_owned(),
    }
}

fn tag_content(tag: &Tag<'_>) -> Content {
    let rows = vec![
        ("Tag", Safe(tag.name).to_string()),
        ("Of", format!("{} {}", Safe(tag.target), tag.object)),
        ("Tagger", Safe(tag.tagger).to_string()),
    ];
    Content::Git {
        what: "a git tag",
        rows,
        message: tag.message.to_owned(),
    }
}

fn no(outcome: Outcome, reason: impl Into<String>) -> No {
    No {
        outcome,
        reason: reason.into(),
        hint: None,
    }
}

/// `gpg-interface.c` of git signs in this one.
const GIT_NAMESPACE: &str = "git";
