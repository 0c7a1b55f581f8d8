//! From a sign request to what a person is asked, or to the answer that needs no person.
//!
//! **Invariant**: [`judge`] is pure and asks only for what was parsed to its
//! last byte; a bind that is false, or that belongs to another session, is
//! never passed over.

mod content;
mod decrypt;
mod key_server;
mod openpgp;
mod signify;
mod uses;

use keystead_core::{
    Algorithm, Constraints, Evidence, IdentityParts, KeyEntry, Outcome, Purpose, SignForm,
    SignRequest,
};
use keystead_formats::ssh::constraint::{Destinations, Forbidden, Path};
use keystead_formats::ssh::userauth::UserAuth;
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned};

use crate::namespaces::Namespaces;
use crate::pins::{Known, Pins};
use crate::show::Safe;
pub use decrypt::judge_decrypt;
pub use key_server::{
    Judged, ServerRules, judge_approval, judge_unlock, read_approval, read_unlock,
};

use crate::words::{
    Asked, Bound, Called, Certify, Destination, Hop, KeyWords, Login, NotProved, Origin, shown,
    spelled,
};

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

/// What a request is judged by.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// The key that the request names.
    pub key: &'a KeyEntry,
    /// What the holder knows it by.
    pub key_words: &'a KeyWords,
    /// Limits that the key was brought with.
    pub constraints: Option<&'a Constraints>,
    /// Which host is called what.
    pub pins: &'a Pins,
    /// Which namespaces are asked for.
    pub namespaces: &'a Namespaces,
    /// Seconds since 1970: certificates have an end.
    pub now_unix_s: u64,
}

/// Judges a sign request.
///
/// # Errors
/// [`No`]: flags that the key has no use for; `Opaque`; another key in the blob; a false bind,
/// or one of another session; a destination that the key is not for; a namespace that is not
/// asked for; a purpose that the key has not; an identity that is for something else; a changed
/// host key.
pub fn judge(request: &SignRequest, rules: Rules<'_>) -> Result<Asked, No> {
    uses::check_sign(rules.key_words, request.form)?;
    match request.form {
        SignForm::Ssh => judge_ssh(request, rules),
        SignForm::OpenPgp | SignForm::Minisign if request.flags != 0 => Err(no(
            Outcome::Unsupported,
            "flags that this form has no use for",
        )),
        SignForm::OpenPgp => openpgp::judge(request, rules, Origin::of(&request.evidence)),
        SignForm::Minisign => signify::judge(request, rules, Origin::of(&request.evidence)),
        _ => Err(no(Outcome::Unsupported, "unknown form")),
    }
}

/// Form 1.
fn judge_ssh(request: &SignRequest, rules: Rules<'_>) -> Result<Asked, No> {
    let (key, words) = (rules.key, rules.key_words);
    if let [purpose] = key.purposes.as_slice()
        && !SSH_PURPOSES.contains(purpose)
    {
        let reason = format!("the key {} is for {} alone", key.name, purpose.as_str());
        return Err(no(Outcome::Refuse, reason));
    }
    let content = ToBeSigned::parse(&request.content);
    check_flags(request.flags, key, &content)?;
    let hops = proved_hops(&request.evidence)?;
    check_destination(rules, &content, &hops)?;
    let origin = Origin::of(&request.evidence);
    let asked = match &content {
        ToBeSigned::UserAuth(userauth) => {
            Asked::Login(login(userauth, &hops, &request.evidence, rules, origin)?)
        }
        ToBeSigned::SshSig(sshsig) => {
            rules
                .namespaces
                .check(&sshsig.namespace)
                .map_err(|reason| no(Outcome::Refuse, reason))?;
            let preimage = request.evidence.preimage.as_deref();
            let way = way(&hops, rules.pins);
            Asked::Sign(content::sign(sshsig, preimage, way, words, origin))
        }
        ToBeSigned::Certificate(certificate) => {
            check_authority(&certificate.terms.authority, key)?;
            let way = way(&hops, rules.pins);
            Asked::Certify(Certify::of(certificate, way, key.name.clone(), origin))
        }
        ToBeSigned::Opaque => {
            let bytes = request.content.len();
            let reason = format!(
                "opaque: {bytes} bytes that are neither a login nor a signature in a namespace"
            );
            return Err(no(Outcome::Refuse, reason));
        }
    };
    uses::check_purpose(key, asked.purpose().unwrap_or(Purpose::Opaque))?;
    Ok(asked)
}

/// RFC 9987 section 3.6.1 has flags for RSA alone, where they name the hash; without one it is
/// SHA-1, which is never made. A login that names one hash and asks for the other is a mistake.
fn check_flags(flags: u32, key: &KeyEntry, content: &ToBeSigned) -> Result<(), No> {
    let is_rsa = algorithm_of(key) == Some(Algorithm::Rsa);
    let unsupported = |reason: &str| Err(no(Outcome::Unsupported, reason));
    let hash = match (is_rsa, flags) {
        (false, 0) => return Ok(()),
        (false, _) => return unsupported("flags that this key has no use for"),
        (true, RSA_SHA2_256) => "rsa-sha2-256",
        (true, RSA_SHA2_512) => "rsa-sha2-512",
        (true, 0) => return unsupported("an RSA signature with SHA-1"),
        (true, _) => return unsupported("flags that name no one hash"),
    };
    if let ToBeSigned::UserAuth(login) = content
        && !login.algorithm.starts_with(hash)
    {
        let by = &login.algorithm;
        let reason = format!("the login is by {by}, the signature by {hash}");
        return Err(no(Outcome::Refuse, reason));
    }
    Ok(())
}

/// The chain of binds, every signature in it verified.
fn proved_hops(evidence: &Evidence) -> Result<Vec<SessionBind>, No> {
    let mut hops = Vec::with_capacity(evidence.binds.len());
    for (at, bind) in evidence.binds.iter().enumerate() {
        let hop = SessionBind::from_evidence(bind)
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

/// The destinations that an imported key was limited to, with the verdicts of OpenSSH's agent.
fn check_destination(
    rules: Rules<'_>,
    content: &ToBeSigned,
    binds: &[SessionBind],
) -> Result<(), No> {
    let Some(limits) = rules.constraints.and_then(|it| it.destinations.as_ref()) else {
        return Ok(());
    };
    let refuse = |reason: String| no(Outcome::Refuse, reason);
    let limits = Destinations::parse(limits)
        .map_err(|_| refuse("the limits of this key cannot be read".to_owned()))?;
    let ToBeSigned::UserAuth(login) = content else {
        return Err(refuse(Forbidden::NoLogin.to_string()));
    };
    // It may name the key by a certificate; that it is of this key is judged with the login.
    let named = login.key.clone();
    let path = Path {
        binds,
        has_refused_bind: false,
    };
    limits
        .may_sign(path, &named, content, rules.now_unix_s)
        .map(|_| ())
        .map_err(|error| refuse(error.to_string()))
}

fn login(
    userauth: &UserAuth,
    hops: &[SessionBind],
    evidence: &Evidence,
    rules: Rules<'_>,
    origin: Origin,
) -> Result<Login, No> {
    let Rules { key, pins, .. } = rules;
    if !is_of(&userauth.key, key) {
        return Err(no(
            Outcome::Refuse,
            "the login is for another key than the request names",
        ));
    }
    let (destination, before) = match hops.split_last() {
        None => (Destination::NotProved(NotProved::NoBind), hops),
        Some((last, _)) if last.forwarding => (Destination::NotProved(NotProved::Forwarded), hops),
        Some((last, before)) => {
            check_session(userauth, last)?;
            let called = called(&last.host_key, &evidence.host_names, pins)?;
            (Destination::Proved(hop(&last.host_key, called)), before)
        }
    };
    let key_words = differing(rules.key_words, &userauth.user, &destination);
    Ok(Login {
        user: userauth.user.clone(),
        destination,
        bound: match userauth.host_key {
            Some(_) => Bound::ToHost,
            None => Bound::ToSession,
        },
        way: way(before, pins),
        key: key_words,
        certificate: userauth.key.certificate().map(|it| it.terms.key_id.clone()),
        origin,
    })
}

/// The key, with what of the login differs from its identity: one identity may be for many
/// hosts, so that is shown and not refused.
fn differing(key: &KeyWords, user: &str, destination: &Destination) -> KeyWords {
    let mut key = key.clone();
    let KeyWords::Derived {
        identity, differs, ..
    } = &mut key
    else {
        return key;
    };
    let Ok(parts) = IdentityParts::parse(identity.uri()) else {
        return key;
    };
    if let Some(own) = parts.user.as_ref().filter(|own| *own != user) {
        let (own, user) = (spelled(own), spelled(user));
        differs.push(format!("the identity names the account {own}, not {user}"));
    }
    if let Destination::Proved(hop) = destination
        && let Some(name) = hop.name()
        && !names_host(&parts, name)
    {
        let port = parts
            .port
            .as_ref()
            .map_or(String::new(), |it| format!(":{it}"));
        let (own, name) = (shown(&format!("{}{port}", parts.host)), shown(name));
        differs.push(format!("the identity names the host {own}, not {name}"));
    }
    key
}

/// Whether an identity is for the host of this name, which stands as in `known_hosts`:
/// `[host]:port` where the port is another than 22 (sshd(8)). One without a port is for any.
fn names_host(parts: &IdentityParts, name: &str) -> bool {
    let with_port = name.strip_prefix('[').and_then(|it| it.split_once("]:"));
    let (host, port) = with_port.unwrap_or((name, SSH_PORT));
    parts.bare_host().eq_ignore_ascii_case(host)
        && parts.port.as_deref().is_none_or(|it| it == port)
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

/// A certificate names its authority, and that is the key that signs it.
fn check_authority(authority: &PublicKey, key: &KeyEntry) -> Result<(), No> {
    if is_of(authority, key) {
        return Ok(());
    }
    let reason = "the certificate names another authority than the key that is to sign";
    Err(no(Outcome::Refuse, reason))
}

/// What signs or agrees, also where a key is offered by its certificate; none of a type that is
/// not known.
pub(crate) fn algorithm_of(key: &KeyEntry) -> Option<Algorithm> {
    if let Some(algorithm) = key
        .algorithm
        .parse::<Algorithm>()
        .ok()
        .filter(|it| !it.is_ssh())
    {
        return Some(algorithm);
    }
    let public = PublicKey::from_blob(&key.public_key).ok()?;
    public.without_certificate().type_name().parse().ok()
}

/// Whether both are one key, named by a certificate or not.
fn is_of(public: &PublicKey, key: &KeyEntry) -> bool {
    PublicKey::from_blob(&key.public_key)
        .is_ok_and(|own| own.without_certificate() == public.without_certificate())
}

fn called(host_key: &PublicKey, names: &[String], pins: &Pins) -> Result<Called, No> {
    let fingerprint = host_key.fingerprint();
    match pins.look_up(names, &fingerprint) {
        Known::Pinned(name) => Ok(Called::Pinned(name.to_owned())),
        Known::Told(told) => Ok(Called::Told(told.into_iter().map(str::to_owned).collect())),
        Known::Nameless => Ok(pinned_name(&fingerprint, pins)),
        Known::Changed { name, pinned } => Err(changed(name, &pinned, &fingerprint)),
    }
}

/// A name that is pinned to another key.
pub(crate) fn changed(name: &str, pinned: &str, fingerprint: &str) -> No {
    let name = Safe(name);
    No {
        outcome: Outcome::Block,
        reason: format!("the host key of {name} changed: pinned {pinned}, now {fingerprint}"),
        hint: Some(format!(
            "keystead-authenticator host accept {name} {fingerprint}"
        )),
    }
}

fn hop(host_key: &PublicKey, called: Called) -> Hop {
    Hop {
        called,
        host_key: host_key.fingerprint(),
    }
}

/// The hops that the workstation gives no names for.
fn way(hops: &[SessionBind], pins: &Pins) -> Vec<Hop> {
    let hop = |it: &SessionBind| {
        let name = pinned_name(&it.host_key.fingerprint(), pins);
        hop(&it.host_key, name)
    };
    hops.iter().map(hop).collect()
}

fn pinned_name(fingerprint: &str, pins: &Pins) -> Called {
    let pinned = pins.iter().find(|(_, pin)| pin.host_key == fingerprint);
    pinned.map_or(Called::Nameless, |(name, _)| {
        Called::Pinned(name.to_owned())
    })
}

fn no(outcome: Outcome, reason: impl Into<String>) -> No {
    No {
        outcome,
        reason: reason.into(),
        hint: None,
    }
}

/// RFC 4253 section 4.1.
const SSH_PORT: &str = "22";

/// What SSH does with a key.
const SSH_PURPOSES: [Purpose; 4] = [
    Purpose::SshLogin,
    Purpose::SshSig,
    Purpose::GitCommit,
    Purpose::SshCertificate,
];

/// `SSH_AGENT_RSA_SHA2_256` and `SSH_AGENT_RSA_SHA2_512` (RFC 9987 section 3.6.1).
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;
