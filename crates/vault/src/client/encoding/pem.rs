//! The text around a key (RFC 7468), in locked memory.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::SecretBytes;

use crate::client::seal::joined;

/// `-----BEGIN label-----`, base64 in lines of 64, `-----END label-----`.
pub(super) fn write(label: &str, content: &[u8]) -> SecretBytes {
    let len = content.len().div_ceil(3) * 4;
    let base64 = SecretBytes::fill(len, |out| {
        let written = STANDARD.encode_slice(content, out);
        debug_assert_eq!(written, Ok(len), "four characters for three bytes");
    });
    let begin = format!("-----BEGIN {label}-----\n");
    let end = format!("-----END {label}-----\n");
    let mut parts = vec![begin.as_bytes()];
    for line in base64.expose().chunks(LINE_CHARACTERS) {
        parts.push(line);
        parts.push(b"\n");
    }
    parts.push(end.as_bytes());
    joined(&parts)
}

/// RFC 7468 section 2.
const LINE_CHARACTERS: usize = 64;
