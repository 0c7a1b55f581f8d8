//! One program at the SSH agent socket: what it may ask next and what it has proved.
//!
//! **Invariant:** requests are answered in the order they came, one at a time; the chain of binds
//! only grows, by binds whose signature was verified, and ends behind one that does not forward.

use std::collections::VecDeque;

use keystead_core::{Evidence, Identity};
use keystead_formats::ssh::SessionBind;
use keystead_formats::ssh::agent::{Request, Response};
use keystead_formats::ssh::constraint::Path;
use keystead_keeper::AskId;

use crate::frame::Frame;
use crate::identities::{Login, Offer};
use crate::upstream::Errand;
use crate::upstream::Upstream;
use crate::wanted::Wanted;

/// A connection's state.
#[derive(Default)]
pub struct Connection {
    /// The process at the other end, if the system tells.
    pub pid: Option<i32>,
    /// What is worked on for it.
    pub work: Work,
    /// Path of its program; the outer one is none before anybody has looked.
    pub(crate) process: Option<Option<String>>,
    /// What was found for a login.
    pub(crate) found: Option<Found>,
    /// Who was here before, for this program.
    pub(crate) upstream: Upstream,
    /// The holder said no, and the person has set that this is the end of it.
    pub(crate) is_aborted: bool,
    binds: Vec<SessionBind>,
    has_refused_bind: bool,
    waiting: VecDeque<Frame>,
    waiting_bytes: usize,
}

impl Connection {
    /// A fresh one.
    #[must_use]
    pub fn new(pid: Option<i32>) -> Self {
        Self {
            pid,
            ..Self::default()
        }
    }

    /// Keeps a frame that came while another is worked on. False when it is too much: the
    /// connection is to be closed then.
    #[must_use]
    pub fn keep(&mut self, frame: Frame) -> bool {
        self.waiting_bytes = self.waiting_bytes.saturating_add(frame.len());
        self.waiting.push_back(frame);
        self.waiting.len() <= WAITING_FRAMES_MAX && self.waiting_bytes <= WAITING_BYTES_MAX
    }

    /// The next frame that waits.
    pub fn next_waiting(&mut self) -> Option<Frame> {
        let frame = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(frame.len());
        Some(frame)
    }

    /// The hosts that have proved themselves, in order.
    #[must_use]
    pub fn binds(&self) -> &[SessionBind] {
        &self.binds
    }

    /// What the connection has proved, for constraints.
    #[must_use]
    pub fn path(&self) -> Path<'_> {
        Path {
            binds: &self.binds,
            has_refused_bind: self.has_refused_bind,
        }
    }

    /// What another agent has to be told before it is asked in the program's name: the binds, and
    /// one that is refused there too if one was here.
    pub(crate) fn bind_messages(&self) -> Vec<Frame> {
        let message = |contents: &[u8]| {
            let name = SessionBind::EXTENSION;
            Frame::new(Request::Extension { name, contents }.encode())
        };
        let binds = self.binds.iter().map(|bind| message(&bind.encode()));
        let refused = self.has_refused_bind.then(|| message(&[]));
        binds.chain(refused).collect()
    }

    /// Answers a `session-bind@openssh.com`: extension failure means that it is known and not
    /// done (RFC 9987 §3.8).
    pub fn bind_session(&mut self, contents: &[u8]) -> Response {
        match self.bind(contents) {
            Ok(()) => Response::Success,
            Err(why) => {
                tracing::warn!(why, pid = self.pid, "session bind refused");
                self.has_refused_bind = true;
                Response::ExtensionFailure
            }
        }
    }

    /// The rules of OpenSSH's own agent (`process_ext_session_bind`).
    fn bind(&mut self, contents: &[u8]) -> Result<(), &'static str> {
        let bind = SessionBind::parse(contents).map_err(|_| "cannot be read")?;
        bind.verify().map_err(|_| "the host's signature is false")?;
        if self.binds.iter().any(|earlier| !earlier.forwarding) {
            return Err("a bind that does not forward is the last one");
        }
        let same_session = |earlier: &&SessionBind| earlier.session_id == bind.session_id;
        match self.binds.iter().find(same_session) {
            Some(earlier) if earlier.host_key == bind.host_key => return Ok(()),
            Some(_) => return Err("the session is bound to another host key"),
            None => {}
        }
        if self.binds.len() >= Evidence::BINDS_MAX {
            return Err("too many hops");
        }
        self.binds.push(bind);
        Ok(())
    }
}

/// What can be shown for a login of this connection, from when and behind how many binds.
pub(crate) struct Found {
    pub(crate) evidence: Evidence,
    pub(crate) at_ms: u64,
    pub(crate) binds: usize,
}

impl Connection {
    /// What was found for a login a moment ago, if nothing was proved since.
    pub(crate) fn found(&self, now_ms: u64) -> Option<&Evidence> {
        let found = self.found.as_ref()?;
        let is_fresh = now_ms.saturating_sub(found.at_ms) < FOUND_MS;
        (is_fresh && found.binds == self.binds.len()).then_some(&found.evidence)
    }
}

/// A list on its way: what is offered for the login it is for.
#[derive(Default)]
pub(crate) struct Listing {
    /// Identities that are offered, those still to be asked for among them.
    pub(crate) offers: VecDeque<Offer>,
    /// Where the process says it logs in.
    pub(crate) login: Option<Login>,
    /// Those that were asked for already, with or without success.
    pub(crate) asked: Vec<Identity>,
    /// Blobs of the offered ones, in their order.
    pub(crate) offered: Vec<Vec<u8>>,
}

/// The one request that is worked on.
#[derive(Default)]
pub enum Work {
    /// None.
    #[default]
    None,
    /// The process that asks is being looked at.
    Look(Box<Wanted>),
    /// The process that lists keys is being looked at.
    List,
    /// A keeper is being asked.
    Ask(AskId),
    /// The agent that was there before is being asked, perhaps only until a moment of the steady
    /// clock.
    Upstream(Box<Errand>, Option<u64>),
    /// A wrong passphrase is answered at this moment of the steady clock.
    Pause(u64),
}

/// Requests that may wait behind one that a person is asked for. `ssh` sends one at a time;
/// multiplexers a few.
pub const WAITING_FRAMES_MAX: usize = 16;

/// A program that logs in again and again over one connection is looked at every ten seconds: a
/// look reads a dozen files of `/proc`.
const FOUND_MS: u64 = 10_000;

/// As much as one frame, so a connection holds at most two.
pub const WAITING_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &str = include_str!("../../formats/tests/messages/openssh-9.2p1.txt");

    /// A bind of a real login.
    fn captured() -> SessionBind {
        let line = CAPTURED
            .lines()
            .find_map(|it| it.strip_prefix("login-ed25519 > 1b"));
        let contents: Vec<u8> = line
            .unwrap()
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let name_bytes = 4 + SessionBind::EXTENSION.len();
        SessionBind::parse(&contents[name_bytes..]).unwrap()
    }

    /// A connection with hops that all forward.
    fn after(hops: usize) -> Connection {
        let mut connection = Connection::new(None);
        for hop in 0..hops {
            let mut bind = captured();
            bind.session_id = vec![u8::try_from(hop).unwrap(); 32];
            bind.forwarding = true;
            connection.binds.push(bind);
        }
        connection
    }

    #[track_caller]
    fn check(mut connection: Connection, expected: &Response, hops: usize) {
        let answer = connection.bind_session(&captured().encode());
        assert_eq!((&answer, connection.binds().len()), (expected, hops));
        let is_refused = *expected == Response::ExtensionFailure;
        assert_eq!(connection.path().has_refused_bind, is_refused);
        let messages = hops + usize::from(is_refused);
        assert_eq!(connection.bind_messages().len(), messages);
    }

    #[test]
    fn sixteen_hops_and_no_more() {
        check(after(0), &Response::Success, 1);
        check(after(15), &Response::Success, 16);
        check(after(16), &Response::ExtensionFailure, 16);
    }

    #[test]
    fn a_session_has_one_host_key() {
        let mut again = after(0);
        again.binds.push(SessionBind {
            forwarding: true,
            ..captured()
        });
        check(again, &Response::Success, 1);
        let mut other = after(0);
        let host_key = keystead_formats::ssh::PublicKey::ed25519(&[1; 32]);
        other.binds.push(SessionBind {
            forwarding: true,
            host_key,
            ..captured()
        });
        check(other, &Response::ExtensionFailure, 1);
    }
}
