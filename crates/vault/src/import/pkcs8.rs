//! PKCS#8 (RFC 5958), plain and encrypted by PBES2 (RFC 8018 section 6.2), and
//! the structures inside it where they stand alone: PKCS#1 (RFC 8017 appendix
//! A.1.2) and SEC 1 (RFC 5915).

use keystead_core::{Algorithm, Secret, SecretBytes};

use super::ImportError;
use super::cipher::{self, Pbes2};
use super::der::{
    BIT_STRING, CONTEXT_0, CONTEXT_1, CONTEXT_1_PRIMITIVE, Der, NULL, OBJECT_IDENTIFIER,
    OCTET_STRING,
};
use super::fields::{check_rsa, scalar};
use super::oid::{
    EC_PUBLIC_KEY, ED25519, NIST_P256, NIST_P384, NIST_P521, RSA_ENCRYPTION, X25519,
    identifier_text,
};
use crate::signing::rsa::{self, Numbers};
use crate::{AgreementKey, PublicKey, SigningKey};

/// `OneAsymmetricKey`, taken apart.
struct Parts<'a> {
    identifier: &'a [u8],
    /// What stands behind the identifier.
    method: Der<'a>,
    private: &'a [u8],
    public: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let mut outer = Der::new(bytes);
        let mut key = outer.sequence()?;
        outer.finish()?;
        // 0 for RFC 5208's form, 1 where a public half may stand behind.
        if key.small()? > 1 {
            return Err(ImportError::Malformed);
        }
        let mut method = key.sequence()?;
        let identifier = method.value(OBJECT_IDENTIFIER)?;
        let private = key.value(OCTET_STRING)?;
        key.optional(CONTEXT_0)?;
        let public = match key.optional(CONTEXT_1_PRIMITIVE)? {
            Some([0, bits @ ..]) => Some(bits),
            Some(_) => return Err(ImportError::Malformed),
            None => None,
        };
        key.finish()?;
        Ok(Self {
            identifier,
            method,
            private,
            public,
        })
    }
}

/// `OneAsymmetricKey` of a key that signs.
pub(super) fn read(bytes: &[u8]) -> Result<SigningKey, ImportError> {
    let Parts {
        identifier,
        mut method,
        private,
        public,
    } = Parts::read(bytes)?;
    match identifier {
        // Both have their public half within.
        RSA_ENCRYPTION | EC_PUBLIC_KEY if public.is_some() => Err(ImportError::Malformed),
        RSA_ENCRYPTION => {
            if !method.value(NULL)?.is_empty() {
                return Err(ImportError::Malformed);
            }
            method.finish()?;
            read_pkcs1(private)
        }
        EC_PUBLIC_KEY => {
            let algorithm = curve_of(method.value(OBJECT_IDENTIFIER)?)?;
            method.finish()?;
            read_ecdsa(private, Some(algorithm))
        }
        ED25519 => {
            method.finish()?;
            read_ed25519(private, public)
        }
        _ => Err(ImportError::OtherType {
            type_name: identifier_text(identifier),
        }),
    }
}

/// `OneAsymmetricKey` of a key that agrees.
pub(super) fn read_agreement(bytes: &[u8]) -> Result<AgreementKey, ImportError> {
    let Parts {
        identifier,
        mut method,
        private,
        public,
    } = Parts::read(bytes)?;
    let key = match identifier {
        X25519 => {
            method.finish()?;
            // RFC 8410 section 7: an octet string within the octet string.
            let mut inner = Der::new(private);
            let scalar = inner.value(OCTET_STRING)?;
            inner.finish()?;
            agreement(Algorithm::X25519, scalar)?
        }
        EC_PUBLIC_KEY if public.is_some() => return Err(ImportError::Malformed),
        EC_PUBLIC_KEY => {
            let curve = method.value(OBJECT_IDENTIFIER)?;
            method.finish()?;
            if curve != NIST_P256 {
                return Err(ImportError::OtherType {
                    type_name: identifier_text(curve),
                });
            }
            // Read as the key that signs, so that its halves are looked at in the same way.
            let key = read_ecdsa(private, Some(Algorithm::EcdsaP256))?;
            agreement(Algorithm::EcdhP256, key.private().expose())?
        }
        _ => {
            return Err(ImportError::OtherType {
                type_name: identifier_text(identifier),
            });
        }
    };
    match (key.public(), public) {
        (PublicKey::X25519(own), Some(public)) if own != public => Err(ImportError::Inconsistent),
        _ => Ok(key),
    }
}

fn agreement(algorithm: Algorithm, scalar: &[u8]) -> Result<AgreementKey, ImportError> {
    let scalar: &[u8; 32] = scalar.try_into().map_err(|_| ImportError::Malformed)?;
    let private = Secret::fill(|place| place.copy_from_slice(scalar));
    AgreementKey::from_private(algorithm, private).map_err(|_| ImportError::Inconsistent)
}

/// `EncryptedPrivateKeyInfo`.
pub(super) fn read_encrypted(
    bytes: &[u8],
    passphrase: Option<&SecretBytes>,
) -> Result<SigningKey, ImportError> {
    let mut outer = Der::new(bytes);
    let mut key = outer.sequence()?;
    outer.finish()?;
    let method = key.sequence()?;
    let encrypted = key.value(OCTET_STRING)?;
    key.finish()?;
    let method = Pbes2::read(method)?;
    let passphrase = passphrase.ok_or(ImportError::NoPassphrase)?;
    let plain = cipher::open_pbes2(&method, passphrase, encrypted)?;
    // With padding that happens to fit, a wrong passphrase gives other bytes.
    match read(plain.expose()) {
        Err(ImportError::Malformed) => Err(ImportError::WrongPassphrase),
        read => read,
    }
}

/// `RSAPrivateKey` of two primes.
pub(super) fn read_pkcs1(bytes: &[u8]) -> Result<SigningKey, ImportError> {
    let mut outer = Der::new(bytes);
    let mut key = outer.sequence()?;
    outer.finish()?;
    // 1 would be a key of more primes.
    if key.small()? != 0 {
        return Err(ImportError::Malformed);
    }
    let n = key.unsigned()?;
    let e = key.unsigned()?;
    let numbers = Numbers {
        d: key.unsigned()?,
        p: key.unsigned()?,
        q: key.unsigned()?,
        dp: key.unsigned()?,
        dq: key.unsigned()?,
        q_inverse: key.unsigned()?,
    };
    key.finish()?;
    check_rsa(e, n)?;
    Ok(rsa::key(e, n, &numbers)?)
}

/// `ECPrivateKey` that names its curve.
pub(super) fn read_sec1(bytes: &[u8]) -> Result<SigningKey, ImportError> {
    read_ecdsa(bytes, None)
}

fn read_ecdsa(bytes: &[u8], curve: Option<Algorithm>) -> Result<SigningKey, ImportError> {
    let mut outer = Der::new(bytes);
    let mut key = outer.sequence()?;
    outer.finish()?;
    if key.small()? != 1 {
        return Err(ImportError::Malformed);
    }
    let private = key.value(OCTET_STRING)?;
    let named = match key.optional(CONTEXT_0)? {
        Some(parameters) => {
            let mut parameters = Der::new(parameters);
            let identifier = parameters.value(OBJECT_IDENTIFIER)?;
            parameters.finish()?;
            Some(curve_of(identifier)?)
        }
        None => None,
    };
    let point = match key.optional(CONTEXT_1)? {
        Some(content) => {
            let mut content = Der::new(content);
            let point = content.value(BIT_STRING)?;
            content.finish()?;
            Some(point)
        }
        None => None,
    };
    key.finish()?;
    let algorithm = match (curve, named) {
        (Some(curve), Some(named)) if curve != named => return Err(ImportError::Inconsistent),
        (Some(curve), _) => curve,
        (None, named) => named.ok_or(ImportError::Malformed)?,
    };
    let key = SigningKey::from_private(algorithm, "", scalar(algorithm, private)?)?;
    match point {
        // A BIT STRING without unused bits, around the uncompressed point.
        Some([0, point @ ..]) if is_point(key.public(), point) => Ok(key),
        Some(_) => Err(ImportError::Inconsistent),
        None => Ok(key),
    }
}

fn is_point(public: &PublicKey, point: &[u8]) -> bool {
    match public {
        PublicKey::EcdsaP256(own) => own == point,
        PublicKey::EcdsaP384(own) => own == point,
        PublicKey::EcdsaP521(own) => own == point,
        PublicKey::Ed25519(_)
        | PublicKey::Rsa { .. }
        | PublicKey::SkEd25519 { .. }
        | PublicKey::SkEcdsaP256 { .. }
        | PublicKey::EcdsaSecp256k1(_)
        | PublicKey::X25519(_)
        | PublicKey::EcdhP256(_)
        | PublicKey::EcdhSecp256k1(_) => false,
    }
}

/// RFC 8410 section 7: an octet string within the octet string.
fn read_ed25519(private: &[u8], public: Option<&[u8]>) -> Result<SigningKey, ImportError> {
    let mut inner = Der::new(private);
    let seed = inner.value(OCTET_STRING)?;
    inner.finish()?;
    let seed = SecretBytes::fill(seed.len(), |out| out.copy_from_slice(seed));
    let key = SigningKey::from_private(Algorithm::Ed25519, "", seed)?;
    match (key.public(), public) {
        (PublicKey::Ed25519(own), Some(public)) if own != public => Err(ImportError::Inconsistent),
        _ => Ok(key),
    }
}

/// The key of an `OneAsymmetricKey` that the signing library wrote.
pub(crate) fn rsa_of_pkcs8(bytes: &[u8]) -> Option<SigningKey> {
    read(bytes).ok()
}

/// The key of a `RSAPrivateKey` that stands alone.
pub(crate) fn rsa_of_pkcs1(bytes: &[u8]) -> Option<SigningKey> {
    read_pkcs1(bytes).ok()
}

fn curve_of(identifier: &[u8]) -> Result<Algorithm, ImportError> {
    match identifier {
        NIST_P256 => Ok(Algorithm::EcdsaP256),
        NIST_P384 => Ok(Algorithm::EcdsaP384),
        NIST_P521 => Ok(Algorithm::EcdsaP521),
        _ => Err(ImportError::OtherType {
            type_name: identifier_text(identifier),
        }),
    }
}
