//! TCP links against real sockets.

use std::net::SocketAddr;
use tokio::time::Instant;

use crate::fake::Side;
use keystead_transport::{LinkId, NetAction, NetEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const LINK: LinkId = LinkId(7);

async fn listen(side: &mut Side, asked: SocketAddr) -> SocketAddr {
    side.net.apply(NetAction::Listen { address: asked });
    match side.event().await {
        NetEvent::Listening {
            asked: said,
            address,
        } => {
            assert_eq!(said, asked);
            address
        }
        other => panic!("{other:?}"),
    }
}

/// Two networks with a link between them.
async fn linked() -> (Side, Side, LinkId) {
    let (mut here, mut there) = (Side::start(), Side::start());
    let address = listen(&mut there, "127.0.0.1:0".parse().unwrap()).await;
    here.net.apply(NetAction::Dial {
        link: LINK,
        address: format!("localhost:{}", address.port()),
    });
    assert_eq!(here.event().await, NetEvent::Dialled { link: LINK });
    let NetEvent::Accepted { link, peer } = there.event().await else {
        panic!("not accepted");
    };
    assert!(link.is_accepted() && !LINK.is_accepted());
    assert!(peer.ip().is_loopback());
    (here, there, link)
}

/// Reads until so many bytes came.
async fn bytes(side: &mut Side, on: LinkId, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        match side.event().await {
            NetEvent::Bytes { link, bytes } if link == on => all.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    all
}

#[tokio::test]
async fn bytes_arrive_in_order_and_a_close_comes_after_them() {
    let (mut here, mut there, link) = linked().await;
    let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    for piece in sent.chunks(999) {
        here.net.apply(NetAction::Send {
            link: LINK,
            bytes: piece.to_vec(),
        });
    }
    here.net.apply(NetAction::Close { link: LINK });
    assert_eq!(bytes(&mut there, link, sent.len()).await, sent);
    assert!(matches!(there.event().await, NetEvent::Closed { link: ended, .. } if ended == link));
    here.quiet().await;
}

#[tokio::test]
async fn last_words_arrive_although_the_peer_was_speaking() {
    let (mut here, mut there, link) = linked().await;
    // Unread at the side that closes.
    there.net.apply(NetAction::Send {
        link,
        bytes: vec![1; 60_000],
    });
    here.net.apply(NetAction::Send {
        link: LINK,
        bytes: b"goodbye".to_vec(),
    });
    here.net.apply(NetAction::Close { link: LINK });
    assert_eq!(bytes(&mut there, link, 7).await, b"goodbye");
}

#[tokio::test]
async fn after_a_close_the_link_is_nobodys() {
    let (mut here, mut there, link) = linked().await;
    here.net.apply(NetAction::Close { link: LINK });
    here.net.apply(NetAction::Send {
        link: LINK,
        bytes: b"late".to_vec(),
    });
    there.net.apply(NetAction::Send {
        link,
        bytes: b"unheard".to_vec(),
    });
    assert!(matches!(there.event().await, NetEvent::Closed { .. }));
    here.quiet().await;
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut here = Side::start();
    here.net.apply(NetAction::Dial {
        link: LINK,
        address,
    });
    let (_held, _) = listener.accept().await.unwrap();
    assert_eq!(here.event().await, NetEvent::Dialled { link: LINK });
    // The kernel takes a few MiB of it; the rest overflows the queue.
    for _ in 0..64 {
        here.net.apply(NetAction::Send {
            link: LINK,
            bytes: vec![0; 512 * 1024],
        });
        tokio::task::yield_now().await;
    }
    let NetEvent::Closed { link, reason } = here.event().await else {
        panic!("not closed");
    };
    assert_eq!((link, reason.as_str()), (LINK, "the peer takes nothing"));
}

#[tokio::test]
async fn a_dial_that_fails_says_so() {
    let mut here = Side::start();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    for address in [
        address,
        "not-a-name.invalid:1".to_owned(),
        "nonsense".to_owned(),
    ] {
        here.net.apply(NetAction::Dial {
            link: LINK,
            address: address.clone(),
        });
        let NetEvent::DialFailed { link, reason } = here.event().await else {
            panic!("not failed");
        };
        assert_eq!(link, LINK);
        assert!(reason.starts_with(&address), "{reason}");
    }
}

#[tokio::test]
async fn a_listener_ends_and_can_be_had_again_and_its_links_stay() {
    let (mut here, mut there, link) = linked().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = taken.local_addr().unwrap();
    there.net.apply(NetAction::Listen { address: asked });
    let failed = there.event().await;
    assert!(matches!(failed, NetEvent::ListenFailed { asked: said, .. } if said == asked));
    drop(taken);
    assert_eq!(listen(&mut there, asked).await, asked);
    there.net.apply(NetAction::Unlisten { address: asked });
    while TcpStream::connect(asked).await.is_ok() {
        tokio::task::yield_now().await;
    }
    here.net.apply(NetAction::Send {
        link: LINK,
        bytes: b"still".to_vec(),
    });
    loop {
        match there.event().await {
            NetEvent::Bytes { link: on, bytes } => {
                assert_eq!((on, bytes.as_slice()), (link, &b"still"[..]));
                break;
            }
            // Who connected before the listener ended.
            NetEvent::Accepted { .. } | NetEvent::Closed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_goes_away_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut here = Side::start();
    here.net.apply(NetAction::Dial {
        link: LINK,
        address,
    });
    let (mut peer, _) = listener.accept().await.unwrap();
    assert_eq!(here.event().await, NetEvent::Dialled { link: LINK });
    peer.write_all(b"hi").await.unwrap();
    drop(peer);
    assert_eq!(bytes(&mut here, LINK, 2).await, b"hi");
    assert!(matches!(here.event().await, NetEvent::Closed { .. }));
}

#[tokio::test]
async fn the_network_dropped_closes_its_links_and_listeners() {
    let mut here = Side::start();
    let address = listen(&mut here, "127.0.0.1:0".parse().unwrap()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    assert!(matches!(here.event().await, NetEvent::Accepted { .. }));
    drop(here);
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_round_trip_is_far_below_what_a_signature_may_take() {
    let (mut here, mut there, link) = linked().await;
    let echo = tokio::spawn(async move {
        while let Some(event) = there.events.recv().await {
            if let NetEvent::Bytes { bytes, .. } = event {
                there.net.apply(NetAction::Send { link, bytes });
            }
        }
    });
    let mut trips: Vec<u128> = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        here.net.apply(NetAction::Send {
            link: LINK,
            bytes: vec![0; 256],
        });
        bytes(&mut here, LINK, 256).await;
        trips.push(start.elapsed().as_micros());
    }
    echo.abort();
    trips.sort_unstable();
    println!(
        "TCP round trip: p50 {} µs, p95 {} µs",
        trips[100], trips[190]
    );
    assert!(trips[100] < 1_000, "p50 {} µs", trips[100]);
}
