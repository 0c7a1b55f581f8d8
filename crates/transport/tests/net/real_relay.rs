//! The relay client against the relay itself.

use std::net::SocketAddr;
use std::sync::Arc;

use keystead_daemon::SystemClock;
use keystead_relay::machine::{Limits, ReadToken};
use keystead_relay::serve::{Options, Server, Waits};
use keystead_transport::{MailboxId, NetAction, NetEvent, RelayUrl};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fake::Side;

/// A relay in this process.
struct Relay {
    address: SocketAddr,
    state: TempDir,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Relay {
    async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), tempfile::tempdir().unwrap()).await
    }

    async fn start_at(listen: SocketAddr, state: TempDir) -> Self {
        let options = Options {
            listen,
            state: state.path().join("state"),
            limits: Limits::default(),
            behind_proxy: false,
            waits: Waits::default(),
        };
        let server = Server::bind(&options, Arc::new(SystemClock)).unwrap();
        let address = server.address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            // Stopped or dropped, it ends.
            let _ = stopped.await;
        }));
        Self {
            address,
            state,
            stop,
            running,
        }
    }

    fn url(&self) -> RelayUrl {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// Another process at the same address with the same state.
    async fn restart(self, between: impl AsyncFnOnce()) -> Self {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
        between().await;
        Self::start_at(self.address, self.state).await
    }
}

/// Passes everything but upgrades on, as some companies' proxies do.
async fn proxy_without_upgrades(to: SocketAddr) -> RelayUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 10];
                stream.read_exact(&mut head).await?;
                if head.ends_with(b"/v1/ws") {
                    return stream.write_all(b"HTTP/1.1 403 No\r\n\r\n").await;
                }
                let mut onward = TcpStream::connect(to).await?;
                onward.write_all(&head).await?;
                tokio::io::copy_bidirectional(&mut stream, &mut onward).await?;
                Ok(())
            });
        }
    });
    url.parse().unwrap()
}

/// A mailbox and its tokens.
fn mailbox(n: u8) -> (MailboxId, [u8; 32], [u8; 32]) {
    let read = ReadToken::new([n; 32]);
    let write = read.write_token();
    (*write.mailbox().as_bytes(), [n; 32], *write.as_bytes())
}

fn subscribe(relay: &RelayUrl, n: u8) -> NetAction {
    let (mailbox, read_token, _) = mailbox(n);
    NetAction::Subscribe {
        relay: relay.clone(),
        mailbox,
        read_token,
    }
}

fn post(relay: &RelayUrl, n: u8, item: &[u8]) -> NetAction {
    let (mailbox, _, write_token) = mailbox(n);
    NetAction::Post {
        relay: relay.clone(),
        mailbox,
        write_token,
        item: item.to_vec(),
    }
}

/// The next event that is not about the relay itself.
async fn next(side: &mut Side) -> NetEvent {
    loop {
        match side.event().await {
            NetEvent::RelayUp { .. } | NetEvent::RelayDown { .. } => {}
            other => return other,
        }
    }
}

async fn item(side: &mut Side) -> Vec<u8> {
    match next(side).await {
        NetEvent::Item { item, .. } => item,
        other => panic!("{other:?}"),
    }
}

async fn items_pass_both_ways(here_by: &RelayUrl, there_by: &RelayUrl) {
    let (mut here, mut there) = (Side::start(), Side::start());
    here.net.apply(subscribe(here_by, 1));
    there.net.apply(subscribe(there_by, 2));
    for n in 0..50_u8 {
        here.net.apply(post(here_by, 2, &[n; 300]));
        there.net.apply(post(there_by, 1, &[n; 65_600]));
    }
    for n in 0..50 {
        assert_eq!(item(&mut there).await, [n; 300]);
        assert_eq!(item(&mut here).await, [n; 65_600]);
    }
    here.quiet().await;
    there.quiet().await;
}

#[tokio::test]
async fn items_pass_by_websocket() {
    let relay = Relay::start().await;
    items_pass_both_ways(&relay.url(), &relay.url()).await;
}

#[tokio::test]
async fn items_pass_between_a_websocket_and_long_poll() {
    let relay = Relay::start().await;
    let proxy = proxy_without_upgrades(relay.address).await;
    items_pass_both_ways(&relay.url(), &proxy).await;
}

#[tokio::test]
async fn a_restarted_relay_breaks_nothing() {
    let relay = Relay::start().await;
    let url = relay.url();
    let (mut here, mut there) = (Side::start(), Side::start());
    here.net.apply(subscribe(&url, 1));
    there.net.apply(post(&url, 1, b"before"));
    assert_eq!(item(&mut here).await, b"before");
    let _relay = relay
        .restart(async || {
            // Posted while nobody is there to take it.
            there.net.apply(post(&url, 1, b"meanwhile"));
            assert!(matches!(here.event().await, NetEvent::RelayDown { .. }));
        })
        .await;
    there.net.apply(post(&url, 1, b"after"));
    assert_eq!(item(&mut here).await, b"meanwhile");
    assert_eq!(item(&mut here).await, b"after");
    here.quiet().await;
}

#[tokio::test]
async fn what_was_delivered_is_gone_from_the_relay() {
    let relay = Relay::start().await;
    let url = relay.url();
    let mut here = Side::start();
    here.net.apply(subscribe(&url, 1));
    here.net.apply(post(&url, 1, b"once"));
    assert_eq!(item(&mut here).await, b"once");
    // To let go of the relay acknowledges what came.
    here.net.apply(NetAction::RelayClose { relay: url.clone() });
    here.net.apply(subscribe(&url, 1));
    here.net.apply(post(&url, 1, b"next"));
    let mut seen = vec![item(&mut here).await];
    if seen[0] == b"once" {
        // The new connection was faster than the old one's goodbye.
        seen.push(item(&mut here).await);
    }
    assert_eq!(seen.last().unwrap(), b"next");
    here.quiet().await;
}

#[tokio::test]
async fn a_deleted_mailbox_is_gone_for_reader_and_writer() {
    for long_poll in [false, true] {
        let relay = Relay::start().await;
        let url = if long_poll {
            proxy_without_upgrades(relay.address).await
        } else {
            relay.url()
        };
        let (gone, read_token, _) = mailbox(1);
        let (mut here, mut there) = (Side::start(), Side::start());
        here.net.apply(subscribe(&url, 1));
        here.net.apply(post(&url, 1, b"first"));
        assert_eq!(item(&mut here).await, b"first");
        there.net.apply(NetAction::Delete {
            relay: url.clone(),
            mailbox: gone,
            read_token,
        });
        let NetEvent::Gone { mailbox, .. } = next(&mut here).await else {
            panic!("not gone");
        };
        assert_eq!(mailbox, gone);
        here.net.apply(post(&url, 1, b"late"));
        let refused = next(&mut here).await;
        assert!(
            matches!(refused, NetEvent::PostRefused { status: 410, .. }),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_token_that_does_not_fit_is_refused() {
    let relay = Relay::start().await;
    let url = relay.url();
    let mut here = Side::start();
    here.net.apply(NetAction::Post {
        relay: url.clone(),
        mailbox: mailbox(1).0,
        write_token: mailbox(2).2,
        item: vec![1],
    });
    let refused = next(&mut here).await;
    assert!(
        matches!(refused, NetEvent::PostRefused { status: 401, .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn one_way_through_the_relay_is_far_below_what_a_signature_may_take() {
    let relay = Relay::start().await;
    let url = relay.url();
    let mut here = Side::start();
    here.net.apply(subscribe(&url, 1));
    here.net.apply(post(&url, 1, b"warm"));
    item(&mut here).await;
    let mut trips: Vec<u128> = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        here.net.apply(post(&url, 1, &[0; 300]));
        item(&mut here).await;
        trips.push(start.elapsed().as_micros());
    }
    trips.sort_unstable();
    println!(
        "real relay, one way: p50 {} µs, p95 {} µs",
        trips[100], trips[190]
    );
    assert!(trips[100] < 2_000, "p50 {} µs", trips[100]);
}
