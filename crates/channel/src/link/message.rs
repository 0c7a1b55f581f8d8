//! Messages longer than a frame: `more u8 ‖ part`, 1 = more follows, 0 = last.

use keystead_sodium::memory::wipe;

use super::MESSAGE_BYTES_MAX;

/// How a peer broke the rules of messages: answered by Close 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Breach {
    /// The byte `more` is neither 0 nor 1.
    #[error("a part begins with neither 0 nor 1")]
    More,
    /// A part with nothing in it.
    #[error("a part is empty")]
    EmptyPart,
    /// The whole exceeds [`MESSAGE_BYTES_MAX`].
    #[error("a message is longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
}

/// Puts parts together. What is not given on is wiped: it may be part of a key.
#[derive(Default)]
pub(super) struct Assembler {
    message: Vec<u8>,
}

impl Drop for Assembler {
    fn drop(&mut self) {
        wipe(&mut self.message);
    }
}

impl Assembler {
    /// Takes one channel message; the whole message once its last part is in.
    pub(super) fn take(&mut self, channel_message: &[u8]) -> Result<Option<Vec<u8>>, Breach> {
        let (more, part) = match channel_message.split_first() {
            Some((0, part)) => (false, part),
            Some((1, part)) => (true, part),
            Some(_) | None => return Err(Breach::More),
        };
        // Without this rule a peer could keep a message open for ever.
        if part.is_empty() {
            return Err(Breach::EmptyPart);
        }
        if self.message.len().saturating_add(part.len()) > MESSAGE_BYTES_MAX {
            return Err(Breach::TooLong);
        }
        self.append(part);
        Ok((!more).then(|| std::mem::take(&mut self.message)))
    }

    /// A buffer that grew by itself would leave what it held where it was.
    fn append(&mut self, part: &[u8]) {
        let len = self.message.len() + part.len();
        if len > self.message.capacity() {
            let room = len.max(self.message.capacity().saturating_mul(2));
            let mut grown = Vec::with_capacity(room.min(MESSAGE_BYTES_MAX));
            grown.extend_from_slice(&self.message);
            wipe(&mut self.message);
            self.message = grown;
        }
        self.message.extend_from_slice(part);
    }
}

/// Cuts a message into channel messages of at most `bytes_max` bytes.
pub(super) fn parts(message: &[u8], bytes_max: usize) -> impl Iterator<Item = Vec<u8>> {
    let part_bytes = bytes_max.saturating_sub(1).max(1);
    let last = message.len().div_ceil(part_bytes).saturating_sub(1);
    message
        .chunks(part_bytes)
        .enumerate()
        .map(move |(i, part)| {
            let more = u8::from(i < last);
            [&[more], part].concat()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: &[&[u8]], expected: Result<Option<&[u8]>, Breach>) {
        let mut assembler = Assembler::default();
        let taken = parts
            .iter()
            .map(|part| assembler.take(part))
            .find(|taken| *taken != Ok(None))
            .unwrap_or(Ok(None));
        assert_eq!(
            taken,
            expected.map(|it| it.map(<[u8]>::to_vec)),
            "{parts:?}"
        );
    }

    #[test]
    fn parts_become_messages() {
        check(&[&[0, 7]], Ok(Some(&[7])));
        check(&[&[1, 7]], Ok(None));
        check(&[&[1, 7], &[1, 8], &[0, 9]], Ok(Some(&[7, 8, 9])));
        check(&[&[]], Err(Breach::More));
        check(&[&[2, 7]], Err(Breach::More));
        check(&[&[0xff]], Err(Breach::More));
        check(&[&[0]], Err(Breach::EmptyPart));
        check(&[&[1]], Err(Breach::EmptyPart));
        check(&[&[1, 7], &[0]], Err(Breach::EmptyPart));
    }

    #[test]
    fn a_message_may_have_262144_bytes_and_no_more() {
        for (bytes, expected) in [
            (MESSAGE_BYTES_MAX, Ok(())),
            (MESSAGE_BYTES_MAX + 1, Err(Breach::TooLong)),
        ] {
            let message = vec![5; bytes];
            let mut assembler = Assembler::default();
            let taken: Result<Vec<_>, _> = parts(&message, 65_502)
                .map(|part| assembler.take(&part))
                .collect();
            assert_eq!(taken.as_ref().map(|_| ()), expected.as_ref().map(|&()| ()));
            if let Ok(taken) = taken {
                assert_eq!(taken.last(), Some(&Some(message)));
                assert_eq!(taken.len(), 5);
            }
        }
    }

    #[test]
    fn any_cut_gives_the_same_message() {
        let message: Vec<u8> = (0..=99).collect();
        for bytes_max in 2..=102 {
            let mut assembler = Assembler::default();
            let mut whole = Vec::new();
            for part in parts(&message, bytes_max) {
                assert!(part.len() <= bytes_max);
                whole.extend(assembler.take(&part).unwrap());
            }
            assert_eq!(whole, [message.as_slice()], "{bytes_max}");
        }
    }
}
