//! Signatures: by whom, and what has to be known before they are asked.
//!
//! **Invariant:** a key is asked of where it lives: what was brought here at the local
//! authenticator, what lives elsewhere at its keepers, all else at the agent that was there before.

use std::collections::VecDeque;

use keystead_core::{Evidence, Purpose, RequestBody, SignForm, SignRequest};
use keystead_formats::ssh::agent::{FLAG_RSA_SHA2_256, FLAG_RSA_SHA2_512, Request, Response};
use keystead_formats::ssh::{PublicKey, ToBeSigned, key::key_id};

use crate::agent::{Agent, Turn};
use crate::ask::{Asker, Others, Whom};
use crate::asks::{content_entry, entry_for, hop};
use crate::connection::{Found, Work};
use crate::event::Action;
use crate::evidence::{Look, Seen, evidence};
use crate::frame::frame_of;
use crate::ids::ConnectionId;
use crate::log::Entry;
use crate::policy::Case;
use crate::upstream::Errand;
use crate::wanted::{By, LocalKey, Wanted};
use crate::words::Words;

impl Agent {
    /// Begins a signature: finds the key, and looks at who asks.
    pub(crate) fn sign(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        (key, message, flags): (&[u8], &[u8], u32),
    ) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        if connection.is_aborted {
            let why = "nothing more is signed for this connection (on_refusal = \"abort\")";
            return self.refuse(turn, id, why);
        }
        let Some(by) = self.who_signs(turn, id, key) else {
            return self.sign_upstream(turn, id, (key, message, flags));
        };
        if flags & !(FLAG_RSA_SHA2_256 | FLAG_RSA_SHA2_512) != 0 {
            return self.refuse(turn, id, "a signature with an option that is not known");
        }
        let content = ToBeSigned::parse(message);
        let wanted = Wanted {
            by,
            message: message.to_vec(),
            content,
            flags,
        };
        self.look(turn, id, wanted);
    }

    fn who_signs(&self, turn: &Turn<'_, '_>, id: ConnectionId, key: &[u8]) -> Option<By> {
        if let Some(added) = self.added.find(key, turn.now.mono_ms) {
            return Some(By::Local(LocalKey {
                id: added.id,
                name: String::from_utf8_lossy(&added.limits.comment).into_owned(),
                fingerprint: added.fingerprint.clone(),
                is_limited: added.limits.destinations.is_some(),
            }));
        }
        let keepers = self.keepers_of(key);
        // A connection that is gone asks nobody.
        (!keepers.is_empty() && self.connections.contains_key(&id)).then_some(By::Keepers(keepers))
    }

    /// Programs try keys by themselves; where nobody has one no word is said about it.
    fn sign_upstream(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        (key, message, flags): (&[u8], &[u8], u32),
    ) {
        if !self.has_upstream() || self.is_hidden(key) {
            return self.answer(turn, id, &Response::Failure);
        }
        let fingerprint = PublicKey::from_blob(key).ok().map(|it| it.fingerprint());
        let entry = Entry {
            keeper: Some(UPSTREAM.to_owned()),
            fingerprint,
            ..self.entry_of(turn, id, &ToBeSigned::parse(message), message)
        };
        let request = Request::Sign {
            key,
            message,
            flags,
        };
        let errand = Errand::Sign(Box::new(entry));
        self.send_errand(turn, id, frame_of(&request.encode()), errand);
    }

    /// Who asks is looked at where a person is asked, each time; else once a connection, for the
    /// log.
    fn look(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId, wanted: Wanted) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if let By::Keepers(_) = &wanted.by
            && let ToBeSigned::UserAuth(_) = &wanted.content
            && let Some(found) = connection.found(turn.now.mono_ms)
        {
            let found = found.clone();
            return self.ask_signature(turn, id, wanted, found);
        }
        let look = match &wanted.by {
            By::Keepers(_) => Look::at(&wanted.content, connection.binds()),
            By::Local(_) if connection.process.is_some() => {
                return self.ask_local_signature(turn, id, wanted);
            }
            By::Local(_) => Look::Program,
        };
        connection.work = Work::Look(Box::new(wanted));
        match connection.pid {
            Some(pid) => turn.act(Action::Look {
                connection: id,
                pid,
                look,
            }),
            None => self.looked(turn, id, Seen::default()),
        }
    }

    /// What was found at the process is there: ask.
    pub(crate) fn looked(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId, seen: Seen) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match std::mem::take(&mut connection.work) {
            Work::Look(wanted) => {
                connection.process = Some(seen.process_path.clone());
                if let By::Local(_) = &wanted.by {
                    return self.ask_local_signature(turn, id, *wanted);
                }
                let evidence = evidence(&wanted.content, connection.binds(), seen);
                if matches!(wanted.content, ToBeSigned::UserAuth(_)) {
                    connection.found = Some(Found {
                        evidence: evidence.clone(),
                        at_ms: turn.now.mono_ms,
                        binds: connection.binds().len(),
                    });
                }
                self.ask_signature(turn, id, *wanted, evidence);
            }
            other @ (Work::None
            | Work::List
            | Work::Ask(_)
            | Work::Upstream(..)
            | Work::Pause(_)) => {
                connection.work = other;
            }
        }
    }

    /// Asks the keepers for a signature, the first of them first.
    pub(crate) fn ask_signature(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        wanted: Wanted,
        evidence: Evidence,
    ) {
        let By::Keepers(keepers) = wanted.by else {
            return;
        };
        let mut keepers = VecDeque::from(keepers);
        let (Some(kept), Some(connection)) = (keepers.pop_front(), self.connections.get(&id))
        else {
            return;
        };
        let entry = Entry {
            host_names: evidence.host_names.clone(),
            preimage_bytes: evidence.preimage.as_ref().map(Vec::len),
            process: evidence.process_path.clone(),
            ..self.entry_of(turn, id, &wanted.content, &wanted.message)
        };
        let entry = Entry {
            fingerprint: Some(kept.key.fingerprint()),
            identity: kept.identity.as_ref().map(ToString::to_string),
            ..entry_for(&kept, entry)
        };
        let case = Case {
            key_name: kept.name.as_str(),
            key: &kept.key,
            content: &wanted.content,
            binds: connection.binds(),
            evidence: &evidence,
        };
        if let Err(refusal) = self.policy.judge(&case) {
            let why = refusal.to_string();
            let entry = Entry {
                decision: REFUSED_HERE.to_owned(),
                reason: Some(why.clone()),
                ..entry
            };
            self.record(turn, &entry);
            self.after_refusal(id);
            return self.refuse(turn, id, &why);
        }
        let sign = SignRequest {
            key: kept.key.id(),
            form: SignForm::Ssh,
            content: wanted.message.clone(),
            flags: wanted.flags,
            evidence,
            identity: kept.identity.clone(),
        };
        let others = (!keepers.is_empty()).then(|| {
            let sign = sign.clone();
            Box::new(Others { keepers, sign })
        });
        let asker = Asker::Program {
            connection: id,
            key: kept.key.clone(),
            message: wanted.message,
            others,
        };
        self.ask_keeper(turn, asker, (kept, sign), entry);
    }

    /// Asks the local authenticator for a signature.
    pub(crate) fn ask_local_signature(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        wanted: Wanted,
    ) {
        let (By::Local(key), Some(connection)) = (wanted.by, self.connections.get(&id)) else {
            return;
        };
        let entry = Entry {
            key: Some(key.name.clone()),
            fingerprint: Some(key.fingerprint.clone()),
            ..self.entry_of(turn, id, &wanted.content, &wanted.message)
        };
        if key.is_limited && connection.path().has_refused_bind {
            let why = "a key that is limited to destinations, and a bind that was refused";
            return self.refuse(turn, id, why);
        }
        let body = RequestBody::Sign(SignRequest {
            key: key.id,
            form: SignForm::Ssh,
            content: wanted.message,
            flags: wanted.flags,
            evidence: local_evidence(&key, connection),
            identity: None,
        });
        let asker = Asker::Local { connection: id };
        self.ask(turn, asker, Whom::local(), body, entry);
    }

    /// The log's entry of a signature, but who is asked and how it ends.
    pub(crate) fn entry_of(
        &self,
        turn: &Turn<'_, '_>,
        id: ConnectionId,
        content: &ToBeSigned,
        message: &[u8],
    ) -> Entry {
        let entry = Entry {
            content_sha256: Some(key_id(message).to_string()),
            ..content_entry(turn.entry("sign", ""), content)
        };
        match self.connections.get(&id) {
            Some(connection) => Entry {
                path: connection.binds().iter().map(hop).collect(),
                process: connection.process.clone().flatten(),
                pid: connection.pid,
                ..entry
            },
            None => entry,
        }
    }

    /// Says why not, and answers no.
    pub(crate) fn refuse(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId, why: &str) {
        self.say(turn, id, &Words::RefusedHere { why });
        self.answer(turn, id, &Response::Failure);
    }

    /// After a no, or no answer, the person may have set that this is the end of it
    /// (`spec/pairing.md` section 5).
    pub(crate) fn after_refusal(&mut self, id: ConnectionId) {
        let aborts = self.setup.settings.on_refusal == crate::settings::OnRefusal::Abort;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_aborted |= aborts;
        }
    }

    /// Which key this host took, so that it stands first there the next time.
    pub(crate) fn note_habit(&mut self, id: ConnectionId, entry: &Entry, key: &[u8]) {
        let is_login = entry.purpose.as_deref() == Some(Purpose::SshLogin.as_str());
        let connection = self.connections.get(&id).filter(|_| is_login);
        if let Some(last) = connection.and_then(|it| it.binds().last()) {
            self.habits.note(last.host_key.blob(), key);
        }
    }
}

/// Evidence of a connection for the local authenticator: binds where the key is limited by them.
pub(crate) fn local_evidence(
    key: &LocalKey,
    connection: &crate::connection::Connection,
) -> Evidence {
    if !key.is_limited {
        return Evidence::default();
    }
    let binds = connection.binds().iter();
    Evidence {
        binds: binds
            .map(keystead_formats::ssh::SessionBind::to_evidence)
            .collect(),
        ..Evidence::default()
    }
}

/// Who signed, in the log, where it was the agent that was there before.
const UPSTREAM: &str = "upstream";

/// By the policy of this machine; no keeper was asked.
const REFUSED_HERE: &str = "refused-here";
