//! The texts that name derived keys.

use keystead_core::{Curve, Derivation, Identity, IdentityParts, Protocol};
use keystead_formats::key_use::PublicHalf;
use keystead_formats::trezor_agent;

/// What a text is taken apart into says the whole of it; what can be an identity has this text.
pub(crate) fn texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let _ = PublicHalf::read("ecdsa-secp256k1", bytes);
        return;
    };
    if let Ok(parts) = IdentityParts::parse(text) {
        assert!(!parts.host.is_empty());
        for protocol in [Protocol::Ssh, Protocol::Gpg] {
            let uri = parts.uri(protocol);
            assert!(uri.len() <= text.len() + protocol.as_str().len() + 3);
            let made = Identity::new(uri.clone(), Curve::Nist256p1, 0, Derivation::Sign);
            if let Ok(identity) = made {
                assert_eq!(identity.uri(), uri);
                assert_eq!(identity.protocol(), protocol);
                assert!(uri.is_ascii());
            }
        }
    }
    let found: usize = trezor_agent::identities(text)
        .map(|it| it.identity.len() + it.curve.len() + 3)
        .sum();
    assert!(found <= text.len());
}
