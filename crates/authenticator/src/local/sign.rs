//! Signatures: which are made, which are asked for first, which are refused.
//!
//! **Invariant**: between what permits a signature and its making lies no step in which the key
//! could have got other limits: after a person's yes everything else is looked at again.

use std::sync::Arc;

use keystead_core::{
    Algorithm, Outcome, ResponseBody, SessionBind as Evident, SignForm, SignRequest,
};
use keystead_daemon::Now;
use keystead_formats::ssh::constraint::Path;
use keystead_formats::ssh::key::Material;
use keystead_formats::ssh::wire::{Reader, Writer};
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned, pattern};
use keystead_vault::{SignOptions, SigningKey};

use super::identity::{Identity, Signer};
use super::waiting::{Expected, What};
use super::{Action, Asked, Local, SecurityKey, Slow, TokenWork, Wait, Work, acknowledge, respond};
use crate::keyring::signature_blob;

impl Local {
    pub(super) fn sign(
        &mut self,
        now: Now,
        asked: Asked,
        wait: Wait,
        request: SignRequest,
        actions: &mut Vec<Action>,
    ) {
        if request.form != SignForm::Ssh || request.identity.is_some() {
            actions.push(respond(now, asked, Outcome::Unsupported, None));
            return;
        }
        let Some(identity) = self.identities.find(&request.key) else {
            actions.push(respond(now, asked, Outcome::UnknownKey, None));
            return;
        };
        let question = match self.verdict(now, identity, &request) {
            Verdict::Make => {
                self.make(now, asked, wait, request, actions);
                return;
            }
            Verdict::Ask(question) => question,
            Verdict::No(outcome, reason) => {
                tracing::warn!("not signed: {reason}");
                actions.push(respond(now, asked, outcome, None));
                return;
            }
        };
        let what = What::Confirm(Box::new(request));
        match self.waiting.open(asked, wait, what) {
            Some(job) => {
                if wait.want_ack {
                    actions.push(acknowledge(now, asked));
                }
                actions.push(Action::Start(job, Work::Ask(question)));
            }
            None => actions.push(respond(now, asked, Outcome::Busy, None)),
        }
    }

    /// A person said yes to a request that waited.
    pub(super) fn confirmed(
        &mut self,
        now: Now,
        asked: Asked,
        wait: Wait,
        request: SignRequest,
        actions: &mut Vec<Action>,
    ) {
        let outcome = match self.identities.find(&request.key) {
            _ if self.lock.is_locked() => Outcome::Busy,
            None => Outcome::UnknownKey,
            Some(identity) => match self.verdict(now, identity, &request) {
                Verdict::Make | Verdict::Ask(_) => {
                    self.make(now, asked, wait, request, actions);
                    return;
                }
                Verdict::No(outcome, _) => outcome,
            },
        };
        actions.push(respond(now, asked, outcome, None));
    }

    /// In the order of OpenSSH's `process_sign_request2`: destination, person, web.
    fn verdict(&self, now: Now, identity: &Identity, request: &SignRequest) -> Verdict {
        let limits = &identity.limits;
        let is_web = matches!(identity.signer, Signer::SecurityKey(_));
        if !limits.confirm && limits.destinations.is_none() && !is_web {
            return Verdict::Make;
        }
        let content = ToBeSigned::parse(&request.content);
        let to = match destination(now, identity, request, &content) {
            Ok(to) => to,
            Err(reason) => return Verdict::No(Outcome::Refuse, reason),
        };
        if let Signer::SecurityKey(key) = &identity.signer {
            if !self.may_sign_all(key) && !is_of_ssh(&content, &identity.public) {
                let reason = "a key of a web site signs SSH messages alone";
                return Verdict::No(Outcome::Refuse, reason.into());
            }
            if key.provider().is_none() {
                let reason = "the security key came without its provider";
                return Verdict::No(Outcome::Unsupported, reason.into());
            }
        }
        if identity.limits.confirm {
            return Verdict::Ask(question(identity, &content, to.as_deref()));
        }
        Verdict::Make
    }

    /// Whether a security key may sign what is no SSH message: then a web site's key could be
    /// used to log in there.
    fn may_sign_all(&self, key: &SecurityKey) -> bool {
        let patterns = self.options.websafe_allow.split(',');
        self.options.no_restrict_websafe || pattern::list_matches(patterns, key.application())
    }

    fn make(
        &mut self,
        now: Now,
        asked: Asked,
        wait: Wait,
        request: SignRequest,
        actions: &mut Vec<Action>,
    ) {
        let Some(identity) = self.identities.find(&request.key) else {
            actions.push(respond(now, asked, Outcome::UnknownKey, None));
            return;
        };
        let options = SignOptions::from_flags(request.flags);
        let content = request.content;
        let (what, work) = match &identity.signer {
            Signer::Memory(key) if !is_rsa(identity) => {
                actions.push(signed(now, asked, sign_with(key, &content, options)));
                return;
            }
            Signer::Memory(key) => {
                let slow = Slow {
                    key: Arc::clone(key),
                    content,
                    options,
                };
                (What::Own, Work::Sign(slow))
            }
            Signer::SecurityKey(key) => {
                let work = Work::SecurityKey {
                    key: Arc::clone(key),
                    content: content.clone(),
                    notice: format!("Touch the security key: {}", identity.public.fingerprint()),
                };
                (expect(identity, content, request.flags), work)
            }
            Signer::Token { provider, key } => {
                let work = TokenWork::Sign {
                    key: *key,
                    content: content.clone(),
                    flags: request.flags,
                };
                let provider = provider.clone();
                let what = expect(identity, content, request.flags);
                (what, Work::Token { provider, work })
            }
        };
        match self.waiting.open(asked, wait, what) {
            Some(job) => actions.push(Action::Start(job, work)),
            None => actions.push(respond(now, asked, Outcome::Busy, None)),
        }
    }
}

/// The answer with a signature, or that there is none.
pub(super) fn signed(now: Now, asked: Asked, signature: Option<Vec<u8>>) -> Action {
    let Some(signature) = signature else {
        tracing::warn!("not signed: the key gave no signature");
        return respond(now, asked, Outcome::Refuse, None);
    };
    let body = ResponseBody::Signature(signature);
    respond(now, asked, Outcome::Approve, Some(body))
}

fn expect(identity: &Identity, content: Vec<u8>, flags: u32) -> What {
    What::Foreign(Box::new(Expected {
        key: identity.public.clone(),
        content,
        is_sha1: is_rsa(identity) && SignOptions::from_flags(flags).rsa_hash.is_none(),
    }))
}

impl Expected {
    pub(super) fn is_met_by(&self, signature: &[u8]) -> bool {
        if self.is_sha1 {
            // Nothing here verifies SHA-1: who asked for it does. Only its form is looked at.
            let mut reader = Reader::new(signature);
            return reader.name() == Ok(SSH_RSA) && reader.string().is_ok() && reader.is_empty();
        }
        self.key.verify(&self.content, signature).is_ok()
    }
}

fn is_rsa(identity: &Identity) -> bool {
    matches!(identity.public.material(), Material::Rsa { .. })
}

enum Verdict {
    Make,
    /// The person is asked this first.
    Ask(String),
    /// With the reason, for the trace.
    No(Outcome, String),
}

/// Where a key that is bound to destinations is used; none for other keys, which no evidence
/// can limit. The binds are verified here: what the agent verified is its own matter.
fn destination(
    now: Now,
    identity: &Identity,
    request: &SignRequest,
    content: &ToBeSigned,
) -> Result<Option<String>, String> {
    let Some(destinations) = &identity.limits.destinations else {
        return Ok(None);
    };
    let binds = verified(&request.evidence.binds)?;
    let path = Path {
        binds: &binds,
        has_refused_bind: false,
    };
    destinations
        .may_sign(path, &identity.public, content, now.unix_s)
        .map(|permitted| permitted.to.map(str::to_owned))
        .map_err(|forbidden| forbidden.to_string())
}

/// Each by its host's signature, in the order in which `session-bind@openssh.com` takes them.
fn verified(evidence: &[Evident]) -> Result<Vec<SessionBind>, String> {
    let bind = |it: &Evident| {
        let bind = SessionBind::from_evidence(it).map_err(|error| error.to_string())?;
        bind.verify().map_err(|error| error.to_string())?;
        Ok(bind)
    };
    evidence.iter().map(bind).collect()
}

/// OpenSSH's `check_websafe_message_contents`: a login with this key, or an SSHSIG.
fn is_of_ssh(content: &ToBeSigned, key: &PublicKey) -> bool {
    match content {
        ToBeSigned::UserAuth(login) => login.key == *key,
        ToBeSigned::SshSig(_) => true,
        ToBeSigned::Certificate(_) | ToBeSigned::Opaque => false,
    }
}

/// What the person reads: which key, and for what.
fn question(identity: &Identity, content: &ToBeSigned, to: Option<&str>) -> String {
    let what = match content {
        ToBeSigned::UserAuth(login) => match to {
            Some(host) => format!("A login as {} at {}", login.user, shown(host)),
            None => format!("A login as {}", login.user),
        },
        ToBeSigned::SshSig(sig) => format!("A signature for {}", shown(&sig.namespace)),
        ToBeSigned::Certificate(_) => "A certificate, as its authority".to_owned(),
        ToBeSigned::Opaque => "Something that is no SSH message".to_owned(),
    };
    let fingerprint = identity.public.fingerprint();
    format!(
        "Allow the key {} to be used?\n{fingerprint}\n{what}",
        identity.name
    )
}

fn shown(text: &str) -> String {
    keystead_channel::wire::showable(text, SHOWN_BYTES_MAX)
}

/// The signature as on the SSH wire.
pub(super) fn sign_with(key: &SigningKey, content: &[u8], options: SignOptions) -> Option<Vec<u8>> {
    if key.algorithm() == Algorithm::Rsa && options.rsa_hash.is_none() {
        return sign_for_old_servers(key, content);
    }
    let raw = key.sign(content, options).ok()?;
    signature_blob(&raw)
}

/// `ssh-rsa` (RFC 4253 section 6.6): RSA with SHA-1, which is what no flag asks for (RFC 8332
/// section 2). Servers before OpenSSH 7.2 know no other; OpenSSH's agent makes it when it is
/// asked, and so must whoever stands in for it. No other authenticator of ours does.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where SHA-1 is signed: a key that was added here, as to ssh-agent"
)]
fn sign_for_old_servers(key: &SigningKey, content: &[u8]) -> Option<Vec<u8>> {
    let signature = key.sign_with_sha1(content).ok()?;
    Some(sha1_blob(&signature))
}

/// A PKCS #1 v1.5 signature with SHA-1 as on the SSH wire.
pub(super) fn sha1_blob(signature: &[u8]) -> Vec<u8> {
    let blob = Writer::new().string(SSH_RSA.as_bytes());
    blob.string(signature).into_bytes()
}

/// RFC 4253 section 6.6.
const SSH_RSA: &str = "ssh-rsa";

/// 128 bytes of a host's name or a namespace: a line and a half of a screen.
const SHOWN_BYTES_MAX: usize = 128;
