//! What a key that is held elsewhere may give back (`spec/pairing.md` section 5.1): a public key
//! of its algorithm, and signatures of OpenPGP and minisign that hold.
//!
//! **Invariant:** what is let through was checked against the key that was asked; nothing here
//! parses what it is about.

use aws_lc_rs::digest::{Digest, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256K1_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use keystead_core::Algorithm;

use crate::minisign::{self, ToSign};
use crate::ssh::PublicKey;
use crate::ssh::key::{Curve, Material};

/// The public half of a key that signs or agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicHalf {
    /// One of SSH's.
    Ssh(PublicKey),
    /// A point on secp256k1, uncompressed (SEC 1 section 2.3.3), that signs.
    EcdsaSecp256k1([u8; 65]),
    /// One that agrees: the bytes that its peers send are as long.
    Agrees(Vec<u8>),
}

impl PublicHalf {
    /// Reads a public key as it stands on the wire.
    ///
    /// None for bytes that are no key of this algorithm, or an algorithm that is not known.
    #[must_use]
    pub fn read(algorithm: &str, bytes: &[u8]) -> Option<Self> {
        let algorithm: Algorithm = algorithm.parse().ok()?;
        match algorithm {
            Algorithm::EcdsaSecp256k1 => point(bytes).map(Self::EcdsaSecp256k1),
            Algorithm::EcdhP256 | Algorithm::EcdhSecp256k1 => {
                point(bytes).map(|point| Self::Agrees(point.to_vec()))
            }
            Algorithm::X25519 => {
                (bytes.len() == X25519_BYTES).then(|| Self::Agrees(bytes.to_vec()))
            }
            Algorithm::Ed25519
            | Algorithm::EcdsaP256
            | Algorithm::EcdsaP384
            | Algorithm::EcdsaP521
            | Algorithm::Rsa
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaP256
            | _ => {
                let key = PublicKey::from_blob(bytes).ok()?;
                (key.type_name() == algorithm.as_str()).then_some(Self::Ssh(key))
            }
        }
    }

    /// How many bytes a shared point has, if it agrees (RFC 7748 section 6.1, SEC 1 section
    /// 2.3.3).
    #[must_use]
    pub fn shared_bytes(&self) -> Option<usize> {
        match self {
            Self::Agrees(public) => Some(public.len()),
            Self::Ssh(_) | Self::EcdsaSecp256k1(_) => None,
        }
    }

    /// Does a signature of form 2 hold? `content` is the number of OpenPGP's hash, then the
    /// digest. ECDSA is over its first 32 bytes, EdDSA over all of it, RSA over all of it by
    /// PKCS #1 v1.5 for SHA-2 of 256 bits and more.
    #[must_use]
    pub fn holds_openpgp(&self, content: &[u8], signature: &[u8]) -> bool {
        let Some((hash, digest)) = content.split_first() else {
            return false;
        };
        match self {
            Self::EcdsaSecp256k1(point) => {
                is_ecdsa(&ECDSA_P256K1_SHA256_FIXED, point, digest, signature)
            }
            Self::Ssh(key) => match key.material() {
                Material::Ed25519(public) => is_signed(&ED25519, public, digest, signature),
                Material::Ecdsa(Curve::P256, point) => {
                    is_ecdsa(&ECDSA_P256_SHA256_FIXED, point, digest, signature)
                }
                Material::Rsa { e, n } => is_rsa((e, n), *hash, digest, signature),
                Material::Ecdsa(Curve::P384 | Curve::P521, _)
                | Material::SkEd25519(..)
                | Material::SkEcdsaP256(..) => false,
            },
            Self::Agrees(_) => false,
        }
    }

    /// Do both signatures of form 3 hold?
    #[must_use]
    pub fn holds_minisign(&self, content: &[u8], signatures: &[u8]) -> bool {
        let Self::Ssh(key) = self else {
            return false;
        };
        let Material::Ed25519(public) = key.material() else {
            return false;
        };
        let by = minisign::PublicKey::of(*public);
        let signed = ToSign::parse(content);
        signed.is_ok_and(|it| it.finish(&by, signatures).is_ok())
    }
}

fn point(bytes: &[u8]) -> Option<[u8; 65]> {
    let point: [u8; 65] = bytes.try_into().ok()?;
    (point.first() == Some(&UNCOMPRESSED)).then_some(point)
}

fn is_signed(
    algorithm: &'static dyn VerificationAlgorithm,
    public: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let key = UnparsedPublicKey::new(algorithm, public);
    key.verify(message, signature).is_ok()
}

fn is_ecdsa(
    algorithm: &'static dyn VerificationAlgorithm,
    point: &[u8],
    digest: &[u8],
    signature: &[u8],
) -> bool {
    let first = digest.get(..SHA256.output_len());
    let Some(Ok(digest)) = first.map(|it| Digest::import_less_safe(it, &SHA256)) else {
        return false;
    };
    let key = UnparsedPublicKey::new(algorithm, point);
    key.verify_digest(&digest, signature).is_ok()
}

fn is_rsa((e, n): (&[u8], &[u8]), hash: u8, digest: &[u8], signature: &[u8]) -> bool {
    // RFC 9580 section 9.5.
    let (of, by) = match hash {
        8 => (&SHA256, &RSA_PKCS1_2048_8192_SHA256),
        9 => (&SHA384, &RSA_PKCS1_2048_8192_SHA384),
        10 => (&SHA512, &RSA_PKCS1_2048_8192_SHA512),
        _ => return false,
    };
    let Ok(digest) = Digest::import_less_safe(digest, of) else {
        return false;
    };
    // A number has no leading zeros; the signature is as long as the modulus.
    let Some(zeros) = n.len().checked_sub(signature.len()) else {
        return false;
    };
    let signature = [vec![0; zeros], signature.to_vec()].concat();
    let key = UnparsedPublicKey::new(by, rsa_public_key(n, e));
    key.verify_digest(&digest, &signature).is_ok()
}

/// `RSAPublicKey` of RFC 8017 appendix A.1.1, in DER.
fn rsa_public_key(n: &[u8], e: &[u8]) -> Vec<u8> {
    let integers = [n, e].map(|number| {
        let is_negative = number.first().is_some_and(|first| *first >= 0x80);
        let sign: &[u8] = if is_negative { &[0] } else { &[] };
        tagged(DER_INTEGER, &[sign, number].concat())
    });
    tagged(DER_SEQUENCE, &integers.concat())
}

/// A value of DER (X.690 section 8.1); its length in the shortest form.
fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
    let digits = len.to_be_bytes();
    let zeros = digits.iter().take_while(|it| **it == 0).count();
    let digits = digits.get(zeros..).unwrap_or_default();
    let head = match digits {
        [] => vec![tag, 0],
        [short] if *short < 0x80 => vec![tag, *short],
        long => {
            let count = u8::try_from(long.len()).unwrap_or(u8::MAX);
            [&[tag, 0x80 | count], long].concat()
        }
    };
    [head, value.to_vec()].concat()
}

/// The first byte of a point that is not compressed (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// X.690 sections 8.3 and 8.9.
const DER_INTEGER: u8 = 0x02;
const DER_SEQUENCE: u8 = 0x30;

/// RFC 7748 section 5.
const X25519_BYTES: usize = 32;
