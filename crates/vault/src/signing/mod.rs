//! Private keys that sign.
//!
//! **Invariant:** the public half of a [`SigningKey`] was computed from its
//! private half, or checked against it, so no signature can be made against
//! another public key. Library key objects exist only while one signature is
//! made; the library wipes what it frees, and the stack it worked on is wiped
//! here.
//!
//! | algorithm | private half, as it lies in locked memory |
//! |---|---|
//! | Ed25519, with presence too | the seed (RFC 8032 section 5.1.5) |
//! | ECDSA, with presence too | the scalar, big-endian, as long as the field |
//! | RSA | six numbers, packed ([`rsa`]) |
//!
//! What would copy or show a key does not exist:
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::SigningKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::SigningKey>();
//! ```
//! ```compile_fail
//! fn needs<T: PartialEq>() {}
//! needs::<keystead_vault::SigningKey>();
//! ```
//! ```compile_fail
//! fn private(key: &keystead_vault::SigningKey) -> &[u8] {
//!     key.private.expose() // nobody outside reads the bytes
//! }
//! ```

pub(crate) mod curves;
pub(crate) mod deterministic;
mod options;
mod public;
mod raw;
pub(crate) mod rsa;

use keystead_core::{Algorithm, SecretBytes};
use keystead_sodium::memory;

pub use options::{Presence, RsaHash, SignOptions};
pub use public::PublicKey;
pub(crate) use public::algorithm_of;
pub use raw::RawSignature;

/// A private key that makes signatures.
pub struct SigningKey {
    private: SecretBytes,
    public: PublicKey,
}

impl SigningKey {
    /// The key of a private half of any algorithm but RSA, whose public half
    /// is computed here; `application` counts for those with presence alone.
    ///
    /// # Errors
    /// [`SigningError::Broken`] when `private` is not in the algorithm's range.
    pub(crate) fn from_private(
        algorithm: Algorithm,
        application: &str,
        private: SecretBytes,
    ) -> Result<Self, SigningError> {
        let public =
            memory::with_wiped_stack(|| curves::public_of(algorithm, application, &private))?;
        Ok(Self { private, public })
    }

    /// The key of two halves that were kept, or came, together.
    ///
    /// # Errors
    /// [`SigningError::Broken`] when they are not of one key.
    pub(crate) fn from_halves(
        public: PublicKey,
        private: SecretBytes,
    ) -> Result<Self, SigningError> {
        if let PublicKey::Rsa { e, n } = &public {
            memory::with_wiped_stack(|| rsa::check(e, n, &private))?;
            return Ok(Self { private, public });
        }
        let application = public.application().to_owned();
        let key = Self::from_private(public.algorithm(), &application, private)?;
        if key.public == public {
            Ok(key)
        } else {
            Err(SigningError::Broken)
        }
    }

    /// Which kind of key it is.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message`, which Ed25519 takes whole, ECDSA and RSA by its hash,
    /// and a key with presence by its hash behind flags and counter.
    ///
    /// ECDSA takes its nonce from the library's own randomness: two signatures
    /// of one message differ.
    ///
    /// # Errors
    /// [`SigningError`]: an option that this kind of key needs was not given,
    /// or the library gives no signature.
    pub fn sign(&self, message: &[u8], options: SignOptions) -> Result<RawSignature, SigningError> {
        memory::with_wiped_stack(|| self.sign_in_place(message, options))
    }

    fn sign_in_place(
        &self,
        message: &[u8],
        options: SignOptions,
    ) -> Result<RawSignature, SigningError> {
        let private = self.private.expose();
        let presence = options.presence.ok_or(SigningError::NoPresence);
        match &self.public {
            PublicKey::Ed25519(public) => {
                curves::sign_ed25519(private, public, message).map(RawSignature::Ed25519)
            }
            PublicKey::EcdsaP256(_) => {
                curves::sign_p256(private, message).map(|[r, s]| RawSignature::EcdsaP256 { r, s })
            }
            PublicKey::EcdsaP384(_) => {
                curves::sign_p384(private, message).map(|[r, s]| RawSignature::EcdsaP384 { r, s })
            }
            PublicKey::EcdsaP521(_) => {
                curves::sign_p521(private, message).map(|[r, s]| RawSignature::EcdsaP521 { r, s })
            }
            PublicKey::Rsa { e, n } => {
                let hash = options.rsa_hash.ok_or(SigningError::NoHash)?;
                let signature = rsa::sign(e, n, private, hash, message)?;
                Ok(RawSignature::Rsa { hash, signature })
            }
            PublicKey::SkEd25519 {
                public,
                application,
            } => {
                let presence = presence?;
                let stated = presence.statement(application, message);
                let signature = curves::sign_ed25519(private, public, &stated)?;
                Ok(RawSignature::SkEd25519 {
                    signature,
                    presence,
                })
            }
            PublicKey::SkEcdsaP256 { application, .. } => {
                let presence = presence?;
                let stated = presence.statement(application, message);
                let [r, s] = curves::sign_p256(private, &stated)?;
                Ok(RawSignature::SkEcdsaP256 { r, s, presence })
            }
            PublicKey::EcdsaSecp256k1(_)
            | PublicKey::X25519(_)
            | PublicKey::EcdhP256(_)
            | PublicKey::EcdhSecp256k1(_) => Err(SigningError::Unfit),
        }
    }

    /// Signs a digest as OpenPGP does (RFC 9580 section 5.2.3): Ed25519 takes it as its message,
    /// ECDSA its first 32 bytes, RSA by PKCS #1 v1.5 with the name of its hash. The answer is
    /// R ‖ S, r ‖ s, or as long as the modulus.
    ///
    /// # Errors
    /// [`SigningError::Unfit`] for another kind of key, or a digest that is not as long as its
    /// hash makes it, or shorter than 32 bytes.
    pub fn sign_digest(&self, hash: DigestHash, digest: &[u8]) -> Result<Vec<u8>, SigningError> {
        let first = digest.first_chunk::<DIGEST_BYTES_MIN>();
        let first = first.ok_or(SigningError::Unfit)?;
        if digest.len() != hash.bytes() {
            return Err(SigningError::Unfit);
        }
        let private = self.private.expose();
        memory::with_wiped_stack(|| match &self.public {
            PublicKey::Ed25519(public) => {
                curves::sign_ed25519(private, public, digest).map(|it| it.to_vec())
            }
            PublicKey::EcdsaP256(_) => {
                curves::sign_p256_digest(private, first).map(|it| it.to_vec())
            }
            PublicKey::EcdsaSecp256k1(_) => {
                deterministic::sign_secp256k1(private, first).map(|it| it.to_vec())
            }
            PublicKey::Rsa { e, n } => rsa::sign_digest(e, n, private, hash, digest),
            PublicKey::EcdsaP384(_)
            | PublicKey::EcdsaP521(_)
            | PublicKey::SkEd25519 { .. }
            | PublicKey::SkEcdsaP256 { .. }
            | PublicKey::X25519(_)
            | PublicKey::EcdhP256(_)
            | PublicKey::EcdhSecp256k1(_) => Err(SigningError::Unfit),
        })
    }

    /// Signs by RSA with SHA-1 (`ssh-rsa`, RFC 4253 section 6.6), as long as
    /// the modulus. For the local authenticator alone, which stands in for
    /// `ssh-agent` with keys that others put there for as long as it runs:
    /// a lint keeps all else away from it.
    ///
    /// # Errors
    /// [`SigningError::NoHash`] for what is no RSA key.
    pub fn sign_with_sha1(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let PublicKey::Rsa { e, n } = &self.public else {
            return Err(SigningError::NoHash);
        };
        let private = self.private.expose();
        memory::with_wiped_stack(|| rsa::sign_with_sha1(e, n, private, message))
    }

    /// The private half, to be sealed.
    pub(crate) const fn private(&self) -> &SecretBytes {
        &self.private
    }
}

/// Why there is no key, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// The signing library refused the key or gave no signature.
    #[error("private key cannot be used")]
    Broken,
    /// An RSA key, and no hash that it could sign with: SHA-1 is never made.
    #[error("RSA key signs with SHA-256 or SHA-512 alone")]
    NoHash,
    /// A key that states presence, and nobody said that somebody is present.
    #[error("key signs only with a statement of presence")]
    NoPresence,
    /// This kind of key does not sign that.
    #[error("key of this kind does not sign that")]
    Unfit,
}

/// The hash that made a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestHash {
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

impl DigestHash {
    /// How long its digests are.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// 32 bytes: what ECDSA on a curve of 256 bits takes of a digest; a shorter one would be weaker
/// than the key.
const DIGEST_BYTES_MIN: usize = 32;

#[cfg(test)]
mod tests;
