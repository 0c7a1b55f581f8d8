//! `pad`: `|m| u16 ‖ m ‖ zeros`, in one of five lengths (`spec/curve.md`
//! section 5).
//!
//! **Invariant**: a message has exactly one padded form, so that nothing can
//! be said in the padding.

use super::refusal::Refusal;

/// Bytes of the padded form of a message.
pub(super) fn padded_bytes(message_bytes: usize) -> Option<usize> {
    PADDED_BYTES
        .into_iter()
        .find(|padded| message_bytes + PREFIX_BYTES <= *padded)
}

/// Appends the padded form, `padded` bytes long as [`padded_bytes`] says.
pub(super) fn push_padded(message: &[u8], padded: usize, out: &mut Vec<u8>) {
    let end = out.len() + padded;
    let message_bytes = u16::try_from(message.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&message_bytes.to_be_bytes());
    out.extend_from_slice(message);
    out.resize(end, 0);
}

/// The message in its padded form.
pub(super) fn strip(padded: &[u8]) -> Result<&[u8], Refusal> {
    let (prefix, rest) = padded
        .split_first_chunk::<PREFIX_BYTES>()
        .ok_or(Refusal::Box)?;
    let message_bytes = usize::from(u16::from_be_bytes(*prefix));
    let (message, zeros) = rest.split_at_checked(message_bytes).ok_or(Refusal::Box)?;
    let is_least = padded_bytes(message_bytes) == Some(padded.len());
    // Folded, not `all`: the compiler takes 32 bytes at a time.
    let are_zero = zeros.iter().fold(0, |any, byte| any | byte) == 0;
    if is_least && are_zero {
        Ok(message)
    } else {
        Err(Refusal::Box)
    }
}

/// Longest message that can be padded.
pub(super) const PADDED_MESSAGE_BYTES_MAX: usize = 65_504 - PREFIX_BYTES;

/// Frames of 256, 1,024, 4,096, 16,384 and 65,531 bytes.
const PADDED_BYTES: [usize; 5] = [229, 997, 4_069, 16_357, 65_504];

const PREFIX_BYTES: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(message: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        push_padded(message, padded_bytes(message.len()).unwrap(), &mut out);
        out
    }

    #[test]
    fn least_length_that_fits() {
        for (message_bytes, expected) in [
            (0, 229),
            (227, 229),
            (228, 997),
            (995, 997),
            (996, 4_069),
            (4_067, 4_069),
            (4_068, 16_357),
            (16_355, 16_357),
            (16_356, 65_504),
            (PADDED_MESSAGE_BYTES_MAX, 65_504),
        ] {
            let message = vec![7; message_bytes];
            let out = padded(&message);
            assert_eq!(out.len(), expected);
            assert_eq!(strip(&out), Ok(&message[..]));
        }
        assert_eq!(padded_bytes(PADDED_MESSAGE_BYTES_MAX + 1), None);
    }

    #[test]
    fn any_other_form_is_refused() {
        let good = padded(b"ping");
        for len in 0..good.len() {
            assert_eq!(strip(&good[..len]), Err(Refusal::Box), "{len}");
        }
        for index in 6..good.len() {
            let mut spoken = good.clone();
            spoken[index] = 1;
            assert_eq!(strip(&spoken), Err(Refusal::Box), "{index}");
        }
        let mut longer = good.clone();
        longer.resize(997, 0);
        assert_eq!(strip(&longer), Err(Refusal::Box), "not the least");
        let mut beyond = good;
        beyond[..2].copy_from_slice(&228_u16.to_be_bytes());
        assert_eq!(strip(&beyond), Err(Refusal::Box), "longer than its frame");
    }
}
