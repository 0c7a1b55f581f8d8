//! For any messages, cuts and bytes: what went in comes out, and nothing else.

use keystead_channel::curve::{Accepts, Deframer, Opened};
use proptest::prelude::*;

use super::common::{NOW, Pair, full, offers, rng};

fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 1..300),
        1 => prop::collection::vec(any::<u8>(), 1..5_000),
        1 => (1..=65_502_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn messages_come_out_as_they_went_in(
        messages in prop::collection::vec(message(), 1..8),
        profile in 0..10_usize,
        cut in 1..9_000_usize,
    ) {
        let (mut client, mut server) = Pair::new(&offers()[profile]).meet();
        let mut stream = vec![];
        for message in &messages {
            client.seal(message, NOW, &mut stream).unwrap();
        }
        let mut deframer = Deframer::new();
        let mut got = vec![];
        for mut chunk in stream.chunks(cut) {
            while let Some(frame) = deframer.take(&mut chunk, &server.accepts()).unwrap() {
                match server.open(frame, NOW) {
                    Ok(Opened::Message(message)) => got.push(message.to_vec()),
                    other => prop_assert!(false, "{other:?}"),
                }
            }
        }
        prop_assert!(!deframer.is_within_frame());
        prop_assert_eq!(got, messages);
    }

    #[test]
    fn any_bytes_are_refused_by_every_state(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        frame_type in 0..6_u8,
        is_framed in any::<bool>(),
    ) {
        let mut frame = bytes;
        if is_framed && frame.len() >= 3 {
            let len = u16::try_from(frame.len() - 2).unwrap();
            frame[..2].copy_from_slice(&len.to_be_bytes());
            frame[2] = frame_type;
        }
        let pair = Pair::new(&full());
        let (client, server, _) = pair.hello();
        prop_assert!(client.receive(&frame, NOW, &mut rng(3)).is_err());
        prop_assert!(server.receive(&frame, NOW).is_err());
        prop_assert!(pair.await_hello().receive(&frame, NOW, &mut rng(3)).is_err());
        let (mut client, mut server) = pair.meet();
        prop_assert!(client.open(&mut frame.clone(), NOW).is_err());
        prop_assert!(server.open(&mut frame, NOW).is_err());
    }

    #[test]
    fn a_deframer_gives_frames_or_refuses(
        stream in prop::collection::vec(any::<u8>(), 0..400),
        cut in 1..50_usize,
    ) {
        let accepts = Accepts::only(4, 1..=20);
        let mut deframer = Deframer::new();
        'stream: for mut chunk in stream.chunks(cut) {
            loop {
                match deframer.take(&mut chunk, &accepts) {
                    Ok(Some(frame)) => prop_assert!((3..=22).contains(&frame.len())),
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
    }
}
