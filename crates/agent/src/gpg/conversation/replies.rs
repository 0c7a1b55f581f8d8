//! How a client is answered.
//!
//! **Invariant:** what needs the ordinary agent and finds it gone is an error, and what is told goes
//! out in the order in which it is told.

use std::path::PathBuf;

use keystead_formats::assuan::ErrorCode;
use keystead_formats::assuan::line::{self, ClientLine};
use zeroize::Zeroizing;

use super::super::deeds;
use super::super::events::Action;
use super::super::keys::KeyMap;
use super::super::requests::{About, Shape};
use super::{Behind, Conversation, Ending, State};

impl Conversation {
    pub(super) fn about(&mut self, about: About) {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|it| it.display().to_string());
        let text = match about {
            About::Program => Some(env!("CARGO_PKG_VERSION").to_owned()),
            About::Pid => Some(self.own.pid.to_string()),
            About::Socket => path(&self.own.socket),
            About::SshSocket => path(&self.own.ssh_socket),
        };
        self.answer(text.map(String::into_bytes).ok_or(ErrorCode::NO_DATA));
    }

    pub(super) fn list_keygrips(&mut self, keys: &KeyMap) {
        let grips = keys.keys().iter().flat_map(|it| it.keygrip.0);
        self.answer(Ok(grips.collect()));
    }

    pub(super) fn list_keys(&mut self, keys: &KeyMap, shape: Shape) {
        for key in keys.keys() {
            let bytes = deeds::key_line(key, shape);
            self.tell(bytes);
        }
        self.ok();
    }

    /// The sockets go before the client hears that they do.
    pub(super) fn kill(&mut self, line: &[u8]) {
        self.actions.push(Action::KillAgent);
        self.tell_line(line);
        self.client_left();
    }

    /// What the ordinary agent only notes: nobody waits for its answer.
    pub(super) fn pass_and_answer(&mut self, line: &[u8]) {
        if self.behind == Behind::Ready {
            self.hand_on(line);
            self.had_already += 1;
        }
        self.ok();
    }

    /// The ordinary agent answers; without it, what needs none is answered here.
    pub(super) fn pass(&mut self, line: &[u8], ending: Ending) {
        if self.behind == Behind::Ready {
            self.state = State::Pass(ending, false);
            return self.hand_on(line);
        }
        match ending {
            Ending::Kill => return self.kill(CLOSING),
            Ending::Bye => {
                self.tell_line(CLOSING);
                return self.client_left();
            }
            Ending::Relay
            | Ending::NoteWrappingKey
            | Ending::Passphrase
            | Ending::AddKeygrips
            | Ending::AddKeyLines(_) => {}
        }
        match ClientLine::parse(line) {
            Ok(ClientLine::Command { name, .. })
                if ALONE.iter().any(|it| it.eq_ignore_ascii_case(name)) =>
            {
                self.ok();
            }
            _ => self.no_agent(),
        }
    }

    pub(super) fn forget(&mut self) {
        self.digest = None;
        self.description = None;
    }

    pub(super) fn no_agent(&mut self) {
        self.tell(line::err_with(
            ErrorCode::NO_AGENT,
            "the ordinary gpg-agent does not run",
        ));
    }

    pub(super) fn answer(&mut self, answer: Result<Vec<u8>, ErrorCode>) {
        match answer {
            Ok(bytes) => {
                self.tell(line::data(&bytes));
                self.ok();
            }
            Err(code) => self.error(code),
        }
    }

    pub(super) fn ok(&mut self) {
        self.tell(line::ok(""));
    }

    pub(super) fn error(&mut self, code: ErrorCode) {
        self.tell(line::err(code));
    }

    pub(super) fn tell_line(&mut self, line: &[u8]) {
        self.tell([line, b"\n"].concat());
    }

    pub(super) fn tell(&mut self, bytes: Vec<u8>) {
        let bytes = Zeroizing::new(bytes);
        if !bytes.is_empty() {
            self.actions.push(Action::ToClient(bytes));
        }
    }

    pub(super) fn hand_on(&mut self, line: &[u8]) {
        let bytes = Zeroizing::new([line, b"\n"].concat());
        self.actions.push(Action::ToBehind(bytes));
    }
}

/// What gpg-agent says when it closes.
pub(super) const CLOSING: &[u8] = b"OK closing connection";

/// What can be answered where there is no ordinary agent: nothing that it would have to remember.
const ALONE: [&str; 6] = [
    "NOP",
    "RESET",
    "OPTION",
    "RELOADAGENT",
    "UPDATESTARTUPTTY",
    "SETKEYDESC",
];
