//! Session keys of ECDH messages: derivation and unwrap (RFC 6637 §7 and §8, RFC 3394).

use aws_lc_rs::digest;
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap};
use keystead_core::SecretBytes;

use super::curve::Curve;
use super::digest::HashAlgorithm;
use super::fingerprint::Fingerprint;
use super::key_wrap::unwrap_aes_192;
use super::packet::Reader;
use crate::ParseError;

pub use super::key_wrap::UnwrapError;

/// The hash function and the cipher that a key names (RFC 6637 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfParameters {
    hash: HashAlgorithm,
    cipher: WrapCipher,
}

impl KdfParameters {
    /// SHA-256 and AES-128.
    pub const SHA256_AES128: Self = Self {
        hash: HashAlgorithm::Sha256,
        cipher: WrapCipher::Aes128,
    };
    /// SHA-384 and AES-192.
    pub const SHA384_AES192: Self = Self {
        hash: HashAlgorithm::Sha384,
        cipher: WrapCipher::Aes192,
    };
    /// SHA-512 and AES-256.
    pub const SHA512_AES256: Self = Self {
        hash: HashAlgorithm::Sha512,
        cipher: WrapCipher::Aes256,
    };

    /// What GnuPG writes into an encryption key on a curve (`g10/ecdh.c`, `kek_params_table`).
    #[must_use]
    pub const fn of(curve: Curve) -> Self {
        match curve {
            Curve::Ed25519 | Curve::Curve25519 | Curve::NistP256 | Curve::Secp256k1 => {
                Self::SHA256_AES128
            }
            Curve::NistP384 => Self::SHA384_AES192,
            Curve::NistP521 => Self::SHA512_AES256,
        }
    }

    /// By the numbers of RFC 4880 §9.2 and §9.4.
    ///
    /// # Errors
    /// [`ParseError::Unknown`]; [`ParseError::Value`] if the hash is shorter than the key, as
    /// RFC 6637 §9 forbids.
    pub fn new(hash_id: u8, cipher_id: u8) -> Result<Self, ParseError> {
        let hash = HashAlgorithm::from_id(hash_id)?;
        let cipher = WrapCipher::from_id(cipher_id)?;
        if hash.bytes() < HashAlgorithm::Sha256.bytes() || hash.bytes() < cipher.key_bytes() {
            return Err(ParseError::Value);
        }
        Ok(Self { hash, cipher })
    }

    /// As in a key packet: a length, a reserved byte, both numbers.
    #[must_use]
    pub const fn encode(self) -> [u8; 4] {
        [FIELD_BYTES, RESERVED, self.hash.id(), self.cipher.id()]
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        let [len, reserved, hash_id, cipher_id] = reader.array()?;
        if len != FIELD_BYTES || reserved != RESERVED {
            return Err(ParseError::Value);
        }
        Self::new(hash_id, cipher_id)
    }

    /// What is hashed behind the shared point, for a key of this fingerprint
    /// (RFC 6637 §8, `Param`). gpg from 2.5 on sends it itself, as `kdf-params`.
    #[must_use]
    pub fn param(self, curve: Curve, fingerprint: &Fingerprint) -> Vec<u8> {
        let oid = curve.oid();
        let mut param = Vec::new();
        param.extend(u8::try_from(oid.len()));
        param.extend_from_slice(oid);
        param.push(ALGORITHM_ECDH);
        param.extend_from_slice(&self.encode());
        param.extend_from_slice(ANONYMOUS_SENDER);
        param.extend_from_slice(&fingerprint.0);
        param
    }

    /// The wrapped key's content, from the coordinate x that both sides share and `param`
    /// (RFC 6637 §8; RFC 3394 §2.2.2).
    ///
    /// # Errors
    /// [`UnwrapError`], which says no more than that: it is another's message, or damaged.
    pub fn unwrap(
        self,
        shared_x: &[u8],
        param: &[u8],
        wrapped: &[u8],
    ) -> Result<SecretBytes, UnwrapError> {
        if wrapped.len() > WRAPPED_BYTES_MAX || wrapped.len() <= WRAP_BLOCK_BYTES {
            return Err(UnwrapError);
        }
        let kek = self.key(shared_x, param);
        let cipher = match self.cipher {
            WrapCipher::Aes128 => &AES_128,
            WrapCipher::Aes192 => return unwrap_aes_192(kek.expose(), wrapped),
            WrapCipher::Aes256 => &AES_256,
        };
        let kek = AesKek::new(cipher, kek.expose()).map_err(|_| UnwrapError)?;
        let mut opened = None;
        let mut content = SecretBytes::fill(wrapped.len(), |place| {
            opened = kek.unwrap(wrapped, place).ok().map(|content| content.len());
        });
        content.truncate(opened.ok_or(UnwrapError)?);
        Ok(content)
    }

    fn key(self, shared_x: &[u8], param: &[u8]) -> SecretBytes {
        // `Context` and `Digest` hold the hash of the secret for a moment; the point itself
        // never leaves the caller's locked memory.
        let mut context = digest::Context::new(self.hash.implementation());
        context.update(&COUNTER);
        context.update(shared_x);
        context.update(param);
        let hashed = context.finish();
        SecretBytes::fill(self.cipher.key_bytes(), |key| {
            for (place, byte) in key.iter_mut().zip(hashed.as_ref()) {
                *place = *byte;
            }
        })
    }
}

/// Ciphers of RFC 4880 §9.2 that wrap keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WrapCipher {
    Aes128,
    Aes192,
    Aes256,
}

impl WrapCipher {
    const fn id(self) -> u8 {
        match self {
            Self::Aes128 => 7,
            Self::Aes192 => 8,
            Self::Aes256 => 9,
        }
    }

    const fn from_id(id: u8) -> Result<Self, ParseError> {
        match id {
            7 => Ok(Self::Aes128),
            8 => Ok(Self::Aes192),
            9 => Ok(Self::Aes256),
            _ => Err(ParseError::Unknown),
        }
    }

    const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }
}

/// RFC 6637 §9: the fields behind the length.
const FIELD_BYTES: u8 = 3;
const RESERVED: u8 = 1;
/// RFC 6637 §7: one round of the hash function is all that is ever needed.
const COUNTER: [u8; 4] = [0, 0, 0, 1];
const ANONYMOUS_SENDER: &[u8; 20] = b"Anonymous Sender    ";
const ALGORITHM_ECDH: u8 = 18;
/// RFC 3394 §2.2: the wrapped form is that much longer.
const WRAP_BLOCK_BYTES: usize = 8;
/// RFC 6637 §8 pads to 40 bytes; its length is one byte.
const WRAPPED_BYTES_MAX: usize = 255;
