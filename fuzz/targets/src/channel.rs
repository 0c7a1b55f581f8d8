//! The decoders of `keystead-channel`.

use std::sync::Arc;

use keystead_channel::curve::{
    Client, ClientHandshake, ClientSetup, Established, ExtensionSet, KeyPair, Offer as Extensions,
    Timing,
};
use keystead_channel::link::{Carrier, LinkEnd, LinkEvent, Listener, ServerLink, Standing};
use keystead_channel::mailbox::{ConnId, Conns, Item, MailboxId};
use keystead_channel::pairing::Offer;
use keystead_channel::wire;
use keystead_core::Kind;

use crate::random::Counter;

/// What is read is written back byte for byte.
pub(crate) fn request(bytes: &[u8]) {
    if let Ok(request) = wire::decode_request(bytes) {
        assert_eq!(wire::encode_request(&request), bytes);
    }
}

/// The first byte chooses the kind that was asked. What is read is written back, but for
/// what later versions add: that is left out, and what is left is written back.
pub(crate) fn response(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else {
        return;
    };
    let kinds = Kind::ALL.iter().cycle();
    let kind = kinds.skip(usize::from(*choice)).copied().next();
    if let Ok(response) = wire::decode_response(bytes, |_| kind) {
        let written = wire::encode_response(&response);
        assert!(written == bytes || written.len() < bytes.len());
        let again = wire::decode_response(&written, |_| kind);
        assert_eq!(again.map(|again| again.body), Ok(response.body));
    }
    if let Ok(response) = wire::decode_local_response(bytes, |_| kind) {
        assert!(response.receipt.is_none());
        let written = wire::encode_response(&response);
        assert!(written == bytes || written.len() < bytes.len());
    }
}

pub(crate) fn receipt(bytes: &[u8]) {
    if let Ok(receipt) = wire::decode_receipt(bytes) {
        assert_eq!(wire::encode_receipt(&receipt), bytes);
    }
}

/// A text is an offer with one link, or none.
pub(crate) fn offer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(offer) = Offer::parse(&text) else {
        return;
    };
    let link = offer.link();
    let again = Offer::parse(&link).map(|offer| offer.link());
    assert_eq!(again.as_ref(), Ok(&link));
    if let Ok(text) = offer.qr_text() {
        assert!(text.len() <= Offer::QR_BYTES_MAX);
        assert!(Offer::parse(&text).is_ok());
    }
}

/// Frames of every connection come out in order, each once.
///
/// Three bytes an item: connection, number, kind of frame.
pub(crate) fn items(bytes: &[u8]) {
    let _ = Item::decode(bytes).map(|item| assert_eq!(item.encode(), bytes));
    let mut conns = Conns::default();
    let mut next = std::collections::BTreeMap::<ConnId, u8>::new();
    for (now_ms, item) in (0..).step_by(100).zip(bytes.chunks_exact(3)) {
        let &[conn, seq, kind] = item else {
            continue;
        };
        let conn = ConnId([conn; 8]);
        let frame = [0, 2, kind, seq];
        let seq = u32::from(seq);
        let frame = frame.as_slice();
        let item = Item { conn, seq, frame }.encode();
        for lost in conns.drop_gaps(now_ms) {
            next.remove(&lost);
        }
        let mailbox = MailboxId([kind % 2; 16]);
        let Ok(received) = conns.receive(now_ms, mailbox, &item, |first| first < 128) else {
            continue;
        };
        if let Some(displaced) = received.displaced {
            next.remove(&displaced);
        }
        for frame in received.frames {
            let expected = next.entry(conn).or_default();
            assert_eq!(frame.last(), Some(&*expected));
            *expected = expected.wrapping_add(1);
        }
    }
}

/// Bytes of a stranger at an authenticator's port.
pub(crate) fn link(bytes: &[u8]) {
    let (mut server, _) = server(Carrier::Stream);
    let mut rng = Counter(1);
    for chunk in bytes.chunks(97) {
        let output = server.bytes(1, chunk, &mut rng);
        let is_established = |event: &LinkEvent| matches!(event, LinkEvent::Established { .. });
        assert!(!output.events.iter().any(is_established));
    }
}

/// What a paired workstation may send above the channel: a length, then a
/// message of that length, and so on.
pub(crate) fn messages(bytes: &[u8]) {
    let (mut server, keys) = server(Carrier::Items);
    let mut client = establish(&mut server, &keys);
    let mut rest = bytes;
    let mut whole = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len)).min(behind.len());
        let (message, behind) = behind.split_at(len);
        rest = behind;
        let mut frame = Vec::new();
        if client.seal(message, 1, &mut frame).is_err() {
            continue;
        }
        let output = server.frame(1, &frame, &mut Counter(2));
        let Some((more, part)) = message.split_first() else {
            continue;
        };
        whole.extend_from_slice(part);
        for event in output.events {
            match event {
                LinkEvent::Message(message) => {
                    assert_eq!(*more, 0);
                    assert_eq!(message, whole);
                    whole.clear();
                    request(&message);
                }
                LinkEvent::Ended(LinkEnd::Broken(_)) => {
                    assert_eq!(output.frames.len(), 1);
                    return;
                }
                other @ (LinkEvent::Established { .. }
                | LinkEvent::PairingHello(_)
                | LinkEvent::Renew
                | LinkEvent::Ended(_)) => unexpected(&other),
            }
        }
    }
}

#[expect(clippy::panic, reason = "this is how a fuzzer tells of a bug")]
fn unexpected(event: &LinkEvent) {
    panic!("{event:?}");
}

/// (C, Cs) and (S, Ss).
type BothKeys = (Arc<KeyPair>, Arc<KeyPair>);

fn server(carrier: Carrier) -> (ServerLink, BothKeys) {
    let mut rng = Counter(3);
    let client = Arc::new(KeyPair::generate(&mut rng));
    let server = Arc::new(KeyPair::generate(&mut rng));
    let pairing = (Arc::clone(&server), client.public(), Standing::Paired);
    let listener = sure(Listener::new(vec![pairing], &mut rng));
    (ServerLink::start(&listener, carrier, 0), (client, server))
}

fn establish(server: &mut ServerLink, keys: &BothKeys) -> Established<Client> {
    let mut rng = Counter(4);
    let setup = ClientSetup {
        keys: Arc::clone(&keys.0),
        server: keys.1.public(),
        offer: Extensions::pairing(),
        floor: ExtensionSet::PAIRING,
        timing: Timing::STORED,
    };
    let (handshake, hello) = sure(ClientHandshake::start(setup, 0, &mut rng));
    let cookie_ack = server.frame(0, &hello, &mut rng).frames.concat();
    let (channel, vouch) = sure(handshake.receive(&cookie_ack, 0, &mut rng));
    let accepted = server.frame(0, &vouch, &mut rng);
    assert_eq!(accepted.ended(), None);
    channel
}

#[expect(clippy::expect_used, reason = "a fuzzer's own preparation cannot fail")]
fn sure<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    result.expect("the preparation works for every input")
}
