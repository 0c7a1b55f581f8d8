//! TCP and Unix links against real sockets.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keystead_transport::{Address, LinkId, NetAction, NetEvent};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::Instant;

use crate::fake::Side;

const LINK: LinkId = LinkId(7);

/// Two networks with a link between them, which the first dialled.
struct Linked {
    here: Side,
    there: Side,
    /// The link's id there.
    link: LinkId,
    _folder: TempDir,
}

#[derive(Clone, Copy, Debug)]
enum Over {
    Tcp,
    Unix,
}

const BOTH: [Over; 2] = [Over::Tcp, Over::Unix];

async fn listen(side: &mut Side, address: Address<SocketAddr>) -> Address<SocketAddr> {
    let asked = address.clone();
    side.net.apply(NetAction::Listen { address });
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

async fn listen_tcp(side: &mut Side, asked: SocketAddr) -> SocketAddr {
    match listen(side, asked.into()).await {
        Address::Tcp(address) => address,
        Address::Unix(path) => panic!("{}", path.display()),
    }
}

fn dial(side: &mut Side, address: &str) {
    let address = Address::of(address);
    side.net.apply(NetAction::Dial {
        link: LINK,
        address,
    });
}

impl Linked {
    async fn start(over: Over) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut here, mut there) = (Side::start(), Side::start());
        let asked = match over {
            Over::Tcp => Address::Tcp("127.0.0.1:0".parse().unwrap()),
            Over::Unix => Address::Unix(folder.path().join("private/socket")),
        };
        let address = listen(&mut there, asked).await;
        let dialled = match &address {
            Address::Tcp(address) => format!("localhost:{}", address.port()),
            Address::Unix(_) => address.to_string(),
        };
        dial(&mut here, &dialled);
        assert_eq!(here.event().await, NetEvent::Dialled { link: LINK });
        let NetEvent::Accepted { link, peer } = there.event().await else {
            panic!("not accepted");
        };
        assert!(link.is_accepted() && !LINK.is_accepted());
        match peer {
            Address::Tcp(peer) => assert!(peer.ip().is_loopback()),
            Address::Unix(_) => assert_eq!(peer, address),
        }
        Self {
            here,
            there,
            link,
            _folder: folder,
        }
    }
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
    for over in BOTH {
        let Linked {
            mut here,
            mut there,
            link,
            _folder,
        } = Linked::start(over).await;
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        for piece in sent.chunks(999) {
            here.net.apply(NetAction::Send {
                link: LINK,
                bytes: piece.to_vec(),
            });
        }
        here.net.apply(NetAction::Close { link: LINK });
        assert_eq!(bytes(&mut there, link, sent.len()).await, sent);
        assert!(
            matches!(there.event().await, NetEvent::Closed { link: ended, .. } if ended == link)
        );
        here.quiet().await;
    }
}

#[tokio::test]
async fn last_words_arrive_although_the_peer_was_speaking() {
    for over in BOTH {
        let Linked {
            mut here,
            mut there,
            link,
            _folder,
        } = Linked::start(over).await;
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
}

#[tokio::test]
async fn after_a_close_the_link_is_nobodys() {
    for over in BOTH {
        let Linked {
            mut here,
            mut there,
            link,
            _folder,
        } = Linked::start(over).await;
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
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut here = Side::start();
    dial(&mut here, &address);
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
        "unix:/no/such/folder/socket".to_owned(),
        format!("unix:/{}", "x".repeat(107)),
    ] {
        dial(&mut here, &address);
        let NetEvent::DialFailed { link, reason } = here.event().await else {
            panic!("not failed");
        };
        assert_eq!(link, LINK);
        assert!(reason.starts_with(&address), "{reason}");
    }
}

#[tokio::test]
async fn a_listener_ends_and_can_be_had_again_and_its_links_stay() {
    let Linked {
        mut here,
        mut there,
        link,
        _folder,
    } = Linked::start(Over::Tcp).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = taken.local_addr().unwrap();
    there.net.apply(NetAction::Listen {
        address: asked.into(),
    });
    let failed = there.event().await;
    assert!(matches!(failed, NetEvent::ListenFailed { asked: said, .. } if said == asked.into()));
    drop(taken);
    assert_eq!(listen_tcp(&mut there, asked).await, asked);
    there.net.apply(NetAction::Unlisten {
        address: asked.into(),
    });
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
    dial(&mut here, &address);
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
    let address = listen_tcp(&mut here, "127.0.0.1:0".parse().unwrap()).await;
    let mut peer = TcpStream::connect(address).await.unwrap();
    assert!(matches!(here.event().await, NetEvent::Accepted { .. }));
    drop(here);
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_round_trip_is_far_below_what_a_signature_may_take() {
    for over in BOTH {
        let Linked {
            mut here,
            mut there,
            link,
            _folder,
        } = Linked::start(over).await;
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
            "{over:?} round trip: p50 {} µs, p95 {} µs",
            trips[100], trips[190]
        );
        assert!(trips[100] < 1_000, "p50 {} µs", trips[100]);
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A listener's reason against `path`.
async fn refused(path: &Path) -> String {
    let mut side = Side::start();
    side.net.apply(NetAction::Listen {
        address: Address::Unix(path.to_owned()),
    });
    match side.event().await {
        NetEvent::ListenFailed { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_unix_socket_is_0600_in_a_0700_folder_and_goes_with_its_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("private/socket");
    let mut side = Side::start();
    listen(&mut side, Address::Unix(path.clone())).await;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let reason = refused(&path).await;
    assert!(reason.starts_with("another process listens at"), "{reason}");
    side.net.apply(NetAction::Unlisten {
        address: Address::Unix(path.clone()),
    });
    while path.exists() {
        tokio::task::yield_now().await;
    }
    // A dead socket is replaced.
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(
        listen(&mut side, Address::Unix(path.clone())).await,
        Address::Unix(path)
    );
}

#[tokio::test]
async fn a_unix_socket_in_an_open_folder_is_not_had() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("socket");
    let reason = refused(&path).await;
    assert!(
        reason.contains("0700") || reason.contains("755"),
        "{reason}"
    );
    assert!(!path.exists());
}

#[tokio::test]
async fn the_network_dropped_closes_its_unix_links_and_removes_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("private/socket");
    let mut here = Side::start();
    listen(&mut here, Address::Unix(path.clone())).await;
    let mut peer = UnixStream::connect(&path).await.unwrap();
    assert!(matches!(here.event().await, NetEvent::Accepted { .. }));
    drop(here);
    assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    while path.exists() {
        tokio::task::yield_now().await;
    }
}
