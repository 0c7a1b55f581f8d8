//! A token's public keys, from the attributes of PKCS#11 (version 3.0 sections 2.1.3 and 2.3.3).
//!
//! **Invariant**: what comes out is a key that `formats` has read; whatever else a library says
//! is no key.

use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::wire::Writer;

/// `ssh-rsa`, from `CKA_PUBLIC_EXPONENT` and `CKA_MODULUS`, big-endian.
pub(super) fn rsa(exponent: &[u8], modulus: &[u8]) -> Option<PublicKey> {
    let blob = Writer::new()
        .string(b"ssh-rsa")
        .positive_mpint(exponent)
        .positive_mpint(modulus);
    PublicKey::from_blob(&blob.into_bytes()).ok()
}

/// An ECDSA or Ed25519 key, from `CKA_EC_PARAMS` and `CKA_EC_POINT`.
pub(super) fn elliptic(parameters: &[u8], point: &[u8]) -> Option<PublicKey> {
    let is_ed25519 = ED25519_PARAMETERS.contains(&parameters);
    if is_ed25519 {
        let point = inside_octets(point, ED25519_BYTES)?;
        return Some(PublicKey::ed25519(point.try_into().ok()?));
    }
    let (_, name, len) = CURVES.iter().find(|(oid, ..)| *oid == parameters)?;
    let point = inside_octets(point, *len)?;
    let blob = Writer::new()
        .string(format!("ecdsa-sha2-{name}").as_bytes())
        .string(name.as_bytes())
        .string(point);
    PublicKey::from_blob(&blob.into_bytes()).ok()
}

/// The point inside a DER `OCTET STRING`; some libraries give it bare.
fn inside_octets(point: &[u8], len: usize) -> Option<&[u8]> {
    let short = u8::try_from(len).ok()?;
    let inside = match point {
        bare if bare.len() == len => bare,
        [OCTETS, said, rest @ ..] if *said == short && short < LONG_LENGTH => rest,
        [OCTETS, ONE_LENGTH_BYTE, said, rest @ ..] if *said == short => rest,
        _ => return None,
    };
    (inside.len() == len).then_some(inside)
}

/// DER: `OCTET STRING`.
const OCTETS: u8 = 0x04;

/// DER: from here on a length has bytes of its own.
const LONG_LENGTH: u8 = 0x80;

const ONE_LENGTH_BYTE: u8 = 0x81;

const ED25519_BYTES: usize = 32;

/// RFC 8410 section 3 (OID 1.3.101.112), and the name that PKCS#11 3.0 has for it.
const ED25519_PARAMETERS: [&[u8]; 2] = [b"\x06\x03\x2b\x65\x70", b"\x13\x0cedwards25519"];

/// RFC 5480 section 2.1.1.1: OIDs in DER, names of RFC 5656 section 10.1, lengths of a point.
const CURVES: [(&[u8], &str, usize); 3] = [
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", "nistp256", 65),
    (b"\x06\x05\x2b\x81\x04\x00\x22", "nistp384", 97),
    (b"\x06\x05\x2b\x81\x04\x00\x23", "nistp521", 133),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parameters: &[u8], point: &[u8], expected: Option<&str>) {
        let found = elliptic(parameters, point);
        assert_eq!(
            found.as_ref().map(PublicKey::type_name),
            expected,
            "{point:?}"
        );
    }

    #[test]
    fn points_come_wrapped_and_bare() {
        for (oid, name, len) in CURVES {
            let point: Vec<u8> = std::iter::once(4)
                .chain(std::iter::repeat_n(7, len - 1))
                .collect();
            let said = u8::try_from(len).unwrap();
            let head: &[u8] = if len < 128 {
                &[4, said]
            } else {
                &[4, 0x81, said]
            };
            let wrapped = [head, &point].concat();
            let type_name = format!("ecdsa-sha2-{name}");
            check(oid, &point, Some(&type_name));
            check(oid, &wrapped, Some(&type_name));
            for cut in 0..wrapped.len() {
                if cut != len {
                    check(oid, &wrapped[..cut], None);
                }
            }
            check(&oid[1..], &point, None);
        }
        for parameters in ED25519_PARAMETERS {
            check(parameters, &[9; 32], Some("ssh-ed25519"));
            check(
                parameters,
                &[&[4, 32][..], &[9; 32]].concat(),
                Some("ssh-ed25519"),
            );
            check(parameters, &[9; 33], None);
        }
    }

    #[test]
    fn rsa_numbers_come_with_and_without_zeros() {
        let modulus = vec![0xc1; 256];
        let padded = [&[0, 0][..], &modulus].concat();
        let key = rsa(&[1, 0, 1], &modulus).unwrap();
        assert_eq!(rsa(&[0, 1, 0, 1], &padded), Some(key));
        assert_eq!(rsa(&[], &modulus), None);
        assert_eq!(rsa(&[1, 0, 1], &[]), None);
    }
}
