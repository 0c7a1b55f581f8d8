//! Any bytes, cut anywhere.

use keystead_channel::session::requests::{Answer, Method, Request};
use keystead_channel::session::{Deframer, Frame, FrameType, Handle, REST_BYTES_MAX};
use proptest::prelude::*;

proptest! {
    /// However a stream is cut, the same frames come out.
    #[test]
    fn frames_survive_any_cut(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..6),
        cut in 1_usize..64,
    ) {
        let mut stream = Vec::new();
        for (number, body) in (1..).zip(&bodies) {
            let frame = Frame { kind: FrameType::Sealed, handle: Handle(number), body };
            stream.extend(frame.encode());
        }
        let mut deframer = Deframer::new();
        let mut read = Vec::new();
        for part in stream.chunks(cut) {
            deframer.push(part);
            while let Some(rest) = deframer.next_rest().unwrap() {
                read.push(Frame::decode(&rest).unwrap().body.to_vec());
            }
        }
        prop_assert_eq!(read, bodies);
    }

    /// What is read is written back.
    #[test]
    fn any_bytes_are_refused_or_read_exactly(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        method in 0_u64..24,
    ) {
        let method = Method::from_number(method).unwrap();
        if let Ok((id, request)) = Request::decode(method, &bytes) {
            prop_assert_eq!(request.encode(id), bytes.clone());
        }
        if let Ok(answer) = Answer::decode(method, &bytes) {
            prop_assert_eq!(answer.encode(), bytes);
        }
    }

    #[test]
    fn announced_lengths_allocate_nothing(length in any::<u32>()) {
        let mut deframer = Deframer::new();
        deframer.admit_long_frames();
        deframer.push(&length.to_be_bytes());
        let fits = usize::try_from(length).is_ok_and(|it| (5..=REST_BYTES_MAX).contains(&it));
        prop_assert_eq!(deframer.next_rest().is_ok(), fits);
    }
}
