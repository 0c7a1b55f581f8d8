//! The server's half of a WebSocket's handshake (RFC 6455 section 4.2), without a socket.
//!
//! **Invariant**: headers in, headers out; who may connect is not decided here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Whether the request asks for a WebSocket at all.
#[must_use]
pub fn is_asked_for(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

/// The value of `Sec-WebSocket-Accept` (section 4.2.2); nothing where the handshake is not
/// that of version 13.
#[must_use]
pub fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    if !has_token(headers, header::CONNECTION, "upgrade")
        || version.is_none_or(|version| version != "13")
    {
        return None;
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.as_bytes();
    let is_key = STANDARD
        .decode(key)
        .is_ok_and(|nonce| nonce.len() == KEY_BYTES);
    if !is_key {
        return None;
    }
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key);
    hash.update(GUID);
    HeaderValue::from_str(&STANDARD.encode(hash.digest().bytes())).ok()
}

/// Puts what every answer of a handshake has into `headers`.
pub fn upgrade(headers: &mut HeaderMap) {
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
}

/// Whether a header that lists tokens has this one.
#[must_use]
pub fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    let lists = values.iter().filter_map(|value| value.to_str().ok());
    let mut tokens = lists.flat_map(|list| list.split(','));
    tokens.any(|found| found.trim().eq_ignore_ascii_case(token))
}

/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// RFC 6455 section 4.1: a nonce of 16 bytes.
const KEY_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        let pairs =
            pairs.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        pairs.collect()
    }

    /// RFC 6455 section 1.3's own example.
    #[test]
    fn the_handshake_of_the_standard() {
        let given = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        assert!(is_asked_for(&given));
        assert_eq!(accept(&given).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_handshake_that_lacks_something_is_none() {
        let whole = [
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        assert!(accept(&headers(&whole)).is_some());
        for left_out in 0..whole.len() {
            let mut some = whole.to_vec();
            some.remove(left_out);
            assert!(accept(&headers(&some)).is_none(), "without {left_out}");
        }
        let mut short = whole;
        short[2].1 = "c2hvcnQ=";
        assert!(accept(&headers(&short)).is_none());
        let mut old = whole;
        old[1].1 = "8";
        assert!(accept(&headers(&old)).is_none());
        assert!(!is_asked_for(&headers(&whole)));
    }
}
