//! Version 1 of a sealed key: Ed25519 and P-256, made here. Read, no longer written.
//!
//! `"keystead-key-1" ‖ algorithm u8 ‖ name length u8 ‖ name ‖ public key ‖
//! nonce(24) ‖ sealed private key (32 + 16)`; all that stands before the nonce
//! is associated with the box. Algorithm 1 is Ed25519 (public key 32 bytes),
//! 2 ECDSA P-256 (65 bytes).

use keystead_core::Name;

use super::{Facts, SealedKey, SealedKeyError};
use crate::PublicKey;
use crate::wire::Reader;

/// Takes what stands behind the label apart.
pub(super) fn decode(bytes: &[u8], rest: &[u8]) -> Result<SealedKey, SealedKeyError> {
    let mut reader = Reader::new(rest);
    let algorithm = reader.u8()?;
    let name_bytes = reader.u8()?;
    let name = Name::from_bytes(reader.take(usize::from(name_bytes))?)
        .map_err(|_| SealedKeyError::Malformed)?;
    let public = match algorithm {
        ED25519 => PublicKey::Ed25519(reader.array()?),
        ECDSA_P256 => PublicKey::EcdsaP256(reader.array()?),
        _ => return Err(SealedKeyError::OtherVersion),
    };
    let head_bytes = bytes.len() - reader.rest().len();
    let nonce = reader.array()?;
    let sealed = reader.take(SEALED_BYTES)?.to_vec();
    reader.finish()?;
    Ok(SealedKey {
        head: bytes.get(..head_bytes).unwrap_or_default().to_vec(),
        facts: Facts {
            name,
            certificate: None,
            custody: None,
            purposes: Vec::new(),
        },
        public,
        nonce,
        sealed,
    })
}

pub(super) const LABEL: &[u8; 14] = b"keystead-key-1";

const ED25519: u8 = 1;

const ECDSA_P256: u8 = 2;

/// Private key and tag.
const SEALED_BYTES: usize = 32 + 16;
