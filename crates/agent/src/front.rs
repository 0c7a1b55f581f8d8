//! The SSH front end: frames become requests, requests are answered or asked elsewhere.
//!
//! **Invariant:** every frame is answered or its connection is closed, whatever is in it.

use keystead_core::SecretBytes;
use keystead_formats::ssh::agent::{
    FLAG_RSA_SHA2_256, FLAG_RSA_SHA2_512, Identity, Request, Response,
};
use keystead_formats::ssh::{PublicKey, ToBeSigned};

use crate::agent::{Action, Agent, ConnectionId, Turn};
use crate::connection::{Frame, Work, refusal};
use crate::evidence::{Look, Seen};
use crate::words::Words;

impl Agent {
    /// A frame came: its turn now, or behind those before it.
    pub(crate) fn frame(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId, frame: Frame) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if matches!(connection.work, Work::None) {
            self.take(turn, id, &frame);
        } else if !connection.keep(frame) {
            tracing::warn!(pid = connection.pid, "too many requests wait, closed");
            turn.act(Action::Close { connection: id });
            self.hang_up(turn, id);
        }
    }

    /// The program is gone: its request is withdrawn.
    pub(crate) fn hang_up(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId) {
        if let Some(connection) = self.connections.remove(&id)
            && let Work::Ask(ask) = connection.work
        {
            self.withdraw(turn, ask);
        }
    }

    /// Answers, and takes up the next frame that waits.
    pub(crate) fn answer(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId, answer: &Response) {
        let message = answer.encode();
        turn.act(Action::Answer {
            connection: id,
            message,
        });
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.work = Work::None;
        if let Some(frame) = connection.next_waiting() {
            self.take(turn, id, &frame);
        }
    }

    fn take(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId, frame: &Frame) {
        let request = match Request::parse(frame) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(%error, bytes = frame.len(), "a message that is not understood");
                return self.answer(turn, id, &Response::Failure);
            }
        };
        tracing::debug!(?request, connection = id.0);
        let answer = match request {
            Request::Sign {
                key,
                message,
                flags,
            } => return self.sign(turn, id, key, message, flags),
            Request::RequestIdentities => Response::Identities(self.identities()),
            Request::Lock(passphrase) => self.lock.close(passphrase),
            Request::Unlock(passphrase) => self.lock.open(turn.now.mono_ms, passphrase),
            Request::Extension { name, contents } => match self.connections.get_mut(&id) {
                Some(connection) => connection.extension(name, contents),
                None => Response::Failure,
            },
            Request::AddIdentity(_)
            | Request::AddSmartcard { .. }
            | Request::RemoveIdentity { .. }
            | Request::RemoveAllIdentities
            | Request::RemoveSmartcard { .. } => {
                if let Some(why) = refusal(&request) {
                    self.say(turn, id, &Words::RefusedHere { why });
                }
                Response::Failure
            }
        };
        self.answer(turn, id, &answer);
    }

    fn identities(&self) -> Vec<Identity> {
        if self.lock.is_closed() {
            return Vec::new();
        }
        let keys = self.kept_keys().into_iter();
        let identity = |kept: KeptKey| Identity {
            key: kept.key.blob().to_vec(),
            comment: kept.comment(),
        };
        keys.map(identity).collect()
    }

    /// Begins a signature: finds the key, and looks at who asks.
    fn sign(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        key: &[u8],
        message: &[u8],
        flags: u32,
    ) {
        let refuse = |agent: &mut Self, turn: &mut Turn<'_, '_>, why: &str| {
            agent.say(turn, id, &Words::RefusedHere { why });
            agent.answer(turn, id, &Response::Failure);
        };
        if self.lock.is_closed() {
            return refuse(self, turn, "the agent is locked (ssh-add -X unlocks it)");
        }
        if flags & !(FLAG_RSA_SHA2_256 | FLAG_RSA_SHA2_512) != 0 {
            return refuse(self, turn, "a signature with an option that is not known");
        }
        let mut keepers = self.keepers_of(key);
        if keepers.is_empty() {
            // Programs try keys by themselves; no word about it.
            return self.answer(turn, id, &Response::Failure);
        }
        let kept = keepers.remove(0);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let content = ToBeSigned::parse(message);
        let look = Look::at(&content, connection.binds());
        connection.work = Work::Look(Box::new(Wanted {
            kept,
            others: keepers,
            message: message.to_vec(),
            content,
            flags,
        }));
        match connection.pid {
            Some(pid) => turn.act(Action::Look {
                connection: id,
                pid,
                look,
            }),
            None => self.looked(turn, id, Seen::default()),
        }
    }

    /// What was found at the process is there: ask the keeper.
    pub(crate) fn looked(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId, seen: Seen) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match std::mem::take(&mut connection.work) {
            Work::Look(wanted) => self.ask_signature(turn, id, *wanted, seen),
            other @ (Work::None | Work::Ask(_)) => connection.work = other,
        }
    }

    /// One line for the person, if the process has a terminal.
    pub(crate) fn say(&self, turn: &mut Turn<'_, '_>, id: ConnectionId, words: &Words<'_>) {
        let pid = self.connections.get(&id).and_then(|it| it.pid);
        if let Some(pid) = pid {
            let line = words.to_string();
            turn.act(Action::Say { pid, line });
        }
    }
}

/// A signature that a program wants.
pub struct Wanted {
    /// By which key.
    pub kept: KeptKey,
    /// The same key at other keepers, to be asked in turn where one cannot be reached.
    pub others: Vec<KeptKey>,
    /// Of what.
    pub message: Vec<u8>,
    /// The same, understood.
    pub content: ToBeSigned,
    /// As in the agent protocol.
    pub flags: u32,
}

/// A key of a keeper.
#[derive(Debug, Clone)]
pub struct KeptKey {
    /// Who keeps it.
    pub pairing: keystead_core::PairingId,
    /// The keeper's name on this machine.
    pub keeper: keystead_core::Name,
    /// The key's name.
    pub name: keystead_core::Name,
    /// The key.
    pub key: PublicKey,
}

impl KeptKey {
    /// What stands behind the key in lists and `.pub` files.
    #[must_use]
    pub fn comment(&self) -> String {
        format!("{}@{}", self.name, self.keeper)
    }
}

impl Agent {
    /// A key at every keeper that lists it: those that are connected first, and among them
    /// who was paired first. Whoever lists another's key later does not get its requests.
    fn keepers_of(&self, key: &[u8]) -> Vec<KeptKey> {
        let mut keys = self.kept_keys();
        keys.retain(|kept| kept.key.blob() == key);
        if keys.len() > 1 {
            let views = self.keepers.pairings();
            keys.sort_by_key(|kept| {
                let view = views.iter().find(|it| it.pairing == kept.pairing);
                view.map(|it| (!it.is_connected, it.paired_unix_s))
            });
        }
        keys
    }

    /// The keys that can be asked for, in the keepers' order.
    pub(crate) fn kept_keys(&self) -> Vec<KeptKey> {
        let keys = self.keepers.keys().into_iter();
        let keys = keys.filter_map(|(pairing, keeper, entry)| {
            let key = PublicKey::from_blob(&entry.public_key)
                .inspect_err(|error| tracing::warn!(%error, key = %entry.name, "passed over"))
                .ok()?;
            Some(KeptKey {
                pairing,
                keeper,
                name: entry.name,
                key,
            })
        });
        keys.collect()
    }
}

/// `ssh-add -x`: closed, nothing is listed or signed (RFC 9987 §3.7).
#[derive(Default)]
pub(crate) struct Lock {
    passphrase: Option<SecretBytes>,
    not_before_ms: u64,
    failures: u32,
}

impl Lock {
    pub(crate) const fn is_closed(&self) -> bool {
        self.passphrase.is_some()
    }

    fn close(&mut self, passphrase: &[u8]) -> Response {
        if self.is_closed() {
            return Response::Failure;
        }
        self.passphrase = Some(secret(passphrase));
        self.failures = 0;
        Response::Success
    }

    /// A wrong passphrase makes the next try wait longer, whoever tries.
    fn open(&mut self, now_ms: u64, passphrase: &[u8]) -> Response {
        let Some(kept) = &self.passphrase else {
            return Response::Failure;
        };
        if now_ms < self.not_before_ms {
            return Response::Failure;
        }
        if kept.ct_eq(&secret(passphrase)) {
            *self = Self::default();
            return Response::Success;
        }
        self.failures = (self.failures + 1).min(UNLOCK_FAILURES_MAX);
        let pause_ms = UNLOCK_PAUSE_MS * u64::from(self.failures);
        self.not_before_ms = now_ms.saturating_add(pause_ms);
        Response::Failure
    }
}

fn secret(passphrase: &[u8]) -> SecretBytes {
    SecretBytes::fill(passphrase.len(), |bytes| bytes.copy_from_slice(passphrase))
}

/// OpenSSH's agent waits 0.1 s longer after each wrong passphrase.
const UNLOCK_PAUSE_MS: u64 = 100;
/// And at most 10 s.
const UNLOCK_FAILURES_MAX: u32 = 100;
