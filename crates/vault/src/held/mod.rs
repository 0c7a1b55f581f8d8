//! Keys and secrets that a server holds for their owners (`spec/session.md` section 8.2).
//!
//! **Invariant**: the bytes lie in locked memory and are wiped with the value; a key
//! that came from outside was checked whole, and its public half computed here. There
//! are two doors: [`HeldKey::sign`], and [`HeldKey::encoding`], for the seal at rest and
//! for the export to the owner.
//!
//! | kind | encoding | public half |
//! |---|---|---|
//! | arbitrary | itself, 1 to 65,536 bytes | none |
//! | Ed25519 | seed, 32 bytes (RFC 8032 section 5.1.5) | 32 bytes |
//! | P-256, secp256k1 | scalar, 32 bytes big-endian, in [1, n − 1] | 4 ‖ x ‖ y (SEC 1 section 2.3.3) |
//! | RSA, 3,072 to 8,192 bits | `RSAPrivateKey`, DER (RFC 8017 appendix A.1.2) | `RSAPublicKey`, DER (A.1.1) |
//!
//! What would copy or show a key does not exist:
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::held::HeldKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::held::HeldKey>();
//! ```

mod curves;
mod rsa;
#[cfg(test)]
mod tests;

use keystead_core::SecretBytes;
use keystead_sodium::memory;
use rand_core::CryptoRngCore;

use crate::PublicKey;

/// A key or secret that a server holds.
pub struct HeldKey {
    kind: Kind,
    private: SecretBytes,
    public: Vec<u8>,
}

impl HeldKey {
    /// Makes a new one. RSA keys come from the library's own randomness, all others
    /// from `rng`.
    ///
    /// # Errors
    /// [`HeldError::Length`] for an arbitrary secret of no or too many bytes;
    /// [`HeldError::Broken`] when the library refuses random keys.
    pub fn generate(new: New, rng: &mut dyn CryptoRngCore) -> Result<Self, HeldError> {
        let (kind, len) = match new {
            New::Arbitrary { bytes } => (Kind::Arbitrary, bytes),
            New::Ed25519 => (Kind::Ed25519, SCALAR_BYTES),
            New::P256 => (Kind::P256, SCALAR_BYTES),
            New::Secp256k1 => (Kind::Secp256k1, SCALAR_BYTES),
            New::Rsa(size) => return memory::with_wiped_stack(|| rsa::generate(size)),
        };
        if !(1..=ARBITRARY_BYTES_MAX).contains(&len) {
            return Err(HeldError::Length);
        }
        for _ in 0..DRAWS_MAX {
            let private = SecretBytes::fill(len, |bytes| rng.fill_bytes(bytes));
            if let Ok(key) = Self::import(kind, private) {
                return Ok(key);
            }
        }
        Err(HeldError::Broken)
    }

    /// Takes one from outside, which is checked whole.
    ///
    /// # Errors
    /// [`HeldError::Length`]; [`HeldError::Range`] for a scalar outside [1, n − 1];
    /// [`HeldError::Rsa`] for a key that is cut, of other numbers than belong together,
    /// or too short or long.
    pub fn import(kind: Kind, encoding: SecretBytes) -> Result<Self, HeldError> {
        check_length(kind, encoding.len())?;
        let public = memory::with_wiped_stack(|| match kind {
            Kind::Arbitrary => Ok(Vec::new()),
            Kind::Ed25519 => curves::ed25519_public(encoding.expose()),
            Kind::P256 => curves::p256_public(encoding.expose()),
            Kind::Secp256k1 => curves::secp256k1_public(encoding.expose()),
            Kind::Rsa => rsa::public_of(encoding.expose()),
        })?;
        Ok(Self {
            kind,
            private: encoding,
            public,
        })
    }

    /// Takes back what was imported or made before and has lain sealed, both halves
    /// under one seal: nothing is computed again.
    ///
    /// # Errors
    /// [`HeldError::Length`]: it cannot have come from here.
    pub fn open(kind: Kind, encoding: SecretBytes, public: Vec<u8>) -> Result<Self, HeldError> {
        check_length(kind, encoding.len())?;
        let is_whole = match kind {
            Kind::Arbitrary => public.is_empty(),
            Kind::Ed25519 => public.len() == curves::ED25519_PUBLIC_BYTES,
            Kind::P256 | Kind::Secp256k1 => public.len() == curves::POINT_BYTES,
            Kind::Rsa => !public.is_empty(),
        };
        if !is_whole {
            return Err(HeldError::Length);
        }
        Ok(Self {
            kind,
            private: encoding,
            public,
        })
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The public half, if it has one.
    #[must_use]
    pub fn public_key(&self) -> Option<&[u8]> {
        (self.kind != Kind::Arbitrary).then_some(self.public.as_slice())
    }

    /// The public half as SSH writes it; none for secp256k1, which SSH does not have.
    ///
    /// # Errors
    /// [`HeldError::Broken`]: the halves are not what [`HeldKey::import`] makes.
    pub fn ssh_blob(&self) -> Result<Option<Vec<u8>>, HeldError> {
        let public = match self.kind {
            Kind::Arbitrary | Kind::Secp256k1 => return Ok(None),
            Kind::Ed25519 => self.public.as_slice().try_into().map(PublicKey::Ed25519),
            Kind::P256 => self.public.as_slice().try_into().map(PublicKey::EcdsaP256),
            Kind::Rsa => Ok(rsa::public_numbers(self.private.expose())?),
        };
        match public {
            Ok(public) => Ok(Some(public.to_blob())),
            Err(_) => Err(HeldError::Broken),
        }
    }

    /// The private half: for the seal at rest, and for the export to its owner.
    #[must_use]
    pub const fn encoding(&self) -> &SecretBytes {
        &self.private
    }

    /// Signs: Ed25519 64 bytes, ECDSA r ‖ s (on secp256k1 with the nonce of RFC 6979 and
    /// low s), RSA PKCS#1 v1.5 as long as the modulus.
    ///
    /// # Errors
    /// [`HeldError::Unfit`] when this kind does not sign that; [`HeldError::Broken`]
    /// when the library gives no signature.
    pub fn sign(&self, what: &ToSign<'_>) -> Result<Vec<u8>, HeldError> {
        let private = self.private.expose();
        memory::with_wiped_stack(|| match (self.kind, what) {
            (Kind::Ed25519, ToSign::Message(message)) => {
                curves::sign_ed25519(private, &self.public, message)
            }
            (Kind::P256, ToSign::Digest(_, digest)) => curves::sign_p256(private, digest),
            (Kind::Secp256k1, ToSign::Digest(_, digest)) => curves::sign_secp256k1(private, digest),
            (Kind::Rsa, ToSign::Digest(hash, digest)) => rsa::sign(private, *hash, digest),
            (Kind::Arbitrary | Kind::Ed25519, _)
            | (Kind::P256 | Kind::Secp256k1 | Kind::Rsa, ToSign::Message(_)) => {
                Err(HeldError::Unfit)
            }
        })
    }
}

/// What can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any bytes.
    Arbitrary,
    /// RFC 8032.
    Ed25519,
    /// ECDSA on NIST P-256 (FIPS 186-5).
    P256,
    /// ECDSA on secp256k1 (SEC 2 section 2.4.1).
    Secp256k1,
    /// RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2).
    Rsa,
}

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum New {
    /// So many uniform bytes.
    Arbitrary {
        /// 1 to 65,536.
        bytes: usize,
    },
    /// See [`Kind::Ed25519`].
    Ed25519,
    /// See [`Kind::P256`].
    P256,
    /// See [`Kind::Secp256k1`].
    Secp256k1,
    /// See [`Kind::Rsa`].
    Rsa(RsaSize),
}

/// Lengths of RSA keys that are made; those that are imported may be longer, up to
/// 8,192 bits, which take a minute to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaSize {
    /// 3,072 bits.
    Bits3072,
    /// 4,096 bits.
    Bits4096,
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToSign<'a> {
    /// A message as it is: Ed25519 alone.
    Message(&'a [u8]),
    /// A digest, as long as its hash makes it: ECDSA and RSA.
    Digest(Hash, &'a [u8]),
}

/// The hash that made a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
    /// 32 bytes, with the padding of the original submission; no RSA signature names it.
    Keccak256,
}

/// Why there is no key, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeldError {
    /// Another length than the kind has.
    #[error("a key of this kind has another length")]
    Length,
    /// No scalar of the curve.
    #[error("the scalar is not in [1, n − 1]")]
    Range,
    /// No RSA key that is used here.
    #[error("the RSA key is none, or not of 3,072 to 8,192 bits")]
    Rsa,
    /// This kind does not sign that.
    #[error("a key of this kind does not sign that")]
    Unfit,
    /// The library refused what should be right.
    #[error("the library gives no key or signature")]
    Broken,
}

fn check_length(kind: Kind, len: usize) -> Result<(), HeldError> {
    let fits = match kind {
        Kind::Arbitrary => (1..=ARBITRARY_BYTES_MAX).contains(&len),
        Kind::Ed25519 | Kind::P256 | Kind::Secp256k1 => len == SCALAR_BYTES,
        Kind::Rsa => (1..=rsa::ENCODING_BYTES_MAX).contains(&len),
    };
    if fits { Ok(()) } else { Err(HeldError::Length) }
}

/// 65,536 bytes: the longest secret (`spec/session.md` section 8).
pub const ARBITRARY_BYTES_MAX: usize = 65_536;

/// 32 bytes: an Ed25519 seed, a scalar of both curves.
const SCALAR_BYTES: usize = 32;

/// How often a scalar is drawn before the randomness is called broken.
/// Why: a P-256 scalar is out of range once in 2^32 draws.
const DRAWS_MAX: usize = 4;
