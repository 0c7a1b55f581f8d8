//! Signatures, without the wrapping of any format.

use super::{Presence, RsaHash};

/// A signature; numbers are big-endian, as long as the field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RawSignature {
    /// R ‖ S (RFC 8032 section 5.1.6).
    Ed25519([u8; 64]),
    /// Over SHA-256.
    EcdsaP256 {
        /// First number of the signature.
        r: [u8; 32],
        /// Second number of the signature.
        s: [u8; 32],
    },
    /// Over SHA-384.
    EcdsaP384 {
        /// First number of the signature.
        r: [u8; 48],
        /// Second number of the signature.
        s: [u8; 48],
    },
    /// Over SHA-512.
    EcdsaP521 {
        /// First number of the signature.
        r: [u8; 66],
        /// Second number of the signature.
        s: [u8; 66],
    },
    /// PKCS #1 v1.5.
    Rsa {
        /// Over this.
        hash: RsaHash,
        /// As long as the modulus.
        signature: Vec<u8>,
    },
    /// Over what [`Presence`] states.
    SkEd25519 {
        /// As [`RawSignature::Ed25519`].
        signature: [u8; 64],
        /// What it states.
        presence: Presence,
    },
    /// Over what [`Presence`] states.
    SkEcdsaP256 {
        /// First number of the signature.
        r: [u8; 32],
        /// Second number of the signature.
        s: [u8; 32],
        /// What it states.
        presence: Presence,
    },
}
