//! Connections over TCP and Unix sockets, dialled and accepted.
//!
//! Invariant: a link's queue is bounded, and a peer that takes nothing is closed
//! instead of waited for. After [`Links::close`] nothing more is told of a link.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead_daemon::socket;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

use crate::connect::{connect_tcp, in_time, prepare_tcp};
use crate::{Address, LinkId, NetEvent};

/// All links, by id.
#[derive(Clone, Default)]
pub(crate) struct Links {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    links: HashMap<LinkId, Arc<Desk>>,
    accepted: u64,
}

impl Links {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for a link that is to be dialled.
    pub(crate) fn open(&self, link: LinkId) -> Arc<Desk> {
        let desk = Arc::new(Desk::default());
        self.lock().links.insert(link, Arc::clone(&desk));
        desk
    }

    fn open_accepted(&self) -> Option<(LinkId, Arc<Desk>)> {
        let mut table = self.lock();
        let held = table.links.keys().filter(|link| link.is_accepted()).count();
        if held >= ACCEPTED_MAX {
            return None;
        }
        let link = LinkId(LinkId::ACCEPTED.0.checked_add(table.accepted)?);
        table.accepted = table.accepted.checked_add(1)?;
        let desk = Arc::new(Desk::default());
        table.links.insert(link, Arc::clone(&desk));
        Some((link, desk))
    }

    /// Queues bytes. For a link that is no more they are nobody's.
    pub(crate) fn send(&self, link: LinkId, bytes: Vec<u8>) {
        if let Some(desk) = self.lock().links.get(&link) {
            desk.push(bytes);
        }
    }

    /// Closes a link once its queue is written.
    pub(crate) fn close(&self, link: LinkId) {
        if let Some(desk) = self.lock().links.remove(&link) {
            desk.finish();
        }
    }

    /// Closes all links.
    pub(crate) fn close_all(&self) {
        for (_, desk) in self.lock().links.drain() {
            desk.finish();
        }
    }

    /// Whether the link is still held; it is not held any longer.
    fn forget(&self, link: LinkId) -> bool {
        self.lock().links.remove(&link).is_some()
    }
}

/// What waits to be written to one link.
#[derive(Default)]
pub(crate) struct Desk {
    state: Mutex<Queue>,
    changed: Notify,
    overflowed: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    finishing: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, bytes: Vec<u8>) {
        {
            let mut queue = self.lock();
            queue.bytes = queue.bytes.saturating_add(bytes.len());
            if queue.bytes > QUEUE_BYTES_MAX {
                self.overflowed.notify_one();
            } else {
                queue.waiting.push_back(bytes);
            }
        }
        self.changed.notify_one();
    }

    fn finish(&self) {
        self.lock().finishing = true;
        self.changed.notify_one();
    }

    fn is_finishing(&self) -> bool {
        self.lock().finishing
    }
}

/// Dials and, if that succeeds, carries.
pub(crate) async fn dial(
    links: Links,
    link: LinkId,
    desk: Arc<Desk>,
    address: Address<String>,
    events: mpsc::Sender<NetEvent>,
) {
    let dialled = tokio::select! {
        dialled = in_time(DIAL_TIMEOUT, connect(&address)) => dialled,
        () = closed(&desk) => return,
    };
    match dialled {
        Ok(stream) => {
            if !desk.is_finishing() && events.send(NetEvent::Dialled { link }).await.is_ok() {
                carry(links, link, desk, stream, events).await;
            }
        }
        Err(error) => {
            if links.forget(link) {
                let reason = format!("{address}: {error}");
                // Without a reader nobody is left to tell.
                let _ = events.send(NetEvent::DialFailed { link, reason }).await;
            }
        }
    }
}

async fn connect(address: &Address<String>) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => connect_tcp(address).await.map(Stream::Tcp),
        Address::Unix(path) => {
            let connected = socket::connect(path).await;
            connected.map(Stream::Unix).map_err(|error| whole(&error))
        }
    }
}

/// A listening socket.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(socket::Listener),
}

impl Listener {
    /// Opens it; gives the address that it has.
    pub(crate) async fn bind(
        asked: &Address<SocketAddr>,
    ) -> io::Result<(Self, Address<SocketAddr>)> {
        match asked {
            Address::Tcp(asked) => {
                let listener = TcpListener::bind(asked).await?;
                let address = listener.local_addr()?;
                Ok((Self::Tcp(listener), Address::Tcp(address)))
            }
            Address::Unix(path) => {
                let listener = socket::Listener::bind(path).map_err(|error| whole(&error))?;
                Ok((Self::Unix(listener), asked.clone()))
            }
        }
    }

    /// The next connection, and who it is from.
    async fn accept(&self) -> io::Result<(Stream, Address<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => loop {
                let (stream, peer) = listener.accept().await?;
                // A peer that was gone at once is none.
                if prepare_tcp(&stream).is_ok() {
                    return Ok((Stream::Tcp(stream), Address::Tcp(peer)));
                }
            },
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let path = listener.path().to_owned();
                Ok((Stream::Unix(stream), Address::Unix(path)))
            }
        }
    }
}

/// A connection.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Accepts until it is dropped.
pub(crate) async fn accept(links: Links, listener: Listener, events: mpsc::Sender<NetEvent>) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a peer that was gone at once: the listener stays.
                tracing::warn!(%error, "accept");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some((link, desk)) = links.open_accepted() else {
            tracing::warn!(%peer, "too many accepted links");
            continue;
        };
        if events
            .send(NetEvent::Accepted { link, peer })
            .await
            .is_err()
        {
            return;
        }
        tokio::spawn(carry(links.clone(), link, desk, stream, events.clone()));
    }
}

/// Carries bytes both ways until either side ends it.
async fn carry(
    links: Links,
    link: LinkId,
    desk: Arc<Desk>,
    stream: Stream,
    events: mpsc::Sender<NetEvent>,
) {
    match stream {
        Stream::Tcp(mut stream) => carry_both(links, link, desk, stream.split(), events).await,
        Stream::Unix(mut stream) => carry_both(links, link, desk, stream.split(), events).await,
    }
}

async fn carry_both<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    links: Links,
    link: LinkId,
    desk: Arc<Desk>,
    (mut reader, mut writer): (R, W),
    events: mpsc::Sender<NetEvent>,
) {
    // Both in one task: an answer costs no switch between tasks.
    let reason = tokio::select! {
        reason = read(&mut reader, link, &desk, &events) => reason,
        reason = write(&mut writer, &desk) => reason,
        () = desk.overflowed.notified() => Some(TAKES_NOTHING.to_owned()),
    };
    let reason = match reason {
        Some(reason) => reason,
        None => {
            linger(&mut reader, &mut writer).await;
            return;
        }
    };
    if links.forget(link) {
        // Without a reader nobody is left to tell.
        let _ = events.send(NetEvent::Closed { link, reason }).await;
    }
}

/// Ends with a reason, or with none when we close.
async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    link: LinkId,
    desk: &Desk,
    events: &mpsc::Sender<NetEvent>,
) -> Option<String> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let bytes = match reader.read(&mut buffer).await {
            Ok(0) => return Some("the peer closed the connection".to_owned()),
            Ok(len) => buffer.get(..len).unwrap_or_default().to_vec(),
            Err(error) => return Some(error.to_string()),
        };
        if desk.is_finishing() {
            // `write` ends the link.
            std::future::pending::<()>().await;
        }
        events.send(NetEvent::Bytes { link, bytes }).await.ok()?;
    }
}

/// Ends with a reason, or with none when we close.
async fn write(writer: &mut (impl AsyncWrite + Unpin), desk: &Desk) -> Option<String> {
    loop {
        let next = {
            let mut queue = desk.lock();
            let next = queue.waiting.pop_front();
            if next.is_none() && queue.finishing {
                return None;
            }
            next
        };
        let Some(bytes) = next else {
            desk.changed.notified().await;
            continue;
        };
        match in_time(WRITE_TIMEOUT, writer.write_all(&bytes)).await {
            Ok(()) => {
                let mut queue = desk.lock();
                queue.bytes = queue.bytes.saturating_sub(bytes.len());
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Some(TAKES_NOTHING.to_owned());
            }
            Err(error) => return Some(error.to_string()),
        }
    }
}

/// Says that nothing more comes, and reads what the peer still had to say: closing a
/// socket with unread bytes makes TCP discard our last words.
async fn linger(reader: &mut (impl AsyncRead + Unpin), writer: &mut (impl AsyncWrite + Unpin)) {
    if writer.shutdown().await.is_err() {
        return;
    }
    let mut buffer = vec![0; READ_BYTES];
    let draining = async { while matches!(reader.read(&mut buffer).await, Ok(1..)) {} };
    if timeout(LINGER, draining).await.is_err() {
        tracing::debug!("the peer did not close");
    }
}

/// Ends when the link is to be closed.
async fn closed(desk: &Desk) {
    while !desk.is_finishing() {
        desk.changed.notified().await;
    }
}

/// An error with its causes, for a person.
fn whole(error: &dyn std::error::Error) -> io::Error {
    let causes = std::iter::successors(Some(error), |it| it.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    io::Error::other(causes.join(": "))
}

/// What is said of a peer whose queue is full, or stands still.
const TAKES_NOTHING: &str = "the peer takes nothing";

/// Bytes that wait for one peer. Why: four whole requests of the longest kind.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// Accepted links held at once. Why: an authenticator has 64 pairings, a few links
/// each; a quarter of the descriptors that a process commonly has.
const ACCEPTED_MAX: usize = 256;

/// Bytes read at once. Why: the largest common padded frame.
const READ_BYTES: usize = 16 * 1024;

/// Resolving and connecting. Why: on a local network it takes milliseconds, and a
/// request goes over the relay meanwhile.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Writing one piece. Why: a peer that takes nothing for so long is away.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Waiting for the peer's end after ours. Why: one round trip, generously.
const LINGER: Duration = Duration::from_secs(2);

/// Pause after an accept that failed. Why: descriptors come free meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
