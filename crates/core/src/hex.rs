//! Bytes as lower-case hex, in the files of this crate.

use std::fmt::Write;

/// The digits.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// The bytes, if these are hex digits, two a byte.
pub(crate) fn decode(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; digits.len() / 2];
    decode_into(digits.as_bytes(), &mut bytes).then_some(bytes)
}

/// Exactly `N` bytes.
pub(crate) fn decode_array<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    decode_into(digits.as_bytes(), &mut bytes).then_some(bytes)
}

/// Fills `bytes` and says whether the digits were exactly as many; makes no copy.
pub(crate) fn decode_into(digits: &[u8], bytes: &mut [u8]) -> bool {
    if digits.len() != bytes.len().saturating_mul(2) {
        return false;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let mut value = 0_u8;
        for digit in pair {
            let nibble = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return false,
            };
            value = (value << 4) | nibble;
        }
        *byte = value;
    }
    true
}

/// Writes the digits of `bytes` to `digits`, which holds two a byte; makes no copy.
pub(crate) fn encode_into(bytes: &[u8], digits: &mut [u8]) {
    let of = |nibble: u8| match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble - 10),
    };
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    for (digit, nibble) in digits.iter_mut().zip(nibbles) {
        *digit = of(nibble);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_and_nothing_else() {
        let bytes = [0, 0x0f, 0x7f, 0x80, 0xff];
        assert_eq!(encode(&bytes), "000f7f80ff");
        assert_eq!(decode("000f7f80ff").as_deref(), Some(bytes.as_slice()));
        assert_eq!(decode_array("000f7f80ff"), Some(bytes));
        let mut digits = [0; 10];
        encode_into(&bytes, &mut digits);
        assert_eq!(&digits, b"000f7f80ff");
        for bad in ["0", "0g", "FF", "é0", "+1"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
        assert_eq!(decode_array::<2>("00"), None);
    }
}
