//! Points on their way between gpg, a keeper and a Trezor.
//!
//! A keeper takes and gives 32 bytes on Curve25519, else 04 ‖ x ‖ y (`spec/pairing.md`, form 1 of
//! decryption); OpenPGP puts 0x40 before the 32 bytes, a Trezor 0x04 before those it gives.

use keystead_core::SecretBytes;

use super::curve::Curve;
use super::public::{COMPACT_POINT, UNCOMPRESSED_POINT};
use crate::ParseError;

/// The point of a sender, from OpenPGP's form (or the keeper's own) into the keeper's.
///
/// # Errors
/// [`ParseError::Value`] for a point of another length or form.
pub fn to_keeper(curve: Curve, point: &[u8]) -> Result<Vec<u8>, ParseError> {
    match (curve, point) {
        (Curve::Ed25519, _) => Err(ParseError::Unknown),
        (Curve::Curve25519, [COMPACT_POINT, point @ ..]) if point.len() == COMPACT_BYTES => {
            Ok(point.to_vec())
        }
        (Curve::Curve25519, point) if point.len() == COMPACT_BYTES => Ok(point.to_vec()),
        (Curve::Curve25519, _) => Err(ParseError::Value),
        (_, [UNCOMPRESSED_POINT, coordinates @ ..])
            if coordinates.len() == 2 * curve.field_bytes() =>
        {
            Ok(point.to_vec())
        }
        _ => Err(ParseError::Value),
    }
}

/// The shared point, from the keeper's form or a Trezor's into what gpg-agent answers.
///
/// # Errors
/// [`ParseError::Value`] for another length or form, and for nothing but zeros, which a sender
/// could force (RFC 7748 §6.1).
pub fn from_keeper(curve: Curve, shared: &[u8]) -> Result<SecretBytes, ParseError> {
    let coordinates = coordinates(curve, shared)?;
    let prefix = if curve.is_compact() {
        COMPACT_POINT
    } else {
        UNCOMPRESSED_POINT
    };
    Ok(SecretBytes::fill(coordinates.len() + 1, |bytes| {
        if let Some((first, rest)) = bytes.split_first_mut() {
            *first = prefix;
            rest.copy_from_slice(coordinates);
        }
    }))
}

/// The coordinate x of the shared point, which RFC 6637 §8 hashes; of Curve25519 its only one.
///
/// # Errors
/// As [`from_keeper`].
pub fn shared_x(curve: Curve, shared: &[u8]) -> Result<&[u8], ParseError> {
    let coordinates = coordinates(curve, shared)?;
    coordinates
        .get(..curve.field_bytes())
        .ok_or(ParseError::Value)
}

fn coordinates(curve: Curve, shared: &[u8]) -> Result<&[u8], ParseError> {
    let coordinates = match (curve, shared) {
        (Curve::Ed25519, _) => return Err(ParseError::Unknown),
        (Curve::Curve25519, [_, point @ ..]) if point.len() == COMPACT_BYTES => {
            match shared.first() {
                Some(&(COMPACT_POINT | UNCOMPRESSED_POINT)) => point,
                _ => return Err(ParseError::Value),
            }
        }
        (Curve::Curve25519, point) if point.len() == COMPACT_BYTES => point,
        (Curve::Curve25519, _) => return Err(ParseError::Value),
        (_, [UNCOMPRESSED_POINT, coordinates @ ..])
            if coordinates.len() == 2 * curve.field_bytes() =>
        {
            coordinates
        }
        _ => return Err(ParseError::Value),
    };
    // Every byte is looked at, whatever it is.
    let any = coordinates.iter().fold(0, |any, byte| any | byte);
    if any == 0 {
        return Err(ParseError::Value);
    }
    Ok(coordinates)
}

const COMPACT_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_a_keeper() {
        let check = |curve, point: &[u8], expected: Result<usize, ParseError>| {
            assert_eq!(to_keeper(curve, point).map(|it| it.len()), expected);
        };
        let with = |first: u8, len: usize| [&[first], vec![7; len].as_slice()].concat();
        check(Curve::Curve25519, &with(0x40, 32), Ok(32));
        check(Curve::Curve25519, &[0x40; 32], Ok(32));
        check(Curve::Curve25519, &with(0x04, 32), Err(ParseError::Value));
        check(Curve::Curve25519, &[7; 31], Err(ParseError::Value));
        check(Curve::NistP256, &with(4, 64), Ok(65));
        check(Curve::NistP256, &with(4, 96), Err(ParseError::Value));
        check(Curve::NistP256, &with(2, 32), Err(ParseError::Value));
        check(Curve::NistP521, &with(4, 132), Ok(133));
        check(Curve::Secp256k1, &with(4, 64), Ok(65));
        check(Curve::Ed25519, &[7; 32], Err(ParseError::Unknown));
    }

    #[test]
    fn from_a_keeper_or_a_trezor() {
        let check = |curve, shared: &[u8], expected: Result<Vec<u8>, ParseError>| {
            let given = from_keeper(curve, shared);
            assert_eq!(given.map(|it| it.expose().to_vec()), expected);
        };
        let with = |first: u8, len: usize| [&[first], vec![7; len].as_slice()].concat();
        check(Curve::Curve25519, &[7; 32], Ok(with(0x40, 32)));
        check(Curve::Curve25519, &with(4, 32), Ok(with(0x40, 32)));
        check(Curve::Curve25519, &with(5, 32), Err(ParseError::Value));
        check(Curve::Curve25519, &[0; 32], Err(ParseError::Value));
        check(Curve::Secp256k1, &with(4, 64), Ok(with(4, 64)));
        check(Curve::Secp256k1, &with(4, 63), Err(ParseError::Value));
        let shared = [&[4][..], &[1; 32], &[2; 32]].concat();
        assert_eq!(shared_x(Curve::NistP256, &shared), Ok(&[1; 32][..]));
    }
}
