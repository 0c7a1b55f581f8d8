//! RSA, by aws-lc.
//!
//! The private half is packed as six `string`s (RFC 4251 section 5) of
//! magnitudes: d, p, q, d mod (p − 1), d mod (q − 1), q⁻¹ mod p: the numbers
//! of RFC 8017 section 3.2, both representations.

#![expect(
    clippy::disallowed_types,
    reason = "one of the two places where private keys of a library may stand"
)]

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeyPairComponents, KeySize, PublicKeyComponents};
use keystead_core::SecretBytes;
use keystead_sodium::{memory, sign};

use super::{DigestHash, PublicKey, RsaHash, SigningError, SigningKey};
use crate::wire::Reader;

/// What is made.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    Bits3072,
    Bits4096,
}

/// The private numbers, big-endian.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'a> {
    pub(crate) d: &'a [u8],
    pub(crate) p: &'a [u8],
    pub(crate) q: &'a [u8],
    /// d mod (p − 1).
    pub(crate) dp: &'a [u8],
    /// d mod (q − 1).
    pub(crate) dq: &'a [u8],
    /// q⁻¹ mod p.
    pub(crate) q_inverse: &'a [u8],
}

impl<'a> Numbers<'a> {
    /// Packs them.
    pub(crate) fn pack(&self) -> SecretBytes {
        let numbers = [self.d, self.p, self.q, self.dp, self.dq, self.q_inverse];
        let len = numbers.iter().map(|it| LENGTH_BYTES + it.len()).sum();
        SecretBytes::fill(len, |mut out| {
            for number in numbers {
                let len = u32::try_from(number.len()).unwrap_or(u32::MAX);
                let Some((head, rest)) = out.split_at_mut_checked(LENGTH_BYTES) else {
                    return;
                };
                head.copy_from_slice(&len.to_be_bytes());
                let Some((place, rest)) = rest.split_at_mut_checked(number.len()) else {
                    return;
                };
                place.copy_from_slice(number);
                out = rest;
            }
        })
    }

    /// Takes apart what [`Numbers::pack`] packed.
    pub(crate) fn unpack(private: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(private);
        let numbers = Self {
            d: reader.string().ok()?,
            p: reader.string().ok()?,
            q: reader.string().ok()?,
            dp: reader.string().ok()?,
            dq: reader.string().ok()?,
            q_inverse: reader.string().ok()?,
        };
        reader.finish().ok()?;
        Some(numbers)
    }
}

/// Makes one, which `read` takes out of the PKCS#8 that the library writes.
pub(crate) fn generate(
    size: Size,
    read: impl FnOnce(&[u8]) -> Option<SigningKey>,
) -> Result<SigningKey, SigningError> {
    let size = match size {
        Size::Bits3072 => KeySize::Rsa3072,
        Size::Bits4096 => KeySize::Rsa4096,
    };
    // The library wipes both when it drops them.
    memory::with_wiped_stack(|| {
        let pair = KeyPair::generate(size).map_err(|_| SigningError::Broken)?;
        let der = pair.as_der().map_err(|_| SigningError::Broken)?;
        read(der.as_ref()).ok_or(SigningError::Broken)
    })
}

/// Whether the halves are of one key: the library compares n with p · q, d
/// with e, and the rest with d, p and q.
pub(super) fn check(e: &[u8], n: &[u8], private: &SecretBytes) -> Result<(), SigningError> {
    let numbers = Numbers::unpack(private.expose()).ok_or(SigningError::Broken)?;
    KeyPair::from_components(&KeyPairComponents {
        public_key: PublicKeyComponents { n, e },
        d: numbers.d,
        p: numbers.p,
        q: numbers.q,
        dP: numbers.dp,
        dQ: numbers.dq,
        qInv: numbers.q_inverse,
    })
    .map(|_| ())
    .map_err(|_| SigningError::Broken)
}

pub(super) fn sign(
    e: &[u8],
    n: &[u8],
    private: &[u8],
    hash: RsaHash,
    message: &[u8],
) -> Result<Vec<u8>, SigningError> {
    let (hash, algorithm) = match hash {
        RsaHash::Sha256 => (sign::RsaHash::Sha256, &digest::SHA256),
        RsaHash::Sha512 => (sign::RsaHash::Sha512, &digest::SHA512),
    };
    let digest = digest::digest(algorithm, message);
    sign_hashed(e, n, private, hash, digest.as_ref())
}

/// For [`SigningKey::sign_digest`].
pub(super) fn sign_digest(
    e: &[u8],
    n: &[u8],
    private: &[u8],
    hash: DigestHash,
    digest: &[u8],
) -> Result<Vec<u8>, SigningError> {
    let hash = match hash {
        DigestHash::Sha256 => sign::RsaHash::Sha256,
        DigestHash::Sha384 => sign::RsaHash::Sha384,
        DigestHash::Sha512 => sign::RsaHash::Sha512,
    };
    sign_hashed(e, n, private, hash, digest)
}

/// For [`SigningKey::sign_with_sha1`] alone.
pub(super) fn sign_with_sha1(
    e: &[u8],
    n: &[u8],
    private: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, SigningError> {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message);
    sign_hashed(e, n, private, sign::RsaHash::Sha1, digest.as_ref())
}

fn sign_hashed(
    e: &[u8],
    n: &[u8],
    private: &[u8],
    hash: sign::RsaHash,
    digest: &[u8],
) -> Result<Vec<u8>, SigningError> {
    let numbers = Numbers::unpack(private).ok_or(SigningError::Broken)?;
    let numbers = sign::RsaNumbers {
        n,
        e,
        d: numbers.d,
        p: numbers.p,
        q: numbers.q,
        dp: numbers.dp,
        dq: numbers.dq,
        q_inverse: numbers.q_inverse,
    };
    let mut signature = vec![0; n.len()];
    sign::rsa(&numbers, hash, digest, &mut signature).map_err(|_| SigningError::Broken)?;
    Ok(signature)
}

/// The key of numbers that came together.
pub(crate) fn key(e: &[u8], n: &[u8], numbers: &Numbers<'_>) -> Result<SigningKey, SigningError> {
    let public = PublicKey::Rsa {
        e: e.to_vec(),
        n: n.to_vec(),
    };
    SigningKey::from_halves(public, numbers.pack())
}

const LENGTH_BYTES: usize = 4;
