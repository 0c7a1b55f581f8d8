//! One client's conversation.
//!
//! **Invariant:** at any moment at most one command is under way, here or behind; what the client
//! sends meanwhile waits, unless it was inquired. The ordinary agent hears each command in its
//! place; what it cannot refuse is answered before it does. When the ordinary agent is gone, what it alone
//! could answer is an error, and keys of keepers go on.

mod bringing;
mod replies;
mod using;

use std::collections::VecDeque;
use std::path::PathBuf;

use keystead_formats::assuan::ErrorCode;
use keystead_formats::assuan::line::{self, ClientLine, LineTooLong, ServerLine};
use keystead_formats::openpgp::digest::Digest;
use zeroize::Zeroizing;

use super::deeds::{self, Inquiry, Pending};
use super::events::{Action, Event};
use super::keys::{KeyMap, MappedKey};
use super::requests::{Request, Shape};
use bringing::Coming;
use replies::CLOSING;

/// One connection of a client.
pub struct Conversation {
    own: Own,
    behind: Behind,
    /// Answers of the ordinary agent that the client has had from us.
    had_already: usize,
    state: State,
    /// What the client sent before its last command was answered.
    waiting: VecDeque<Zeroizing<Vec<u8>>>,
    selected: Option<MappedKey>,
    digest: Option<Digest>,
    description: Option<String>,
    coming: Coming,
    restricted: bool,
    is_leaving: bool,
    actions: Vec<Action>,
}

/// What this program says of itself.
#[derive(Debug, Clone)]
pub struct Own {
    /// Its process.
    pub pid: u32,
    /// The client's process, if the system tells.
    pub client_pid: Option<i32>,
    /// Where gpg finds it; none where it speaks over a pipe.
    pub socket: Option<PathBuf>,
    /// Where ssh finds it.
    pub ssh_socket: Option<PathBuf>,
    /// The connection came by the socket that is forwarded, or a browser's: it may do less.
    pub restricted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behind {
    Ready,
    Gone,
}

enum State {
    /// The ordinary agent has not greeted yet.
    Greet,
    /// A command may come.
    Idle,
    /// The ordinary agent has the command. True: it has inquired something.
    Pass(Ending, bool),
    /// We have inquired something.
    Inquire(Inquired, Inquiry),
    /// A keeper is asked.
    Ask(Box<Pending>),
    /// Hung up.
    Over,
}

/// What was inquired; of a key the time at which it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inquired {
    Ciphertext,
    KeyData(Option<u32>),
    KeyParam(Option<u32>),
}

/// What is done with the end of the ordinary agent's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Relay,
    /// Its data is the key that wraps those that are imported.
    NoteWrappingKey,
    /// Its data is the passphrase of the key that is imported.
    Passphrase,
    /// The keygrips of our keys come before it.
    AddKeygrips,
    /// The lines of our keys come before it.
    AddKeyLines(Shape),
    /// Done, it ends this program too.
    Kill,
    /// Done, the client leaves.
    Bye,
}

impl Conversation {
    /// Begins. The client is greeted once the ordinary agent has greeted, or is found to be gone.
    #[must_use]
    pub fn new(own: Own) -> Self {
        Self {
            restricted: own.restricted,
            own,
            behind: Behind::Ready,
            had_already: 0,
            state: State::Greet,
            waiting: VecDeque::new(),
            selected: None,
            digest: None,
            description: None,
            coming: Coming::default(),
            is_leaving: false,
            actions: Vec::new(),
        }
    }

    /// Takes what happened. `keys` is the map as it is now.
    pub fn step(&mut self, event: Event<'_>, keys: &KeyMap) -> Vec<Action> {
        match event {
            Event::Client(line) => self.of_client(line),
            Event::ClientLeft => self.is_leaving = true,
            Event::Behind(line) => self.of_behind(line, keys),
            Event::BehindLeft => self.behind_left(keys),
            Event::Answered(answer) => self.answered(answer),
        }
        while let Some(line) = self.next_waiting(|state| matches!(state, State::Idle)) {
            self.command(&line, keys);
        }
        if self.is_leaving {
            self.leave();
        }
        std::mem::take(&mut self.actions)
    }

    fn of_client(&mut self, line: Result<&[u8], LineTooLong>) {
        let line = match (line, &self.state) {
            (_, State::Over) => return,
            (Ok(line), _) => line,
            // libassuan answers so too; the rest of the line is gone.
            (Err(LineTooLong), _) => return self.error(ErrorCode::ASS_LINE_TOO_LONG),
        };
        match &mut self.state {
            State::Over => {}
            State::Pass(_, inquired @ true) => {
                match ClientLine::parse(line) {
                    Ok(ClientLine::End | ClientLine::Cancel) => *inquired = false,
                    // libassuan, at an escape that the line's end cuts off, never comes back.
                    Ok(ClientLine::Data(escaped)) if line::unescape(escaped).is_err() => return,
                    Ok(ClientLine::Data(_) | ClientLine::Comment | ClientLine::Command { .. })
                    | Err(_) => {}
                }
                self.hand_on(line);
            }
            State::Inquire(what, inquiry) => {
                let what = *what;
                if let Some(outcome) = inquiry.take(line) {
                    self.inquired(what, outcome);
                }
            }
            State::Greet | State::Idle | State::Pass(_, false) | State::Ask(_) => {
                if self.waiting.len() >= WAITING_LINES_MAX {
                    return self.client_left();
                }
                self.waiting.push_back(Zeroizing::new(line.to_vec()));
            }
        }
    }

    /// What waited, if it is its turn now.
    fn next_waiting(&mut self, is_turn: impl Fn(&State) -> bool) -> Option<Zeroizing<Vec<u8>>> {
        if is_turn(&self.state) {
            self.waiting.pop_front()
        } else {
            None
        }
    }

    /// The client says no more. Over a pipe that is how its input ends, and what it said before is
    /// answered first; at a socket it has gone, but an agent that was to end does.
    fn leave(&mut self) {
        let is_under_way = matches!(self.state, State::Greet | State::Pass(_, false));
        let is_ending = matches!(self.state, State::Pass(Ending::Kill, false));
        let waits = is_ending || (is_under_way && self.own.socket.is_none());
        if !waits {
            self.client_left();
        }
    }

    fn client_left(&mut self) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Over => return,
            State::Ask(_) => self.actions.push(Action::Withdraw),
            State::Greet | State::Idle | State::Pass(..) | State::Inquire(..) => {}
        }
        self.waiting.clear();
        self.actions.push(Action::HangUp);
    }

    fn of_behind(&mut self, line: &[u8], keys: &KeyMap) {
        let parsed = ServerLine::parse(line);
        if self.had_already > 0 {
            if matches!(parsed, Ok(ServerLine::Done(_) | ServerLine::Failed { .. })) {
                self.had_already -= 1;
            }
            return;
        }
        let (ending, inquired) = match &mut self.state {
            State::Greet => {
                return match parsed {
                    Ok(ServerLine::Done(_)) => self.greet(),
                    Ok(ServerLine::Comment) => {}
                    _ => self.behind_left(keys),
                };
            }
            State::Pass(ending, inquired) => (*ending, inquired),
            // It says something that nobody asked for, such as that it ends.
            State::Idle | State::Inquire(..) | State::Ask(_) | State::Over => return,
        };
        match parsed {
            Ok(ServerLine::Inquire { .. }) => {
                *inquired = true;
                self.tell_line(line);
                let inquired = |state: &State| matches!(state, State::Pass(_, true));
                while let Some(line) = self.next_waiting(inquired) {
                    self.of_client(Ok(&line));
                }
            }
            Ok(ServerLine::Done(_) | ServerLine::Failed { .. }) => {
                let done = matches!(parsed, Ok(ServerLine::Done(_)));
                self.state = State::Idle;
                self.end(ending, line, done, keys);
            }
            Ok(ServerLine::Data(escaped)) if ending == Ending::Passphrase => {
                self.note_passphrase(escaped);
            }
            parsed => {
                if let (Ok(ServerLine::Data(escaped)), Ending::NoteWrappingKey) = (parsed, ending) {
                    self.note_wrapping_key(escaped);
                }
                self.tell_line(line);
            }
        }
    }

    /// The ordinary agent has answered.
    fn end(&mut self, ending: Ending, line: &[u8], done: bool, keys: &KeyMap) {
        match ending {
            Ending::Passphrase if done => return self.unlock(),
            Ending::Passphrase => self.coming.locked = None,
            Ending::Relay | Ending::NoteWrappingKey => {}
            Ending::AddKeygrips if !keys.keys().is_empty() => return self.list_keygrips(keys),
            Ending::AddKeyLines(shape) if !keys.keys().is_empty() => {
                return self.list_keys(keys, shape);
            }
            Ending::AddKeygrips | Ending::AddKeyLines(_) => {}
            Ending::Kill if done => return self.kill(line),
            Ending::Bye if done => {
                self.tell_line(line);
                return self.client_left();
            }
            Ending::Kill | Ending::Bye => {}
        }
        self.tell_line(line);
    }

    fn behind_left(&mut self, keys: &KeyMap) {
        self.behind = Behind::Gone;
        self.had_already = 0;
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Greet => self.greet(),
            State::Pass(Ending::AddKeygrips, _) => self.list_keygrips(keys),
            State::Pass(Ending::AddKeyLines(shape), _) => self.list_keys(keys, shape),
            State::Pass(Ending::Kill, _) => self.kill(CLOSING),
            State::Pass(
                Ending::Relay | Ending::NoteWrappingKey | Ending::Passphrase | Ending::Bye,
                _,
            ) => {
                self.coming.locked = None;
                self.no_agent();
            }
            state @ (State::Idle | State::Inquire(..) | State::Ask(_) | State::Over) => {
                self.state = state;
            }
        }
    }

    fn greet(&mut self) {
        self.state = State::Idle;
        let text = match self.own.client_pid {
            Some(pid) => format!("Pleased to meet you, process {pid}"),
            None => "Pleased to meet you".to_owned(),
        };
        self.tell(line::ok(&text));
    }

    /// A command, while none is under way.
    fn command(&mut self, line: &[u8], keys: &KeyMap) {
        let (name, arguments) = match ClientLine::parse(line) {
            Ok(ClientLine::Comment) => return,
            Ok(ClientLine::Command { name, arguments }) => (name, arguments),
            Ok(ClientLine::Data(_) | ClientLine::End | ClientLine::Cancel) | Err(_) => {
                return self.pass(line, Ending::Relay);
            }
        };
        match Request::of(name, arguments, keys) {
            Request::Select(key) => {
                self.selected = Some(key.clone());
                self.ok();
            }
            Request::Describe(text) if self.selected.is_some() => self.describe(text),
            Request::Hash(arguments) if self.selected.is_some() => self.hash(arguments),
            Request::Sign if self.selected.is_some() => self.sign(),
            Request::Decrypt(kem) if self.selected.is_some() => self.decrypt(kem),
            Request::Have => self.ok(),
            Request::HaveList if self.behind == Behind::Gone => self.list_keygrips(keys),
            Request::TellList(shape) if self.behind == Behind::Gone => self.list_keys(keys, shape),
            Request::HaveList => self.pass(line, Ending::AddKeygrips),
            Request::Kill => self.pass(line, Ending::Kill),
            Request::Bye => self.pass(line, Ending::Bye),
            Request::Tell(key, shape) if !self.restricted => {
                let bytes = deeds::key_line(key, shape);
                self.tell(bytes);
                self.ok();
            }
            Request::TellList(shape) if !self.restricted => {
                self.pass(line, Ending::AddKeyLines(shape));
            }
            Request::Read(key, wanted) if !self.restricted => {
                let answer = deeds::public_key(key);
                self.answer(answer.map(|bytes| if wanted { bytes } else { Vec::new() }));
            }
            Request::TakeOut(key) if !self.restricted => {
                let text = deeds::stays_where_it_is(key);
                self.tell(line::err_with(ErrorCode::NOT_SUPPORTED, &text));
            }
            Request::About(about) if !self.restricted => self.about(about),
            Request::Bring(what) if !self.restricted => self.bring_in(what, line, keys),
            Request::SelectOther => {
                self.forget();
                self.selected = None;
                self.pass(line, Ending::Relay);
            }
            Request::Reset => {
                self.forget();
                self.coming = Coming::default();
                self.selected = None;
                self.pass_and_answer(line);
            }
            Request::Surroundings if !self.restricted => self.pass_and_answer(line),
            Request::FarAway => {
                self.restricted = true;
                self.pass(line, Ending::Relay);
            }
            Request::Describe(text) => self.note_description(text, line),
            // Without a key of ours, or from far away, it is as if there were none.
            Request::Hash(_)
            | Request::Sign
            | Request::Decrypt(_)
            | Request::Tell(..)
            | Request::TellList(_)
            | Request::Read(..)
            | Request::TakeOut(_)
            | Request::About(_)
            | Request::Surroundings
            | Request::Bring(_)
            | Request::Other => self.pass(line, Ending::Relay),
        }
    }
}

/// What a client may send before it is answered: libassuan's waits for each answer.
const WAITING_LINES_MAX: usize = 64;
