//! The relay's WebSocket calls (`spec/pairing.md` section 3.3, `GET /v1/ws`).
//!
//! Invariant: an item is acknowledged only after it was handed on, and a post
//! leaves the desk only when the relay confirmed it. A connection knows its own
//! cursors alone: a relay that restarted counts from 1 again, and an old cursor
//! would delete what it never delivered. So each connection starts at 0, and
//! what was not acknowledged comes again.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use ::http::Uri;
use bytes::{BufMut, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_websockets::{ClientBuilder, Limits, Message, WebSocketStream};

use super::{Call, Ended, Line};
use crate::connect::{RelayStream, in_time};
use crate::event::MailboxId;

/// Connects and serves until the connection ends.
pub(super) async fn run(line: &mut Line) -> Ended {
    let stream = match line.site.connector.connect(&line.site.relay).await {
        Ok(stream) => stream,
        Err(error) => return Ended::Away(error.to_string()),
    };
    let socket = match in_time(UPGRADE_TIMEOUT, upgrade(line, stream)).await {
        Ok(socket) => socket,
        // Whatever stands in the way of the upgrade may let plain HTTP pass.
        Err(error) => {
            tracing::debug!(relay = %line.site.relay, %error, "no WebSocket");
            return Ended::Refused;
        }
    };
    line.up().await;
    let opened = Instant::now();
    let mut connection = Connection::new(line, socket);
    match connection.serve().await {
        Ok(()) => Ended::Done,
        Err(error) => {
            let useful = connection.served || opened.elapsed() >= BRIEF;
            tracing::debug!(relay = %line.site.relay, %error, useful, "WebSocket ended");
            if useful { Ended::Lost } else { Ended::Refused }
        }
    }
}

async fn upgrade(line: &Line, mut stream: RelayStream) -> io::Result<WebSocketStream<RelayStream>> {
    let relay = &line.site.relay;
    let scheme = if relay.is_tls() { "wss" } else { "ws" };
    let uri: Uri = format!("{scheme}://{}{}/v1/ws", relay.authority(), relay.path())
        .parse()
        .map_err(io::Error::other)?;
    stream.bound(UPGRADE_BYTES_MAX);
    let (mut socket, _) = ClientBuilder::from_uri(uri)
        .limits(Limits::default().max_payload_len(Some(MESSAGE_BYTES_MAX)))
        .connect_on(stream)
        .await
        .map_err(io::Error::other)?;
    socket.get_mut().unbound();
    Ok(socket)
}

/// One WebSocket connection.
struct Connection<'a> {
    line: &'a Line,
    socket: WebSocketStream<RelayStream>,
    /// What this connection subscribed to, and what of it is not acknowledged yet.
    open: BTreeMap<MailboxId, Unacknowledged>,
    /// When anything came last.
    heard: Instant,
    /// When we asked whether the relay is there, if it has not answered.
    pinged: Option<Instant>,
    /// Since when the oldest post waits for its confirmation.
    unconfirmed: Option<Instant>,
    /// When to look again for subscriptions that the relay had no room for.
    resubscribe: Option<Instant>,
    /// Whether the relay did anything for us.
    served: bool,
}

#[derive(Default)]
struct Unacknowledged {
    /// The last item that was handed on.
    cursor: u64,
    items: usize,
    bytes: usize,
    since: Option<Instant>,
}

impl<'a> Connection<'a> {
    fn new(line: &'a Line, socket: WebSocketStream<RelayStream>) -> Self {
        Self {
            line,
            socket,
            open: BTreeMap::new(),
            heard: Instant::now(),
            pinged: None,
            unconfirmed: None,
            resubscribe: None,
            served: false,
        }
    }

    /// Until the desk closes.
    async fn serve(&mut self) -> io::Result<()> {
        self.send_wanted().await?;
        loop {
            if self.line.is_closing() {
                return self.close().await;
            }
            let wake = self.next_wake();
            // What has come is read before a clock decides that nothing came.
            tokio::select! {
                biased;
                message = self.socket.next() => {
                    let message = message
                        .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?
                        .map_err(io::Error::other)?;
                    self.take(message).await?;
                }
                () = self.line.site.desk.changed.notified() => self.send_wanted().await?,
                () = sleep_until(wake) => self.tick().await?,
            }
        }
    }

    /// Sends what the desk wants and this connection has not sent.
    async fn send_wanted(&mut self) -> io::Result<()> {
        let mut messages = Vec::new();
        {
            let mut desk = self.line.site.desk.lock();
            for (mailbox, read_token) in desk.mailboxes() {
                if !self.open.contains_key(mailbox) {
                    messages.push(subscribe(mailbox, read_token, 0));
                    self.open.insert(*mailbox, Unacknowledged::default());
                }
            }
            while let Some(job) = desk.outbox.next_to_send() {
                messages.push(match &job.call {
                    Call::Post { write_token, item } => call(POST, &job.mailbox, write_token, item),
                    Call::Delete { read_token } => call(DELETE, &job.mailbox, read_token, &[]),
                });
                self.unconfirmed.get_or_insert_with(Instant::now);
            }
        }
        self.send(messages).await
    }

    async fn send(&mut self, messages: Vec<Message>) -> io::Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let sending = async {
            for message in messages {
                self.socket.feed(message).await?;
            }
            self.socket.flush().await
        };
        timeout(SEND_TIMEOUT, sending)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
            .map_err(io::Error::other)
    }

    async fn take(&mut self, message: Message) -> io::Result<()> {
        self.heard = Instant::now();
        self.pinged = None;
        if !message.is_binary() {
            return Ok(());
        }
        let payload = message.into_payload();
        let Some((&kind, rest)) = payload.split_first() else {
            return Err(foreign());
        };
        let Some((mailbox, rest)) = rest.split_first_chunk::<16>() else {
            return Err(foreign());
        };
        match kind {
            ITEM => {
                let Some((cursor, item)) = rest.split_first_chunk::<8>() else {
                    return Err(foreign());
                };
                self.item(*mailbox, u64::from_be_bytes(*cursor), item).await
            }
            DONE => {
                self.confirmed(mailbox);
                Ok(())
            }
            ERROR => {
                let status: [u8; 2] = rest.try_into().map_err(|_| foreign())?;
                self.refused(*mailbox, u16::from_be_bytes(status)).await;
                Ok(())
            }
            _ => Err(foreign()),
        }
    }

    async fn item(&mut self, mailbox: MailboxId, cursor: u64, item: &[u8]) -> io::Result<()> {
        self.served = true;
        if !self.line.deliver(mailbox, item.to_vec()).await {
            return Ok(());
        }
        let pending = self.open.entry(mailbox).or_default();
        pending.cursor = cursor;
        pending.items = pending.items.saturating_add(1);
        pending.bytes = pending.bytes.saturating_add(item.len());
        pending.since.get_or_insert_with(Instant::now);
        if pending.items >= ACKNOWLEDGE_ITEMS || pending.bytes >= ACKNOWLEDGE_BYTES {
            self.acknowledge(|_| true).await?;
        }
        Ok(())
    }

    /// Tells the relay which items it may delete: a subscription anew, with the cursor.
    async fn acknowledge(&mut self, due: impl Fn(Instant) -> bool) -> io::Result<()> {
        let mut messages = Vec::new();
        {
            let desk = self.line.site.desk.lock();
            for (mailbox, pending) in &mut self.open {
                if !pending.since.is_some_and(&due) {
                    continue;
                }
                if let Some(read_token) = desk.read_token(mailbox) {
                    messages.push(subscribe(mailbox, &read_token, pending.cursor));
                }
                *pending = Unacknowledged::default();
            }
        }
        self.send(messages).await
    }

    fn confirmed(&mut self, mailbox: &MailboxId) {
        self.served = true;
        let mut desk = self.line.site.desk.lock();
        if desk.outbox.awaits(mailbox) {
            desk.outbox.confirm();
        }
        self.unconfirmed = desk.outbox.has_sent().then(Instant::now);
    }

    async fn refused(&mut self, mailbox: MailboxId, status: u16) {
        self.served = true;
        if self.line.site.desk.lock().outbox.awaits(&mailbox) {
            self.line.refused(status).await;
            let has_sent = self.line.site.desk.lock().outbox.has_sent();
            self.unconfirmed = has_sent.then(Instant::now);
        } else if status == GONE {
            self.line.gone(mailbox).await;
        } else {
            tracing::warn!(relay = %self.line.site.relay, status, "subscription refused");
            self.open.remove(&mailbox);
            self.resubscribe = Some(after(Instant::now(), RESUBSCRIBE));
        }
    }

    fn next_wake(&self) -> Instant {
        let ping = match self.pinged {
            Some(asked) => after(asked, PING_ANSWER),
            None => after(self.heard, PING_IDLE),
        };
        let acknowledge = self
            .open
            .values()
            .filter_map(|pending| pending.since)
            .map(|since| after(since, ACKNOWLEDGE_DELAY))
            .min();
        let confirm = self.unconfirmed.map(|since| after(since, CONFIRM_TIMEOUT));
        [acknowledge, confirm, self.resubscribe]
            .into_iter()
            .flatten()
            .fold(ping, Instant::min)
    }

    async fn tick(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let is_over = |since: Option<Instant>, limit| since.is_some_and(|s| after(s, limit) <= now);
        if is_over(self.pinged, PING_ANSWER) || is_over(self.unconfirmed, CONFIRM_TIMEOUT) {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        if self.pinged.is_none() && is_over(Some(self.heard), PING_IDLE) {
            self.pinged = Some(now);
            self.send(vec![Message::ping(&b""[..])]).await?;
        }
        if is_over(self.resubscribe, Duration::ZERO) {
            self.resubscribe = None;
            self.send_wanted().await?;
        }
        self.acknowledge(|since| after(since, ACKNOWLEDGE_DELAY) <= now)
            .await
    }

    /// Sends what is queued, acknowledges what came, and says goodbye.
    async fn close(&mut self) -> io::Result<()> {
        self.send_wanted().await?;
        self.acknowledge(|_| true).await?;
        let closing = timeout(SEND_TIMEOUT, self.socket.close()).await;
        tracing::debug!(relay = %self.line.site.relay, ok = matches!(closing, Ok(Ok(()))), "closed");
        Ok(())
    }
}

/// `1 ‖ id ‖ R ‖ after`.
fn subscribe(mailbox: &MailboxId, read_token: &[u8; 32], cursor: u64) -> Message {
    call(SUBSCRIBE, mailbox, read_token, &cursor.to_be_bytes())
}

/// `kind ‖ id ‖ token ‖ rest`.
fn call(kind: u8, mailbox: &MailboxId, token: &[u8; 32], rest: &[u8]) -> Message {
    let head = 1 + mailbox.len() + token.len();
    let mut message = BytesMut::with_capacity(head.saturating_add(rest.len()));
    message.put_u8(kind);
    message.put_slice(mailbox);
    message.put_slice(token);
    message.put_slice(rest);
    Message::binary(message)
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a relay's message")
}

/// A time that cannot be counted is never.
fn after(start: Instant, length: Duration) -> Instant {
    start.checked_add(length).unwrap_or(start)
}

// Message types, `spec/pairing.md` section 3.3.
const SUBSCRIBE: u8 = 1;
const POST: u8 = 2;
const DELETE: u8 = 3;
const ITEM: u8 = 0x81;
const DONE: u8 = 0x82;
const ERROR: u8 = 0x8F;

/// Status of a deleted mailbox, RFC 9110 section 15.5.11.
const GONE: u16 = 410;

/// The upgrade's answer. Why: far above what any server sends in its head.
const UPGRADE_BYTES_MAX: usize = 16 * 1024;

/// The upgrade. Why: one round trip.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest message from a relay: 0x81, id, cursor and the largest item (65,600 bytes).
const MESSAGE_BYTES_MAX: usize = 1 + 16 + 8 + 65_600;

/// A connection that ends sooner without a single answer is taken for one that
/// something on the way does not let pass.
const BRIEF: Duration = Duration::from_secs(5);

/// One write. Why: a relay that takes nothing for so long is away.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// A post's confirmation. Why: as above; the next connection repeats the post.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence before we ask. Why: below the minute after which proxies drop a connection.
const PING_IDLE: Duration = Duration::from_secs(25);

/// The answer to that. Why: one round trip, generously.
const PING_ANSWER: Duration = Duration::from_secs(10);

/// Items of a mailbox before they are acknowledged at once. Why: an eighth of what a
/// relay holds for one.
const ACKNOWLEDGE_ITEMS: usize = 32;

/// Their bytes. Why: as above.
const ACKNOWLEDGE_BYTES: usize = 512 * 1024;

/// Fewer items are acknowledged after this. Why: off the way of an answer that a
/// person waits for, and one message for several items.
const ACKNOWLEDGE_DELAY: Duration = Duration::from_secs(1);

/// A refused subscription is tried again after this. Why: a relay's limits count by the minute.
const RESUBSCRIBE: Duration = Duration::from_secs(15);
