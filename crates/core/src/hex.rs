//! Bytes as hex digits.
//!
//! **Invariant**: what is read is whole: two digits a byte and nothing else, no sign, no space.
//! What a program wrote is read as it was written, in lower case; what a person types, in either.

/// The digits, in lower case.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let digits = nibbles(bytes).map(|nibble| char::from(digit_of(nibble)));
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    text.extend(digits);
    text
}

/// Writes the digits of `bytes` to `digits`, which holds two a byte; makes no copy.
pub fn encode_into(bytes: &[u8], digits: &mut [u8]) {
    for (digit, nibble) in digits.iter_mut().zip(nibbles(bytes)) {
        *digit = digit_of(nibble);
    }
}

/// The bytes of lower-case digits.
#[must_use]
pub fn decode(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; digits.len() / 2];
    decode_into(digits.as_bytes(), &mut bytes).then_some(bytes)
}

/// Exactly `N` bytes of lower-case digits.
#[must_use]
pub fn decode_array<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    decode_into(digits.as_bytes(), &mut bytes).then_some(bytes)
}

/// Fills `bytes` and says whether the digits were exactly as many; makes no copy.
#[must_use]
pub fn decode_into(digits: &[u8], bytes: &mut [u8]) -> bool {
    !digits.iter().any(u8::is_ascii_uppercase) && typed_into(digits, bytes)
}

/// Exactly `N` bytes of digits in either case; makes no copy.
#[must_use]
pub fn typed_array<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    typed_into(digits.as_bytes(), &mut bytes).then_some(bytes)
}

fn typed_into(digits: &[u8], bytes: &mut [u8]) -> bool {
    let (pairs, []) = digits.as_chunks::<2>() else {
        return false;
    };
    if pairs.len() != bytes.len() {
        return false;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (Some(high), Some(low)) = (nibble_of(*high), nibble_of(*low)) else {
            return false;
        };
        *byte = high << 4 | low;
    }
    true
}

fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f])
}

fn digit_of(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + (nibble - 10),
    }
}

fn nibble_of(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
        let bytes = [0, 0x0f, 0x7f, 0x80, 0xff];
        assert_eq!(encode(&bytes), "000f7f80ff");
        assert_eq!(decode_array("000f7f80ff"), Some(bytes));
        assert_eq!(typed_array("000F7f80FF"), Some(bytes));
        let mut digits = [0; 10];
        encode_into(&bytes, &mut digits);
        assert_eq!(&digits, b"000f7f80ff");
    }

    #[test]
    fn nothing_else_is_read() {
        for bad in ["0", "000", "0g", "0G", "é0", "é", "+1", "-1", " 0", "0x"] {
            assert_eq!(decode(bad), None, "{bad}");
            assert_eq!(typed_array::<1>(bad), None, "{bad}");
        }
        for typed in ["FF", "aA"] {
            assert_eq!(decode(typed), None, "{typed}");
            assert_eq!(decode_array::<1>(typed), None, "{typed}");
            assert!(typed_array::<1>(typed).is_some(), "{typed}");
        }
        assert_eq!(decode_array::<2>("00"), None);
        assert_eq!(typed_array::<2>("000000"), None);
    }
}
