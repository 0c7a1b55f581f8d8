//! The public half of a key, its S-expression and its place in a key packet.

use keystead_core::Algorithm;

use super::curve::Curve;
use super::kem::KdfParameters;
use super::keygrip::{self, Keygrip};
use super::packet::{Reader, push_mpi, strip};
use crate::ParseError;
use crate::sexp::Sexp;
use crate::ssh;
use crate::ssh::key::Material as SshMaterial;
use crate::ssh::wire::Writer;

/// A public key that GnuPG 2.2 can use. A point is kept as keepers name it: 32 bytes on the
/// 25519 curves, else 04 ‖ x ‖ y.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Eddsa([u8; 32]),
    Ecdsa(Curve, Vec<u8>),
    Ecdh(Curve, Vec<u8>, KdfParameters),
    /// Modulus and exponent without leading zeros.
    Rsa(Vec<u8>, Vec<u8>),
}

impl PublicKey {
    /// An Ed25519 key, for signatures.
    #[must_use]
    pub fn ed25519(public: &[u8; 32]) -> Self {
        Self::of(Material::Eddsa(*public))
    }

    /// An ECDSA key, for signatures.
    ///
    /// # Errors
    /// [`ParseError::Value`] for a point that is not one, [`ParseError::Unknown`] for a curve
    /// of other uses.
    pub fn ecdsa(curve: Curve, point: &[u8]) -> Result<Self, ParseError> {
        if curve.is_compact() {
            return Err(ParseError::Unknown);
        }
        check_point(curve, point)?;
        Ok(Self::of(Material::Ecdsa(curve, point.to_vec())))
    }

    /// An ECDH key, for encryption, with the parameters that GnuPG chooses on this curve.
    ///
    /// # Errors
    /// As [`PublicKey::ecdsa`].
    pub fn ecdh(curve: Curve, point: &[u8]) -> Result<Self, ParseError> {
        Self::ecdh_with(curve, point, KdfParameters::of(curve))
    }

    /// An ECDH key with other parameters.
    ///
    /// # Errors
    /// As [`PublicKey::ecdsa`].
    pub fn ecdh_with(curve: Curve, point: &[u8], kdf: KdfParameters) -> Result<Self, ParseError> {
        if curve == Curve::Ed25519 {
            return Err(ParseError::Unknown);
        }
        check_point(curve, point)?;
        Ok(Self::of(Material::Ecdh(curve, point.to_vec(), kdf)))
    }

    /// An RSA key.
    ///
    /// # Errors
    /// [`ParseError::Value`] for a zero.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, ParseError> {
        let (modulus, exponent) = (strip(modulus), strip(exponent));
        if modulus.is_empty() || exponent.is_empty() {
            return Err(ParseError::Value);
        }
        Ok(Self::of(Material::Rsa(modulus.to_vec(), exponent.to_vec())))
    }

    /// A key as a keeper lists it.
    ///
    /// # Errors
    /// [`ParseError::Unknown`] for an algorithm that OpenPGP lacks; else what is wrong.
    pub fn of_keeper(algorithm: Algorithm, public_key: &[u8]) -> Result<Self, ParseError> {
        match algorithm {
            Algorithm::X25519 => Self::ecdh(Curve::Curve25519, public_key),
            Algorithm::EcdhP256 => Self::ecdh(Curve::NistP256, public_key),
            Algorithm::EcdhSecp256k1 => Self::ecdh(Curve::Secp256k1, public_key),
            Algorithm::EcdsaSecp256k1 => Self::ecdsa(Curve::Secp256k1, public_key),
            // What else there is, now or later, SSH has too.
            Algorithm::Ed25519
            | Algorithm::EcdsaP256
            | Algorithm::EcdsaP384
            | Algorithm::EcdsaP521
            | Algorithm::Rsa
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaP256
            | _ => Self::of_ssh(&ssh::PublicKey::from_blob(public_key)?),
        }
    }

    /// The key as a keeper lists it, which [`PublicKey::of_keeper`] reads again.
    #[must_use]
    pub fn to_keeper(&self) -> Vec<u8> {
        let on = |curve, point: &[u8]| match ssh::PublicKey::ecdsa(curve, point) {
            Ok(key) => key.blob().to_vec(),
            // Its form was checked as it came here.
            Err(_) => point.to_vec(),
        };
        match &self.material {
            Material::Eddsa(point) => ssh::PublicKey::ed25519(point).blob().to_vec(),
            Material::Ecdsa(Curve::NistP256, point) => on(ssh::Curve::P256, point),
            Material::Ecdsa(Curve::NistP384, point) => on(ssh::Curve::P384, point),
            Material::Ecdsa(Curve::NistP521, point) => on(ssh::Curve::P521, point),
            Material::Ecdsa(_, point) | Material::Ecdh(_, point, _) => point.clone(),
            Material::Rsa(modulus, exponent) => Writer::new()
                .string(b"ssh-rsa")
                .positive_mpint(exponent)
                .positive_mpint(modulus)
                .into_bytes(),
        }
    }

    /// A key that SSH has too.
    ///
    /// # Errors
    /// [`ParseError::Unknown`] for keys with user presence.
    pub fn of_ssh(key: &ssh::PublicKey) -> Result<Self, ParseError> {
        match key.material() {
            SshMaterial::Ed25519(public) => Ok(Self::ed25519(public)),
            SshMaterial::Ecdsa(curve, point) => Self::ecdsa(
                match curve {
                    ssh::Curve::P256 => Curve::NistP256,
                    ssh::Curve::P384 => Curve::NistP384,
                    ssh::Curve::P521 => Curve::NistP521,
                },
                point,
            ),
            SshMaterial::Rsa { e, n } => Self::rsa(n, e),
            SshMaterial::SkEd25519(..) | SshMaterial::SkEcdsaP256(..) => Err(ParseError::Unknown),
        }
    }

    const fn of(material: Material) -> Self {
        Self { material }
    }

    /// The number of RFC 4880 §9.1, RFC 6637 §5 and draft-koch-eddsa-for-openpgp.
    #[must_use]
    pub const fn algorithm_id(&self) -> u8 {
        match self.material {
            Material::Rsa(..) => ALGORITHM_RSA,
            Material::Ecdh(..) => ALGORITHM_ECDH,
            Material::Ecdsa(..) => ALGORITHM_ECDSA,
            Material::Eddsa(_) => ALGORITHM_EDDSA,
        }
    }

    /// The curve; none of RSA.
    #[must_use]
    pub const fn curve(&self) -> Option<Curve> {
        match self.material {
            Material::Rsa(..) => None,
            Material::Ecdsa(curve, _) | Material::Ecdh(curve, ..) => Some(curve),
            Material::Eddsa(_) => Some(Curve::Ed25519),
        }
    }

    /// The point as keepers name it; none of RSA.
    #[must_use]
    pub fn point(&self) -> Option<&[u8]> {
        match &self.material {
            Material::Rsa(..) => None,
            Material::Ecdsa(_, point) | Material::Ecdh(_, point, _) => Some(point),
            Material::Eddsa(point) => Some(point),
        }
    }

    /// Modulus and exponent of an RSA key, without leading zeros.
    #[must_use]
    pub fn rsa_numbers(&self) -> Option<(&[u8], &[u8])> {
        match &self.material {
            Material::Rsa(modulus, exponent) => Some((modulus, exponent)),
            Material::Eddsa(_) | Material::Ecdsa(..) | Material::Ecdh(..) => None,
        }
    }

    /// How the key encrypts; none of a key for signatures.
    #[must_use]
    pub const fn kdf(&self) -> Option<KdfParameters> {
        match self.material {
            Material::Ecdh(.., kdf) => Some(kdf),
            Material::Rsa(..) | Material::Ecdsa(..) | Material::Eddsa(_) => None,
        }
    }

    /// libgcrypt's name of the key, the same for signatures and encryption.
    #[must_use]
    pub fn keygrip(&self) -> Keygrip {
        match (&self.material, self.curve(), self.point()) {
            (Material::Rsa(modulus, _), ..) => keygrip::of_rsa(&signed(modulus)),
            (_, Some(curve), Some(point)) => keygrip::of_curve(curve, point),
            _ => unreachable!("a key without a curve is RSA"),
        }
    }

    /// `(public-key …)`, as READKEY of gpg-agent 2.2 answers.
    #[must_use]
    pub fn sexp(&self) -> Sexp {
        let inner = match (&self.material, self.curve()) {
            (Material::Rsa(modulus, exponent), _) => Sexp::named(
                "rsa",
                [
                    Sexp::pair("n", signed(modulus)),
                    Sexp::pair("e", signed(exponent)),
                ],
            ),
            (_, curve) => {
                let mut inner = Vec::new();
                if let Some(curve) = curve {
                    inner.push(Sexp::pair("curve", curve.gcrypt_name()));
                    inner.extend(flags(curve).map(|flags| Sexp::pair("flags", flags)));
                    inner.push(Sexp::pair("q", self.prefixed_point()));
                }
                Sexp::named("ecc", inner)
            }
        };
        Sexp::named("public-key", [inner])
    }

    /// The point as OpenPGP writes it: with 0x40 before a compact one
    /// (draft-koch-eddsa-for-openpgp §3).
    fn prefixed_point(&self) -> Vec<u8> {
        match (self.curve(), self.point()) {
            (Some(curve), Some(point)) if curve.is_compact() => [&[COMPACT_POINT], point].concat(),
            (_, point) => point.unwrap_or_default().to_vec(),
        }
    }

    /// The fields behind the algorithm in a key packet (RFC 4880 §5.5.2; RFC 6637 §9).
    pub(super) fn write(&self, body: &mut Vec<u8>) {
        match (&self.material, self.curve()) {
            (Material::Rsa(modulus, exponent), _) => {
                push_mpi(body, modulus);
                push_mpi(body, exponent);
            }
            (_, curve) => {
                let oid = curve.map_or(&[][..], Curve::oid);
                body.extend(u8::try_from(oid.len()));
                body.extend_from_slice(oid);
                push_mpi(body, &self.prefixed_point());
            }
        }
        if let Some(kdf) = self.kdf() {
            body.extend_from_slice(&kdf.encode());
        }
    }

    /// Reads the same.
    pub(super) fn read(algorithm: u8, reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        match algorithm {
            ALGORITHM_RSA => Self::rsa(reader.mpi()?, reader.mpi()?),
            ALGORITHM_ECDH | ALGORITHM_ECDSA | ALGORITHM_EDDSA => {
                let oid_len = usize::from(reader.u8()?);
                let curve = Curve::of_oid(reader.take(oid_len)?).ok_or(ParseError::Unknown)?;
                let point = match (curve.is_compact(), reader.mpi()?) {
                    (true, [COMPACT_POINT, point @ ..]) | (false, point) => point,
                    (true, _) => return Err(ParseError::Value),
                };
                match (algorithm, curve) {
                    (ALGORITHM_ECDH, curve) => {
                        Self::ecdh_with(curve, point, KdfParameters::read(reader)?)
                    }
                    (ALGORITHM_EDDSA, Curve::Ed25519) => {
                        let public = point.try_into().map_err(|_| ParseError::Value)?;
                        Ok(Self::ed25519(public))
                    }
                    (ALGORITHM_EDDSA, _) => Err(ParseError::Unknown),
                    (_, curve) => Self::ecdsa(curve, point),
                }
            }
            _ => Err(ParseError::Unknown),
        }
    }
}

/// The flags that gpg-agent keeps with a key on this curve.
const fn flags(curve: Curve) -> Option<&'static str> {
    match curve {
        Curve::Ed25519 => Some("eddsa"),
        Curve::Curve25519 => Some("djb-tweak"),
        Curve::NistP256 | Curve::NistP384 | Curve::NistP521 | Curve::Secp256k1 => None,
    }
}

/// Length and form; whether it lies on the curve is for who calculates with it.
fn check_point(curve: Curve, point: &[u8]) -> Result<(), ParseError> {
    let field = curve.field_bytes();
    match (curve.is_compact(), point) {
        (true, point) if point.len() == field => Ok(()),
        (false, [UNCOMPRESSED_POINT, coordinates @ ..]) if coordinates.len() == 2 * field => Ok(()),
        _ => Err(ParseError::Value),
    }
}

/// A positive number as C programs write it: with a zero byte before a high bit.
fn signed(number: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(number.len() + 1);
    if number.first().is_some_and(|first| *first >= 0x80) {
        bytes.push(0);
    }
    bytes.extend_from_slice(number);
    bytes
}

const ALGORITHM_RSA: u8 = 1;
const ALGORITHM_ECDH: u8 = 18;
const ALGORITHM_ECDSA: u8 = 19;
const ALGORITHM_EDDSA: u8 = 22;
/// draft-koch-eddsa-for-openpgp §3: a point in the curve's native form follows.
pub(super) const COMPACT_POINT: u8 = 0x40;
/// SEC 1 §2.3.3: both coordinates follow.
pub(super) const UNCOMPRESSED_POINT: u8 = 0x04;
