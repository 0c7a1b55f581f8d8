//! What is asked of the agent that was there before, and what becomes of its answer.
//!
//! **Invariant:** an errand ends once: by an answer, by its end, or because it took too long; none
//! holds a connection for ever but a signature and what is passed on as it is, which its program
//! may give up itself. No signature that passes through leaves before its entry in the log.

use keystead_formats::ssh::SessionBind;
use keystead_formats::ssh::agent::{QUERY, Request, Response};

use crate::agent::{Agent, Turn};
use crate::connection::Work;
use crate::frame::{Frame, Message};
use crate::ids::ConnectionId;
use crate::log::Entry;
use crate::upstream::Came;
use crate::upstream::{Door, Errand};

impl Agent {
    /// Is there an agent to pass things on to?
    pub(crate) fn has_upstream(&self) -> bool {
        self.setup.here.upstream.is_some()
    }

    /// Sends a request there. Where there is none the errand ends at once.
    pub(crate) fn send_errand(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        request: Frame,
        errand: Errand,
    ) {
        let has_upstream = self.has_upstream();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let binds = if connection.upstream.is_open() {
            Vec::new()
        } else {
            connection.bind_messages()
        };
        let forward = has_upstream.then(|| connection.upstream.ask(|| binds, request));
        let Some(forward) = forward.flatten() else {
            return self.end_errand(turn, id, errand, None);
        };
        let is_quick = match &errand {
            Errand::List(_) | Errand::Query | Errand::Also(_) => true,
            Errand::Pass | Errand::Sign(_) => false,
        };
        let due_ms = is_quick.then(|| turn.now.mono_ms.saturating_add(LIST_WAIT_MS));
        self.alarms.extend(due_ms.map(|at_ms| (at_ms, id)));
        connection.work = Work::Upstream(Box::new(errand), due_ms);
        if forward.connect {
            turn.door(id, Door::Open);
        }
        for frame in forward.frames {
            turn.door(id, Door::Send(Message(frame)));
        }
    }

    /// A message came from there; none: it cannot be reached, or hung up.
    pub(crate) fn came_from_upstream(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        message: Option<Frame>,
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match (&message, connection.upstream.is_open()) {
            (_, false) => return,
            (None, true) => connection.upstream.gone(),
            (Some(_), true) => match connection.upstream.came() {
                Came::Nothing => return,
                Came::Answer => {}
                Came::TooMuch => {
                    turn.door(id, Door::Close);
                    return;
                }
            },
        }
        match std::mem::take(&mut connection.work) {
            Work::Upstream(errand, _) => self.end_errand(turn, id, *errand, message),
            other @ (Work::None | Work::Look(_) | Work::List | Work::Ask(_) | Work::Pause(_)) => {
                connection.work = other;
            }
        }
    }

    /// What is done here anyway has waited long enough.
    pub(crate) fn give_up_errand(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let now_ms = turn.now.mono_ms;
        if matches!(connection.work, Work::Upstream(_, Some(due_ms)) if due_ms <= now_ms) {
            tracing::warn!("the agent that was there before does not answer");
            turn.door(id, Door::Close);
            self.came_from_upstream(turn, id, None);
        }
    }

    fn end_errand(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        errand: Errand,
        answer: Option<Frame>,
    ) {
        match errand {
            Errand::Pass => self.pass(turn, id, answer),
            Errand::Sign(entry) => {
                let parsed = answer.as_ref().map(|it| Response::parse(it));
                let decision = match parsed {
                    Some(Ok(Response::Signature(_))) => "approve",
                    Some(_) => "refuse",
                    None => "no-answer",
                };
                let entry = Entry {
                    unix_s: turn.now.unix_s,
                    decision: decision.to_owned(),
                    ..*entry
                };
                // No answer before its entry.
                match self.book.write(turn.now, &entry, turn.io.disk) {
                    Ok(()) => self.pass(turn, id, answer),
                    Err(error) => {
                        let why = log_refusal(&error);
                        self.notice(why.clone());
                        self.refuse(turn, id, &why);
                    }
                }
            }
            Errand::List(ours) => {
                let theirs = match answer.map(|it| Response::parse(&it)) {
                    Some(Ok(Response::Identities(theirs))) => theirs,
                    _ => Vec::new(),
                };
                self.answer_list(turn, id, ours, theirs);
            }
            Errand::Query => {
                let theirs = answer.and_then(|it| Response::parse(&it).ok());
                self.answer(turn, id, &query(theirs.as_ref()));
            }
            Errand::Also(answer) => self.answer(turn, id, &answer),
        }
    }

    /// Gives the program an answer as it came.
    fn pass(&mut self, turn: &mut Turn<'_, '_>, id: ConnectionId, answer: Option<Frame>) {
        let message = answer.map_or_else(|| Response::Failure.encode(), |it| it.to_vec());
        self.answer_message(turn, id, message);
    }
}

/// The extensions served here, and there if they were told.
pub(crate) fn query(theirs: Option<&Response>) -> Response {
    let mut names = vec![QUERY.to_owned(), SessionBind::EXTENSION.to_owned()];
    if let Some(theirs) = theirs.and_then(Response::extensions) {
        names.extend(theirs);
    }
    let mut distinct: Vec<&str> = Vec::new();
    for name in &names {
        if !distinct.contains(&name.as_str()) {
            distinct.push(name);
        }
    }
    Response::query(&distinct)
}

/// Said when nothing may leave because nothing can be written down.
pub(crate) fn log_refusal(error: &std::io::Error) -> String {
    format!("the log cannot be written ({error}), so nothing is signed")
}

/// The message that asks for a list.
pub(crate) fn list_request() -> Frame {
    Frame::new(Request::RequestIdentities.encode())
}

/// An agent answers a list, a lock or `ssh-add -D` without asking anybody; one that does not in
/// this time is left out, so that ours is not waited for.
const LIST_WAIT_MS: u64 = 2_000;
