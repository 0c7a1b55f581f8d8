//! What a key server's edge reads before anybody is known.

use keystead_server::edge::proxy;
use keystead_server::edge::validity::Validity;

/// A PROXY header: whole or not at all, and never longer than its limit.
pub(crate) fn proxy_header(bytes: &[u8]) {
    if proxy::parse(bytes).is_ok() {
        assert!(bytes.len() <= 16 + 1_024);
        for len in 0..bytes.len() {
            assert!(proxy::parse(bytes.get(..len).unwrap_or_default()).is_err());
        }
    }
}

/// A certificate's dates.
pub(crate) fn certificate(bytes: &[u8]) {
    if let Some(validity) = Validity::of(bytes) {
        // 9999-12-31 23:59:59, the last that the form can say.
        assert!(validity.until_unix_s <= 253_402_300_799);
    }
}
