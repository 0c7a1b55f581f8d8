//! The agent that was there before ours, as one program sees it through us.
//!
//! **Invariant:** what a program proved to us it proves there before anything is asked there: each
//! connection has one of its own, on which its binds come first, in their order, the refused ones
//! too. Answers are told apart by their order alone, so an answer that is one too many ends it.

use std::collections::VecDeque;

use keystead_formats::ssh::agent::{Identity, Response};

use crate::frame::{Frame, Message};
use crate::log::Entry;

/// What its answer to something is for.
pub enum Errand {
    /// It is the program's answer, whatever it says.
    Pass,
    /// So is this, once it is in the log.
    Sign(Box<Entry>),
    /// Its keys are listed beside these.
    List(Ours),
    /// Its extensions are told beside ours.
    Query,
    /// It was told, and this is the answer.
    Also(Response),
}

/// What we have for a list.
pub struct Ours {
    pub(crate) identities: Vec<Identity>,
    /// Blobs of those that `identities.toml` offers.
    pub(crate) offered: Vec<Vec<u8>>,
}

/// For the connection to the agent that was there before.
#[derive(Debug)]
pub enum Door {
    /// Make it.
    Open,
    /// Send a message there.
    Send(Message),
    /// Hang up.
    Close,
}

/// One program's connection to it.
#[derive(Default)]
pub(crate) struct Upstream {
    state: State,
    awaited: VecDeque<Awaited>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Not asked for yet.
    #[default]
    Idle,
    Open,
    /// It cannot be reached, or hung up.
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// To a bind: the program has had ours.
    Bind,
    /// To what was asked.
    Answer,
}

/// What is to be done.
#[derive(Default)]
pub(crate) struct Forward {
    /// First a connection has to be made.
    pub(crate) connect: bool,
    /// Then these go out.
    pub(crate) frames: Vec<Frame>,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// The answer to what was asked.
    Answer,
    /// Nothing that anybody waits for.
    Nothing,
    /// More than was asked for: the connection is to be closed.
    TooMuch,
}

impl Upstream {
    /// A request goes there, behind the binds if it is the first. None when it is gone.
    pub(crate) fn ask(
        &mut self,
        binds: impl FnOnce() -> Vec<Frame>,
        request: Frame,
    ) -> Option<Forward> {
        let mut forward = Forward::default();
        match self.state {
            State::Gone => return None,
            State::Idle => {
                self.state = State::Open;
                forward.connect = true;
                forward.frames = binds();
                let awaited = forward.frames.iter().map(|_| Awaited::Bind);
                self.awaited.extend(awaited);
            }
            State::Open => {}
        }
        self.awaited.push_back(Awaited::Answer);
        forward.frames.push(request);
        Some(forward)
    }

    /// A bind that came after the connection was made. None when there is none; one that leaves
    /// many unanswered is ended, since our program has its answers and goes on.
    pub(crate) fn bind(&mut self, message: &[u8]) -> Option<Frame> {
        if self.awaited.len() >= AWAITED_MAX {
            self.gone();
        }
        (self.state == State::Open).then(|| {
            self.awaited.push_back(Awaited::Bind);
            Frame::new(message.to_vec())
        })
    }

    /// A message came from there.
    pub(crate) fn came(&mut self) -> Came {
        match self.awaited.pop_front() {
            Some(Awaited::Bind) => Came::Nothing,
            Some(Awaited::Answer) => Came::Answer,
            None => {
                self.gone();
                Came::TooMuch
            }
        }
    }

    /// It hung up, or was hung up on.
    pub(crate) fn gone(&mut self) {
        self.state = State::Gone;
        self.awaited.clear();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }
}

/// Twice the binds that a connection can have, and as many that are refused.
const AWAITED_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(byte: u8) -> Frame {
        Frame::new(vec![byte])
    }

    fn sent(forward: Option<Forward>) -> (bool, Vec<u8>) {
        let forward = forward.unwrap();
        let frames = forward.frames.iter().map(|frame| frame[0]);
        (forward.connect, frames.collect())
    }

    #[test]
    fn binds_go_first_and_their_answers_are_nobodys() {
        let mut upstream = Upstream::default();
        let binds = || vec![frame(1), frame(2)];
        assert!(upstream.bind(&[1]).is_none(), "kept for later");
        assert_eq!(sent(upstream.ask(binds, frame(9))), (true, vec![1, 2, 9]));
        assert_eq!(upstream.came(), Came::Nothing);
        assert_eq!(upstream.came(), Came::Nothing);
        assert_eq!(upstream.came(), Came::Answer);
        assert!(upstream.bind(&[3]).is_some());
        assert_eq!(sent(upstream.ask(binds, frame(8))), (false, vec![8]));
        assert_eq!(upstream.came(), Came::Nothing);
        assert_eq!(upstream.came(), Came::Answer);
    }

    #[test]
    fn one_that_answers_no_bind_is_not_told_of_more() {
        let mut upstream = Upstream::default();
        assert!(upstream.ask(Vec::new, frame(1)).is_some());
        for _ in 1..AWAITED_MAX {
            assert!(upstream.bind(&[2]).is_some());
        }
        assert!(upstream.bind(&[2]).is_none());
        assert!(!upstream.is_open());
    }

    #[test]
    fn an_answer_too_many_ends_it() {
        let mut upstream = Upstream::default();
        assert!(upstream.ask(Vec::new, frame(1)).is_some());
        assert_eq!(upstream.came(), Came::Answer);
        assert_eq!(upstream.came(), Came::TooMuch);
        assert!(upstream.ask(Vec::new, frame(1)).is_none());
        assert!(!upstream.is_open());
    }
}
