//! What one step has at hand, and what comes of it.

use keystead_daemon::{Io, Now};
use keystead_transport::{LinkId, NetAction};

use crate::{Action, AskId, Notice, PairingProgress, Progress};

/// The time, randomness, disk and the actions so far of one step.
pub(crate) struct Step<'s, 'io> {
    pub(crate) now: Now,
    pub(crate) io: &'s mut Io<'io>,
    pub(crate) links: &'s mut LinkIds,
    actions: Vec<Action>,
}

impl<'s, 'io> Step<'s, 'io> {
    pub(crate) fn new(now: Now, io: &'s mut Io<'io>, links: &'s mut LinkIds) -> Self {
        Self {
            now,
            io,
            links,
            actions: Vec::new(),
        }
    }

    pub(crate) fn finish(self) -> Vec<Action> {
        self.actions
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now.mono_ms
    }

    pub(crate) fn net(&mut self, action: NetAction) {
        self.actions.push(Action::Net(action));
    }

    pub(crate) fn progress(&mut self, ask: AskId, progress: Progress) {
        self.actions.push(Action::Progress { ask, progress });
    }

    pub(crate) fn pairing(&mut self, progress: PairingProgress) {
        self.actions.push(Action::Pairing(progress));
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.actions.push(Action::Notice(notice));
    }
}

/// Numbers for the links that are dialled here; each is used once.
#[derive(Default)]
pub(crate) struct LinkIds {
    last: u64,
}

impl LinkIds {
    pub(crate) fn next(&mut self) -> LinkId {
        // 2^63 dials do not happen; if they did, an old number is long free.
        self.last = (self.last + 1) % LinkId::ACCEPTED.0;
        LinkId(self.last)
    }
}
