//! Public keys as SSH writes them.
//!
//! **Invariant:** a [`PublicKey`] keeps the very blob it was read from, and that blob is the only
//! encoding of its fields.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keystead_core::KeyId;

use super::certificate::Certificate;
use super::signature::{self, VerifyError};
use super::wire::{ParseError, Reader, Writer};

/// A public key, or a certificate over one.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    blob: Vec<u8>,
    material: Material,
    certificate: Option<Box<Certificate>>,
}

impl PublicKey {
    /// Reads a key blob: `string type` and the fields of that type, nothing behind.
    ///
    /// # Errors
    /// [`ParseError::Unknown`] for a type not listed in [`Material`]; else what is wrong with it.
    pub fn from_blob(blob: &[u8]) -> Result<Self, ParseError> {
        if blob.len() > BLOB_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let mut reader = Reader::new(blob);
        let type_name = reader.name()?;
        let (material, certificate) = match Certificate::plain_type(type_name) {
            Some(plain) => {
                let (material, certificate) = Certificate::read(plain, &mut reader)?;
                (material, Some(Box::new(certificate)))
            }
            None => (Material::read(type_name, &mut reader)?, None),
        };
        reader.finish()?;
        Ok(Self {
            blob: blob.to_vec(),
            material,
            certificate,
        })
    }

    /// An Ed25519 key (RFC 8709 §4).
    #[must_use]
    pub fn ed25519(public: &[u8; 32]) -> Self {
        Self::plain(Material::Ed25519(*public))
    }

    /// An ECDSA key from its SEC1 point, uncompressed (RFC 5656 §3.1).
    ///
    /// # Errors
    /// [`ParseError::Value`] if the point has the wrong length or form.
    pub fn ecdsa(curve: Curve, point: &[u8]) -> Result<Self, ParseError> {
        curve.check_point(point)?;
        Ok(Self::plain(Material::Ecdsa(curve, point.to_vec())))
    }

    pub(crate) fn plain(material: Material) -> Self {
        let writer = Writer::new().string(material.type_name().as_bytes());
        Self {
            blob: material.write(writer).into_bytes(),
            material,
            certificate: None,
        }
    }

    /// The wire encoding.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The key's fields; of a certificate, those of the certified key.
    #[must_use]
    pub const fn material(&self) -> &Material {
        &self.material
    }

    /// What a certificate says beside its key.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }

    /// The type as it stands in the blob, for example `ssh-ed25519`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        Reader::new(&self.blob).name().unwrap_or_default()
    }

    /// SHA-256 of the blob, by which requests name the key (`spec/pairing.md` section 5).
    #[must_use]
    pub fn id(&self) -> KeyId {
        key_id(&self.blob)
    }

    /// `SHA256:` and the unpadded base64 of the blob's SHA-256. Of a certificate, as OpenSSH does,
    /// that of the key inside.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        match self.certificate {
            Some(_) => fingerprint(&Self::plain(self.material.clone()).blob),
            None => fingerprint(&self.blob),
        }
    }

    /// The key inside a certificate; a plain key itself.
    #[must_use]
    pub fn without_certificate(&self) -> Self {
        match self.certificate {
            Some(_) => Self::plain(self.material.clone()),
            None => self.clone(),
        }
    }

    /// Checks a signature blob over `message`.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        signature::verify(&self.material, message, signature)
    }
}

/// Public keys are not secret; the fingerprint is what people compare.
impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({} {})", self.type_name(), self.fingerprint())
    }
}

/// The fields of a public key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Material {
    /// `ssh-ed25519`, RFC 8709.
    Ed25519([u8; 32]),
    /// `ecdsa-sha2-nistp256`, `…384`, `…521`, RFC 5656: the uncompressed point.
    Ecdsa(Curve, Vec<u8>),
    /// `ssh-rsa`, RFC 4253 §6.6: magnitudes, big-endian.
    Rsa {
        /// Public exponent.
        e: Vec<u8>,
        /// Modulus.
        n: Vec<u8>,
    },
    /// `sk-ssh-ed25519@openssh.com`, OpenSSH `PROTOCOL.u2f`.
    SkEd25519([u8; 32], String),
    /// `sk-ecdsa-sha2-nistp256@openssh.com`, OpenSSH `PROTOCOL.u2f`.
    SkEcdsaP256(Vec<u8>, String),
}

impl Material {
    /// The type name of the plain key.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ssh-ed25519",
            Self::Ecdsa(Curve::P256, _) => "ecdsa-sha2-nistp256",
            Self::Ecdsa(Curve::P384, _) => "ecdsa-sha2-nistp384",
            Self::Ecdsa(Curve::P521, _) => "ecdsa-sha2-nistp521",
            Self::Rsa { .. } => "ssh-rsa",
            Self::SkEd25519(..) => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256(..) => "sk-ecdsa-sha2-nistp256@openssh.com",
        }
    }

    /// Reads the fields that follow `type_name`.
    pub(crate) fn read(type_name: &str, reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        match type_name {
            "ssh-ed25519" => Ok(Self::Ed25519(reader.string_array()?)),
            "ecdsa-sha2-nistp256" => Self::read_ecdsa(Curve::P256, reader),
            "ecdsa-sha2-nistp384" => Self::read_ecdsa(Curve::P384, reader),
            "ecdsa-sha2-nistp521" => Self::read_ecdsa(Curve::P521, reader),
            "ssh-rsa" => {
                let e = reader.positive_mpint()?.to_vec();
                let n = reader.positive_mpint()?.to_vec();
                Ok(Self::Rsa { e, n })
            }
            "sk-ssh-ed25519@openssh.com" => {
                let public = reader.string_array()?;
                Ok(Self::SkEd25519(public, reader.text()?.to_owned()))
            }
            "sk-ecdsa-sha2-nistp256@openssh.com" => {
                let point = Curve::P256.read_point(reader)?.to_vec();
                Ok(Self::SkEcdsaP256(point, reader.text()?.to_owned()))
            }
            _ => Err(ParseError::Unknown),
        }
    }

    fn read_ecdsa(curve: Curve, reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        Ok(Self::Ecdsa(curve, curve.read_point(reader)?.to_vec()))
    }

    /// Writes the fields that follow the type name.
    pub(crate) fn write(&self, writer: Writer) -> Writer {
        match self {
            Self::Ed25519(public) => writer.string(public),
            Self::Ecdsa(curve, point) => writer.string(curve.name().as_bytes()).string(point),
            Self::Rsa { e, n } => writer.positive_mpint(e).positive_mpint(n),
            Self::SkEd25519(public, application) => {
                writer.string(public).string(application.as_bytes())
            }
            Self::SkEcdsaP256(point, application) => writer
                .string(Curve::P256.name().as_bytes())
                .string(point)
                .string(application.as_bytes()),
        }
    }
}

/// The curves of RFC 5656 §10.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// `nistp256`.
    P256,
    /// `nistp384`.
    P384,
    /// `nistp521`.
    P521,
}

impl Curve {
    /// The identifier of RFC 5656 §10.1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    /// Length of one coordinate, and of r and s.
    #[must_use]
    pub const fn scalar_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn read_point<'a>(self, reader: &mut Reader<'a>) -> Result<&'a [u8], ParseError> {
        if reader.name()? != self.name() {
            return Err(ParseError::Value);
        }
        let point = reader.string()?;
        self.check_point(point)?;
        Ok(point)
    }

    /// Uncompressed SEC1 alone: OpenSSH takes no other, and one key must have one blob.
    fn check_point(self, point: &[u8]) -> Result<(), ParseError> {
        match point {
            [4, coordinates @ ..] if coordinates.len() == 2 * self.scalar_bytes() => Ok(()),
            _ => Err(ParseError::Value),
        }
    }
}

/// SHA-256 of a key blob.
#[must_use]
pub fn key_id(blob: &[u8]) -> KeyId {
    let mut id = [0; 32];
    let hash = digest::digest(&digest::SHA256, blob);
    id.iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    KeyId(id)
}

/// `SHA256:` and the unpadded base64 of the SHA-256 of a key blob, as OpenSSH prints it.
#[must_use]
pub fn fingerprint(blob: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, blob);
    format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
}

/// An RSA certificate by an RSA-16384 authority takes about 6 KiB; OpenSSH ends at 256 KiB for all.
pub const BLOB_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(blob: &[u8], expected: Result<&str, ParseError>) {
        let parsed = PublicKey::from_blob(blob);
        assert_eq!(
            parsed.as_ref().map(PublicKey::type_name).map_err(|e| *e),
            expected
        );
        if let Ok(key) = parsed {
            assert_eq!(PublicKey::plain(key.material.clone()).blob, blob);
            for len in 0..blob.len() {
                assert!(
                    PublicKey::from_blob(&blob[..len]).is_err(),
                    "prefix of {len}"
                );
            }
            let longer = [blob, &[0]].concat();
            assert_eq!(PublicKey::from_blob(&longer), Err(ParseError::LeftOver));
        }
    }

    fn ecdsa(type_name: &str, curve: &str, point: &[u8]) -> Vec<u8> {
        let writer = Writer::new().string(type_name.as_bytes());
        writer.string(curve.as_bytes()).string(point).into_bytes()
    }

    #[test]
    fn types_and_their_fields() {
        let bytes = |type_name: &str, fields: &[&[u8]]| {
            let start = Writer::new().string(type_name.as_bytes());
            fields
                .iter()
                .fold(start, |writer, field| writer.string(field))
                .into_bytes()
        };
        check(&bytes("ssh-ed25519", &[&[7; 32]]), Ok("ssh-ed25519"));
        check(&bytes("ssh-ed25519", &[&[7; 31]]), Err(ParseError::Value));
        check(
            &bytes("ssh-rsa", &[&[1, 0, 1], &[0, 0x80, 1]]),
            Ok("ssh-rsa"),
        );
        check(
            &bytes("ssh-rsa", &[&[0, 1, 0, 1], &[0, 0x80, 1]]),
            Err(ParseError::Value),
        );
        check(&bytes("ssh-dss", &[&[1]]), Err(ParseError::Unknown));
        let sk = "sk-ssh-ed25519@openssh.com";
        check(&bytes(sk, &[&[7; 32], b"ssh:"]), Ok(sk));
        check(
            &bytes("sk-ssh-ed25519@openssh.com", &[&[7; 32], b"a\n"]),
            Err(ParseError::Text),
        );
        check(&vec![0; BLOB_BYTES_MAX + 1], Err(ParseError::TooLong));
    }

    #[test]
    fn points_are_uncompressed_and_of_the_named_curve() {
        let point = |len: usize| [vec![4], vec![9; len]].concat();
        let p256 = "ecdsa-sha2-nistp256";
        check(&ecdsa(p256, "nistp256", &point(64)), Ok(p256));
        check(
            &ecdsa("ecdsa-sha2-nistp384", "nistp384", &point(96)),
            Ok("ecdsa-sha2-nistp384"),
        );
        check(
            &ecdsa("ecdsa-sha2-nistp521", "nistp521", &point(132)),
            Ok("ecdsa-sha2-nistp521"),
        );
        check(&ecdsa(p256, "nistp384", &point(64)), Err(ParseError::Value));
        check(&ecdsa(p256, "nistp256", &point(65)), Err(ParseError::Value));
        check(
            &ecdsa(p256, "nistp256", &[vec![2], vec![9; 32]].concat()),
            Err(ParseError::Value),
        );
        assert_eq!(
            PublicKey::ecdsa(Curve::P256, &[4; 10]),
            Err(ParseError::Value)
        );
    }
}
