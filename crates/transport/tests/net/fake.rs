//! A relay for tests: the wire table of `spec/pairing.md` section 3.3 and no more,
//! with every fault that a test wants.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use keystead_transport::{MailboxId, Net, NetEvent, NetOptions, RelayUrl};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_websockets::{Message, ServerBuilder};

/// How the relay answers an upgrade.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Upgrade {
    Take,
    Refuse,
    /// 101, and the end.
    Break,
}

/// What the relay holds; outlives its process as a real one's clients hope.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) boxes: HashMap<MailboxId, Vec<(u64, Vec<u8>)>>,
    pub(crate) last: u64,
    pub(crate) gone: HashSet<MailboxId>,
    /// Status for every post.
    pub(crate) refuse_posts: Option<u16>,
    /// Takes posts and says nothing.
    pub(crate) mute: bool,
    /// Each call in words.
    pub(crate) calls: Vec<String>,
}

pub(crate) struct TestRelay {
    pub(crate) address: SocketAddr,
    pub(crate) url: RelayUrl,
    pub(crate) held: Arc<Mutex<Held>>,
    changed: Arc<Notify>,
    upgrade: Upgrade,
    server: Option<tokio::task::JoinHandle<()>>,
}

impl TestRelay {
    pub(crate) async fn start(upgrade: Upgrade) -> Self {
        Self::start_tls(upgrade, None).await
    }

    pub(crate) async fn start_tls(upgrade: Upgrade, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut relay = Self {
            address,
            url: format!("{scheme}://{address}/below").parse().unwrap(),
            held: Arc::default(),
            changed: Arc::default(),
            upgrade,
            server: None,
        };
        relay.serve(listener, tls);
        relay
    }

    fn serve(&mut self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let (held, changed, upgrade) = (self.held.clone(), self.changed.clone(), self.upgrade);
        self.server = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (held, changed, tls) = (held.clone(), changed.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        Some(tls) => {
                            let stream = tls.accept(stream).await?;
                            answer(stream, upgrade == Upgrade::Take, upgrade, held, changed).await
                        }
                        None => {
                            let is_upgrade = is_upgrade(&stream).await?;
                            answer(stream, is_upgrade, upgrade, held, changed).await
                        }
                    }
                });
            }
        }));
    }

    /// Kills the process: listener and connections. What it holds stays here.
    pub(crate) async fn stop(&mut self) {
        let server = self.server.take().unwrap();
        server.abort();
        let _ = server.await;
    }

    /// A new process at the same address. Items are lost and cursors start again.
    pub(crate) async fn restart(&mut self) {
        {
            let mut held = self.held.lock().unwrap();
            held.boxes.clear();
            held.last = 0;
        }
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener, None);
    }

    /// An item from somebody else.
    pub(crate) fn put(&self, mailbox: MailboxId, item: &[u8]) {
        put(&mut self.held.lock().unwrap(), mailbox, item);
        self.changed.notify_waiters();
    }

    pub(crate) fn items(&self, mailbox: MailboxId) -> Vec<Vec<u8>> {
        let held = self.held.lock().unwrap();
        let items = held.boxes.get(&mailbox).into_iter().flatten();
        items.map(|(_, item)| item.clone()).collect()
    }

    /// Waits until a call was made that starts so.
    pub(crate) async fn called(&self, start: &str) -> String {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                let found = self
                    .held
                    .lock()
                    .unwrap()
                    .calls
                    .iter()
                    .find(|call| call.starts_with(start))
                    .cloned();
                if let Some(call) = found {
                    return call;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(call) => call,
            Err(_) => panic!("no {start} in {:?}", self.held.lock().unwrap().calls),
        }
    }

    /// Waits until a mailbox holds so many items.
    pub(crate) async fn holds(&self, mailbox: MailboxId, count: usize) -> Vec<Vec<u8>> {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                let items = self.items(mailbox);
                if items.len() >= count {
                    return items;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap()
    }
}

fn put(held: &mut Held, mailbox: MailboxId, item: &[u8]) {
    held.last += 1;
    let cursor = held.last;
    held.boxes
        .entry(mailbox)
        .or_default()
        .push((cursor, item.to_vec()));
}

async fn is_upgrade(stream: &TcpStream) -> io::Result<bool> {
    let start = b"GET /below/v1/ws";
    let mut seen = [0; 16];
    while stream.peek(&mut seen).await? < start.len() {
        tokio::task::yield_now().await;
    }
    Ok(&seen == start)
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send>(
    mut stream: S,
    is_upgrade: bool,
    upgrade: Upgrade,
    held: Arc<Mutex<Held>>,
    changed: Arc<Notify>,
) -> io::Result<()> {
    match (is_upgrade, upgrade) {
        (true, Upgrade::Take) => serve_websocket(stream, held, changed).await,
        (true, Upgrade::Break) => {
            let (_, socket) = ServerBuilder::new()
                .accept(stream)
                .await
                .map_err(io::Error::other)?;
            drop(socket);
            Ok(())
        }
        _ => {
            while let Some(call) = read_call(&mut stream).await? {
                let reply = take_call(call, &held, &changed).await;
                stream.write_all(&reply).await?;
            }
            Ok(())
        }
    }
}

async fn serve_websocket<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    held: Arc<Mutex<Held>>,
    changed: Arc<Notify>,
) -> io::Result<()> {
    let (_, mut socket) = ServerBuilder::new()
        .accept(stream)
        .await
        .map_err(io::Error::other)?;
    let mut cursors: HashMap<MailboxId, u64> = HashMap::new();
    loop {
        let waiting = changed.notified();
        let mut out = Vec::new();
        {
            let held = held.lock().unwrap();
            for (mailbox, cursor) in &mut cursors {
                for (at, item) in held.boxes.get(mailbox).into_iter().flatten() {
                    if at > cursor {
                        *cursor = *at;
                        out.push([&[0x81], &mailbox[..], &at.to_be_bytes(), item].concat());
                    }
                }
            }
        }
        for message in out {
            socket
                .send(Message::binary(message))
                .await
                .map_err(io::Error::other)?;
        }
        let message = tokio::select! {
            message = socket.next() => message,
            () = waiting => continue,
        };
        let Some(Ok(message)) = message else {
            return Ok(());
        };
        if !message.is_binary() {
            continue;
        }
        let message = message.into_payload().to_vec();
        let reply = take_message(&message, &mut held.lock().unwrap(), &mut cursors);
        changed.notify_waiters();
        if let Some(reply) = reply {
            socket
                .send(Message::binary(reply))
                .await
                .map_err(io::Error::other)?;
        }
    }
}

/// Does what a binary message asks; the answer to it, if there is one.
fn take_message(
    message: &[u8],
    held: &mut Held,
    cursors: &mut HashMap<MailboxId, u64>,
) -> Option<Vec<u8>> {
    let mailbox: MailboxId = message[1..17].try_into().unwrap();
    let rest = &message[49..];
    let status = held.refuse_posts.filter(|_| message[0] == 2);
    let gone = held.gone.contains(&mailbox).then_some(410_u16);
    match (message[0], status.or(gone)) {
        (_, Some(status)) => Some([&[0x8F], &mailbox[..], &status.to_be_bytes()].concat()),
        (1, None) => {
            let after = u64::from_be_bytes(rest.try_into().unwrap());
            held.calls.push(format!("subscribe {after}"));
            let after = if after > held.last { 0 } else { after };
            let items = held.boxes.entry(mailbox).or_default();
            items.retain(|(at, _)| *at > after);
            let sent = cursors.entry(mailbox).or_default();
            *sent = (*sent).max(after);
            None
        }
        (2, None) => {
            put(held, mailbox, rest);
            (!held.mute).then(|| [&[0x82], &mailbox[..]].concat())
        }
        (3, None) => {
            held.calls.push("delete".to_owned());
            held.gone.insert(mailbox);
            Some([&[0x82], &mailbox[..]].concat())
        }
        _ => panic!("unknown message"),
    }
}

struct HttpCall {
    method: String,
    path: String,
    head: String,
    body: Vec<u8>,
}

async fn read_call<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<HttpCall>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let mut words = head.split(' ');
    Ok(Some(HttpCall {
        method: words.next().unwrap().to_owned(),
        path: words.next().unwrap().to_owned(),
        body,
        head: head.clone(),
    }))
}

async fn take_call(call: HttpCall, held: &Mutex<Held>, changed: &Notify) -> Vec<u8> {
    let Some(rest) = call.path.strip_prefix("/below/v1/m/") else {
        return reply(404, b"");
    };
    assert!(call.head.contains("uthorization: Bearer "), "{}", call.head);
    let (id, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mailbox: MailboxId =
        std::array::from_fn(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap());
    if held.lock().unwrap().gone.contains(&mailbox) {
        return reply(410, b"");
    }
    match call.method.as_str() {
        "POST" => {
            let mut held = held.lock().unwrap();
            if let Some(status) = held.refuse_posts {
                return reply(status, b"");
            }
            put(&mut held, mailbox, &call.body);
            changed.notify_waiters();
            reply(204, b"")
        }
        "DELETE" => {
            let mut held = held.lock().unwrap();
            held.calls.push("delete".to_owned());
            held.gone.insert(mailbox);
            changed.notify_waiters();
            reply(204, b"")
        }
        _ => {
            let after: u64 = query
                .split('&')
                .find_map(|part| part.strip_prefix("after=")?.parse().ok())
                .unwrap();
            held.lock().unwrap().calls.push(format!("poll {after}"));
            changed.notify_waiters();
            let waiting = async {
                loop {
                    let waiting = changed.notified();
                    let mut body = Vec::new();
                    {
                        let mut held = held.lock().unwrap();
                        let after = if after > held.last { 0 } else { after };
                        let items = held.boxes.entry(mailbox).or_default();
                        items.retain(|(at, _)| *at > after);
                        for (at, item) in items {
                            body.extend_from_slice(&at.to_be_bytes());
                            let len = u32::try_from(item.len()).unwrap();
                            body.extend_from_slice(&len.to_be_bytes());
                            body.extend_from_slice(item);
                        }
                    }
                    if !body.is_empty() {
                        return body;
                    }
                    waiting.await;
                }
            };
            match tokio::time::timeout(Duration::from_secs(1), waiting).await {
                Ok(body) => reply(200, &body),
                Err(_) => reply(204, b""),
            }
        }
    }
}

fn reply(status: u16, body: &[u8]) -> Vec<u8> {
    let mut reply = format!("HTTP/1.1 {status} x\r\n").into_bytes();
    if status != 204 {
        reply.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    reply.extend_from_slice(b"\r\n");
    reply.extend_from_slice(body);
    reply
}

/// The network and its events, with patience that ends.
pub(crate) struct Side {
    pub(crate) net: Net,
    pub(crate) events: mpsc::Receiver<NetEvent>,
}

impl Side {
    pub(crate) fn start() -> Self {
        let (net, events) = Net::start(NetOptions::default()).unwrap();
        Self { net, events }
    }

    pub(crate) async fn event(&mut self) -> NetEvent {
        tokio::time::timeout(PATIENCE, self.events.recv())
            .await
            .expect("no event in time")
            .unwrap()
    }

    /// No event within a moment.
    pub(crate) async fn quiet(&mut self) {
        self.quiet_for(Duration::from_millis(150)).await;
    }

    /// No event for so long.
    pub(crate) async fn quiet_for(&mut self, time: Duration) {
        let event = tokio::time::timeout(time, self.events.recv()).await;
        assert!(event.is_err(), "{event:?}");
    }
}

/// What a test waits at the most for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
