//! The local authenticator, as the agent sees it: a child that holds what `ssh-add` brings.
//!
//! **Invariant:** it is started when something is first brought, and never before; when it ends
//! its keys are gone from every list in the same step.

use keystead_core::{RequestBody, SecretBytes};
use keystead_keeper::AskId;
use keystead_keeper::local::{self, Local};

use crate::agent::{Agent, Turn};
use crate::connection::Frame;
use crate::errand::Message;
use crate::event::{Action, ConnectionId};
use crate::words::Words;

/// The link to it.
#[derive(Default)]
pub(crate) struct LocalLink {
    link: Local,
    is_up: bool,
}

/// For the process.
#[derive(Debug)]
pub enum LocalDoor {
    /// Start it.
    Start,
    /// Send it bytes, behind all that were sent before.
    Send(Message),
    /// End it: it broke the rules.
    Stop,
}

impl LocalLink {
    pub(crate) const fn is_up(&self) -> bool {
        self.is_up
    }

    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        self.link.next_wake_ms()
    }
}

impl Agent {
    /// Asks it; it is started if need be.
    pub(crate) fn ask_local(
        &mut self,
        turn: &mut Turn<'_, '_>,
        ask: AskId,
        body: RequestBody,
        wait_s: u16,
    ) {
        if !self.local.is_up {
            self.local.is_up = true;
            turn.act(Action::Local(LocalDoor::Start));
        }
        let rng = turn.io.rng.as_rngcore();
        let told = self.local.link.ask(turn.now, ask, body, wait_s, rng);
        self.take_local(turn, told);
    }

    pub(crate) fn withdraw_local(&mut self, turn: &mut Turn<'_, '_>, ask: AskId) {
        let rng = turn.io.rng.as_rngcore();
        let told = self.local.link.withdraw(turn.now, ask, rng);
        self.take_local(turn, told);
    }

    pub(crate) fn tick_local(&mut self, turn: &mut Turn<'_, '_>) {
        let rng = turn.io.rng.as_rngcore();
        let told = self.local.link.tick(turn.now, rng);
        self.take_local(turn, told);
        self.added.tick(turn.now.mono_ms);
    }

    /// Bytes came from it; none: it has ended, or could not be started.
    pub(crate) fn came_from_local(&mut self, turn: &mut Turn<'_, '_>, bytes: Option<&[u8]>) {
        let told = match bytes {
            Some(bytes) => self.local.link.bytes(turn.now, bytes),
            None => return self.local_ended(turn),
        };
        self.take_local(turn, told);
        if self.local.link.is_broken() {
            turn.act(Action::Local(LocalDoor::Stop));
            self.local_ended(turn);
        }
    }

    /// It could not be started: whoever brings something is told why.
    pub(crate) fn local_away(&mut self, turn: &mut Turn<'_, '_>, why: &str) {
        let asks = self.asks.values().filter(|it| it.pairing == local::ID);
        let waiting: Vec<ConnectionId> = asks.filter_map(|it| it.asker.connection()).collect();
        for connection in waiting {
            self.say(turn, connection, &Words::RefusedHere { why });
        }
        self.notice(why.to_owned());
        self.local_ended(turn);
    }

    fn local_ended(&mut self, turn: &mut Turn<'_, '_>) {
        self.local.is_up = false;
        if !self.added.is_empty() {
            self.added.forget_all();
            let gone = "the local authenticator has ended, and with it the keys that were added";
            self.notice(gone.to_owned());
        }
        let told = self.local.link.ended();
        self.take_local(turn, told);
    }

    fn take_local(&mut self, turn: &mut Turn<'_, '_>, told: local::Turn) {
        if !told.send.is_empty() {
            let send = LocalDoor::Send(Message(told.send));
            turn.act(Action::Local(send));
        }
        for (ask, progress) in told.progress {
            self.progress(turn, ask, progress);
        }
    }
}

/// A passphrase or key out of a message that is wiped by whoever holds it.
pub(crate) fn secret(parts: &[&[u8]]) -> SecretBytes {
    let len = parts.iter().map(|it| it.len()).sum();
    SecretBytes::fill(len, |mut rest| {
        for part in parts {
            let Some((place, behind)) = rest.split_at_mut_checked(part.len()) else {
                return;
            };
            place.copy_from_slice(part);
            rest = behind;
        }
    })
}

/// As a frame that is wiped.
pub(crate) fn frame_of(bytes: &[u8]) -> Frame {
    Frame::new(bytes.to_vec())
}

/// A person at `ssh-askpass` is waited for as long as a request can wait; OpenSSH's agent waits
/// for ever.
pub(crate) const LOCAL_WAIT_S: u16 = keystead_core::Request::WAIT_S_MAX;
