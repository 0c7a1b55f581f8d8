//! Links over streams and items: messages, ends, breaches, standings.

use std::sync::Arc;

use keystead_channel::curve::{
    Client, ClientHandshake, ClientSetup, CloseCode, Established, ExtensionSet, KeyPair, Offer,
    Refusal, Timing,
};
use keystead_channel::link::{
    Breach, Carrier, ClientLink, ClientLinkSetup, LinkEnd, LinkEvent, LinkOutput, Listener,
    SendFault, ServerLink, Standing,
};
use keystead_channel::wire::MESSAGE_BYTES_MAX;
use rand_chacha::ChaCha20Rng;

use crate::common::{NOW, bytes, pair_of_keys, rng, vectors};

struct Ends {
    client_keys: Arc<KeyPair>,
    server_keys: Arc<KeyPair>,
    client: ClientLink,
    server: ServerLink,
    hello: Vec<Vec<u8>>,
    rng: ChaCha20Rng,
}

fn ends(standing: Standing, carrier: Carrier) -> Ends {
    let (client_keys, server_keys) = (pair_of_keys(1), pair_of_keys(2));
    let mut rng = rng(3);
    let others = (10..20).map(|seed| {
        (
            pair_of_keys(seed),
            pair_of_keys(seed + 100).public(),
            Standing::Paired,
        )
    });
    let mut pairings: Vec<_> = others.collect();
    pairings.push((Arc::clone(&server_keys), client_keys.public(), standing));
    let listener = Listener::new(pairings, &mut rng).unwrap();
    let server = ServerLink::start(&listener, carrier, NOW);
    let setup = ClientLinkSetup {
        keys: Arc::clone(&client_keys),
        server: server_keys.public(),
        carrier,
        takes_pairing_hellos: false,
    };
    let (client, hello) = ClientLink::start(setup, NOW, &mut rng).unwrap();
    Ends {
        client_keys,
        server_keys,
        client,
        server,
        hello,
        rng,
    }
}

/// Shakes hands by whole frames; what the two sides said last.
fn shake(ends: &mut Ends) -> (LinkOutput, LinkOutput) {
    let cookie = ends.server.frame(NOW, &ends.hello[0], &mut ends.rng);
    let vouch = ends.client.frame(NOW, &cookie.frames[0], &mut ends.rng);
    let accepted = ends.server.frame(NOW, &vouch.frames[0], &mut ends.rng);
    (vouch, accepted)
}

fn established(standing: Standing, carrier: Carrier) -> Ends {
    let mut ends = ends(standing, carrier);
    shake(&mut ends);
    ends
}

#[test]
fn both_sides_learn_who_the_other_is() {
    let mut ends = ends(Standing::Paired, Carrier::Items);
    assert_eq!(
        ends.client.send(NOW, b"early"),
        Err(SendFault::NotEstablished)
    );
    assert_eq!(
        ends.server.send(NOW, b"early"),
        Err(SendFault::NotEstablished)
    );
    let (client, server) = shake(&mut ends);
    let (c, s) = (ends.client_keys.public(), ends.server_keys.public());
    assert_eq!(client.events, [LinkEvent::Established { peer: s, own: c }]);
    assert_eq!(server.events, [LinkEvent::Established { peer: c, own: s }]);
    assert_eq!((ends.server.peer(), ends.server.own()), (Some(c), Some(s)));
    let (here, there) = (ends.client.export(b"x"), ends.server.export(b"x"));
    assert!(here.unwrap().ct_eq(&there.unwrap()));
    assert!(!ends.client.is_heard());
    let answer = ends.server.send(NOW, b"answer").unwrap();
    ends.client.frame(NOW, &answer[0], &mut ends.rng);
    assert!(ends.client.is_heard());
}

#[test]
fn messages_of_every_size_arrive_whole_over_any_cut_of_a_stream() {
    let mut ends = established(Standing::Paired, Carrier::Stream);
    for (len, step) in [
        (1, 1),
        (65_501, 7_000),
        (65_502, 65_536),
        (MESSAGE_BYTES_MAX, 9_999),
    ] {
        let message: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let stream = ends.client.send(NOW, &message).unwrap().concat();
        let mut events = Vec::new();
        for chunk in stream.chunks(step) {
            events.extend(ends.server.bytes(NOW, chunk, &mut ends.rng).events);
        }
        assert_eq!(
            events,
            [LinkEvent::Message(message)],
            "{len} in steps of {step}"
        );
    }
}

#[test]
fn a_whole_handshake_and_requests_in_one_write() {
    let mut ends = ends(Standing::Paired, Carrier::Stream);
    let cookie = ends.server.bytes(NOW, &ends.hello.concat(), &mut ends.rng);
    let mut write = ends
        .client
        .bytes(NOW, &cookie.frames.concat(), &mut ends.rng)
        .frames;
    write.extend(ends.client.send(NOW, b"first").unwrap());
    write.extend(ends.client.send(NOW, b"second").unwrap());
    write.extend(ends.client.close(NOW, CloseCode::Done).frames);
    let output = ends.server.bytes(NOW, &write.concat(), &mut ends.rng);
    let [LinkEvent::Established { .. }, rest @ ..] = output.events.as_slice() else {
        panic!("{:?}", output.events);
    };
    let message = |text: &[u8]| LinkEvent::Message(text.to_vec());
    let closed = LinkEvent::Ended(LinkEnd::Closed(CloseCode::Done));
    assert_eq!(rest, [message(b"first"), message(b"second"), closed]);
    assert_eq!(
        ends.server.bytes(NOW, b"more", &mut ends.rng),
        LinkOutput::default()
    );
}

#[test]
fn messages_have_lengths() {
    let mut ends = established(Standing::Paired, Carrier::Items);
    assert_eq!(ends.client.send(NOW, b""), Err(SendFault::Length(0)));
    let long = vec![0; MESSAGE_BYTES_MAX + 1];
    assert_eq!(
        ends.server.send(NOW, &long),
        Err(SendFault::Length(262_145))
    );
    ends.client.close(NOW, CloseCode::Done);
    assert_eq!(ends.client.send(NOW, b"x"), Err(SendFault::Ended));
}

#[test]
fn a_revoked_client_gets_close_3_and_nothing_else() {
    let mut ends = ends(Standing::Revoked, Carrier::Items);
    let (_, server) = shake(&mut ends);
    assert_eq!(server.events, [LinkEvent::Ended(LinkEnd::Revoked)]);
    assert_eq!(server.frames.len(), 1);
    assert_eq!(ends.server.send(NOW, b"x"), Err(SendFault::Ended));
    let client = ends.client.frame(NOW, &server.frames[0], &mut ends.rng);
    let unpaired = LinkEnd::Closed(CloseCode::Unpaired);
    assert_eq!(client.events, [LinkEvent::Ended(unpaired)]);
}

#[test]
fn a_stranger_gets_nothing() {
    let mut ends = ends(Standing::Paired, Carrier::Stream);
    let setup = ClientLinkSetup {
        keys: pair_of_keys(77),
        server: ends.server_keys.public(),
        carrier: Carrier::Stream,
        takes_pairing_hellos: false,
    };
    let (client, hello) = ClientLink::start(setup, NOW, &mut ends.rng).unwrap();
    (ends.client, ends.hello) = (client, hello);
    let (_, server) = shake(&mut ends);
    assert_eq!(server.frames, Vec::<Vec<u8>>::new());
    assert_eq!(server.ended(), Some(LinkEnd::Refused(Refusal::NotAllowed)));
}

/// A client that speaks the channel and not the rules above it.
fn rude_client(ends: &mut Ends, offer: Offer, floor: ExtensionSet) -> Option<Established<Client>> {
    let setup = ClientSetup {
        keys: Arc::clone(&ends.client_keys),
        server: ends.server_keys.public(),
        offer,
        floor,
        timing: Timing::STORED,
    };
    let (handshake, hello) = ClientHandshake::start(setup, NOW, &mut ends.rng).unwrap();
    let cookie = ends.server.frame(NOW, &hello, &mut ends.rng);
    let cookie = cookie.frames.first()?;
    let (channel, vouch) = handshake.receive(cookie, NOW, &mut ends.rng).unwrap();
    let output = ends.server.frame(NOW, &vouch, &mut ends.rng);
    output.ended().is_none().then_some(channel)
}

#[test]
fn a_breach_is_close_2() {
    for (parts, breach) in [
        (vec![vec![2, 0]], Breach::More),
        (vec![vec![0]], Breach::EmptyPart),
        (vec![vec![1, 9], vec![1]], Breach::EmptyPart),
        (vec![vec![1; 65_000]; 5], Breach::TooLong),
    ] {
        let mut ends = ends(Standing::Paired, Carrier::Items);
        let mut client = rude_client(&mut ends, Offer::pairing(), ExtensionSet::PAIRING).unwrap();
        let mut output = LinkOutput::default();
        for part in parts {
            assert_eq!(output.ended(), None);
            let mut frame = Vec::new();
            client.seal(&part, NOW, &mut frame).unwrap();
            output = ends.server.frame(NOW, &frame, &mut ends.rng);
        }
        assert_eq!(output.ended(), Some(LinkEnd::Broken(breach)));
        let mut close = output.frames[0].clone();
        let opened = client.open(&mut close, NOW).unwrap();
        let expected = keystead_channel::curve::Opened::Close(CloseCode::BrokenRules);
        assert_eq!(opened, expected);
    }
}

#[test]
fn less_than_bind_and_pad_is_refused() {
    let mut strict = ends(Standing::Paired, Carrier::Items);
    assert!(rude_client(&mut strict, Offer::Strict, ExtensionSet::NONE).is_none());
    let mut unpadded = ends(Standing::Paired, Carrier::Items);
    assert!(rude_client(&mut unpadded, Offer::standard(), ExtensionSet::NONE).is_none());
}

#[test]
fn handshakes_have_their_time() {
    for (carrier, time_ms) in [(Carrier::Stream, 10_000), (Carrier::Items, 60_000)] {
        let mut ends = ends(Standing::Paired, carrier);
        assert_eq!(ends.client.wake_ms(), Some(NOW + time_ms));
        assert_eq!(ends.server.wake_ms(), Some(NOW + time_ms));
        assert_eq!(ends.client.tick(NOW + time_ms - 1), LinkOutput::default());
        assert_eq!(ends.server.tick(NOW + time_ms - 1), LinkOutput::default());
        let timeout = Some(LinkEnd::Refused(Refusal::Timeout));
        assert_eq!(ends.client.tick(NOW + time_ms).ended(), timeout);
        assert_eq!(ends.server.tick(NOW + time_ms).ended(), timeout);
        assert_eq!(ends.client.wake_ms(), None);
    }
}

#[test]
fn a_stream_is_kept_alive_and_the_dead_are_noticed() {
    let mut ends = established(Standing::Paired, Carrier::Stream);
    let due = ends.client.wake_ms().unwrap();
    assert_eq!(due, NOW + 25_000);
    let keep_alive = ends.client.tick(due);
    assert_eq!((keep_alive.frames.len(), keep_alive.events.len()), (1, 0));
    let heard = ends.server.frame(due, &keep_alive.frames[0], &mut ends.rng);
    assert_eq!(heard, LinkOutput::default());
    assert_eq!(
        ends.client.tick(NOW + 180_000).ended(),
        Some(LinkEnd::Silent)
    );
}

#[test]
fn a_day_old_channel_asks_for_a_new_one_once() {
    let mut ends = established(Standing::Paired, Carrier::Items);
    let day_ms = NOW + 24 * 60 * 60 * 1_000;
    assert_eq!(ends.client.wake_ms(), Some(day_ms));
    assert_eq!(ends.client.tick(day_ms).events, [LinkEvent::Renew]);
    assert_eq!(ends.client.tick(day_ms + 1), LinkOutput::default());
    assert_eq!(ends.client.wake_ms(), None);
    assert!(ends.client.send(day_ms + 1, b"the last words").is_ok());
}

#[test]
fn a_cut_stream_is_no_clean_end() {
    let mut shaking = ends(Standing::Paired, Carrier::Stream);
    let truncated = Some(LinkEnd::Refused(Refusal::Truncated));
    assert_eq!(shaking.client.end_of_stream().ended(), truncated);
    assert_eq!(shaking.server.end_of_stream().ended(), truncated);
    assert_eq!(shaking.server.end_of_stream().ended(), None, "said once");
    let mut standing = established(Standing::Paired, Carrier::Stream);
    assert_eq!(standing.client.end_of_stream().ended(), truncated);
    let closed = standing.server.close(NOW, CloseCode::GoingAway);
    assert_eq!(closed.ended(), Some(LinkEnd::ClosedHere));
    assert_eq!(closed.frames.len(), 1);
}

#[test]
fn repeated_hellos_reach_the_pairing_only_where_one_is_under_way() {
    let golden = bytes(&vectors()["hello"], "frame");
    let mut listening = ends(Standing::Pairing, Carrier::Stream);
    let setup = ClientLinkSetup {
        keys: Arc::clone(&listening.client_keys),
        server: listening.server_keys.public(),
        carrier: Carrier::Stream,
        takes_pairing_hellos: true,
    };
    let (mut client, hello) = ClientLink::start(setup, NOW, &mut listening.rng).unwrap();
    let cookie = listening
        .server
        .bytes(NOW, &hello.concat(), &mut listening.rng);
    let stream = [golden.as_slice(), &cookie.frames.concat(), &golden].concat();
    let mut events = Vec::new();
    for chunk in stream.chunks(50) {
        events.extend(client.bytes(NOW, chunk, &mut listening.rng).events);
    }
    let hello = LinkEvent::PairingHello(golden.clone());
    assert_eq!(
        (events.first(), events.last()),
        (Some(&hello), Some(&hello))
    );
    assert!(client.is_established());
    assert_eq!(
        client.frame(NOW, &golden, &mut listening.rng).events,
        [hello]
    );

    // Where no pairing is under way a hello is of an unknown type.
    let output = listening.client.bytes(NOW, &golden, &mut listening.rng);
    assert_eq!(output.ended(), Some(LinkEnd::Refused(Refusal::Type)));
}

#[test]
fn every_changed_byte_of_a_handshake_ends_it_without_a_word() {
    let frames = |ends: &mut Ends| {
        let cookie = ends.server.frame(NOW, &ends.hello[0], &mut ends.rng);
        let vouch = ends.client.frame(NOW, &cookie.frames[0], &mut ends.rng);
        (cookie.frames[0].clone(), vouch.frames[0].clone())
    };
    let (cookie, vouch) = frames(&mut ends(Standing::Paired, Carrier::Items));
    for at in 0..cookie.len() {
        let mut ends = ends(Standing::Paired, Carrier::Items);
        let mut cookie = ends.server.frame(NOW, &ends.hello[0], &mut ends.rng);
        cookie.frames[0][at] ^= 1;
        let output = ends.client.frame(NOW, &cookie.frames[0], &mut ends.rng);
        assert!(
            matches!(output.ended(), Some(LinkEnd::Refused(_))),
            "byte {at}"
        );
        assert_eq!(output.frames, Vec::<Vec<u8>>::new());
    }
    for at in (0..vouch.len()).step_by(7) {
        let mut ends = ends(Standing::Paired, Carrier::Items);
        let (_, mut vouch) = frames(&mut ends);
        vouch[at] ^= 1;
        let output = ends.server.frame(NOW, &vouch, &mut ends.rng);
        assert!(
            matches!(output.ended(), Some(LinkEnd::Refused(_))),
            "byte {at}"
        );
        assert_eq!(output.frames, Vec::<Vec<u8>>::new());
    }
}
