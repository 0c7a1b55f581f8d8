//! ASCII armour (RFC 4880 §6).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ParseError;

/// What stands between BEGIN and END.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// `PGP PUBLIC KEY BLOCK`: keys, and revocations that are to be imported.
    PublicKey,
    /// `PGP SIGNATURE`.
    Signature,
}

impl Block {
    const fn name(self) -> &'static str {
        match self {
            Self::PublicKey => "PGP PUBLIC KEY BLOCK",
            Self::Signature => "PGP SIGNATURE",
        }
    }
}

/// Puts bytes into armour, as GnuPG writes it: no headers, lines of 64 characters, the checksum.
#[must_use]
pub fn write(block: Block, bytes: &[u8]) -> String {
    let name = block.name();
    let mut text = format!("-----BEGIN {name}-----\n\n");
    for (at, c) in STANDARD.encode(bytes).chars().enumerate() {
        if at > 0 && at % LINE_CHARS == 0 {
            text.push('\n');
        }
        text.push(c);
    }
    let [_, checksum @ ..] = crc24(bytes).to_be_bytes();
    let checksum = STANDARD.encode(checksum);
    text.push_str(&format!("\n={checksum}\n-----END {name}-----\n"));
    text
}

/// Takes the armour off the only block of a text. Headers are passed over: they are not signed
/// and say nothing. A checksum that is there must be right.
///
/// # Errors
/// [`ParseError`].
pub fn read(block: Block, text: &str) -> Result<Vec<u8>, ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ParseError::TooLong);
    }
    let name = block.name();
    let mut lines = text.trim().lines().map(str::trim_end);
    if lines.next() != Some(format!("-----BEGIN {name}-----").as_str()) {
        return Err(ParseError::Text);
    }
    // Headers end at an empty line.
    for line in lines.by_ref() {
        if line.is_empty() {
            break;
        }
        if !line.contains(": ") {
            return Err(ParseError::Text);
        }
    }
    let end = format!("-----END {name}-----");
    let mut packed = String::new();
    let mut checksum = None;
    for line in lines.by_ref() {
        match line.strip_prefix('=') {
            _ if line == end => return finish(lines, &packed, checksum),
            _ if checksum.is_some() => return Err(ParseError::Text),
            Some(sum) if sum.len() == CHECKSUM_CHARS => checksum = Some(sum),
            _ => packed.push_str(line),
        }
    }
    Err(ParseError::Truncated)
}

fn finish<'a>(
    mut behind: impl Iterator<Item = &'a str>,
    packed: &str,
    checksum: Option<&str>,
) -> Result<Vec<u8>, ParseError> {
    if behind.next().is_some() {
        return Err(ParseError::LeftOver);
    }
    let bytes = STANDARD.decode(packed).map_err(|_| ParseError::Text)?;
    if let Some(checksum) = checksum {
        let [_, expected @ ..] = crc24(&bytes).to_be_bytes();
        if STANDARD.decode(checksum).as_deref() != Ok(&expected) {
            return Err(ParseError::Value);
        }
    }
    Ok(bytes)
}

/// RFC 4880 §6.1.
fn crc24(bytes: &[u8]) -> u32 {
    bytes.iter().fold(CRC24_INIT, |crc, byte| {
        let crc = crc ^ (u32::from(*byte) << 16);
        (0..8).fold(crc, |crc, _| {
            let shifted = crc << 1;
            if shifted & CRC24_OVERFLOW == 0 {
                shifted
            } else {
                shifted ^ CRC24_POLYNOMIAL
            }
        })
    })
}

const CRC24_INIT: u32 = 0x00b7_04ce;
const CRC24_POLYNOMIAL: u32 = 0x0186_4cfb;
const CRC24_OVERFLOW: u32 = 0x0100_0000;
/// GnuPG's; RFC 4880 §6.3 allows up to 76.
const LINE_CHARS: usize = 64;
/// Three bytes in base64.
const CHECKSUM_CHARS: usize = 4;
/// A key with hundreds of signatures of others, or a photograph.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;
/// As much in base64 with line ends.
const TEXT_BYTES_MAX: usize = 2 * BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armour_comes_off_as_it_went_on() {
        for len in [0, 1, 2, 3, 47, 48, 49, 5000] {
            let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
            for block in [Block::PublicKey, Block::Signature] {
                assert_eq!(read(block, &write(block, &bytes)), Ok(bytes.clone()));
            }
        }
    }

    #[test]
    fn what_is_no_armour() {
        let good = "-----BEGIN PGP SIGNATURE-----\nVersion: x\n\nYWJj\n=uhtH\n-----END PGP SIGNATURE-----\n";
        let sum = crc24(b"abc").to_be_bytes();
        let sum = STANDARD.encode(&sum[1..]);
        let good = good.replace("uhtH", &sum);
        let check = |text: &str, expected| assert_eq!(read(Block::Signature, text), expected);
        check(&good, Ok(b"abc".to_vec()));
        check(&good.replace('\n', "\r\n"), Ok(b"abc".to_vec()));
        check(&good.replace(&format!("={sum}\n"), ""), Ok(b"abc".to_vec()));
        check(&good.replace("YWJj", "YWJk"), Err(ParseError::Value));
        check(&good.replace("YWJj", "Y!Jk"), Err(ParseError::Text));
        check(
            &good.replace("BEGIN PGP SIG", "BEGIN PGP MES"),
            Err(ParseError::Text),
        );
        check(&good.replace("Version: x\n\n", ""), Err(ParseError::Text));
        check(&format!("{good}{good}"), Err(ParseError::LeftOver));
        let end = good.find("-----END").unwrap();
        check(&good[..end], Err(ParseError::Truncated));
        assert_eq!(read(Block::PublicKey, &good), Err(ParseError::Text));
    }
}
