//! What is open at keepers: from the question to the entry in the log and the answer.

use std::collections::VecDeque;

use keystead_core::{Name, RequestBody, SignForm, SignRequest};
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned};
use keystead_keeper::{self as keeper, AskId, KeeperError, Progress};

use crate::agent::{Agent, ClientId, ConnectionId, Turn};
use crate::connection::Work;
use crate::control::Reply;
use crate::ends::{End, checked, note};
use crate::evidence::{Seen, evidence};
use crate::front::{KeptKey, Wanted};
use crate::log::{Entry, Hop, hex};
use crate::words::Words;

/// One open question.
pub(crate) struct Ask {
    pub(crate) asker: Asker,
    pub(crate) keeper: Name,
    begun_ms: u64,
    pub(crate) wait_s: u16,
    pub(crate) said: Said,
    /// What the log will say of it, but how it ended.
    pub(crate) entry: Entry,
}

/// Who waits for the answer.
pub(crate) enum Asker {
    /// A program, for a signature.
    Program {
        connection: ConnectionId,
        key: PublicKey,
        message: Vec<u8>,
        /// Whom else to ask it of, where the keeper cannot be reached.
        others: Option<Box<Others>>,
    },
    /// A command, for a key to be made.
    Command { client: ClientId },
}

/// A question that others can answer too.
pub(crate) struct Others {
    keepers: VecDeque<KeptKey>,
    sign: SignRequest,
}

/// What the person was told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Nothing,
    Reaching,
    Asking,
}

impl Ask {
    /// When the person is to be told that nobody has answered yet.
    #[must_use]
    pub(crate) fn wake_ms(&self) -> Option<u64> {
        (self.said == Said::Nothing).then(|| self.begun_ms.saturating_add(REACHING_MS))
    }

    /// Whom to ask next, once.
    fn next(&mut self) -> Option<(KeptKey, SignRequest)> {
        let Asker::Program { others, .. } = &mut self.asker else {
            return None;
        };
        let others = others.as_mut()?;
        Some((others.keepers.pop_front()?, others.sign.clone()))
    }

    fn left_s(&self, now_ms: u64) -> u64 {
        let passed_ms = now_ms.saturating_sub(self.begun_ms);
        u64::from(self.wait_s).saturating_sub(passed_ms / 1_000)
    }
}

impl Agent {
    /// Asks the keeper for a signature.
    pub(crate) fn ask_signature(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        wanted: Wanted,
        seen: Seen,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let evidence = evidence(&wanted.content, connection.binds(), seen);
        let entry = Entry {
            keeper: Some(wanted.kept.keeper.to_string()),
            pairing: Some(wanted.kept.pairing.to_string()),
            key: Some(wanted.kept.name.to_string()),
            fingerprint: Some(wanted.kept.key.fingerprint()),
            path: connection.binds().iter().map(hop).collect(),
            host_names: evidence.host_names.clone(),
            preimage_bytes: evidence.preimage.as_ref().map(Vec::len),
            process: evidence.process_path.clone(),
            pid: connection.pid,
            content_sha256: Some(keystead_formats::ssh::key::key_id(&wanted.message).to_string()),
            ..content_entry(turn.entry("sign", ""), &wanted.content)
        };
        let sign = SignRequest {
            key: wanted.kept.key.id(),
            form: SignForm::Ssh,
            content: wanted.message.clone(),
            flags: wanted.flags,
            evidence,
        };
        let others = (!wanted.others.is_empty()).then(|| {
            Box::new(Others {
                keepers: wanted.others.into(),
                sign: sign.clone(),
            })
        });
        let asker = Asker::Program {
            connection: id,
            key: wanted.kept.key.clone(),
            message: wanted.message,
            others,
        };
        self.ask_keeper(turn, id, asker, (wanted.kept, sign), entry);
    }

    fn ask_keeper(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        asker: Asker,
        (kept, sign): (KeptKey, SignRequest),
        entry: Entry,
    ) {
        let ask = self.new_ask();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.work = Work::Ask(ask);
        }
        let wait_s = self.setup.settings.wait_s;
        self.open(turn, ask, asker, kept.keeper, wait_s, entry);
        let event = keeper::Event::Ask {
            ask,
            pairing: kept.pairing,
            body: RequestBody::Sign(sign),
            wait_s,
        };
        self.tell_keepers(turn, event);
    }

    /// Asks the next keeper of the same key, as this one cannot be reached.
    fn ask_next(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        open: Ask,
        next: (KeptKey, SignRequest),
        why: &str,
    ) {
        let keeper = open.keeper.as_str();
        self.say(turn, id, &Words::Unreached { keeper, why });
        let entry = Entry {
            keeper: Some(next.0.keeper.to_string()),
            pairing: Some(next.0.pairing.to_string()),
            key: Some(next.0.name.to_string()),
            request_hash: None,
            decision: String::new(),
            reason: None,
            ..open.entry
        };
        self.ask_keeper(turn, id, open.asker, next, entry);
    }

    /// Asks the keeper to make a key.
    pub(crate) fn ask_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        whom: (keystead_core::PairingId, Name),
        made: keystead_core::MakeKeyRequest,
    ) {
        let (pairing, name) = whom;
        let entry = Entry {
            keeper: Some(name.to_string()),
            pairing: Some(pairing.to_string()),
            key: Some(made.name.to_string()),
            ..turn.entry("make-key", "")
        };
        let ask = self.new_ask();
        // Nobody's login hangs on it, so the person may take the time that a request can have.
        let wait_s = keystead_core::Request::WAIT_S_MAX.min(MAKE_KEY_WAIT_S);
        self.open(turn, ask, Asker::Command { client }, name, wait_s, entry);
        let body = RequestBody::MakeKey(made);
        let event = keeper::Event::Ask {
            ask,
            pairing,
            body,
            wait_s,
        };
        self.tell_keepers(turn, event);
    }

    fn open(
        &mut self,
        turn: &Turn<'_, '_>,
        ask: AskId,
        asker: Asker,
        keeper: Name,
        wait_s: u16,
        entry: Entry,
    ) {
        let open = Ask {
            asker,
            keeper,
            begun_ms: turn.now.mono_ms,
            wait_s,
            said: Said::Nothing,
            entry,
        };
        self.asks.insert(ask, open);
    }

    /// News of an open question.
    pub(crate) fn progress(&mut self, turn: &mut Turn<'_, '_>, ask: AskId, progress: Progress) {
        match progress {
            Progress::Sent { hash, .. } => {
                if let Some(open) = self.asks.get_mut(&ask) {
                    open.entry.request_hash = Some(hex(hash.as_bytes()));
                }
            }
            Progress::Asking { .. } => self.tell_waiting(turn, ask, Said::Asking),
            Progress::Done(end) => {
                if let Some(open) = self.asks.remove(&ask) {
                    self.finish(turn, open, end);
                }
            }
        }
    }

    /// Those that nobody has answered for a while.
    pub(crate) fn tick_asks(&mut self, turn: &mut Turn<'_, '_>) {
        let now_ms = turn.now.mono_ms;
        let due = |open: &Ask| open.wake_ms().is_some_and(|at| at <= now_ms);
        let asks: Vec<AskId> = self
            .asks
            .iter()
            .filter(|(_, open)| due(open))
            .map(|(ask, _)| *ask)
            .collect();
        for ask in asks {
            self.tell_waiting(turn, ask, Said::Reaching);
        }
    }

    fn tell_waiting(&mut self, turn: &mut Turn<'_, '_>, ask: AskId, news: Said) {
        let Some(open) = self.asks.get_mut(&ask) else {
            return;
        };
        if open.said == Said::Asking {
            return;
        }
        open.said = news;
        let left_s = open.left_s(turn.now.mono_ms);
        let keeper = open.keeper.to_string();
        match open.asker {
            Asker::Program { connection, .. } => {
                let keeper = keeper.as_str();
                let words = match news {
                    Said::Asking => Words::Asking { keeper, left_s },
                    Said::Reaching | Said::Nothing => Words::Reaching { keeper, left_s },
                };
                self.say(turn, connection, &words);
            }
            Asker::Command { client } => {
                let reply = match news {
                    Said::Asking => Reply::Waiting { keeper, left_s },
                    Said::Reaching | Said::Nothing => Reply::Reaching { keeper, left_s },
                };
                turn.reply(client, reply);
            }
        }
    }

    /// Takes a question back whose asker is gone.
    pub(crate) fn withdraw(&mut self, turn: &mut Turn<'_, '_>, ask: AskId) {
        let Some(open) = self.asks.remove(&ask) else {
            return;
        };
        self.tell_keepers(turn, keeper::Event::Withdraw { ask });
        let entry = Entry {
            unix_s: turn.now.unix_s,
            decision: WITHDRAWN.to_owned(),
            ..open.entry
        };
        self.record(turn, &entry);
    }

    /// Takes back what a command has asked.
    pub(crate) fn withdraw_of(&mut self, turn: &mut Turn<'_, '_>, gone: ClientId) {
        let asked = |open: &Ask| matches!(open.asker, Asker::Command { client } if client == gone);
        let asks: Vec<AskId> = self
            .asks
            .iter()
            .filter(|(_, open)| asked(open))
            .map(|(ask, _)| *ask)
            .collect();
        for ask in asks {
            self.withdraw(turn, ask);
        }
    }

    fn finish(&mut self, turn: &mut Turn<'_, '_>, mut open: Ask, end: End) {
        open.entry.unix_s = turn.now.unix_s;
        let end = checked(&open, end);
        note(&mut open.entry, &end);
        // No answer before its entry: without one there is no signature.
        let written = self.book.write(turn.now, &open.entry, turn.io.disk);
        let end = match written {
            Ok(()) => Ok(end),
            Err(error) => {
                let why = format!("the log cannot be written ({error}), so nothing is signed");
                self.notice(why.clone());
                Err(why)
            }
        };
        if let (
            Asker::Program { connection, .. },
            Ok(Err(KeeperError::Unreachable { reason, .. })),
        ) = (&open.asker, &end)
        {
            let connection = *connection;
            if let Some(next) = open.next() {
                return self.ask_next(turn, connection, open, next, reason);
            }
        }
        match open.asker {
            Asker::Program { connection, .. } => {
                self.finish_signature(turn, connection, &open, end);
            }
            Asker::Command { client } => {
                let reply = self.finish_key(turn, &open, end);
                turn.reply(client, reply);
            }
        }
    }
}

fn content_entry(entry: Entry, content: &ToBeSigned) -> Entry {
    let purpose = Some(content.purpose().as_str().to_owned());
    match content {
        ToBeSigned::UserAuth(login) => Entry {
            purpose,
            user: Some(login.user.clone()),
            ..entry
        },
        ToBeSigned::SshSig(signed) => Entry {
            purpose,
            namespace: Some(signed.namespace.clone()),
            ..entry
        },
        ToBeSigned::Certificate(_) | ToBeSigned::Opaque => Entry { purpose, ..entry },
    }
}

fn hop(bind: &SessionBind) -> Hop {
    Hop {
        host_key: bind.host_key.fingerprint(),
        session_id: hex(&bind.session_id),
        forwarding: bind.forwarding,
    }
}

/// A program or command went away.
const WITHDRAWN: &str = "withdrawn";

/// A keeper that nobody has to be asked at answers in milliseconds; after this long a person
/// wonders.
const REACHING_MS: u64 = 2_000;

/// A person at the other machine has to find the screen first, and no server hangs up meanwhile.
const MAKE_KEY_WAIT_S: u16 = 120;
