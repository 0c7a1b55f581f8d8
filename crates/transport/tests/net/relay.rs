//! The relay client against a relay of the tests' own.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use crate::fake::{Side, TestRelay, Upgrade};
use keystead_transport::{MailboxId, Net, NetAction, NetEvent, NetOptions, RelayUrl};
use tempfile::NamedTempFile;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

const INBOX: MailboxId = [1; 16];
const OUTBOX: MailboxId = [2; 16];

fn subscribe(relay: &RelayUrl, mailbox: MailboxId) -> NetAction {
    NetAction::Subscribe {
        relay: relay.clone(),
        mailbox,
        read_token: [9; 32],
    }
}

fn post(relay: &RelayUrl, mailbox: MailboxId, item: &[u8]) -> NetAction {
    NetAction::Post {
        relay: relay.clone(),
        mailbox,
        write_token: [8; 32],
        item: item.to_vec(),
    }
}

fn up(relay: &RelayUrl) -> NetEvent {
    NetEvent::RelayUp {
        relay: relay.clone(),
    }
}

fn item(relay: &RelayUrl, bytes: &[u8]) -> NetEvent {
    NetEvent::Item {
        relay: relay.clone(),
        mailbox: INBOX,
        item: bytes.to_vec(),
    }
}

/// A side that reads its inbox at a relay.
async fn subscribed(upgrade: Upgrade) -> (TestRelay, Side) {
    let relay = TestRelay::start(upgrade).await;
    let mut side = Side::start();
    side.net.apply(subscribe(&relay.url, INBOX));
    assert_eq!(side.event().await, up(&relay.url));
    (relay, side)
}

async fn posts_and_items_pass(upgrade: Upgrade) {
    let (relay, mut side) = subscribed(upgrade).await;
    for n in 0..20_u8 {
        side.net.apply(post(&relay.url, OUTBOX, &[n]));
        relay.put(INBOX, &[n, n]);
    }
    let posted: Vec<Vec<u8>> = (0..20).map(|n| vec![n]).collect();
    assert_eq!(relay.holds(OUTBOX, 20).await, posted);
    for n in 0..20 {
        assert_eq!(side.event().await, item(&relay.url, &[n, n]));
    }
    side.quiet().await;
}

#[tokio::test]
async fn posts_and_items_pass_over_a_websocket() {
    posts_and_items_pass(Upgrade::Take).await;
}

#[tokio::test]
async fn posts_and_items_pass_by_long_poll_where_the_upgrade_is_refused() {
    posts_and_items_pass(Upgrade::Refuse).await;
}

#[tokio::test]
async fn posts_and_items_pass_by_long_poll_where_a_websocket_breaks_at_once() {
    let relay = TestRelay::start(Upgrade::Break).await;
    let mut side = Side::start();
    side.net.apply(subscribe(&relay.url, INBOX));
    relay.put(INBOX, b"one");
    assert_eq!(side.event().await, up(&relay.url));
    assert_eq!(side.event().await, item(&relay.url, b"one"));
}

async fn delivered_items_are_acknowledged(upgrade: Upgrade, call: &str) {
    let (relay, mut side) = subscribed(upgrade).await;
    relay.put(INBOX, b"a");
    relay.put(INBOX, b"b");
    side.event().await;
    side.event().await;
    relay.called(call).await;
    assert!(relay.items(INBOX).is_empty());
}

#[tokio::test]
async fn delivered_items_are_acknowledged_on_a_websocket() {
    delivered_items_are_acknowledged(Upgrade::Take, "subscribe 2").await;
}

#[tokio::test]
async fn delivered_items_are_acknowledged_by_long_poll() {
    delivered_items_are_acknowledged(Upgrade::Refuse, "poll 2").await;
}

#[tokio::test]
async fn an_outage_is_said_once_and_loses_no_post_and_no_subscription() {
    let (mut relay, mut side) = subscribed(Upgrade::Take).await;
    relay.put(INBOX, b"before");
    assert_eq!(side.event().await, item(&relay.url, b"before"));
    relay.stop().await;
    for n in 0..5 {
        side.net.apply(post(&relay.url, OUTBOX, &[n]));
    }
    let NetEvent::RelayDown {
        relay: away,
        reason,
    } = side.event().await
    else {
        panic!("not down");
    };
    assert_eq!(away, relay.url);
    assert!(reason.contains("refused"), "{reason}");
    // Long enough for two attempts more, which fail as well.
    side.quiet_for(Duration::from_millis(1_200)).await;
    relay.restart().await;
    assert_eq!(side.event().await, up(&relay.url));
    let posted: Vec<Vec<u8>> = (0..5).map(|n| vec![n]).collect();
    assert_eq!(relay.holds(OUTBOX, 5).await, posted);
    // The new process counts from 1 again, and still everything comes.
    relay.put(INBOX, b"after");
    assert_eq!(side.event().await, item(&relay.url, b"after"));
    side.quiet().await;
}

#[tokio::test]
async fn a_post_that_was_never_confirmed_goes_again_over_the_next_connection() {
    let (mut relay, side) = subscribed(Upgrade::Take).await;
    let mut side = side;
    relay.held.lock().unwrap().mute = true;
    side.net.apply(post(&relay.url, OUTBOX, b"kept"));
    relay.holds(OUTBOX, 1).await;
    relay.stop().await;
    relay.held.lock().unwrap().mute = false;
    relay.restart().await;
    assert_eq!(relay.holds(OUTBOX, 1).await, [b"kept".to_vec()]);
}

async fn a_deleted_mailbox_is_gone(upgrade: Upgrade) {
    let relay = TestRelay::start(upgrade).await;
    relay.held.lock().unwrap().gone.insert(INBOX);
    let mut side = Side::start();
    side.net.apply(subscribe(&relay.url, INBOX));
    assert_eq!(side.event().await, up(&relay.url));
    let gone = NetEvent::Gone {
        relay: relay.url.clone(),
        mailbox: INBOX,
    };
    assert_eq!(side.event().await, gone);
    side.quiet().await;
}

#[tokio::test]
async fn a_deleted_mailbox_is_gone_on_a_websocket() {
    a_deleted_mailbox_is_gone(Upgrade::Take).await;
}

#[tokio::test]
async fn a_deleted_mailbox_is_gone_by_long_poll() {
    a_deleted_mailbox_is_gone(Upgrade::Refuse).await;
}

async fn a_refused_post_is_told_and_the_next_one_passes(upgrade: Upgrade) {
    let (relay, mut side) = subscribed(upgrade).await;
    relay.held.lock().unwrap().refuse_posts = Some(429);
    side.net.apply(post(&relay.url, OUTBOX, b"too many"));
    let refused = NetEvent::PostRefused {
        relay: relay.url.clone(),
        mailbox: OUTBOX,
        status: 429,
    };
    assert_eq!(side.event().await, refused);
    relay.held.lock().unwrap().refuse_posts = None;
    side.net.apply(post(&relay.url, OUTBOX, b"next"));
    assert_eq!(relay.holds(OUTBOX, 1).await, [b"next".to_vec()]);
}

#[tokio::test]
async fn a_refused_post_is_told_on_a_websocket() {
    a_refused_post_is_told_and_the_next_one_passes(Upgrade::Take).await;
}

#[tokio::test]
async fn a_refused_post_is_told_by_long_poll() {
    a_refused_post_is_told_and_the_next_one_passes(Upgrade::Refuse).await;
}

async fn what_is_queued_leaves_before_the_relay_is_let_go_of(upgrade: Upgrade) {
    let (relay, mut side) = subscribed(upgrade).await;
    side.net.apply(NetAction::Unsubscribe {
        relay: relay.url.clone(),
        mailbox: INBOX,
    });
    side.net.apply(post(&relay.url, OUTBOX, b"last"));
    side.net.apply(NetAction::Delete {
        relay: relay.url.clone(),
        mailbox: INBOX,
        read_token: [9; 32],
    });
    side.net.apply(NetAction::RelayClose {
        relay: relay.url.clone(),
    });
    assert_eq!(relay.holds(OUTBOX, 1).await, [b"last".to_vec()]);
    relay.called("delete").await;
    relay.put(INBOX, b"unheard");
    side.quiet().await;
}

#[tokio::test]
async fn what_is_queued_leaves_before_a_websocket_is_closed() {
    what_is_queued_leaves_before_the_relay_is_let_go_of(Upgrade::Take).await;
}

#[tokio::test]
async fn what_is_queued_leaves_before_long_poll_ends() {
    what_is_queued_leaves_before_the_relay_is_let_go_of(Upgrade::Refuse).await;
}

#[tokio::test]
async fn what_is_no_relay_is_said_to_be_away() {
    let relay = TestRelay::start(Upgrade::Refuse).await;
    let elsewhere: RelayUrl = format!("http://{}/elsewhere", relay.address)
        .parse()
        .unwrap();
    let mut side = Side::start();
    side.net.apply(subscribe(&elsewhere, INBOX));
    let NetEvent::RelayDown { reason, .. } = side.event().await else {
        panic!("not down");
    };
    assert_eq!(reason, "HTTP status 404");
}

#[tokio::test]
async fn a_round_trip_through_a_relay_is_far_below_what_a_signature_may_take() {
    let (relay, mut side) = subscribed(Upgrade::Take).await;
    let mut trips: Vec<u128> = Vec::new();
    for _ in 0..200 {
        let start = Instant::now();
        side.net.apply(post(&relay.url, INBOX, &[0; 300]));
        side.event().await;
        trips.push(start.elapsed().as_micros());
    }
    trips.sort_unstable();
    println!(
        "relay, one way: p50 {} µs, p95 {} µs",
        trips[100], trips[190]
    );
    assert!(trips[100] < 2_000, "p50 {} µs", trips[100]);
}

/// A certificate authority in a file, and a server that it vouches for.
fn certified() -> (NamedTempFile, TlsAcceptor) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let server_key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&server_key, &issuer)
        .unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ))
    .with_protocol_versions(&[&rustls::version::TLS13])
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(
        vec![server.der().clone()],
        rustls::pki_types::PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
    )
    .unwrap();
    let file = file_with(authority_certificate.pem().as_bytes());
    (file, TlsAcceptor::from(Arc::new(config)))
}

fn file_with(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

async fn over_tls(upgrade: Upgrade) {
    let (ca_file, tls) = certified();
    let relay = TestRelay::start_tls(upgrade, Some(tls)).await;
    let ca_file = Some(ca_file.path().to_owned());
    let (net, events) = Net::start(NetOptions { ca_file }).unwrap();
    let mut side = Side { net, events };
    relay.put(INBOX, b"sealed");
    side.net.apply(subscribe(&relay.url, INBOX));
    assert_eq!(side.event().await, up(&relay.url));
    assert_eq!(side.event().await, item(&relay.url, b"sealed"));
}

#[tokio::test]
async fn an_https_relay_whose_authority_is_in_the_file_is_used_by_websocket() {
    over_tls(Upgrade::Take).await;
}

#[tokio::test]
async fn an_https_relay_whose_authority_is_in_the_file_is_used_by_long_poll() {
    over_tls(Upgrade::Refuse).await;
}

#[tokio::test]
async fn an_https_relay_that_nobody_vouches_for_is_not_spoken_to() {
    let (_, tls) = certified();
    let (other_ca, _) = certified();
    let relay = TestRelay::start_tls(Upgrade::Take, Some(tls)).await;
    let ca_file = Some(other_ca.path().to_owned());
    let (net, events) = Net::start(NetOptions { ca_file }).unwrap();
    let mut side = Side { net, events };
    side.net.apply(post(&relay.url, OUTBOX, b"for nobody"));
    let NetEvent::RelayDown { reason, .. } = side.event().await else {
        panic!("not down");
    };
    assert!(reason.contains("certificate"), "{reason}");
    assert!(relay.items(OUTBOX).is_empty());
}

#[tokio::test]
async fn a_ca_file_that_holds_nothing_is_one_clear_error() {
    let empty = file_with(b"not a certificate\n");
    for path in [empty.path().to_owned(), "/nowhere/ca.pem".into()] {
        let started = Net::start(NetOptions {
            ca_file: Some(path.clone()),
        });
        let Err(error) = started else {
            panic!("{path:?} was taken");
        };
        assert!(error.to_string().contains(path.to_str().unwrap()));
        assert!(!error.hint().is_empty());
    }
}

#[tokio::test]
async fn letting_go_of_a_relay_that_is_away_ends_its_attempts() {
    let mut relay = TestRelay::start(Upgrade::Take).await;
    relay.stop().await;
    let mut side = Side::start();
    side.net.apply(subscribe(&relay.url, INBOX));
    assert!(matches!(side.event().await, NetEvent::RelayDown { .. }));
    side.net.apply(NetAction::RelayClose {
        relay: relay.url.clone(),
    });
    relay.restart().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(relay.held.lock().unwrap().calls.is_empty());
    side.quiet().await;
}
