//! Bytes of an ordered stream become whole frames.
//!
//! **Invariant**: at most one frame is held, and memory grows with the bytes
//! that came, never with the length that was announced.

use super::frame::{Accepts, HEADER_BYTES};
use super::refusal::Refusal;

/// Collects the bytes of one frame at a time.
#[derive(Default)]
pub struct Deframer {
    frame: Vec<u8>,
    /// Known once the header was there, and taken.
    frame_bytes: Option<usize>,
}

impl Deframer {
    /// A deframer that holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            frame: Vec::new(),
            frame_bytes: None,
        }
    }

    /// Takes bytes from the front of `input`, and gives a frame as soon as
    /// one is whole; what follows it stays in `input`. `None` means that
    /// `input` is used up.
    ///
    /// `accepts` is what the state takes now; the frame can be opened in
    /// place, and is forgotten by the next call.
    ///
    /// # Errors
    /// As [`Accepts::frame_bytes`], from the first three bytes.
    pub fn take<'d>(
        &'d mut self,
        input: &mut &[u8],
        accepts: &Accepts,
    ) -> Result<Option<&'d mut [u8]>, Refusal> {
        if self.frame_bytes == Some(self.frame.len()) {
            // The last call gave this frame away.
            self.frame.clear();
            self.frame_bytes = None;
        }
        while self.frame_bytes.is_none() {
            self.fill_up_to(HEADER_BYTES.min(self.frame.len() + 1), input);
            self.frame_bytes = accepts.frame_bytes(&self.frame)?;
            if self.frame_bytes.is_none() && input.is_empty() {
                return Ok(None);
            }
        }
        let Some(frame_bytes) = self.frame_bytes else {
            return Ok(None);
        };
        self.fill_up_to(frame_bytes, input);
        if self.frame.len() < frame_bytes {
            return Ok(None);
        }
        Ok(Some(&mut self.frame))
    }

    /// Whether part of a frame is held: then the end of the stream cuts one in two.
    #[must_use]
    pub fn is_within_frame(&self) -> bool {
        !self.frame.is_empty() && self.frame_bytes != Some(self.frame.len())
    }

    fn fill_up_to(&mut self, frame_bytes: usize, input: &mut &[u8]) {
        let missing = frame_bytes.saturating_sub(self.frame.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        let needed = self.frame.len() + taken.len();
        if needed > self.frame.capacity() {
            // Doubling keeps a trickle of bytes cheap, and stops at the frame's end.
            let capacity = (2 * self.frame.capacity()).clamp(needed, frame_bytes);
            self.frame.reserve_exact(capacity - self.frame.len());
        }
        self.frame.extend_from_slice(taken);
        *input = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Accepts {
        Accepts::only(7, 1..=1000)
    }

    fn frame(body_bytes: u16) -> Vec<u8> {
        let mut frame = (body_bytes + 1).to_be_bytes().to_vec();
        frame.push(7);
        frame.resize(usize::from(body_bytes) + HEADER_BYTES, 0xa5);
        frame
    }

    #[test]
    fn any_cut_of_the_stream_gives_the_same_frames() {
        let expected = [frame(0), frame(5), frame(999), frame(1)];
        let stream = expected.concat();
        for step in 1..=stream.len() {
            let mut deframer = Deframer::new();
            let mut got = Vec::new();
            for mut chunk in stream.chunks(step) {
                while let Some(frame) = deframer.take(&mut chunk, &frames()).unwrap() {
                    got.push(frame.to_vec());
                }
                assert!(chunk.is_empty());
            }
            assert_eq!(got, expected, "in steps of {step}");
            assert!(!deframer.is_within_frame());
        }
    }

    #[test]
    fn a_wrong_length_is_refused_from_the_header() {
        for (header, refusal) in [
            (&[0x03, 0xe9, 7][..], Refusal::Length),
            (&[0xff, 0xff, 7], Refusal::Length),
            (&[0, 0], Refusal::Length),
            (&[0, 9, 8], Refusal::Type),
            (&[0, 9, 1], Refusal::Order),
        ] {
            let mut deframer = Deframer::new();
            let (last, mut input) = header.split_last().map(|(l, h)| ([*l], h)).unwrap();
            assert_eq!(deframer.take(&mut input, &frames()), Ok(None));
            assert_eq!(
                deframer.take(&mut &last[..], &frames()).err(),
                Some(refusal)
            );
        }
    }

    #[test]
    fn memory_follows_the_bytes_that_came() {
        let accepts = Accepts::only(7, 1..=65_535);
        let mut deframer = Deframer::new();
        let mut sent = 0;
        for byte in [0xff, 0xff, 7]
            .into_iter()
            .chain(std::iter::repeat_n(0, 1000))
        {
            assert_eq!(deframer.take(&mut &[byte][..], &accepts), Ok(None));
            sent += 1;
            assert!(deframer.frame.capacity() <= 2 * sent + HEADER_BYTES);
            assert!(deframer.is_within_frame());
        }
    }

    #[test]
    fn capacity_stops_at_the_frame() {
        let mut deframer = Deframer::new();
        for byte in frame(144) {
            assert!(deframer.take(&mut &[byte][..], &frames()).is_ok());
        }
        assert_eq!(deframer.frame.capacity(), 147);
    }
}
