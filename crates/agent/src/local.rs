//! The local authenticator, as the agent sees it: a child that holds what `ssh-add` brings.
//!
//! **Invariant:** it is started when something is first brought, and never before; when it ends
//! its keys are gone from every list in the same step.

use keystead_core::RequestBody;
use keystead_keeper::AskId;
use keystead_keeper::local;

use crate::agent::{Agent, Turn};
use crate::event::Action;
use crate::frame::Message;
use crate::ids::ConnectionId;
use crate::local_link::LocalDoor;
use crate::words::Words;

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
