//! DER (ITU-T X.690) of private keys, written into locked memory.

use keystead_core::SecretBytes;

use crate::client::seal::joined;

/// A value: tag, length in its shortest form (section 10.1), the parts as its content.
pub(super) fn value(tag: u8, parts: &[&[u8]]) -> SecretBytes {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    // Nothing that holds a key takes 64 KiB.
    let [high, low] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, 0..=0x7f) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    let mut all = vec![head];
    all.extend(parts);
    joined(&all)
}

/// An INTEGER of 0 or above: `magnitude` may have zeros before it.
pub(super) fn integer(magnitude: &[u8]) -> SecretBytes {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    let bare = magnitude.get(zeros..).unwrap_or_default();
    match bare {
        [] | [0x80..=0xff, ..] => value(INTEGER, &[&[0], bare]),
        _ => value(INTEGER, &[bare]),
    }
}

const INTEGER: u8 = crate::import::der::INTEGER;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_have_their_shortest_form() {
        for (len, head) in [
            (0, &[4, 0][..]),
            (127, &[4, 127]),
            (128, &[4, 0x81, 128]),
            (255, &[4, 0x81, 255]),
            (256, &[4, 0x82, 1, 0]),
        ] {
            let written = value(4, &[&vec![7; len]]);
            assert_eq!(written.expose(), [head, &vec![7; len]].concat());
        }
        for (magnitude, expected) in [
            (&[][..], &[2, 1, 0][..]),
            (&[0, 0], &[2, 1, 0]),
            (&[0x7f], &[2, 1, 0x7f]),
            (&[0, 0x80], &[2, 2, 0, 0x80]),
            (&[1, 0], &[2, 2, 1, 0]),
        ] {
            assert_eq!(integer(magnitude).expose(), expected);
        }
    }
}
