//! What is done once a request is approved, and the entry that it leaves.
//!
//! **Invariant**: what is done is logged before its answer leaves; where it cannot be logged it
//! is answered `busy`, and a name that was pinned to another key meanwhile is never signed for.

use keystead_core::{DecryptForm, Outcome, Plaintext, ResponseBody, SignForm, hex};
use keystead_formats::minisign::ToSign;
use keystead_formats::openpgp::digest::Digest;
use keystead_vault::SigningError;

use super::pending::{By, Pending, Work};
use super::{Holder, Step};
use crate::entry::Entry;
use crate::identities::Noted;
use crate::judge::{No, changed};
use crate::keyring::{Chosen, How, SignError};
use crate::pins::{Known, Pin};
use crate::show::Safe;

/// Why what was approved was not done.
enum Undone {
    /// Answered `busy`: nothing is logged.
    Busy,
    /// Answered with this, and logged.
    No(No),
}

impl Undone {
    /// None is `busy`.
    fn of(no: Option<No>) -> Self {
        no.map_or(Self::Busy, Self::No)
    }
}

impl Holder {
    /// Does what was approved; says how it really ended.
    pub(super) fn do_work(
        &mut self,
        pending: &mut Pending,
        by: By,
        step: &mut Step<'_, '_>,
    ) -> Outcome {
        let body = match self.work(pending, by, step) {
            Ok(body) => body,
            Err(Undone::Busy) => {
                self.busy(&pending.ticket, step);
                return Outcome::Busy;
            }
            Err(Undone::No(no)) => {
                if no.outcome == Outcome::Block {
                    self.say_no_to(&pending.ticket, &no, step);
                }
                return self.end_pending(pending, no.outcome, &no.reason, step);
            }
        };
        let mut entry = self.entry_of(pending, step);
        match by {
            By::Person { together } if together > 1 => entry.together = Some(together),
            By::Person { .. } => {}
            By::Setting => entry.reason = Some("by --decide approve".to_owned()),
            By::Grant { id, used } => {
                entry.reason = Some(format!("by grant {id}"));
                entry.grant = Some(id);
                entry.grant_used = Some(used);
            }
        }
        let outcome = self.finish(&pending.ticket, Outcome::Approve, Some(body), entry, step);
        // A grant names a host's key; what it is called there nobody has read.
        let is_read = matches!(by, By::Person { .. } | By::Setting);
        if outcome == Outcome::Approve && is_read {
            self.pin(pending, step);
        }
        if outcome == Outcome::Approve
            && let Work::Sign { key, .. } | Work::Decrypt { key, .. } = &pending.work
            && let Chosen::Derived { wallet, identity } = key
        {
            self.note_identity(*wallet, identity, Noted::Used, step);
        }
        outcome
    }

    fn work(
        &mut self,
        pending: &mut Pending,
        by: By,
        step: &mut Step<'_, '_>,
    ) -> Result<ResponseBody, Undone> {
        self.check_pin(pending)?;
        if let Work::Sign { id, .. } | Work::Decrypt { id, .. } = &pending.work
            && self.is_over(id, step.now)
        {
            return Err(refused("the key's time is over"));
        }
        let peer = pending.ticket.peer;
        match &mut pending.work {
            Work::Sign {
                key,
                form,
                content,
                flags,
                ..
            } => {
                let how = How {
                    flags: *flags,
                    presence: by.presence(),
                };
                let signed = self.sign(key, *form, content, how, step);
                signed
                    .map(ResponseBody::Signature)
                    .map_err(|error| not_done(&error, "signature", step))
            }
            Work::Decrypt {
                key, form, content, ..
            } => {
                let opened = match form {
                    DecryptForm::Age => self.keys.unwrap_age(key, content),
                    DecryptForm::Point | _ => self.keys.agree(key, content),
                };
                opened
                    .map(|plaintext| ResponseBody::Plaintext(Plaintext::new(plaintext)))
                    .map_err(|error| not_done(&error, "decryption", step))
            }
            Work::MakeKey(request, key_type) => self
                .keys
                .make_key_for(
                    &request.name,
                    (*key_type, &request.purposes),
                    step.io.rng,
                    step.io.disk,
                )
                .map(ResponseBody::Key)
                .map_err(refused),
            Work::Import(candidate) => {
                let candidate = candidate.take().ok_or(Undone::Busy)?;
                self.import(*candidate, peer, step)
                    .map(|entry| ResponseBody::Keys(vec![entry]))
                    .map_err(refused)
            }
            Work::Remove(keys) => {
                let keys = std::mem::take(keys);
                self.remove_keys(&keys, step)
                    .map(|_| ResponseBody::Empty)
                    .map_err(|_| Undone::Busy)
            }
            Work::Hosts => Ok(ResponseBody::Hosts(self.seen.hosts())),
            Work::Approve(to_approve) => self.approve_text(to_approve, step).map_err(Undone::of),
            Work::MakeApproval { server_id, server } => self
                .keys
                .make_approval(*server_id, server, step.io.rng, step.io.disk)
                .map(|it| ResponseBody::ApprovalKey(it.public))
                .map_err(refused),
            Work::OpenLocal { salt } => self.local_key(&peer, salt).ok_or(Undone::Busy),
        }
    }

    fn sign(
        &mut self,
        key: &Chosen,
        form: SignForm,
        content: &[u8],
        how: How,
        step: &mut Step<'_, '_>,
    ) -> Result<Vec<u8>, SignError> {
        // Judged before: what cannot be read any more is a key that does not sign that.
        let unfit = |_| SignError::Signing(SigningError::Unfit);
        match form {
            SignForm::OpenPgp => {
                let digest = Digest::parse(content).map_err(unfit)?;
                self.keys.sign_openpgp(key, &digest)
            }
            SignForm::Minisign => {
                let to_sign = ToSign::parse(content).map_err(unfit)?;
                self.keys.sign_minisign(key, &to_sign)
            }
            SignForm::Ssh | _ => self.keys.sign(key, content, how, step.io.disk),
        }
    }

    /// Ends a request that is not done, with a reason for the log.
    pub(super) fn end_pending(
        &mut self,
        pending: &Pending,
        outcome: Outcome,
        reason: &str,
        step: &mut Step<'_, '_>,
    ) -> Outcome {
        let mut entry = self.entry_of(pending, step);
        entry.reason = Some(reason.to_owned()).filter(|it| !it.is_empty());
        self.finish(&pending.ticket, outcome, None, entry, step)
    }

    fn entry_of(&self, pending: &Pending, step: &Step<'_, '_>) -> Entry {
        let mut entry = Entry {
            unix_s: step.now.unix_s,
            ..Entry::default()
        };
        pending.asked.describe(&mut entry);
        entry.intent = pending.intent.as_ref().map(|it| Safe(&it.what).to_string());
        if let Work::Approve(to_approve) = &pending.work {
            to_approve.describe(&mut entry);
        }
        if let Work::Sign { id, content, .. } | Work::Decrypt { id, content, .. } = &pending.work {
            entry.content_sha256 =
                Some(hex::encode(&keystead_formats::ssh::key::key_id(content).0));
            let own = self.keys.entry(id);
            entry.fingerprint =
                own.map(|it| keystead_formats::ssh::key::fingerprint(&it.public_key));
        }
        entry
    }

    /// Two questions may have named two keys for one name: the first answer pinned one of them.
    fn check_pin(&self, pending: &Pending) -> Result<(), Undone> {
        let Some((name, host_key)) = pending.asked.to_pin() else {
            return Ok(());
        };
        match self.pins.look_up(&[name.to_owned()], host_key) {
            Known::Changed { name, pinned } => Err(Undone::No(changed(name, &pinned, host_key))),
            Known::Nameless | Known::Pinned(_) | Known::Told(_) => Ok(()),
        }
    }

    /// The first approval of a host's key under a name pins it.
    fn pin(&mut self, pending: &Pending, step: &mut Step<'_, '_>) {
        let Some((name, host_key)) = pending.asked.to_pin() else {
            return;
        };
        // Of several logins that were approved together, the first one did it.
        if matches!(
            self.pins.look_up(&[name.to_owned()], host_key),
            Known::Pinned(_)
        ) {
            return;
        }
        let pin = Pin {
            host_key: host_key.to_owned(),
            time: step.now.unix_s,
            workstation: self.name_of(&pending.ticket.peer).to_string(),
        };
        match self.pins.pin(name, pin, step.io.disk) {
            Ok(()) => step.say(format!("the key {host_key} is now pinned to {name}")),
            Err(error) => step.say(format!("{name} could not be pinned: {error}")),
        }
    }
}

/// A key that went away meanwhile, or that does not agree with what was sent, is a refusal.
fn not_done(error: &SignError, what: &str, step: &mut Step<'_, '_>) -> Undone {
    match error {
        SignError::Unknown => refused("the key is no longer here"),
        SignError::Agreement(error) => refused(error),
        SignError::Locked | SignError::Signing(_) | SignError::Disk(_) => {
            step.say(format!("no {what}: {error}"));
            Undone::Busy
        }
    }
}

fn refused(reason: impl ToString) -> Undone {
    Undone::No(No {
        outcome: Outcome::Refuse,
        reason: reason.to_string(),
        hint: None,
    })
}
