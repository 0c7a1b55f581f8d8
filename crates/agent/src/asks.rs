//! What is open at keepers: from the question to the entry in the log and the answer.

use keystead_core::{Name, Outcome, RequestBody, RequestHash, ResponseBody, SignForm, SignRequest};
use keystead_formats::ssh::agent::Response;
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned};
use keystead_keeper::{self as keeper, Answer, AskId, KeeperError, Progress};

use crate::agent::{Agent, ClientId, ConnectionId, Turn};
use crate::connection::Work;
use crate::control::{Failure, FailureKind, Reply};
use crate::evidence::{Seen, evidence};
use crate::front::Wanted;
use crate::log::{Entry, Hop, hex};
use crate::words::Words;

/// One open question.
pub(crate) struct Ask {
    asker: Asker,
    keeper: Name,
    begun_ms: u64,
    wait_s: u16,
    said: Said,
    /// What the log will say of it, but how it ended.
    entry: Entry,
}

/// Who waits for the answer.
enum Asker {
    /// A program, for a signature.
    Program {
        connection: ConnectionId,
        key: PublicKey,
        message: Vec<u8>,
    },
    /// A command, for a key to be made.
    Command { client: ClientId },
}

/// What the person was told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Reaching,
    Asking,
}

/// How a question ended.
type End = Result<Answer, KeeperError>;

impl Ask {
    /// When the person is to be told that nobody has answered yet.
    #[must_use]
    pub(crate) fn wake_ms(&self) -> Option<u64> {
        (self.said == Said::Nothing).then(|| self.begun_ms.saturating_add(REACHING_MS))
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
            key: Some(wanted.kept.name.to_string()),
            fingerprint: Some(wanted.kept.key.fingerprint()),
            path: connection.binds().iter().map(hop).collect(),
            host_names: evidence.host_names.clone(),
            process: evidence.process_path.clone(),
            pid: connection.pid,
            content_sha256: Some(keystead_formats::ssh::key::key_id(&wanted.message).to_string()),
            ..content_entry(turn.entry("sign", ""), &wanted.content)
        };
        let body = RequestBody::Sign(SignRequest {
            key: wanted.kept.key.id(),
            form: SignForm::Ssh,
            content: wanted.message.clone(),
            flags: wanted.flags,
            evidence,
        });
        let ask = self.new_ask();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.work = Work::Ask(ask);
        }
        let asker = Asker::Program {
            connection: id,
            key: wanted.kept.key,
            message: wanted.message,
        };
        let wait_s = self.setup.settings.wait_s;
        self.open(turn, ask, asker, wanted.kept.keeper, wait_s, entry);
        let pairing = wanted.kept.pairing;
        let event = keeper::Event::Ask {
            ask,
            pairing,
            body,
            wait_s,
        };
        self.tell_keepers(turn, event);
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
            Asker::Command { client } => turn.reply(client, Reply::Waiting { keeper, left_s }),
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

    fn finish_signature(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        open: &Ask,
        end: Result<End, String>,
    ) {
        let keeper = open.keeper.as_str();
        let words = words_of(open, keeper, &end);
        if let Some(words) = words {
            self.say(turn, id, &words);
        }
        let answer = match end {
            Ok(Ok(Answer {
                body: Some(ResponseBody::Signature(signature)),
                outcome: Outcome::Approve,
                ..
            })) => Response::Signature(signature),
            _ => Response::Failure,
        };
        self.answer(turn, id, &answer);
    }

    fn finish_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        open: &Ask,
        end: Result<End, String>,
    ) -> Reply {
        let keeper = open.keeper.as_str();
        let failed = |kind, message: String, hint: Option<&str>| {
            let hint = hint.map(str::to_owned);
            Reply::Failed(Failure {
                kind,
                message,
                hint,
            })
        };
        let answer = match end {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let hint = Some(error.hint());
                return failed(kind_of_error(&error), error.to_string(), hint);
            }
            Err(why) => return failed(FailureKind::Error, why, Some("make room on the disk")),
        };
        match (answer.outcome, answer.body) {
            (Outcome::Approve, Some(ResponseBody::Key(made))) => {
                self.write_key_files(turn);
                match self.key_views().into_iter().find(|key| {
                    PublicKey::from_blob(&made.public_key)
                        .is_ok_and(|it| it.fingerprint() == key.fingerprint)
                }) {
                    Some(key) => Reply::Key(key),
                    None => failed(
                        FailureKind::Error,
                        format!("{keeper} has made the key and does not list it yet"),
                        Some("see `keystead key list` in a moment"),
                    ),
                }
            }
            (Outcome::Refuse | Outcome::Block, _) => {
                failed(FailureKind::Refused, format!("refused by {keeper}"), None)
            }
            (Outcome::Expire, _) => failed(
                FailureKind::NoAnswer,
                format!("no answer from {keeper} within {} s", open.wait_s),
                Some("answer on the authenticator's screen, and try again"),
            ),
            (outcome, _) => {
                let why = why_not(outcome);
                failed(FailureKind::Error, format!("{keeper}: {why}"), None)
            }
        }
    }
}

/// An approval is one only with a signature that holds.
fn checked(open: &Ask, end: End) -> End {
    let Ok(answer) = &end else {
        return end;
    };
    let Asker::Program { key, message, .. } = &open.asker else {
        return end;
    };
    let misbehaved = |what: &str| {
        Err(KeeperError::PeerMisbehaved {
            keeper: open.keeper.clone(),
            what: what.to_owned(),
        })
    };
    match (answer.outcome, &answer.body) {
        (Outcome::Approve, Some(ResponseBody::Signature(signature))) => {
            match key.verify(message, signature) {
                Ok(()) => end,
                Err(_) => misbehaved("its signature is false"),
            }
        }
        (Outcome::Approve, _) => misbehaved("it approved without a signature"),
        _ => end,
    }
}

/// How it ended, for the log.
fn note(entry: &mut Entry, end: &End) {
    match end {
        Ok(answer) => {
            answer.outcome.as_str().clone_into(&mut entry.decision);
            let hash: &RequestHash = &answer.request_hash;
            entry.request_hash = Some(hex(hash.as_bytes()));
            if let Some(receipt) = &answer.receipt {
                entry.receipt = Some(hex(&receipt.bytes));
                entry.receipt_signature = Some(hex(&receipt.signature));
            }
        }
        Err(error) => {
            NO_ANSWER.clone_into(&mut entry.decision);
            entry.reason = Some(error.to_string());
        }
    }
}

/// What the person reads; nothing when the answer came before anybody was asked.
fn words_of<'a>(open: &Ask, keeper: &'a str, end: &'a Result<End, String>) -> Option<Words<'a>> {
    let answer = match end {
        Ok(Ok(answer)) => answer,
        Ok(Err(KeeperError::NoAnswer { wait_s, .. })) => {
            let wait_s = u64::from(*wait_s);
            return Some(Words::NoAnswer { keeper, wait_s });
        }
        Ok(Err(KeeperError::Unreachable { reason, .. })) => {
            return Some(Words::Unreached {
                keeper,
                why: reason,
            });
        }
        Ok(Err(KeeperError::PeerMisbehaved { what, .. })) => {
            return Some(Words::Failed { keeper, why: what });
        }
        Ok(Err(KeeperError::Unpaired { .. })) => {
            let why = why_not(Outcome::Unpair);
            return Some(Words::Failed { keeper, why });
        }
        Ok(Err(KeeperError::TooLong { .. })) => {
            let why = "the request is longer than a keeper takes";
            return Some(Words::Failed { keeper, why });
        }
        Ok(Err(KeeperError::TooMany { .. })) => {
            let why = "too many requests wait";
            return Some(Words::Failed { keeper, why });
        }
        Ok(Err(_)) => {
            let why = "it is not paired any more";
            return Some(Words::Failed { keeper, why });
        }
        Err(why) => return Some(Words::RefusedHere { why }),
    };
    match answer.outcome {
        Outcome::Approve if open.said == Said::Nothing => None,
        Outcome::Approve => Some(Words::Approved { keeper }),
        Outcome::Refuse => {
            let opaque = open.entry.purpose.as_deref() == Some("opaque");
            let why = opaque.then_some("nobody can read what was to be signed");
            Some(Words::Refused { keeper, why })
        }
        Outcome::Block => {
            let why = Some("the host's key is not the one it was");
            Some(Words::Refused { keeper, why })
        }
        Outcome::Expire => {
            let wait_s = u64::from(open.wait_s);
            Some(Words::NoAnswer { keeper, wait_s })
        }
        Outcome::Ack
        | Outcome::Unpair
        | Outcome::UnknownKey
        | Outcome::Unsupported
        | Outcome::Malformed
        | Outcome::Withdraw
        | Outcome::Busy
        | _ => {
            let why = why_not(answer.outcome);
            Some(Words::Failed { keeper, why })
        }
    }
}

fn why_not(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unpair => "the pairing has ended",
        Outcome::UnknownKey => "it has this key no more",
        Outcome::Unsupported => "it cannot do that",
        Outcome::Malformed => "it did not understand the request",
        Outcome::Busy => "it is locked, busy, or cannot write its log",
        Outcome::Withdraw => "the request was withdrawn",
        Outcome::Ack
        | Outcome::Approve
        | Outcome::Refuse
        | Outcome::Expire
        | Outcome::Block
        | _ => "it gave an answer that makes no sense",
    }
}

const fn kind_of_error(error: &KeeperError) -> FailureKind {
    match error {
        KeeperError::Unreachable { .. } | KeeperError::NoAnswer { .. } => FailureKind::NoAnswer,
        KeeperError::NoSuchKeeper
        | KeeperError::Unpaired { .. }
        | KeeperError::PeerMisbehaved { .. }
        | KeeperError::TooLong { .. }
        | KeeperError::TooMany { .. }
        | _ => FailureKind::Error,
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
        ToBeSigned::Opaque => Entry { purpose, ..entry },
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
/// Nothing came back that counts.
const NO_ANSWER: &str = "no-answer";

/// A keeper that nobody has to be asked at answers in milliseconds; after this long a person
/// wonders.
const REACHING_MS: u64 = 2_000;

/// A person at the other machine has to find the screen first, and no server hangs up meanwhile.
const MAKE_KEY_WAIT_S: u16 = 120;
