//! Kind 8, the record of the identities that a wallet was used for, and the key that a request
//! names.
//!
//! **Invariant**: the public key of an identity asks nobody, and is told only once its entry is
//! durable; the record helps a person to find keys again and decides nothing.

use keystead_core::{
    DecryptRequest, Evidence, Identity, KeyEntry, KeyId, Outcome, PublicKeyRequest, ResponseBody,
    WalletFingerprint, hex,
};
use keystead_formats::ssh::key::fingerprint;
use keystead_vault::AgreementError;

use super::pending::{Pending, Ticket, Work};
use super::{Holder, Step};
use crate::entry::Entry;
use crate::grants::{KeyUse, Scope, Wanted};
use crate::identities::{Noted, Used};
use crate::judge::{No, Rules, judge_decrypt};
use crate::keyring::{Chosen, SignError, derived_entry};
use crate::words::{Asked, KeyWords};

/// The key that a request names.
pub(super) struct Named {
    pub(super) chosen: Chosen,
    pub(super) entry: KeyEntry,
    pub(super) words: KeyWords,
    pub(super) key_use: KeyUse,
}

impl Named {
    /// What of a request may be granted.
    pub(super) fn wanted(&self, ticket: &Ticket, asked: &Asked, evidence: &Evidence) -> Wanted {
        let intent = evidence.intent.as_ref();
        Wanted {
            pairing: ticket.peer,
            key: self.entry.id,
            is_background: evidence.is_background,
            scope: Scope::of(asked, self.key_use),
            act: intent.and_then(|it| Scope::of_act(asked, self.key_use, it)),
        }
    }
}

impl Holder {
    /// Kind 8.
    pub(super) fn on_public_key(
        &mut self,
        ticket: &Ticket,
        asked: &PublicKeyRequest,
        step: &mut Step<'_, '_>,
    ) {
        let is_there = self
            .keys
            .wallets()
            .any(|it| asked.wallet.is_none_or(|which| which == it));
        if !is_there {
            let reason = match asked.wallet {
                Some(wallet) => format!("wallet {wallet} is not here"),
                None => "there is no wallet here".to_owned(),
            };
            return self.refuse(ticket, Outcome::UnknownKey, &reason, step);
        }
        let Some(wallet) = self.keys.wallet(asked.wallet) else {
            return self.busy_locked(ticket, step);
        };
        let (which, derived) = (wallet.fingerprint(), derived_entry(wallet, &asked.identity));
        let Ok(key) = derived else {
            return self.busy(ticket, step);
        };
        let mut entry = Entry {
            unix_s: step.now.unix_s,
            ..Entry::default()
        };
        entry.identity = Some(asked.identity.to_string());
        entry.wallet = Some(which.to_string());
        entry.fingerprint = Some(fingerprint(&key.public_key));
        let body = Some(ResponseBody::Key(key));
        let outcome = self.finish(ticket, Outcome::Approve, body, entry, step);
        if outcome == Outcome::Approve {
            self.note_identity(which, &asked.identity, Noted::Asked, step);
        }
    }

    /// Kind 3.
    pub(super) fn on_decrypt(
        &mut self,
        ticket: Ticket,
        request: DecryptRequest,
        step: &mut Step<'_, '_>,
    ) {
        let Some(named) = self.named(&ticket, &request.key, request.identity.as_ref(), step) else {
            return;
        };
        let rules = Rules {
            key: &named.entry,
            key_words: &named.words,
            constraints: None,
            pins: &self.pins,
            namespaces: &self.options.namespaces,
            now_unix_s: step.now.unix_s,
        };
        let asked = match judge_decrypt(&request, rules) {
            Ok(asked) => asked,
            Err(no) => return self.judged_no(&ticket, (no, &named), &request.content, step),
        };
        // A stanza names no recipient: whether it is for this key is found out before anybody
        // is asked.
        if request.form == keystead_core::DecryptForm::Age {
            match self.keys.unwrap_age(&named.chosen, &request.content) {
                Ok(_) => {}
                Err(SignError::Locked) => return self.busy_locked(&ticket, step),
                Err(SignError::Agreement(AgreementError::Foreign | AgreementError::Zero)) => {
                    let reason = "not encrypted to this key";
                    return self.refuse(&ticket, Outcome::UnknownKey, reason, step);
                }
                Err(error) => {
                    let reason = error.to_string();
                    return self.refuse(&ticket, Outcome::Refuse, &reason, step);
                }
            }
        }
        let wanted = named.wanted(&ticket, &asked, &request.evidence);
        let work = Work::Decrypt {
            id: request.key,
            key: named.chosen,
            form: request.form,
            content: request.content,
        };
        let pending = self.pending(ticket, asked, work, step);
        self.ask(
            Pending {
                wanted: Some(wanted),
                intent: request.evidence.intent,
                ..pending
            },
            step,
        );
    }

    /// The key that a request names; where there is none, the request is answered.
    pub(super) fn named(
        &mut self,
        ticket: &Ticket,
        key: &KeyId,
        identity: Option<&Identity>,
        step: &mut Step<'_, '_>,
    ) -> Option<Named> {
        let is_over = self.is_over(key, step.now);
        let chosen = match self.keys.choose(key, identity) {
            Ok(chosen) => chosen.filter(|_| !is_over),
            Err(SignError::Locked) => {
                self.busy_locked(ticket, step);
                return None;
            }
            Err(error) => {
                step.say(format!("no key: {error}"));
                self.busy(ticket, step);
                return None;
            }
        };
        let Some((chosen, entry)) = chosen else {
            let reason = match identity {
                Some(_) if self.keys.wallets().next().is_none() => "there is no wallet here",
                Some(_) => "no wallet here derives that key: another wallet's",
                None => "no such key here",
            };
            self.refuse(ticket, Outcome::UnknownKey, reason, step);
            return None;
        };
        let words = match &chosen {
            Chosen::Stored(_) => KeyWords::Stored(entry.name.clone()),
            Chosen::Derived { wallet, identity } => KeyWords::Derived {
                identity: identity.clone(),
                wallet: *wallet,
                differs: Vec::new(),
            },
        };
        let key_use = self.key_use(&chosen, &entry);
        Some(Named {
            chosen,
            entry,
            words,
            key_use,
        })
    }

    /// Answers what nobody is asked about, with the key and the content in the log.
    pub(super) fn judged_no(
        &mut self,
        ticket: &Ticket,
        (no, named): (No, &Named),
        content: &[u8],
        step: &mut Step<'_, '_>,
    ) {
        self.say_no_to(ticket, &no, step);
        let mut entry = Entry {
            unix_s: step.now.unix_s,
            ..Entry::default()
        };
        named.words.describe(&mut entry);
        entry.content_sha256 = Some(hex::encode(&keystead_formats::ssh::key::key_id(content).0));
        entry.reason = Some(no.reason);
        self.finish(ticket, no.outcome, None, entry, step);
    }

    /// Answers `busy`, and says once that it is locked.
    pub(super) fn busy_locked(&mut self, ticket: &Ticket, step: &mut Step<'_, '_>) {
        self.say_locked(step);
        self.busy(ticket, step);
    }

    /// Takes an identity into the record of its wallet. A record that cannot be written is said
    /// and stops nothing: the key is there without it.
    pub(super) fn note_identity(
        &mut self,
        wallet: WalletFingerprint,
        identity: &Identity,
        why: Noted,
        step: &mut Step<'_, '_>,
    ) {
        let Some(wallet) = self.keys.wallet(Some(wallet)) else {
            return;
        };
        let used = Used {
            identity: identity.clone(),
            first_unix_s: step.now.unix_s,
        };
        if let Err(error) = self.records.note(wallet, used, why, step.io) {
            step.say(format!("{identity} is not in the wallet's record: {error}"));
        }
    }
}
