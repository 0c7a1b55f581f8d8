//! The SSH front end: frames become requests, requests are answered or asked elsewhere.
//!
//! **Invariant:** every frame is answered or its connection is closed, whatever is in it.

use keystead_formats::ssh::SessionBind;
use keystead_formats::ssh::agent::{QUERY, Request, Response};

use crate::added::Change;
use crate::agent::{Agent, Turn};
use crate::ask::{Asker, Whom};
use crate::connection::Work;
use crate::errand::query;
use crate::event::Action;
use crate::frame::Frame;
use crate::frame::Message;
use crate::frame::{frame_of, secret};
use crate::ids::ConnectionId;
use crate::lock::Try;
use crate::upstream::{Door, Errand};
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
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        if connection.upstream.is_open() {
            turn.door(id, Door::Close);
        }
        if let Work::Ask(ask) = connection.work {
            self.withdraw(turn, ask);
        }
    }

    /// Answers, and takes up the next frame that waits.
    pub(crate) fn answer(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId, answer: &Response) {
        self.answer_message(turn, id, answer.encode());
    }

    /// As [`Agent::answer`], with a message that is encoded already.
    pub(crate) fn answer_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        message: Vec<u8>,
    ) {
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
        if self.lock.is_closed() && !works_locked(&request) {
            // `ssh` tries keys by itself, so only who signs is told.
            let why = "the agent is locked (ssh-add -X unlocks it)";
            return self.refuse(turn, id, why);
        }
        match request {
            Request::Sign {
                key,
                message,
                flags,
            } => self.sign(turn, id, (key, message, flags)),
            Request::RequestIdentities => self.list(turn, id),
            Request::Lock(passphrase) => self.lock_up(turn, id, passphrase, frame),
            Request::Unlock(passphrase) => self.unlock(turn, id, passphrase, frame),
            Request::Extension { name, contents } => {
                self.extension(turn, id, (name, contents), frame);
            }
            Request::AddIdentity(added) => self.add(turn, id, &added, frame),
            Request::AddSmartcard {
                id: token,
                pin,
                constraints,
            } => self.add_token(turn, id, (token, pin), constraints.as_deref(), frame),
            Request::RemoveIdentity { key } => self.remove(turn, id, key, frame),
            Request::RemoveAllIdentities => self.remove_all(turn, id, frame),
            Request::RemoveSmartcard { id: token, .. } => self.remove_token(turn, id, token, frame),
        }
    }

    /// Failure means that an extension is not known here, nor by the agent that was there before.
    fn extension(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        (name, contents): (&str, &[u8]),
        frame: &Frame,
    ) {
        match name {
            QUERY if !contents.is_empty() => self.answer(turn, id, &Response::ExtensionFailure),
            QUERY if self.has_upstream() => {
                self.send_errand(turn, id, frame.clone(), Errand::Query);
            }
            QUERY => self.answer(turn, id, &query(None)),
            SessionBind::EXTENSION => {
                let Some(connection) = self.connections.get_mut(&id) else {
                    return;
                };
                let answer = connection.bind_session(contents);
                let was_open = connection.upstream.is_open();
                if let Some(bind) = connection.upstream.bind(frame) {
                    turn.door(id, Door::Send(Message(bind)));
                } else if was_open {
                    turn.door(id, Door::Close);
                }
                self.answer(turn, id, &answer);
            }
            // Nobody knows what the other agent does for it: perhaps it signs.
            _ if self.lock.is_closed() || self.is_aborted(id) => {
                self.answer(turn, id, &Response::ExtensionFailure);
            }
            _ => self.send_errand(turn, id, frame.clone(), Errand::Pass),
        }
    }

    fn is_aborted(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|it| it.is_aborted)
    }

    /// `ssh-add -x`: closed, here and wherever keys are that programs brought.
    fn lock_up(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        passphrase: &[u8],
        frame: &Frame,
    ) {
        if !self.lock.close(passphrase) {
            return self.answer(turn, id, &Response::Failure);
        }
        self.pass_lock(turn, id, true, passphrase, frame);
    }

    fn unlock(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        passphrase: &[u8],
        frame: &Frame,
    ) {
        match self.lock.open(turn.now.mono_ms, passphrase) {
            Try::WasOpen => self.answer(turn, id, &Response::Failure),
            Try::Open => self.pass_lock(turn, id, false, passphrase, frame),
            Try::Wrong { at_ms } => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.work = Work::Pause(at_ms);
                    self.alarms.insert((at_ms, id));
                }
            }
        }
    }

    /// The local authenticator is told, then the agent that was there before; the answer is ours.
    fn pass_lock(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        lock: bool,
        passphrase: &[u8],
        frame: &Frame,
    ) {
        if !self.local.is_up() {
            return self.send_errand(turn, id, frame.clone(), Errand::Also(Response::Success));
        }
        let body = keystead_core::RequestBody::Lock(keystead_core::LockRequest {
            lock,
            passphrase: secret(&[passphrase]),
        });
        let asker = Asker::Change {
            connection: id,
            change: Change::Lock(frame_of(frame)),
        };
        let entry = self.entry_by(turn, id, if lock { "lock" } else { "unlock" });
        self.ask(turn, asker, Whom::local(), body, entry);
    }

    /// Moments that connections waited for have come.
    pub(crate) fn tick_connections(&mut self, turn: &mut Turn<'_, '_>) {
        while let Some((at_ms, id)) = self.alarms.first().copied() {
            if at_ms > turn.now.mono_ms {
                return;
            }
            self.alarms.pop_first();
            match self.connections.get(&id).map(|it| &it.work) {
                Some(Work::Pause(until_ms)) if *until_ms <= turn.now.mono_ms => {
                    self.answer(turn, id, &Response::Failure);
                }
                Some(Work::Upstream(..)) => self.give_up_errand(turn, id),
                _ => {}
            }
        }
    }

    /// One line for the person, if the process has a terminal.
    pub(crate) fn say(&self, turn: &mut Turn<'_, '_>, id: ConnectionId, words: &Words<'_>) {
        let pid = self.connections.get(&id).and_then(|it| it.pid);
        if let Some(pid) = pid {
            let line = words.to_string();
            let is_asking = matches!(words, Words::Asking { .. });
            turn.act(Action::Say {
                pid,
                line,
                is_asking,
            });
        }
    }
}

/// While the agent is locked a list is empty and a bind is a bind; all else is refused.
fn works_locked(request: &Request<'_>) -> bool {
    match request {
        Request::RequestIdentities
        | Request::Lock(_)
        | Request::Unlock(_)
        | Request::Extension { .. } => true,
        Request::Sign { .. }
        | Request::AddIdentity(_)
        | Request::AddSmartcard { .. }
        | Request::RemoveIdentity { .. }
        | Request::RemoveAllIdentities
        | Request::RemoveSmartcard { .. } => false,
    }
}
