//! The local authenticator, as its parent speaks to it (`spec/pairing.md` section 4.1).
//!
//! **Invariant**: every ask ends with one `Done`, or was withdrawn; an answer
//! counts only for an open ask, with the hash of its request, once. Whatever else
//! the other end sends breaks the link: it is our own child, so it does not err.

use std::collections::BTreeMap;

use keystead_channel::wire::{
    MESSAGE_BYTES_MAX, decode_local_response, encode_request, fit_evidence, request_hash,
};
use keystead_core::{
    KeyEntry, Kind, Name, Outcome, PairingId, Request, RequestBody, RequestHash, RequestId,
    Response, ResponseBody,
};
use keystead_daemon::Now;
use rand_core::RngCore;
use zeroize::Zeroizing;

use crate::effect::{Effect, ends_ms};
use crate::{Answer, AskId, KeeperError, Progress};

/// What stands in the place of a pairing's id: no hash of two keys is all ones by chance.
pub const ID: PairingId = PairingId([0xff; 8]);

/// The local authenticator of one agent: what is asked of it, and which keys it holds.
pub struct Local {
    open: BTreeMap<RequestId, Ask>,
    /// The begin of an answer.
    came: Vec<u8>,
    held: Vec<Held>,
    is_locked: bool,
    is_broken: bool,
    name: Name,
}

/// What is to be done after a call.
#[derive(Default)]
pub struct Turn {
    /// For the socket; perhaps nothing. Wiped when dropped: a key may be in it.
    pub send: Zeroizing<Vec<u8>>,
    /// News of asks.
    pub progress: Vec<(AskId, Progress)>,
}

/// An open request.
struct Ask {
    /// Who waits; nobody does for the answer to a withdrawal.
    ask: Option<AskId>,
    kind: Kind,
    hash: RequestHash,
    wait_s: u16,
    ends_ms: u64,
    effect: Effect,
}

/// A key that is held there.
struct Held {
    key: KeyEntry,
    /// When the local authenticator forgets it.
    ends_ms: Option<u64>,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            open: BTreeMap::new(),
            came: Vec::new(),
            held: Vec::new(),
            is_locked: false,
            is_broken: false,
            name: name(),
        }
    }
}

impl Local {
    /// Asks. Its bytes are to be sent at once, whole and in the order of the asks.
    pub fn ask(
        &mut self,
        now: Now,
        ask: AskId,
        body: RequestBody,
        wait_s: u16,
        rng: &mut dyn RngCore,
    ) -> Turn {
        let refusal = if self.is_broken {
            Some(self.away())
        } else if self.open.len() >= OPEN_MAX {
            let keeper = self.name.clone();
            Some(KeeperError::TooMany { keeper })
        } else {
            None
        };
        let mut turn = Turn::default();
        match refusal {
            Some(error) => turn.done(ask, Err(error)),
            None => self.open(now, Some(ask), body, wait_s, rng, &mut turn),
        }
        turn
    }

    /// The answer is not wanted any more; nothing is told of the ask after this.
    pub fn withdraw(&mut self, now: Now, ask: AskId, rng: &mut dyn RngCore) -> Turn {
        let mut turn = Turn::default();
        let found = self.open.iter().find(|(_, it)| it.ask == Some(ask));
        if let Some((id, _)) = found {
            self.cancel(now, *id, rng, &mut turn);
        }
        turn
    }

    /// Takes what came over the socket, cut anyhow.
    pub fn bytes(&mut self, now: Now, bytes: &[u8]) -> Turn {
        let mut turn = Turn::default();
        if self.is_broken {
            return turn;
        }
        if self.came.is_empty() {
            // Most answers come whole: they are read where they are.
            let rest = self.take(now, bytes, &mut turn);
            self.came = rest.to_vec();
        } else {
            self.came.extend_from_slice(bytes);
            let came = std::mem::take(&mut self.came);
            let rest = self.take(now, &came, &mut turn).len();
            let done = came.len() - rest;
            self.came = came;
            self.came.drain(..done);
        }
        turn
    }

    /// Ends the waits whose time is up.
    pub fn tick(&mut self, now: Now, rng: &mut dyn RngCore) -> Turn {
        let mut turn = Turn::default();
        self.held.retain(|held| !held.is_over(now));
        let due = |it: &Ask| now.mono_ms >= it.ends_ms;
        let open = self.open.iter();
        let ended: Vec<RequestId> = open.filter_map(|(id, it)| due(it).then_some(*id)).collect();
        for id in ended {
            let Some(it) = self.open.get(&id) else {
                continue;
            };
            if let Some(ask) = it.ask {
                let keeper = self.name.clone();
                let wait_s = it.wait_s;
                turn.done(ask, Err(KeeperError::NoAnswer { keeper, wait_s }));
            }
            self.cancel(now, id, rng, &mut turn);
        }
        turn
    }

    /// When [`Local::tick`] is due, by the steady clock.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        let waits = self.open.values().map(|ask| ask.ends_ms);
        let keys = self.held.iter().filter_map(|held| held.ends_ms);
        waits.chain(keys).min()
    }

    /// The socket has ended, and with it every key and every ask. A new child may be
    /// spoken to afterwards.
    pub fn ended(&mut self) -> Turn {
        let mut turn = Turn::default();
        let error = || KeeperError::Unreachable {
            keeper: self.name.clone(),
            reason: "the local authenticator has ended".to_owned(),
        };
        for ask in self.open.values().filter_map(|it| it.ask) {
            turn.done(ask, Err(error()));
        }
        *self = Self::default();
        turn
    }

    /// What it holds, in the order of adding; nothing while it is locked.
    pub fn keys(&self, now: Now) -> impl Iterator<Item = &KeyEntry> {
        let is_there = move |held: &&Held| !self.is_locked && !held.is_over(now);
        self.held.iter().filter(is_there).map(|held| &held.key)
    }

    /// Whether it is locked.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// Whether the other end broke the rules: the socket is to be closed, and
    /// [`Local::ended`] called.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    fn open(
        &mut self,
        now: Now,
        ask: Option<AskId>,
        mut body: RequestBody,
        wait_s: u16,
        rng: &mut dyn RngCore,
        turn: &mut Turn,
    ) {
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let id = RequestId(id);
        let wait_s = wait_s.clamp(1, Request::WAIT_S_MAX);
        if let RequestBody::Sign(sign) = &mut body {
            fit_evidence(&mut sign.evidence);
        }
        let kind = body.kind();
        let effect = Effect::of(&body);
        let bytes = Zeroizing::new(encode_request(&Request {
            id,
            unix_s: now.unix_s,
            wait_s,
            want_ack: ask.is_some(),
            body,
        }));
        let (true, Ok(len)) = (bytes.len() <= MESSAGE_BYTES_MAX, u32::try_from(bytes.len())) else {
            if let Some(ask) = ask {
                turn.done(ask, Err(KeeperError::TooLong { bytes: bytes.len() }));
            }
            return;
        };
        let hash = request_hash(&bytes);
        turn.say(len, &bytes);
        if let Some(ask) = ask {
            let request = id;
            turn.progress.push((ask, Progress::Sent { request, hash }));
        }
        let wait_ms = u64::from(wait_s).saturating_mul(1_000);
        let ends_ms = now.mono_ms.saturating_add(wait_ms + ANSWER_ON_ITS_WAY_MS);
        self.open.insert(
            id,
            Ask {
                ask,
                kind,
                hash,
                wait_s,
                ends_ms,
                effect,
            },
        );
    }

    /// Forgets an ask, and says so to who may be asking a person for it.
    fn cancel(&mut self, now: Now, id: RequestId, rng: &mut dyn RngCore, turn: &mut Turn) {
        let is_agents = self.open.remove(&id).is_some_and(|it| it.ask.is_some());
        if is_agents && !self.is_broken {
            let body = RequestBody::Cancel { target: id };
            self.open(now, None, body, CANCEL_WAIT_S, rng, turn);
        }
    }

    /// Takes every whole answer; gives what is left.
    fn take<'b>(&mut self, now: Now, mut bytes: &'b [u8], turn: &mut Turn) -> &'b [u8] {
        while let Some((head, behind)) = bytes.split_first_chunk::<HEAD_BYTES>() {
            let len = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
            if len > MESSAGE_BYTES_MAX {
                self.fail(&format!("it announced a message of {len} bytes"), turn);
                return &[];
            }
            let Some((message, rest)) = behind.split_at_checked(len) else {
                break;
            };
            bytes = rest;
            self.message(now, message, turn);
            if self.is_broken {
                return &[];
            }
        }
        bytes
    }

    fn message(&mut self, now: Now, message: &[u8], turn: &mut Turn) {
        let kind = |id: &RequestId| self.open.get(id).map(|it| it.kind);
        let response = match decode_local_response(message, kind) {
            Ok(response) => response,
            // What was withdrawn may be answered all the same.
            Err(error) if error.fault == keystead_channel::wire::Fault::NotAsked => return,
            Err(error) => {
                return self.fail(&format!("its answer is no answer: {error}"), turn);
            }
        };
        let Some(it) = self.open.get(&response.id) else {
            return;
        };
        if it.hash != response.request_hash {
            return self.fail("its answer is to another request", turn);
        }
        if response.outcome == Outcome::Ack {
            let authenticator = self.name.clone();
            let asking = |ask| (ask, Progress::Asking { authenticator });
            turn.progress.extend(it.ask.map(asking));
            return;
        }
        let Some(it) = self.open.remove(&response.id) else {
            return;
        };
        if response.outcome == Outcome::Approve {
            self.approved(now, it.effect, response.body.as_ref());
        }
        if let Some(ask) = it.ask {
            turn.done(ask, Ok(self.answer(response)));
        }
    }

    /// What is held there is what was approved there.
    fn approved(&mut self, now: Now, effect: Effect, body: Option<&ResponseBody>) {
        match (effect, body) {
            (Effect::Import { lifetime_s }, Some(ResponseBody::Keys(keys))) => {
                let ends_ms = ends_ms(now.mono_ms, lifetime_s);
                for key in keys {
                    self.hold(key, ends_ms);
                }
            }
            (Effect::Remove { keys }, _) if keys.is_empty() => self.held.clear(),
            (Effect::Remove { keys }, _) => self.held.retain(|it| !keys.contains(&it.key.id)),
            (Effect::Lock { lock }, _) => self.is_locked = lock,
            (Effect::Nothing | Effect::MakeKey | Effect::Import { .. }, _) => {}
        }
    }

    /// A key that comes again keeps its place, under its new limits.
    fn hold(&mut self, key: &KeyEntry, ends_ms: Option<u64>) {
        let held = Held {
            key: key.clone(),
            ends_ms,
        };
        match self.held.iter_mut().find(|it| it.key.id == key.id) {
            Some(known) => *known = held,
            None => self.held.push(held),
        }
    }

    fn answer(&self, response: Response) -> Answer {
        Answer {
            outcome: response.outcome,
            body: response.body,
            receipt: None,
            request_hash: response.request_hash,
            authenticator: self.name.clone(),
        }
    }

    fn fail(&mut self, what: &str, turn: &mut Turn) {
        self.is_broken = true;
        for ask in std::mem::take(&mut self.open).into_values() {
            let keeper = self.name.clone();
            let what = what.to_owned();
            let error = KeeperError::PeerMisbehaved { keeper, what };
            if let Some(ask) = ask.ask {
                turn.done(ask, Err(error));
            }
        }
    }

    fn away(&self) -> KeeperError {
        KeeperError::Unreachable {
            keeper: self.name.clone(),
            reason: "the local authenticator has ended".to_owned(),
        }
    }
}

impl Turn {
    fn done(&mut self, ask: AskId, answer: Result<Answer, KeeperError>) {
        self.progress.push((ask, Progress::Done(answer)));
    }

    /// One write, and room for the whole: a buffer that grew would leave a key behind.
    fn say(&mut self, len: u32, bytes: &[u8]) {
        let room = self.send.len() + HEAD_BYTES + bytes.len();
        let mut send = Zeroizing::new(Vec::with_capacity(room));
        send.extend_from_slice(&self.send);
        send.extend_from_slice(&len.to_be_bytes());
        send.extend_from_slice(bytes);
        self.send = send;
    }
}

impl Held {
    fn is_over(&self, now: Now) -> bool {
        self.ends_ms.is_some_and(|ends_ms| now.mono_ms >= ends_ms)
    }
}

/// Its name wherever a keeper is named.
#[must_use]
pub fn name() -> Name {
    match Name::new(NAME) {
        Ok(name) => name,
        Err(_) => unreachable!("{NAME} is a name"),
    }
}

const NAME: &str = "local";

/// u32, big-endian: the length of the message behind it.
const HEAD_BYTES: usize = 4;

/// 4,096 open asks. Why: 1,000 clients may wait at once, each for a few keys.
const OPEN_MAX: usize = 4_096;

/// How much longer than wait_s we wait. Why: the other end counts from the arrival, and its
/// `expired` says more than our own guess.
const ANSWER_ON_ITS_WAY_MS: u64 = 1_000;

/// A withdrawal is answered by a process on this machine, or never.
const CANCEL_WAIT_S: u16 = 5;

#[cfg(test)]
mod tests;
