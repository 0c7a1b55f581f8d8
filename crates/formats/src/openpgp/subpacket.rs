//! Subpackets: what a signature says of itself and of what it signs (RFC 4880 §5.2.3).

use super::fingerprint::Fingerprint;
use super::packet::Reader;
use crate::ParseError;

/// Appends a subpacket with the shortest length, as GnuPG and trezor-agent write it.
pub(super) fn push(area: &mut Vec<u8>, kind: u8, body: &[u8]) {
    let len = u32::try_from(body.len())
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    match u8::try_from(len) {
        Ok(short @ ..=191) => area.push(short),
        _ if len < LONG_FROM => {
            let [.., high, low] = (len - 192).to_be_bytes();
            area.extend_from_slice(&[high + 192, low]);
        }
        _ => {
            area.push(255);
            area.extend_from_slice(&len.to_be_bytes());
        }
    }
    area.push(kind);
    area.extend_from_slice(body);
}

/// Version and fingerprint of who signed.
pub(super) fn push_issuer_fingerprint(area: &mut Vec<u8>, issuer: &Fingerprint) {
    let body = [&[ISSUER_VERSION], &issuer.0[..]].concat();
    push(area, ISSUER_FINGERPRINT, &body);
}

/// A subpacket that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subpacket<'a> {
    /// Its type, without the critical bit.
    pub kind: u8,
    /// Whoever does not know it must not take the signature.
    pub is_critical: bool,
    /// Its value.
    pub body: &'a [u8],
}

/// Reads all subpackets of an area.
///
/// # Errors
/// [`ParseError::Truncated`], [`ParseError::Value`] for an empty one.
pub fn parse_area(area: &[u8]) -> Result<Vec<Subpacket<'_>>, ParseError> {
    let mut reader = Reader::new(area);
    let mut subpackets = Vec::new();
    while !reader.is_empty() {
        let len = reader.subpacket_length()?;
        let whole = reader.take(len)?;
        let (kind, body) = whole.split_first().ok_or(ParseError::Value)?;
        subpackets.push(Subpacket {
            kind: kind & !CRITICAL_BIT,
            is_critical: kind & CRITICAL_BIT != 0,
            body,
        });
    }
    Ok(subpackets)
}

/// RFC 4880 §5.2.3.1.
const CRITICAL_BIT: u8 = 0x80;
/// RFC 4880 §5.2.3.1: from here on a length has five bytes.
const LONG_FROM: u32 = 8384;
/// draft-ietf-openpgp-rfc4880bis §5.2.3.28: a fingerprint of version 4.
pub(super) const ISSUER_VERSION: u8 = 4;

// RFC 4880 §5.2.3.1, and draft-ietf-openpgp-rfc4880bis §5.2.3.28 for the last.
pub(super) const CREATED: u8 = 2;
pub(super) const SIGNATURE_EXPIRES: u8 = 3;
pub(super) const KEY_EXPIRES: u8 = 9;
pub(super) const PREFERRED_CIPHERS: u8 = 11;
pub(super) const ISSUER: u8 = 16;
pub(super) const PREFERRED_HASHES: u8 = 21;
pub(super) const PREFERRED_COMPRESSION: u8 = 22;
pub(super) const KEY_SERVER_PREFERENCES: u8 = 23;
pub(super) const POLICY_URL: u8 = 26;
pub(super) const KEY_FLAGS: u8 = 27;
pub(super) const SIGNERS_USER_ID: u8 = 28;
pub(super) const REVOCATION_REASON: u8 = 29;
pub(super) const FEATURES: u8 = 30;
pub(super) const EMBEDDED_SIGNATURE: u8 = 32;
pub(super) const ISSUER_FINGERPRINT: u8 = 33;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_one_two_and_five_bytes() {
        let check = |body_len: usize, head: &[u8]| {
            let mut area = Vec::new();
            push(&mut area, 20, &vec![7; body_len]);
            assert!(
                area.starts_with(head),
                "{body_len}: {:?}",
                &area[..6.min(area.len())]
            );
            let read = parse_area(&area).unwrap();
            assert_eq!(
                (read.len(), read[0].kind, read[0].body.len()),
                (1, 20, body_len)
            );
            for len in 1..area.len().min(300) {
                assert_eq!(parse_area(&area[..len]), Err(ParseError::Truncated));
            }
        };
        check(0, &[1, 20]);
        check(190, &[191, 20]);
        check(191, &[192, 0, 20]);
        check(8382, &[223, 255, 20]);
        check(8383, &[255, 0, 0, 0x20, 0xc0, 20]);
        assert_eq!(parse_area(&[0]), Err(ParseError::Value));
    }
}
