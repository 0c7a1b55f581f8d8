//! Object identifiers of private keys, as DER has their content (X.690 section 8.19).

use super::printable;

/// An object identifier in dots (X.690 section 8.19).
pub(super) fn identifier_text(identifier: &[u8]) -> String {
    let mut text = String::new();
    let mut number = 0_u64;
    for byte in identifier.iter().take(IDENTIFIER_BYTES_MAX) {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if text.is_empty() {
            // The first two numbers share one.
            let first = (number / 40).min(2);
            text = format!("{first}.{}", number - 40 * first);
        } else {
            text.push_str(&format!(".{number}"));
        }
        number = 0;
    }
    printable(text.as_bytes())
}

/// 1.2.840.113549.1.1.1 (RFC 8017 appendix C).
pub(crate) const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1 (RFC 5480 section 2.1.1).
pub(crate) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.3.101.110 (RFC 8410 section 3).
pub(crate) const X25519: &[u8] = &[0x2b, 0x65, 0x6e];
/// 1.3.101.112 (RFC 8410 section 3).
pub(crate) const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.2.840.10045.3.1.7 (RFC 5480 section 2.1.1.1).
pub(crate) const NIST_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.132.0.34.
pub(crate) const NIST_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.3.132.0.35.
pub(crate) const NIST_P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
/// 1.3.132.0.10 (SEC 2 appendix A.2).
pub(crate) const SECP256K1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];

/// 32 bytes of an identifier are shown: none of a standard is longer.
const IDENTIFIER_BYTES_MAX: usize = 32;
