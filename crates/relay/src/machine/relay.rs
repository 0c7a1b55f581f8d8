//! The relay's state and its one step.

use std::collections::{BTreeMap, BTreeSet};

use keystead_daemon::{Io, Now};

use super::limits::{Limits, Pause, Source, Usage};
use super::mailbox::{ITEM_BYTES_MAX, Item, Mailbox, Reader};
use super::message::{self, Message, Order};
use super::resting::Resting;
use super::socket::Socket;
use super::token::{MailboxId, ReadToken, WriteToken};
use super::tombstones::{TombstoneError, Tombstones};
use super::{
    Action, Answer, CallId, Event, FULL_S, Record, Records, Refusal, Request, SocketId, WAIT_S_MAX,
};

/// All mailboxes and who waits for them.
pub struct Relay {
    pub(super) mailboxes: BTreeMap<MailboxId, Mailbox>,
    resting: Resting,
    deleted: Tombstones,
    pub(super) usage: Usage,
    pub(super) calls: BTreeMap<CallId, Waiting>,
    pub(super) deadlines: BTreeSet<(u64, CallId)>,
    pub(super) sockets: BTreeMap<SocketId, Socket>,
    sweep_at_ms: u64,
}

/// A long poll that found nothing yet.
pub(super) struct Waiting {
    pub(super) mailbox: MailboxId,
    pub(super) after: u64,
    pub(super) until_ms: u64,
}

/// Who asks of which mailbox, and when.
#[derive(Clone, Copy)]
struct Asked {
    now: Now,
    source: Source,
    mailbox: MailboxId,
    by: By,
}

/// What brought the question.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Call(CallId),
    Socket(SocketId),
}

impl Relay {
    /// Starts with what the disk remembers: which mailboxes were deleted.
    ///
    /// # Errors
    /// [`TombstoneError`].
    pub fn load(now: Now, limits: Limits, io: &mut Io<'_>) -> Result<Self, TombstoneError> {
        Ok(Self {
            mailboxes: BTreeMap::new(),
            resting: Resting::default(),
            deleted: Tombstones::load(now.unix_s, io.disk)?,
            usage: Usage::new(limits),
            calls: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            sockets: BTreeMap::new(),
            sweep_at_ms: now.mono_ms.saturating_add(SWEEP_MS),
        })
    }

    /// Takes one event.
    pub fn step(&mut self, now: Now, event: Event, io: &mut Io<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Connect { source } => actions.push(match self.usage.connect(source) {
                Ok(()) => Action::Admit,
                Err(pause) => Action::TurnAway(pause),
            }),
            Event::Disconnect { source } => self.usage.disconnect(source),
            Event::Call {
                call,
                source,
                mailbox,
                request,
            } => {
                let by = By::Call(call);
                let asked = Asked {
                    now,
                    source,
                    mailbox,
                    by,
                };
                let answer = self.call(asked, call, request, io, &mut actions);
                if let Some(answer) = answer.unwrap_or_else(|no| Some(Answer::Refuse(no))) {
                    actions.push(Action::Answer { call, answer });
                }
            }
            Event::HangUp { call } => self.end_wait(now, call),
            Event::Open { socket, source } => {
                self.sockets.insert(socket, Socket::new(source));
            }
            Event::Message { socket, message } => {
                self.message(now, socket, &message, io, &mut actions);
                self.pump(now, socket, &mut actions);
            }
            Event::Sent { socket } => {
                if let Some(open) = self.sockets.get_mut(&socket) {
                    open.has_room = true;
                }
                self.pump(now, socket, &mut actions);
            }
            Event::Close { socket } => self.close(now, socket),
            Event::Tick => self.tick(now, io, &mut actions),
            Event::Stop => self.end_waits(now, u64::MAX, &mut actions),
        }
        actions
    }

    /// When [`Event::Tick`] is due at the latest.
    #[must_use]
    pub fn next_wake_ms(&self) -> u64 {
        let first = self.deadlines.first().map_or(u64::MAX, |(at, _)| *at);
        first.min(self.sweep_at_ms)
    }

    /// The next item of an answer. Items that died or were acknowledged since
    /// are left out: their reader has them, or came too late.
    #[must_use]
    pub fn record(&self, now: Now, records: Records) -> Option<Record> {
        let mailbox = self.mailboxes.get(&records.mailbox)?;
        let item = mailbox.next(now.mono_ms, records.after, records.upto)?;
        Some(Record {
            cursor: item.cursor,
            item: item.bytes.clone(),
        })
    }

    /// Mailboxes that hold items or are being read.
    #[must_use]
    pub fn mailboxes(&self) -> usize {
        self.mailboxes.len()
    }

    /// `None`: the answer comes later.
    fn call(
        &mut self,
        asked: Asked,
        call: CallId,
        request: Request,
        io: &mut Io<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<Option<Answer>, Refusal> {
        self.usage.spend_call(asked.now.mono_ms, asked.source)?;
        match request {
            Request::Post { token, item } => {
                self.post(asked, &token, &item, actions)?;
                Ok(Some(Answer::Done))
            }
            Request::Read { wait_s, .. } if wait_s > WAIT_S_MAX => Err(Refusal::Malformed),
            Request::Read {
                token,
                after,
                wait_s,
            } => self.read(asked, call, &token, after, wait_s),
            Request::Delete { token } => {
                self.delete(asked, &token, io, actions)?;
                Ok(Some(Answer::Done))
            }
        }
    }

    fn message(
        &mut self,
        now: Now,
        socket: SocketId,
        bytes: &[u8],
        io: &mut Io<'_>,
        actions: &mut Vec<Action>,
    ) {
        let Some(source) = self.sockets.get(&socket).map(|open| open.source) else {
            return;
        };
        let reply = match message::parse(bytes) {
            Err((mailbox, refusal)) => Some(message::refused(&mailbox, refusal)),
            Ok(Message { mailbox, order }) => {
                let by = By::Socket(socket);
                let asked = Asked {
                    now,
                    source,
                    mailbox,
                    by,
                };
                let done = self.order(asked, socket, order, io, actions);
                done.unwrap_or_else(|refusal| Some(message::refused(&mailbox, refusal)))
            }
        };
        if let (Some(reply), Some(open)) = (reply, self.sockets.get_mut(&socket)) {
            open.replies.push_back(reply);
        }
    }

    /// `None`: this order has no answer.
    fn order(
        &mut self,
        asked: Asked,
        socket: SocketId,
        order: Order<'_>,
        io: &mut Io<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        self.usage.spend_call(asked.now.mono_ms, asked.source)?;
        match order {
            Order::Subscribe { token, after } => {
                self.subscribe(asked, socket, &token, after)?;
                return Ok(None);
            }
            Order::Post { token, item } => self.post(asked, &token, item, actions)?,
            Order::Delete { token } => self.delete(asked, &token, io, actions)?,
        }
        Ok(Some(message::done(&asked.mailbox)))
    }

    fn post(
        &mut self,
        asked: Asked,
        token: &WriteToken,
        item: &[u8],
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let Asked {
            now,
            source,
            mailbox: id,
            ..
        } = asked;
        self.check(now, &id, token.fits(&id))?;
        if item.is_empty() {
            return Err(Refusal::Malformed);
        }
        if item.len() > ITEM_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        self.expire(now, id);
        let found = self.mailboxes.get(&id);
        if found.is_some_and(|found| !found.has_room(item.len())) {
            let retry_after_s = FULL_MAILBOX_S;
            return Err(Refusal::TooMuch(Pause { retry_after_s }));
        }
        self.usage.add_item(source, item.len())?;
        match self.mailbox(id, source) {
            Ok(mailbox) => mailbox.push(now.mono_ms, source, item),
            Err(pause) => {
                self.usage.remove_item(source, item.len());
                return Err(pause.into());
            }
        }
        self.wake_readers(now, id, actions);
        Ok(())
    }

    fn read(
        &mut self,
        asked: Asked,
        call: CallId,
        token: &ReadToken,
        after: u64,
        wait_s: u32,
    ) -> Result<Option<Answer>, Refusal> {
        let (now, mailbox) = (asked.now, asked.mailbox);
        self.check(now, &mailbox, token.fits(&mailbox))?;
        let after = self.acknowledge(now, mailbox, after);
        if let Some(records) = self.records(now, mailbox, after) {
            return Ok(Some(Answer::Items(records)));
        }
        if wait_s == 0 {
            self.rest(now, mailbox);
            return Ok(Some(Answer::Done));
        }
        self.add_reader(asked, Reader::Call(call))?;
        let until_ms = now.mono_ms.saturating_add(u64::from(wait_s) * 1_000);
        let waiting = Waiting {
            mailbox,
            after,
            until_ms,
        };
        self.calls.insert(call, waiting);
        self.deadlines.insert((until_ms, call));
        Ok(None)
    }

    fn subscribe(
        &mut self,
        asked: Asked,
        socket: SocketId,
        token: &ReadToken,
        after: u64,
    ) -> Result<(), Refusal> {
        let (now, id) = (asked.now, asked.mailbox);
        self.check(now, &id, token.fits(&id))?;
        let after = self.acknowledge(now, id, after);
        let Some(open) = self.sockets.get(&socket) else {
            return Ok(());
        };
        if !open.subscriptions.contains_key(&id) {
            if open.subscriptions.len() >= SUBSCRIPTIONS_MAX {
                let retry_after_s = FULL_S;
                return Err(Refusal::TooMuch(Pause { retry_after_s }));
            }
            self.add_reader(asked, Reader::Socket(socket))?;
        }
        if let Some(open) = self.sockets.get_mut(&socket) {
            open.subscribe(id, after);
        }
        Ok(())
    }

    fn delete(
        &mut self,
        asked: Asked,
        token: &ReadToken,
        io: &mut Io<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let (now, id) = (asked.now, asked.mailbox);
        self.check(now, &id, token.fits(&id))?;
        if !self.deleted.has_room() {
            let retry_after_s = FULL_S;
            return Err(Refusal::TooMuch(Pause { retry_after_s }));
        }
        self.usage.spend_deletion(now.mono_ms, asked.source)?;
        if let Err(error) = self.deleted.add(now.unix_s, id, io.disk) {
            tracing::error!(%error, "a deletion cannot be written");
            return Err(Refusal::Unavailable);
        }
        self.resting.take(&id);
        let Some(mut mailbox) = self.mailboxes.remove(&id) else {
            return Ok(());
        };
        self.count_out(&mailbox.empty());
        self.usage.remove_mailbox(mailbox.maker);
        for reader in mailbox.readers() {
            // Who deleted it is answered by 0x82, not told that it is gone.
            let told = !matches!(reader, Reader::Socket(socket) if asked.by == By::Socket(socket));
            self.end_reader(now, id, reader, told, actions);
        }
        Ok(())
    }

    /// What every call needs: the token, and a mailbox that was not deleted.
    fn check(&self, now: Now, id: &MailboxId, fits: bool) -> Result<(), Refusal> {
        if !fits {
            return Err(Refusal::WrongToken);
        }
        if self.deleted.contains(now.unix_s, id) {
            return Err(Refusal::Deleted);
        }
        Ok(())
    }

    /// Takes out what the reader has; where it stands.
    fn acknowledge(&mut self, now: Now, id: MailboxId, after: u64) -> u64 {
        self.expire(now, id);
        let Some(mailbox) = self.mailboxes.get_mut(&id) else {
            let known = after <= self.resting.last(&id);
            return if known { after } else { 0 };
        };
        let after = mailbox.position(after);
        let gone = mailbox.acknowledge(after);
        self.count_out(&gone);
        after
    }

    fn expire(&mut self, now: Now, id: MailboxId) {
        let mailbox = self.mailboxes.get_mut(&id);
        let gone = mailbox.map(|mailbox| mailbox.expire(now.mono_ms));
        self.count_out(&gone.unwrap_or_default());
    }

    fn count_out(&mut self, gone: &[Item]) {
        for item in gone {
            self.usage.remove_item(item.writer, item.bytes.len());
        }
    }

    /// The mailbox, made if need be.
    fn mailbox(&mut self, id: MailboxId, source: Source) -> Result<&mut Mailbox, Pause> {
        if !self.mailboxes.contains_key(&id) {
            self.usage.add_mailbox(source)?;
        }
        let resting = &mut self.resting;
        let make = || Mailbox::new(source, resting.take(&id));
        Ok(self.mailboxes.entry(id).or_insert_with(make))
    }

    fn add_reader(&mut self, asked: Asked, reader: Reader) -> Result<(), Refusal> {
        let mailbox = self.mailbox(asked.mailbox, asked.source)?;
        if mailbox.add_reader(reader) {
            return Ok(());
        }
        let retry_after_s = FULL_S;
        Err(Refusal::TooMuch(Pause { retry_after_s }))
    }

    /// Puts a mailbox away that holds nothing and is not read.
    pub(super) fn rest(&mut self, now: Now, id: MailboxId) {
        if !self.mailboxes.get(&id).is_some_and(Mailbox::is_idle) {
            return;
        }
        if let Some(mailbox) = self.mailboxes.remove(&id) {
            self.usage.remove_mailbox(mailbox.maker);
            self.resting.put(now.mono_ms, id, mailbox.last());
        }
    }

    fn tick(&mut self, now: Now, io: &mut Io<'_>, actions: &mut Vec<Action>) {
        self.end_waits(now, now.mono_ms, actions);
        if now.mono_ms < self.sweep_at_ms {
            return;
        }
        self.sweep_at_ms = now.mono_ms.saturating_add(SWEEP_MS);
        let ids: Vec<MailboxId> = self.mailboxes.keys().copied().collect();
        for id in ids {
            self.expire(now, id);
            self.rest(now, id);
        }
        self.resting.sweep(now.mono_ms);
        self.deleted.sweep(now.unix_s, io.disk);
        self.usage.forget_quiet(now.mono_ms);
    }
}

/// How often all mailboxes are looked over for items that died: memory comes
/// back a little late, and 100,000 mailboxes take some milliseconds.
pub const SWEEP_MS: u64 = 5_000;

/// `Retry-After` of a full mailbox: its reader polls every 25 s at most, and
/// reads all.
pub const FULL_MAILBOX_S: u32 = 5;

/// Mailboxes that one WebSocket reads: 64 pairings in three days' mailboxes are
/// 192, and offers come on top.
pub const SUBSCRIPTIONS_MAX: usize = 1_024;
