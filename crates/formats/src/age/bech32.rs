//! Bech32 (BIP-173) as age uses it: of any length.
//!
//! **Invariant:** a text has one reading and a reading one text, but for its case.

use crate::ParseError;

/// Writes `bytes` behind the prefix `hrp`, in the case of the prefix.
#[must_use]
pub fn encode(hrp: &str, bytes: &[u8]) -> String {
    let lower = hrp.to_ascii_lowercase();
    let mut values = Vec::with_capacity(bytes.len() * 2);
    let (mut pending, mut pending_bits) = (0_u32, 0_u32);
    for byte in bytes {
        pending = (pending << 8 | u32::from(*byte)) & PENDING_MASK;
        pending_bits += 8;
        while pending_bits >= VALUE_BITS {
            pending_bits -= VALUE_BITS;
            values.push(value_of(pending >> pending_bits));
        }
    }
    if pending_bits > 0 {
        values.push(value_of(pending << (VALUE_BITS - pending_bits)));
    }
    let sum = checksum(&lower, &values) ^ CHECKSUM_FINAL;
    let sum = (0..CHECKSUM_CHARS).map(|at| value_of(sum >> (VALUE_BITS * (5 - at))));
    let mut text = format!("{lower}1");
    text.extend(values.iter().copied().chain(sum).map(char_of));
    if hrp == lower {
        text
    } else {
        text.to_ascii_uppercase()
    }
}

/// Reads a text into its prefix, in lower case, and its bytes.
///
/// # Errors
/// [`ParseError::Text`] for what is no Bech32, [`ParseError::Value`] for a false checksum and
/// for bits left over.
pub fn decode(text: &str) -> Result<(String, Vec<u8>), ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ParseError::TooLong);
    }
    let lower = text.to_ascii_lowercase();
    if text != lower && text != text.to_ascii_uppercase() {
        return Err(ParseError::Text);
    }
    let (hrp, chars) = lower.rsplit_once('1').ok_or(ParseError::Text)?;
    if hrp.is_empty() || !hrp.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ParseError::Text);
    }
    let values: Vec<u8> = chars.bytes().map(read_char).collect::<Result<_, _>>()?;
    if checksum_of(hrp, &values) != CHECKSUM_FINAL {
        return Err(ParseError::Value);
    }
    let (values, _) = values
        .split_last_chunk::<CHECKSUM_LEN>()
        .ok_or(ParseError::Text)?;
    Ok((hrp.to_owned(), join(values)?))
}

fn join(values: &[u8]) -> Result<Vec<u8>, ParseError> {
    let mut bytes = Vec::with_capacity(values.len());
    let (mut pending, mut pending_bits) = (0_u32, 0_u32);
    for value in values {
        pending = (pending << VALUE_BITS | u32::from(*value)) & PENDING_MASK;
        pending_bits += VALUE_BITS;
        if pending_bits >= 8 {
            pending_bits -= 8;
            let [.., byte] = (pending >> pending_bits).to_be_bytes();
            bytes.push(byte);
        }
    }
    // Fewer than five bits are left, all zero.
    if pending_bits >= VALUE_BITS || pending & ((1 << pending_bits) - 1) != 0 {
        return Err(ParseError::Value);
    }
    Ok(bytes)
}

/// Of values that lack their checksum.
fn checksum(hrp: &str, values: &[u8]) -> u32 {
    let zeros = [0; CHECKSUM_LEN];
    let values = values.iter().chain(&zeros).copied();
    polymod(expand(hrp).chain(values))
}

fn checksum_of(hrp: &str, values: &[u8]) -> u32 {
    polymod(expand(hrp).chain(values.iter().copied()))
}

fn expand(hrp: &str) -> impl Iterator<Item = u8> {
    let high = hrp.bytes().map(|byte| byte >> VALUE_BITS);
    let low = hrp.bytes().map(|byte| byte & VALUE_MASK);
    high.chain(std::iter::once(0)).chain(low)
}

fn polymod(values: impl Iterator<Item = u8>) -> u32 {
    values.fold(1, |sum, value| {
        let top = sum >> 25;
        let sum = (sum & 0x01ff_ffff) << VALUE_BITS ^ u32::from(value);
        let parts = GENERATOR.iter().enumerate();
        parts.fold(
            sum,
            |sum, (bit, part)| {
                if top >> bit & 1 == 1 { sum ^ part } else { sum }
            },
        )
    })
}

const fn value_of(bits: u32) -> u8 {
    let [.., low] = bits.to_be_bytes();
    low & VALUE_MASK
}

fn char_of(value: u8) -> char {
    let byte = CHARS.get(usize::from(value)).copied();
    char::from(byte.unwrap_or_default())
}

fn read_char(byte: u8) -> Result<u8, ParseError> {
    let at = CHARS.iter().position(|known| *known == byte);
    let at = at.ok_or(ParseError::Text)?;
    u8::try_from(at).map_err(|_| ParseError::Text)
}

// All of BIP-173.
const CHARS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [
    0x3b6a_57b2,
    0x2650_8e6d,
    0x1ea1_19fa,
    0x3d42_33dd,
    0x2a14_62b3,
];
const VALUE_BITS: u32 = 5;
const VALUE_MASK: u8 = 0x1f;
const CHECKSUM_LEN: usize = 6;
const CHECKSUM_CHARS: u32 = 6;
const CHECKSUM_FINAL: u32 = 1;
/// As many bits as can be pending, and more.
const PENDING_MASK: u32 = 0xffff;
/// An identity with the longest URI has some 1,800.
const TEXT_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    /// The valid texts of BIP-173 whose values are whole bytes.
    #[test]
    fn texts_of_bip_173() {
        let check = |text: &str, hrp: &str, bytes: &[u8]| {
            assert_eq!(decode(text), Ok((hrp.to_ascii_lowercase(), bytes.to_vec())));
            assert_eq!(encode(hrp, bytes), text);
        };
        check("A12UEL5L", "A", b"");
        check("a12uel5l", "a", b"");
        check(
            "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
            "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
            b"",
        );
        check(
            "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
            "split",
            &[
                0xc5, 0xf3, 0x8b, 0x70, 0x30, 0x5f, 0x51, 0x9b, 0xf6, 0x6d, 0x85, 0xfb, 0x6c, 0xf0,
                0x30, 0x58, 0xf3, 0xdd, 0xe4, 0x63, 0xec, 0xd7, 0x91, 0x8f, 0x2d, 0xc7, 0x43, 0x91,
                0x8f, 0x2d,
            ],
        );
        check(
            "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
            "abcdef",
            &[
                0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf, 0x84, 0x65, 0x3a, 0x56,
                0xd7, 0xc6, 0x75, 0xbe, 0x77, 0xdf,
            ],
        );
    }

    #[test]
    fn what_is_no_bech32() {
        let check = |text: &str, expected| assert_eq!(decode(text), Err(expected), "{text}");
        check("", ParseError::Text);
        check("pzry9x0s0muk", ParseError::Text);
        check("1pzry9x0s0muk", ParseError::Text);
        check("x1b4n0q5v", ParseError::Text);
        check("li1dgmt3", ParseError::Text);
        check("A1G7SGD8", ParseError::Value);
        check("10a06t8", ParseError::Text);
        check("a12UEL5L", ParseError::Text);
        check("a12uel5q", ParseError::Value);
        // Right by their checksums: five bits too many, and bits that are not zero.
        for values in [&[0][..], &[0, 1]] {
            let sum = checksum("a", values) ^ CHECKSUM_FINAL;
            let sum = (0..CHECKSUM_CHARS).map(|at| value_of(sum >> (VALUE_BITS * (5 - at))));
            let chars = values.iter().copied().chain(sum).map(char_of);
            let text = format!("a1{}", chars.collect::<String>());
            check(&text, ParseError::Value);
        }
        check(&"q".repeat(5_000), ParseError::TooLong);
    }
}
