//! The curves that GnuPG 2.2 knows and a key here may be on.

/// A curve, with its use where that is part of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// Ed25519: signatures.
    Ed25519,
    /// Curve25519 in Montgomery form: key agreement.
    Curve25519,
    /// NIST P-256.
    NistP256,
    /// NIST P-384.
    NistP384,
    /// NIST P-521.
    NistP521,
    /// secp256k1.
    Secp256k1,
}

impl Curve {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Ed25519,
        Self::Curve25519,
        Self::NistP256,
        Self::NistP384,
        Self::NistP521,
        Self::Secp256k1,
    ];

    /// The body of its object identifier (RFC 6637 §11; draft-koch-eddsa-for-openpgp §6).
    #[must_use]
    pub const fn oid(self) -> &'static [u8] {
        match self {
            Self::Ed25519 => &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01],
            Self::Curve25519 => &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01],
            Self::NistP256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Self::NistP384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
            Self::NistP521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
            Self::Secp256k1 => &[0x2b, 0x81, 0x04, 0x00, 0x0a],
        }
    }

    /// The curve with this object identifier.
    #[must_use]
    pub fn of_oid(oid: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.oid() == oid)
    }

    /// The name in S-expressions of gpg-agent 2.2 (libgcrypt, `ecc-curves.c`).
    #[must_use]
    pub const fn gcrypt_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::Curve25519 => "Curve25519",
            Self::NistP256 => "NIST P-256",
            Self::NistP384 => "NIST P-384",
            Self::NistP521 => "NIST P-521",
            Self::Secp256k1 => "secp256k1",
        }
    }

    /// Bytes of a coordinate.
    #[must_use]
    pub const fn field_bytes(self) -> usize {
        match self {
            Self::Ed25519 | Self::Curve25519 | Self::NistP256 | Self::Secp256k1 => 32,
            Self::NistP384 => 48,
            Self::NistP521 => 66,
        }
    }

    /// Is a point one coordinate alone, with 0x40 before it in OpenPGP?
    #[must_use]
    pub const fn is_compact(self) -> bool {
        matches!(self, Self::Ed25519 | Self::Curve25519)
    }
}
