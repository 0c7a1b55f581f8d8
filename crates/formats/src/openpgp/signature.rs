//! Signatures of version 4: what is to be signed goes out as a digest, the signature comes in
//! (RFC 4880 §5.2.3 and §5.2.4).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256K1_SHA256_FIXED, ECDSA_P384_SHA384_FIXED,
    ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

use super::curve::Curve;
use super::digest::{Digest, HashAlgorithm};
use super::packet::{self, TAG_SIGNATURE, push_mpi};
use super::public::PublicKey;
use super::trailer;
use crate::ssh::signature::VerifyError;

/// A signature that lacks only what the private key makes.
#[derive(Debug, Clone)]
pub struct Unsigned {
    signer: PublicKey,
    /// From the version to the end of the hashed subpackets.
    hashed: Vec<u8>,
    unhashed: Vec<u8>,
    /// All that is hashed.
    message: Vec<u8>,
}

impl Unsigned {
    /// `data` is what is hashed before the signature's own fields; `hashed` and `unhashed` are
    /// areas of subpackets.
    pub(super) fn new(
        signer: &PublicKey,
        kind: u8,
        data: &[u8],
        hashed: &[u8],
        unhashed: Vec<u8>,
    ) -> Self {
        let hash = hash_of(signer);
        let hashed = trailer::fields(kind, signer.algorithm_id(), hash, hashed);
        let message = [data, &hashed, &trailer::end(&hashed)].concat();
        Self {
            signer: signer.clone(),
            hashed,
            unhashed,
            message,
        }
    }

    /// What is to be signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(hash_of(&self.signer), &[&self.message])
    }

    /// Who is to sign it.
    #[must_use]
    pub const fn signer(&self) -> &PublicKey {
        &self.signer
    }

    /// Takes the signature: r ‖ s, or RSA's integer.
    ///
    /// # Errors
    /// [`VerifyError`] if it is not the key's over the digest: nothing is written then.
    pub fn finish(self, signature: &[u8]) -> Result<Signature, VerifyError> {
        verify(&self.signer, &self.message, signature)?;
        let digest = self.digest();
        let mut body = self.hashed;
        body.extend_from_slice(&trailer::area(&self.unhashed));
        body.extend(digest.bytes().iter().take(DIGEST_PREFIX_BYTES));
        let half = self.signer.curve().map(Curve::field_bytes);
        let (r, s) = signature
            .split_at_checked(half.unwrap_or(signature.len()))
            .ok_or(VerifyError::False)?;
        push_mpi(&mut body, r);
        if half.is_some() {
            push_mpi(&mut body, s);
        }
        Ok(Signature { body })
    }
}

/// A whole signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    body: Vec<u8>,
}

impl Signature {
    /// The body of its packet.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The packet.
    pub(super) fn push(&self, bytes: &mut Vec<u8>) {
        packet::push(bytes, TAG_SIGNATURE, &self.body);
    }
}

/// The hash function of a key's own signatures: as strong as its curve (RFC 6637 §13).
const fn hash_of(key: &PublicKey) -> HashAlgorithm {
    match key.curve() {
        Some(Curve::NistP384) => HashAlgorithm::Sha384,
        Some(Curve::NistP521) => HashAlgorithm::Sha512,
        _ => HashAlgorithm::Sha256,
    }
}

/// Is this the key's signature over the digest of `message` by [`hash_of`]?
fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
    let verified = match (key.curve(), key.point(), key.rsa_numbers()) {
        // EdDSA signs the digest as its message (draft-koch-eddsa-for-openpgp §5).
        (Some(Curve::Ed25519), Some(point), _) => {
            let digest = Digest::of(hash_of(key), &[message]);
            UnparsedPublicKey::new(&ED25519, point).verify(digest.bytes(), signature)
        }
        (Some(curve), Some(point), _) => {
            let algorithm = ecdsa(curve).ok_or(VerifyError::WrongAlgorithm)?;
            UnparsedPublicKey::new(algorithm, point).verify(message, signature)
        }
        (_, _, Some((n, e))) => {
            let key = RsaPublicKeyComponents { n, e };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
        }
        _ => return Err(VerifyError::WrongAlgorithm),
    };
    verified.map_err(|_| VerifyError::False)
}

fn ecdsa(curve: Curve) -> Option<&'static dyn VerificationAlgorithm> {
    match curve {
        Curve::NistP256 => Some(&ECDSA_P256_SHA256_FIXED),
        Curve::NistP384 => Some(&ECDSA_P384_SHA384_FIXED),
        Curve::NistP521 => Some(&ECDSA_P521_SHA512_FIXED),
        Curve::Secp256k1 => Some(&ECDSA_P256K1_SHA256_FIXED),
        Curve::Ed25519 | Curve::Curve25519 => None,
    }
}

/// RFC 4880 §5.2.3: the left 16 bits of the digest.
const DIGEST_PREFIX_BYTES: usize = 2;
