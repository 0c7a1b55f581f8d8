//! Messages of an established connection: order, repetition, length, Close,
//! silence and age.

use keystead_channel::curve::{
    CloseCode, Due, Extension, MESSAGE_BYTES_MAX, Opened, Refusal, SendError, Timing,
};

use super::common::{NOW, Pair, frames, full, offers};

#[test]
fn the_greatest_message_and_one_more() {
    for offer in offers() {
        let (mut client, mut server) = Pair::new(&offer).meet();
        let bytes_max = client.message_bytes_max();
        let is_padded = client.profile().has(Extension::Pad);
        assert_eq!(bytes_max, MESSAGE_BYTES_MAX - 2 * usize::from(is_padded));
        let mut stream = vec![];
        let message = vec![0xa5; bytes_max];
        client.seal(&message, NOW, &mut stream).unwrap();
        assert_eq!(stream.len(), 65_531);
        let mut first = frames(&stream, &server).remove(0);
        assert_eq!(server.open(&mut first, NOW), Ok(Opened::Message(&message)));

        // What was refused spends no counter and writes nothing.
        stream.clear();
        assert_eq!(
            client.seal(&vec![0; bytes_max + 1], NOW, &mut stream),
            Err(SendError::TooLong { bytes_max })
        );
        assert_eq!(client.seal(&[], NOW, &mut stream), Err(SendError::Empty));
        assert!(stream.is_empty());
        client.seal(b"x", NOW, &mut stream).unwrap();
        assert_eq!(server.open(&mut stream, NOW), Ok(Opened::Message(b"x")));
    }
}

#[test]
fn messages_may_follow_vouch_at_once() {
    let pair = Pair::new(&full());
    let (client, server, cookie) = pair.hello();
    let (mut client, mut stream) = client
        .receive(&cookie, NOW, &mut super::common::rng(3))
        .unwrap();
    let vouch_bytes = stream.len();
    client.seal(b"at once", NOW, &mut stream).unwrap();
    let (vouch, rest) = stream.split_at_mut(vouch_bytes);
    let mut server = server.receive(vouch, NOW).unwrap();
    assert_eq!(server.open(rest, NOW), Ok(Opened::Message(b"at once")));
}

#[test]
fn keep_alives_count_and_are_not_delivered() {
    for offer in offers() {
        let (mut client, mut server) = Pair::new(&offer).meet();
        let mut stream = vec![];
        client.seal_keep_alive(NOW, &mut stream).unwrap();
        let is_padded = client.profile().has(Extension::Pad);
        assert_eq!(stream.len(), if is_padded { 256 } else { 27 });
        client.seal(b"next", NOW, &mut stream).unwrap();
        let mut got = frames(&stream, &server);
        assert_eq!(server.open(&mut got[0], NOW), Ok(Opened::KeepAlive));
        assert_eq!(server.open(&mut got[1], NOW), Ok(Opened::Message(b"next")));
    }
}

#[test]
fn repeated_reordered_and_reflected_messages_end_the_connection() {
    for offer in offers() {
        let pair = Pair::new(&offer);
        let sealed = || {
            let (mut client, server) = pair.meet();
            let mut stream = vec![];
            for message in [b"one", b"two"] {
                client.seal(message, NOW, &mut stream).unwrap();
            }
            let got = frames(&stream, &server);
            (client, server, got)
        };

        let (_, mut server, mut got) = sealed();
        let mut again = got[0].clone();
        assert_eq!(server.open(&mut got[0], NOW), Ok(Opened::Message(b"one")));
        assert_eq!(server.open(&mut again, NOW), Err(Refusal::Replay));
        // The end is for good: the message that was next is not taken either.
        assert_eq!(server.open(&mut got[1], NOW), Err(Refusal::Replay));
        let mut out = vec![];
        assert_eq!(server.seal(b"x", NOW, &mut out), Err(SendError::Ended));
        server.close(CloseCode::Done, NOW, &mut out);
        assert!(out.is_empty());

        let (_, mut server, mut got) = sealed();
        assert_eq!(server.open(&mut got[1], NOW), Err(Refusal::Replay));

        let (mut client, _, mut got) = sealed();
        assert_eq!(client.open(&mut got[0], NOW), Err(Refusal::Box));
        assert_eq!(client.end_of_stream(), Err(Refusal::Box));
    }
}

#[test]
fn every_flipped_bit_of_a_message_is_refused() {
    for offer in offers() {
        let pair = Pair::new(&offer);
        let (mut client, _) = pair.meet();
        let mut frame = vec![];
        client.seal(b"ping", NOW, &mut frame).unwrap();
        for bit in 0..8 * frame.len() {
            let (_, mut server) = pair.meet();
            let mut altered = frame.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let refusal = server.open(&mut altered, NOW).err();
            let expected: &[Refusal] = match bit / 8 {
                0 | 1 => &[Refusal::Length],
                2 => &[Refusal::Type, Refusal::Order, Refusal::Length],
                3..=10 => &[Refusal::Replay, Refusal::Box],
                _ => &[Refusal::Box],
            };
            let refusal = refusal.unwrap_or_else(|| panic!("bit {bit}"));
            assert!(expected.contains(&refusal), "bit {bit}: {refusal:?}");
        }
    }
}

#[test]
fn every_prefix_of_a_message_is_length() {
    let pair = Pair::new(&full());
    let (mut client, _) = pair.meet();
    let mut frame = vec![];
    client.seal(b"ping", NOW, &mut frame).unwrap();
    for len in 0..frame.len() {
        let (_, mut server) = pair.meet();
        let refusal = server.open(&mut frame[..len].to_vec(), NOW).err();
        assert_eq!(refusal, Some(Refusal::Length), "{len}");
    }
}

#[test]
fn a_message_is_no_close_and_a_close_is_no_message() {
    // The same counter, the other type: label or associated data tell.
    for offer in offers() {
        let pair = Pair::new(&offer);
        let (client, mut server) = pair.meet();
        let mut frame = vec![];
        client.close(CloseCode::Done, NOW, &mut frame);
        frame[2] = 4;
        assert_eq!(server.open(&mut frame, NOW), Err(Refusal::Box));
    }
}

#[test]
fn close_is_the_last_word_of_its_sender() {
    for offer in offers() {
        for code in [
            CloseCode::Done,
            CloseCode::GoingAway,
            CloseCode::BrokenRules,
            CloseCode::Unpaired,
            CloseCode::PairingAborted,
        ] {
            let (mut client, mut server) = Pair::new(&offer).meet();
            let mut stream = vec![];
            server.seal(b"last", NOW, &mut stream).unwrap();
            server.close(code, NOW, &mut stream);
            let close_at = stream.len() - 28;
            let (message, close) = stream.split_at_mut(close_at);
            assert_eq!(client.open(message, NOW), Ok(Opened::Message(b"last")));
            assert_eq!(client.end_of_stream(), Err(Refusal::Truncated));
            assert_eq!(client.open(close, NOW), Ok(Opened::Close(code)));
            assert_eq!(client.end_of_stream(), Ok(()));
            // Nothing is said after it, and nothing taken.
            let mut out = vec![];
            assert_eq!(client.seal(b"x", NOW, &mut out), Err(SendError::Ended));
            assert_eq!(client.open(close, NOW), Err(Refusal::Order));
            client.close(CloseCode::Done, NOW, &mut out);
            assert!(out.is_empty());
        }
    }
}

#[test]
fn silence_is_watched_where_asked_for() {
    let mut pair = Pair::new(&full());
    pair.timing = Timing::LONG_LIVED;
    let (mut client, mut server) = pair.meet();
    assert_eq!(client.due(NOW + 24_999), Due::Nothing);
    assert_eq!(client.next_due_ms(), NOW + 25_000);
    assert_eq!(client.due(NOW + 25_000), Due::KeepAlive);
    let mut stream = vec![];
    client.seal_keep_alive(NOW + 25_000, &mut stream).unwrap();
    assert_eq!(client.due(NOW + 49_999), Due::Nothing);
    assert_eq!(server.due(NOW + 180_000), Due::Dead);
    server.open(&mut stream, NOW + 26_000).unwrap();
    assert_eq!(server.due(NOW + 205_999), Due::KeepAlive);
    assert_eq!(server.due(NOW + 206_000), Due::Dead);

    let (client, _) = Pair::new(&full()).meet();
    assert_eq!(client.due(NOW + 1_000_000), Due::Nothing);
}

#[test]
fn a_day_old_connection_shakes_hands_anew() {
    let day_ms = 24 * 60 * 60 * 1000;
    let (client, _) = Pair::new(&full()).meet();
    assert_eq!(client.due(NOW + day_ms - 1), Due::Nothing);
    assert_eq!(client.next_due_ms(), NOW + day_ms);
    assert_eq!(client.due(NOW + day_ms), Due::Rehandshake);
}

#[test]
fn keys_change_with_age_and_both_ends_follow() {
    for offer in offers() {
        let (mut client, mut server) = Pair::new(&offer).meet();
        let is_rekeyed = client.profile().has(Extension::Rekey);
        let mut now = NOW;
        for round in 0..5_u64 {
            for step in 0..3_u64 {
                let mut frame = vec![];
                client.seal(b"x", now, &mut frame).unwrap();
                let n = u64::from_be_bytes(frame[3..11].try_into().unwrap());
                let expected = if is_rekeyed {
                    (round << 20) + step
                } else {
                    3 * round + step
                };
                assert_eq!(n, expected);
                assert_eq!(server.open(&mut frame, now), Ok(Opened::Message(b"x")));
            }
            now += 120_000;
        }
    }
}

#[test]
fn a_jump_that_does_not_open_does_not_count() {
    let pair = Pair::new(&full());
    let (mut client, mut server) = pair.meet();
    let mut first = vec![];
    client.seal(b"old", NOW, &mut first).unwrap();
    let mut forged = first.clone();
    forged[3..11].copy_from_slice(&(1_u64 << 20).to_be_bytes());
    assert_eq!(server.open(&mut forged, NOW), Err(Refusal::Box));

    // Two epochs at once, or the middle of the next, is not taken at all.
    for n in [2_u64 << 20, (1 << 20) + 1] {
        let (_, mut server) = pair.meet();
        let mut far = first.clone();
        far[3..11].copy_from_slice(&n.to_be_bytes());
        assert_eq!(server.open(&mut far, NOW), Err(Refusal::Replay));
    }
}
