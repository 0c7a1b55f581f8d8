//! The link to the local authenticator's process.

use keystead_keeper::local::Local;

use crate::frame::Message;

/// The link to it.
#[derive(Default)]
pub(crate) struct LocalLink {
    pub(crate) link: Local,
    pub(crate) is_up: bool,
}

impl LocalLink {
    pub(crate) const fn is_up(&self) -> bool {
        self.is_up
    }

    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        self.link.next_wake_ms()
    }
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

/// A person at `ssh-askpass` is waited for as long as a request can wait; OpenSSH's agent waits
/// for ever.
pub(crate) const LOCAL_WAIT_S: u16 = keystead_core::Request::WAIT_S_MAX;
