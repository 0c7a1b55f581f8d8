//! Signatures as SSH has them on the wire.

use keystead_formats::ssh::wire::Writer;
use keystead_formats::ssh::{Curve, signature};
use keystead_vault::{Presence, RawSignature, RsaHash};

/// The signature blob; none for kinds that later versions of `vault` add.
#[must_use]
pub fn signature_blob(raw: &RawSignature) -> Option<Vec<u8>> {
    Some(match raw {
        RawSignature::Ed25519(bytes) => signature::ed25519(bytes),
        RawSignature::EcdsaP256 { r, s } => signature::ecdsa(Curve::P256, r, s),
        RawSignature::EcdsaP384 { r, s } => signature::ecdsa(Curve::P384, r, s),
        RawSignature::EcdsaP521 { r, s } => signature::ecdsa(Curve::P521, r, s),
        RawSignature::Rsa { hash, signature } => {
            let hash = match hash {
                RsaHash::Sha256 => signature::RsaHash::Sha256,
                RsaHash::Sha512 => signature::RsaHash::Sha512,
            };
            signature::rsa(hash, signature)
        }
        RawSignature::SkEd25519 {
            signature,
            presence,
        } => with_presence(SK_ED25519, signature, *presence),
        RawSignature::SkEcdsaP256 { r, s, presence } => {
            let pair = Writer::new().positive_mpint(r).positive_mpint(s);
            with_presence(SK_ECDSA_P256, &pair.into_bytes(), *presence)
        }
        _ => return None,
    })
}

/// OpenSSH PROTOCOL.u2f: flags and counter stand behind the signature.
fn with_presence(algorithm: &str, signature: &[u8], presence: Presence) -> Vec<u8> {
    Writer::new()
        .string(algorithm.as_bytes())
        .string(signature)
        .u8(presence.flags)
        .u32(presence.counter)
        .into_bytes()
}

const SK_ED25519: &str = "sk-ssh-ed25519@openssh.com";

const SK_ECDSA_P256: &str = "sk-ecdsa-sha2-nistp256@openssh.com";
