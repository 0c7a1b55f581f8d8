//! The real server over loopback: both ways of reading, slow and hostile clients.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the switches for tests do not reach their helpers"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt, StreamExt};
use keystead_daemon::SystemClock;
use keystead_relay::machine::{ITEM_BYTES_MAX, Limits, MailboxId, ReadToken};
use keystead_relay::serve::{Options, Server, Waits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_websockets::{ClientBuilder, MaybeTlsStream, Message, WebSocketStream};

/// A relay in this process; it stops when it is told to.
struct Relay {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    state: tempfile::TempDir,
}

/// Long enough for a busy machine, short enough to see a hang.
const SOON: Duration = Duration::from_secs(10);

impl Relay {
    fn start() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl Fn(&mut Options)) -> Self {
        Self::over(tempfile::tempdir().unwrap(), change)
    }

    fn over(state: tempfile::TempDir, change: impl Fn(&mut Options)) -> Self {
        let mut options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            state: state.path().join("state"),
            limits: Limits::default(),
            behind_proxy: false,
            waits: Waits::default(),
        };
        change(&mut options);
        let server = Server::bind(&options, Arc::new(SystemClock)).unwrap();
        let address = server.address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            stop,
            running,
            state,
        }
    }

    async fn stop(self) -> tempfile::TempDir {
        self.stop.send(()).unwrap();
        timeout(SOON, self.running).await.unwrap().unwrap();
        self.state
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// One call over a connection of its own.
    async fn call(&self, method: &str, target: &str, token: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        let head = head(method, target, token, body.len());
        stream
            .write_all(&[head.as_bytes(), body].concat())
            .await
            .unwrap();
        timeout(SOON, Answer::read(&mut stream)).await.unwrap()
    }

    async fn post(&self, key: u8, item: &[u8]) -> u16 {
        let (target, write, _) = mailbox(key);
        self.call("POST", &target, &write, item).await.status
    }

    async fn read(&self, key: u8, after: u64, wait_s: u32) -> Answer {
        let (target, _, read) = mailbox(key);
        let target = format!("{target}?after={after}&wait_s={wait_s}");
        self.call("GET", &target, &read, b"").await
    }

    async fn websocket(&self) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        let uri = format!("ws://{}/v1/ws", self.address);
        let client = ClientBuilder::new().uri(&uri).unwrap();
        client.connect().await.unwrap().0
    }
}

/// A response, read to its end.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let read = stream.read_buf(&mut bytes).await.unwrap();
            assert!(read > 0, "ended in the head: {bytes:?}");
        };
        let mut body = bytes.split_off(end);
        let head = String::from_utf8(bytes).unwrap().to_lowercase();
        let status = head[9..12].parse().unwrap();
        if head.contains("transfer-encoding: chunked") {
            while !body.ends_with(b"0\r\n\r\n") {
                assert!(stream.read_buf(&mut body).await.unwrap() > 0);
            }
            body = dechunk(&body);
        } else if let Some((_, rest)) = head.split_once("content-length: ") {
            let len: usize = rest.split("\r\n").next().unwrap().parse().unwrap();
            while body.len() < len {
                assert!(stream.read_buf(&mut body).await.unwrap() > 0);
            }
        }
        Self { status, head, body }
    }

    fn items(&self) -> Vec<(u64, Vec<u8>)> {
        let mut rest = self.body.as_slice();
        let mut items = Vec::new();
        while !rest.is_empty() {
            let cursor = u64::from_be_bytes(rest[..8].try_into().unwrap());
            let len = u32::from_be_bytes(rest[8..12].try_into().unwrap());
            let end = 12 + usize::try_from(len).unwrap();
            items.push((cursor, rest[12..end].to_vec()));
            rest = &rest[end..];
        }
        items
    }
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let at = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let len = std::str::from_utf8(&rest[..at]).unwrap();
        let len = usize::from_str_radix(len, 16).unwrap();
        if len == 0 {
            return whole;
        }
        whole.extend_from_slice(&rest[at + 2..at + 2 + len]);
        rest = &rest[at + 4 + len..];
    }
}

fn head(method: &str, target: &str, token: &str, len: usize) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: {len}\r\n\r\n"
    )
}

/// Path, write token and read token of a mailbox.
fn mailbox(key: u8) -> (String, String, String) {
    let write = ReadToken::new([key; 32]).write_token();
    let hex = |byte: &u8| format!("{byte:02x}");
    let id: String = write.mailbox().as_bytes().iter().map(hex).collect();
    assert_eq!(MailboxId::from_hex(&id), Some(write.mailbox()));
    let encode = |token: &[u8]| URL_SAFE_NO_PAD.encode(token);
    (
        format!("/v1/m/{id}"),
        encode(write.as_bytes()),
        encode(&[key; 32]),
    )
}

/// opcode ‖ id ‖ the rest.
fn ws(opcode: u8, key: u8, rest: &[&[u8]]) -> Vec<u8> {
    let id = ReadToken::new([key; 32]).write_token().mailbox();
    [&[opcode], id.as_bytes().as_slice(), &rest.concat()].concat()
}

fn subscribe(key: u8, after: u64) -> Message {
    Message::binary(ws(1, key, &[&[key; 32], &after.to_be_bytes()]))
}

fn ws_post(key: u8, item: &[u8]) -> Message {
    let token = ReadToken::new([key; 32]).write_token();
    Message::binary(ws(2, key, &[token.as_bytes(), item]))
}

fn ws_item(key: u8, cursor: u64, item: &[u8]) -> Vec<u8> {
    ws(0x81, key, &[&cursor.to_be_bytes(), item])
}

/// The next binary message.
async fn next<S>(stream: &mut S) -> Vec<u8>
where
    S: StreamExt<Item = Result<Message, tokio_websockets::Error>> + Unpin,
{
    loop {
        let message = timeout(SOON, stream.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        if message.is_binary() {
            return message.into_payload().to_vec();
        }
    }
}

#[tokio::test]
async fn every_call_has_its_status_and_its_headers() {
    let relay = Relay::start();
    let (one, write, read) = mailbox(1);
    let (two, write_two, read_two) = mailbox(2);
    let upper = one.to_uppercase().replace("/V1/M/", "/v1/m/");
    let long = vec![7; ITEM_BYTES_MAX];
    let too_long = vec![7; ITEM_BYTES_MAX + 1];
    let get = |query: &str| format!("{one}?{query}");
    let table: &[(&str, &str, &str, &[u8], u16)] = &[
        ("POST", &one, &write, b"item", 204),
        ("POST", &one, &write, &long, 204),
        ("POST", &one, &write, &too_long, 413),
        ("POST", &one, &write, b"", 400),
        ("POST", &one, &read, b"item", 401),
        ("POST", &one, &write_two, b"item", 401),
        ("POST", &one, "", b"item", 401),
        ("POST", &one, "not base64!", b"item", 401),
        ("POST", &upper, &write, b"item", 400),
        ("POST", "/v1/m/00", &write, b"item", 400),
        ("GET", &get("after=0&wait_s=0"), &read, b"", 200),
        ("GET", &one, &read, b"", 200),
        ("GET", &get("after=0&wait_s=26"), &read, b"", 400),
        ("GET", &get("after=-1"), &read, b"", 400),
        ("GET", &get("other=1"), &read, b"", 400),
        ("GET", &get("after=0"), &write, b"", 401),
        ("GET", &two, &read_two, b"", 204),
        ("PUT", &one, &write, b"", 405),
        ("OPTIONS", &one, "", b"", 204),
        ("DELETE", &one, &write, b"", 401),
        ("DELETE", &one, &read, b"", 204),
        ("DELETE", &one, &read, b"", 410),
        ("POST", &one, &write, b"item", 410),
        ("GET", &one, &read, b"", 410),
        ("GET", "/health", "", b"", 200),
        ("POST", "/health", "", b"", 405),
        ("GET", "/v1/ws", "", b"", 426),
        ("GET", "/v1/push/key", "", b"", 404),
        ("GET", "/", "", b"", 404),
    ];
    for (method, target, token, body, expected) in table {
        let answer = relay.call(method, target, token, body).await;
        assert_eq!(answer.status, *expected, "{method} {target}: {answer:?}");
        let shared = answer.head.contains("access-control-allow-origin: *\r\n");
        assert!(shared, "{method} {target}: {}", answer.head);
    }
}

#[tokio::test]
async fn a_full_mailbox_says_when_to_come_back() {
    let relay = Relay::start();
    for _ in 0..256 {
        assert_eq!(relay.post(1, b"x").await, 204);
    }
    let (target, write, _) = mailbox(1);
    let full = relay.call("POST", &target, &write, b"x").await;
    assert_eq!(full.status, 429);
    assert!(full.head.contains("retry-after: 5\r\n"), "{}", full.head);
    // Many small items come in one answer, each with its cursor.
    let all = relay.read(1, 0, 0).await.items();
    let cursors: Vec<u64> = all.iter().map(|(cursor, _)| *cursor).collect();
    assert_eq!(cursors, (1..=256).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_browser_may_ask_before_it_sends_its_token() {
    let relay = Relay::start();
    let answer = relay.call("OPTIONS", &mailbox(1).0, "", b"").await;
    for line in [
        "access-control-allow-methods: get, post, delete\r\n",
        "access-control-allow-headers: authorization, content-type\r\n",
        "access-control-expose-headers: retry-after\r\n",
    ] {
        assert!(answer.head.contains(line), "{line}: {}", answer.head);
    }
}

#[tokio::test]
async fn a_long_poll_ends_with_the_item_or_in_time() {
    let relay = Relay::start();
    let began = Instant::now();
    assert_eq!(relay.read(1, 0, 1).await.status, 204);
    assert!(began.elapsed() >= Duration::from_secs(1));
    let (reading, posted) = tokio::join!(relay.read(1, 0, 25), async {
        // Whether the reader waits already or not, it gets the item.
        tokio::task::yield_now().await;
        relay.post(1, b"item").await
    });
    assert_eq!(posted, 204);
    assert_eq!(reading.items(), [(1, b"item".to_vec())]);
    assert!(began.elapsed() < SOON);
}

#[tokio::test]
async fn several_calls_go_over_one_connection() {
    let relay = Relay::start();
    let (target, write, read) = mailbox(1);
    let mut stream = relay.connect().await;
    for number in 1..=3_u8 {
        let posted = head("POST", &target, &write, 1);
        stream
            .write_all(&[posted.as_bytes(), &[number]].concat())
            .await
            .unwrap();
        assert_eq!(Answer::read(&mut stream).await.status, 204);
        let asked = head("GET", &format!("{target}?after={}", number - 1), &read, 0);
        stream.write_all(asked.as_bytes()).await.unwrap();
        let items = Answer::read(&mut stream).await.items();
        assert_eq!(items, [(u64::from(number), vec![number])]);
    }
}

#[tokio::test]
async fn a_chunked_item_that_grows_too_long_is_refused() {
    let relay = Relay::start();
    let (target, write, _) = mailbox(1);
    let mut stream = relay.connect().await;
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {write}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"4000\r\n".as_slice(), &[7; 0x4000], b"\r\n"].concat();
    for _ in 0..5 {
        stream.write_all(&chunk).await.unwrap();
    }
    let answer = timeout(SOON, Answer::read(&mut stream)).await.unwrap();
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn both_ways_of_reading_see_the_same_items() {
    let relay = Relay::start();
    assert_eq!(relay.post(1, b"before").await, 204);
    let mut socket = relay.websocket().await;
    socket.send(subscribe(1, 0)).await.unwrap();
    assert_eq!(next(&mut socket).await, ws_item(1, 1, b"before"));
    assert_eq!(relay.post(1, b"by http").await, 204);
    assert_eq!(next(&mut socket).await, ws_item(1, 2, b"by http"));
    let mut writer = relay.websocket().await;
    writer.send(ws_post(1, b"by socket")).await.unwrap();
    assert_eq!(next(&mut writer).await, ws(0x82, 1, &[]));
    assert_eq!(next(&mut socket).await, ws_item(1, 3, b"by socket"));
    socket.send(subscribe(1, 2)).await.unwrap();
    // An answer to something else comes after the acknowledgement was taken.
    socket.send(ws_post(2, b"x")).await.unwrap();
    assert_eq!(next(&mut socket).await, ws(0x82, 2, &[]));
    let left = relay.read(1, 0, 0).await.items();
    assert_eq!(left, [(3, b"by socket".to_vec())]);
    let (target, _, read) = mailbox(1);
    assert_eq!(relay.call("DELETE", &target, &read, b"").await.status, 204);
    assert_eq!(
        next(&mut socket).await,
        ws(0x8f, 1, &[&410_u16.to_be_bytes()])
    );
}

#[tokio::test]
async fn the_longest_item_goes_over_a_socket_and_a_longer_one_is_refused() {
    let relay = Relay::start();
    let mut socket = relay.websocket().await;
    let long = vec![7; ITEM_BYTES_MAX];
    socket.send(subscribe(1, 0)).await.unwrap();
    socket.send(ws_post(1, &long)).await.unwrap();
    let came = [next(&mut socket).await, next(&mut socket).await];
    assert!(came.contains(&ws(0x82, 1, &[])) && came.contains(&ws_item(1, 1, &long)));
    socket
        .send(ws_post(1, &vec![7; ITEM_BYTES_MAX + 1]))
        .await
        .unwrap();
    assert_eq!(
        next(&mut socket).await,
        ws(0x8f, 1, &[&413_u16.to_be_bytes()])
    );
    // Far above the limit, the connection ends before the message is kept.
    let _ = socket.send(ws_post(1, &vec![7; 1 << 20])).await;
    let end = timeout(SOON, async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                break;
            }
        }
    });
    end.await.unwrap();
}

#[tokio::test]
async fn a_text_message_ends_the_socket() {
    let relay = Relay::start();
    let mut socket = relay.websocket().await;
    socket.send(Message::text("hello")).await.unwrap();
    let message = timeout(SOON, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(message.is_close(), "{message:?}");
}

#[tokio::test]
async fn a_restart_keeps_deletions_and_counts_anew() {
    let relay = Relay::start();
    for _ in 0..5 {
        relay.post(1, b"x").await;
    }
    let (target, _, read) = mailbox(2);
    assert_eq!(relay.call("DELETE", &target, &read, b"").await.status, 204);
    let relay = Relay::over(relay.stop().await, |_| ());
    assert_eq!(relay.post(2, b"x").await, 410);
    assert_eq!(relay.post(1, b"after").await, 204);
    // The reader's last cursor is one of the relay before.
    let items = relay.read(1, 5, 0).await.items();
    assert_eq!(items, [(1, b"after".to_vec())]);
}

#[tokio::test]
async fn one_relay_a_state_folder() {
    let relay = Relay::start();
    let options = Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        state: relay.state.path().join("state"),
        limits: Limits::default(),
        behind_proxy: false,
        waits: Waits::default(),
    };
    let refused = Server::bind(&options, Arc::new(SystemClock)).err().unwrap();
    assert!(
        refused.to_string().contains("is in use by process"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_stopping_relay_answers_who_waits_and_says_goodbye() {
    let relay = Relay::start();
    let mut socket = relay.websocket().await;
    socket.send(ws_post(1, b"x")).await.unwrap();
    next(&mut socket).await;
    let (target, _, read) = mailbox(2);
    let mut poll = relay.connect().await;
    let asked = head("GET", &format!("{target}?after=0&wait_s=25"), &read, 0);
    poll.write_all(asked.as_bytes()).await.unwrap();
    let idle = relay.connect().await;
    // A later call is answered, so the earlier ones have arrived.
    assert_eq!(relay.post(3, b"x").await, 204);
    let began = Instant::now();
    relay.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "nobody was waited for"
    );
    assert_eq!(Answer::read(&mut poll).await.status, 204);
    let goodbye = socket.next().await.unwrap().unwrap();
    assert!(goodbye.is_close(), "{goodbye:?}");
    drop(idle);
}

/// Waits until the peer has closed; what came before.
async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut came = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut came)).await;
    // A reset is an end too.
    let _ = read.unwrap_or_else(|_| panic!("still open after {SOON:?}"));
    came
}

#[tokio::test]
async fn slow_heads_slow_bodies_and_rest_end_in_time() {
    let short = Duration::from_millis(300);
    let relay = Relay::with(|options| {
        options.waits.head = short;
        options.waits.body = short;
    });
    let (target, write, _) = mailbox(1);
    let mut half_head = relay.connect().await;
    half_head.write_all(b"GET /health HT").await.unwrap();
    let mut silent = relay.connect().await;
    let mut half_body = relay.connect().await;
    let body = [head("POST", &target, &write, 100).as_bytes(), b"half"].concat();
    half_body.write_all(&body).await.unwrap();
    assert_eq!(Answer::read(&mut half_body).await.status, 400);
    until_closed(&mut half_body).await;
    until_closed(&mut half_head).await;
    assert!(until_closed(&mut silent).await.is_empty());
    let mut resting = relay.connect().await;
    resting
        .write_all(head("GET", "/health", "", 0).as_bytes())
        .await
        .unwrap();
    assert_eq!(Answer::read(&mut resting).await.status, 200);
    until_closed(&mut resting).await;
}

#[tokio::test]
async fn what_is_no_http_is_closed() {
    let relay = Relay::start();
    for rubbish in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".as_slice(),
        b"hello\r\n\r\n",
        &[0; 64],
    ] {
        let mut stream = relay.connect().await;
        stream.write_all(rubbish).await.unwrap();
        let came = until_closed(&mut stream).await;
        assert!(
            came.is_empty() || came.starts_with(b"HTTP/1.1 400"),
            "{came:?}"
        );
    }
    let mut stream = relay.connect().await;
    let huge = format!(
        "GET /{} HTTP/1.1\r\nHost: relay\r\n\r\n",
        "x".repeat(100_000)
    );
    let _ = stream.write_all(huge.as_bytes()).await;
    let came = until_closed(&mut stream).await;
    let head = String::from_utf8_lossy(&came);
    assert!(came.is_empty() || head.starts_with("HTTP/1.1 4"), "{head}");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_dropped_and_its_items_stay() {
    let relay = Relay::with(|options| options.waits.stall = Duration::from_millis(300));
    let long = vec![7; ITEM_BYTES_MAX];
    for _ in 0..63 {
        assert_eq!(relay.post(1, &long).await, 204);
    }
    let mut socket = relay.websocket().await;
    socket.send(subscribe(1, 0)).await.unwrap();
    let (target, _, read) = mailbox(1);
    let mut poll = relay.connect().await;
    poll.write_all(head("GET", &target, &read, 0).as_bytes())
        .await
        .unwrap();
    // Neither reads. Both must be cut, seen by what comes when they read at last.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let came = until_closed(&mut poll).await;
    assert!(
        came.len() < 63 * ITEM_BYTES_MAX,
        "{} bytes came",
        came.len()
    );
    let mut frames = 0;
    while let Ok(Some(Ok(message))) = timeout(SOON, socket.next()).await {
        frames += u32::from(message.is_binary());
    }
    assert!(frames < 63, "{frames} frames came");
    assert_eq!(relay.read(1, 0, 0).await.items().len(), 63);
}

#[tokio::test]
async fn a_silent_socket_is_dropped_and_one_that_answers_pings_is_not() {
    let relay = Relay::with(|options| {
        options.waits.ping = Duration::from_millis(100);
        options.waits.silence = Duration::from_millis(500);
    });
    let mut living = relay.websocket().await;
    let mut dead = relay.connect().await;
    let handshake = "GET /v1/ws HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    dead.write_all(handshake.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(&mut dead).await.status, 101);
    // Reading answers pings; nothing else comes.
    let resting = timeout(Duration::from_secs(1), async {
        loop {
            let message = living.next().await.unwrap().unwrap();
            assert!(message.is_ping(), "{message:?}");
        }
    });
    let (pings, rested) = tokio::join!(until_closed(&mut dead), resting);
    assert!(pings.starts_with(&[0x89, 0]), "{pings:?}");
    assert!(rested.is_err());
    living.send(ws_post(1, b"x")).await.unwrap();
    assert_eq!(next(&mut living).await, ws(0x82, 1, &[]));
}

#[tokio::test]
async fn a_reader_that_hangs_up_leaves_its_place() {
    let relay = Relay::start();
    let (target, _, read) = mailbox(1);
    let asked = head("GET", &format!("{target}?after=0&wait_s=25"), &read, 0);
    // Three times as many as may wait at once.
    for _ in 0..48 {
        let mut stream = relay.connect().await;
        stream.write_all(asked.as_bytes()).await.unwrap();
    }
    let waited = timeout(SOON, async {
        loop {
            let answer = relay.read(1, 0, 1).await;
            if answer.status == 204 {
                break;
            }
            assert_eq!(answer.status, 429);
        }
    });
    waited.await.unwrap();
}

#[tokio::test]
async fn a_thousand_readers_wait_at_once() {
    let relay = Relay::start();
    let (target, _, read) = mailbox(1);
    let mut sockets = Vec::new();
    for _ in 0..16 {
        let mut socket = relay.websocket().await;
        for key in 1..=100 {
            socket.send(subscribe(key, 0)).await.unwrap();
        }
        socket.send(ws_post(200, b"x")).await.unwrap();
        assert_eq!(next(&mut socket).await, ws(0x82, 200, &[]));
        sockets.push(socket);
    }
    let refused = relay
        .call("GET", &format!("{target}?wait_s=25"), &read, b"")
        .await;
    assert_eq!(refused.status, 429, "sixteen read this mailbox");
    for key in 1..=100 {
        assert_eq!(relay.post(key, &[key]).await, 204);
    }
    for socket in &mut sockets {
        for _ in 1..=100 {
            assert_eq!(next(socket).await[0], 0x81);
        }
    }
}

#[tokio::test]
async fn behind_a_proxy_the_source_is_who_the_proxy_names() {
    let few = |options: &mut Options| {
        options.limits.source.calls_per_s = 1;
        options.behind_proxy = true;
    };
    let relay = Relay::with(few);
    let (target, write, _) = mailbox(1);
    let call = async |forwarded: &str| {
        let mut stream = relay.connect().await;
        let head = head("POST", &target, &write, 1);
        let head = head.replace("Host:", &format!("X-Forwarded-For: {forwarded}\r\nHost:"));
        stream
            .write_all(&[head.as_bytes(), b"x"].concat())
            .await
            .unwrap();
        Answer::read(&mut stream).await.status
    };
    for _ in 0..10 {
        assert_eq!(call("192.0.2.1").await, 204);
    }
    // What the client itself wrote before the proxy's word changes nothing.
    assert_eq!(call("203.0.113.9, 192.0.2.1").await, 429);
    assert_eq!(call("192.0.2.2").await, 204);
    assert_eq!(relay.post(1, b"x").await, 204, "the proxy itself");
}

#[tokio::test]
async fn without_a_proxy_nobody_is_believed() {
    let relay = Relay::with(|options| options.limits.source.calls_per_s = 1);
    let (target, write, _) = mailbox(1);
    let head = head("POST", &target, &write, 1);
    let head = head.replace("Host:", "X-Forwarded-For: 192.0.2.1\r\nHost:");
    for _ in 0..20 {
        let mut stream = relay.connect().await;
        stream
            .write_all(&[head.as_bytes(), b"x"].concat())
            .await
            .unwrap();
        assert_eq!(Answer::read(&mut stream).await.status, 204);
    }
}

#[tokio::test]
async fn connections_above_the_limit_are_told_to_come_back() {
    let relay = Relay::with(|options| options.limits.all.connections = 2);
    let mut socket = relay.websocket().await;
    socket.send(ws_post(1, b"x")).await.unwrap();
    next(&mut socket).await;
    let mut held = relay.connect().await;
    held.write_all(head("GET", "/health", "", 0).as_bytes())
        .await
        .unwrap();
    assert_eq!(Answer::read(&mut held).await.status, 200);
    let mut third = relay.connect().await;
    let told = until_closed(&mut third).await;
    assert!(told.starts_with(b"HTTP/1.1 429 "), "{told:?}");
    // A WebSocket counts as long as it lives; then its place is free.
    drop(held);
    drop(socket);
    let served = timeout(SOON, async {
        loop {
            let mut stream = relay.connect().await;
            let _ = stream
                .write_all(head("GET", "/health", "", 0).as_bytes())
                .await;
            if until_ok(&mut stream).await {
                break;
            }
        }
    });
    served.await.unwrap();
}

async fn until_ok(stream: &mut TcpStream) -> bool {
    let mut came = [0; 12];
    stream.read_exact(&mut came).await.is_ok() && came.ends_with(b"200")
}
