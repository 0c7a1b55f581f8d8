//! Public halves, and their SSH blobs.
//!
//! **Invariant:** one public key has one blob: the blob is what names a key
//! everywhere else (`spec/pairing.md` section 5).

use keystead_core::Algorithm;

use crate::wire::{Malformed, Reader, put_positive, put_string};

/// The public half of a key that is held here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublicKey {
    /// RFC 8032 section 5.1.5.
    Ed25519([u8; 32]),
    /// The point uncompressed: 4 ‖ x ‖ y (SEC 1 section 2.3.3).
    EcdsaP256([u8; 65]),
    /// As for P-256.
    EcdsaP384([u8; 97]),
    /// As for P-256.
    EcdsaP521([u8; 133]),
    /// Magnitudes, big-endian, without a zero before them.
    Rsa {
        /// Public exponent.
        e: Vec<u8>,
        /// Modulus.
        n: Vec<u8>,
    },
    /// With the application that its signatures name (OpenSSH PROTOCOL.u2f).
    SkEd25519 {
        /// As [`PublicKey::Ed25519`].
        public: [u8; 32],
        /// For example `ssh:`.
        application: String,
    },
    /// With the application that its signatures name (OpenSSH PROTOCOL.u2f).
    SkEcdsaP256 {
        /// As [`PublicKey::EcdsaP256`].
        point: [u8; 65],
        /// For example `ssh:`.
        application: String,
    },
    /// As [`PublicKey::EcdsaP256`]; SSH does not have it.
    EcdsaSecp256k1([u8; 65]),
    /// RFC 7748 section 5: of an [`AgreementKey`](crate::AgreementKey), as all below.
    X25519([u8; 32]),
    /// As [`PublicKey::EcdsaP256`].
    EcdhP256([u8; 65]),
    /// As [`PublicKey::EcdsaP256`].
    EcdhSecp256k1([u8; 65]),
}

impl PublicKey {
    /// Which kind of key it is.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::EcdsaP256(_) => Algorithm::EcdsaP256,
            Self::EcdsaP384(_) => Algorithm::EcdsaP384,
            Self::EcdsaP521(_) => Algorithm::EcdsaP521,
            Self::Rsa { .. } => Algorithm::Rsa,
            Self::SkEd25519 { .. } => Algorithm::SkEd25519,
            Self::SkEcdsaP256 { .. } => Algorithm::SkEcdsaP256,
            Self::EcdsaSecp256k1(_) => Algorithm::EcdsaSecp256k1,
            Self::X25519(_) => Algorithm::X25519,
            Self::EcdhP256(_) => Algorithm::EcdhP256,
            Self::EcdhSecp256k1(_) => Algorithm::EcdhSecp256k1,
        }
    }

    /// The application that signatures with presence name; empty without presence.
    pub(crate) fn application(&self) -> &str {
        match self {
            Self::SkEd25519 { application, .. } | Self::SkEcdsaP256 { application, .. } => {
                application
            }
            Self::Ed25519(_)
            | Self::EcdsaP256(_)
            | Self::EcdsaP384(_)
            | Self::EcdsaP521(_)
            | Self::Rsa { .. }
            | Self::EcdsaSecp256k1(_)
            | Self::X25519(_)
            | Self::EcdhP256(_)
            | Self::EcdhSecp256k1(_) => "",
        }
    }

    /// What stands in `public_key` on the wire: the SSH wire blob, `string type` and the fields
    /// of that type (RFC 8709 section 4, RFC 5656 section 3.1, RFC 4253 section 6.6, OpenSSH
    /// PROTOCOL.u2f); of what SSH does not have the bare point, or the 32 bytes of X25519.
    #[must_use]
    pub fn to_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        if !self.algorithm().is_ssh() {
            self.put_fields(&mut blob);
            return blob;
        }
        put_string(&mut blob, self.algorithm().as_str().as_bytes());
        self.put_fields(&mut blob);
        blob
    }

    /// Reads what [`PublicKey::to_blob`] writes of a key of this algorithm.
    pub(crate) fn of_algorithm(algorithm: Algorithm, blob: &[u8]) -> Result<Self, Malformed> {
        let public = match algorithm {
            Algorithm::EcdsaSecp256k1 => Self::EcdsaSecp256k1(uncompressed(blob)?),
            Algorithm::X25519 => Self::X25519(exact(blob)?),
            Algorithm::EcdhP256 => Self::EcdhP256(uncompressed(blob)?),
            Algorithm::EcdhSecp256k1 => Self::EcdhSecp256k1(uncompressed(blob)?),
            Algorithm::Ed25519
            | Algorithm::EcdsaP256
            | Algorithm::EcdsaP384
            | Algorithm::EcdsaP521
            | Algorithm::Rsa
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaP256
            | _ => Self::from_blob(blob)?,
        };
        match public.algorithm() == algorithm {
            true => Ok(public),
            false => Err(Malformed),
        }
    }

    /// Reads the SSH blob of a plain key.
    pub(crate) fn from_blob(blob: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(blob);
        let algorithm = algorithm_of(reader.string()?).ok_or(Malformed)?;
        let public = Self::read_fields(algorithm, &mut reader)?;
        reader.finish()?;
        Ok(public)
    }

    fn put_fields(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ed25519(public) => put_string(out, public),
            Self::EcdsaP256(point) => put_ecdsa(out, NISTP256, point),
            Self::EcdsaP384(point) => put_ecdsa(out, NISTP384, point),
            Self::EcdsaP521(point) => put_ecdsa(out, NISTP521, point),
            Self::Rsa { e, n } => {
                put_positive(out, e);
                put_positive(out, n);
            }
            Self::SkEd25519 {
                public,
                application,
            } => {
                put_string(out, public);
                put_string(out, application.as_bytes());
            }
            Self::SkEcdsaP256 { point, application } => {
                put_ecdsa(out, NISTP256, point);
                put_string(out, application.as_bytes());
            }
            Self::X25519(public) => out.extend(public),
            Self::EcdsaSecp256k1(point) | Self::EcdhP256(point) | Self::EcdhSecp256k1(point) => {
                out.extend(point);
            }
        }
    }

    /// Reads the fields behind a type, and leaves the reader behind them.
    pub(crate) fn read_fields(
        algorithm: Algorithm,
        reader: &mut Reader<'_>,
    ) -> Result<Self, Malformed> {
        Ok(match algorithm {
            Algorithm::Ed25519 => Self::Ed25519(exact(reader.string()?)?),
            Algorithm::EcdsaP256 => Self::EcdsaP256(read_point(NISTP256, reader)?),
            Algorithm::EcdsaP384 => Self::EcdsaP384(read_point(NISTP384, reader)?),
            Algorithm::EcdsaP521 => Self::EcdsaP521(read_point(NISTP521, reader)?),
            Algorithm::Rsa => {
                let e = reader.positive()?.to_vec();
                let n = reader.positive()?.to_vec();
                Self::Rsa { e, n }
            }
            Algorithm::SkEd25519 => Self::SkEd25519 {
                public: exact(reader.string()?)?,
                application: reader.text()?.to_owned(),
            },
            Algorithm::SkEcdsaP256 => Self::SkEcdsaP256 {
                point: read_point(NISTP256, reader)?,
                application: reader.text()?.to_owned(),
            },
            Algorithm::EcdsaSecp256k1
            | Algorithm::X25519
            | Algorithm::EcdhP256
            | Algorithm::EcdhSecp256k1
            | _ => return Err(Malformed),
        })
    }
}

/// The algorithm of a key type's name on the wire.
pub(crate) fn algorithm_of(name: &[u8]) -> Option<Algorithm> {
    let is_named = |it: &Algorithm| it.as_str().as_bytes() == name;
    Algorithm::SSH.into_iter().find(is_named)
}

fn put_ecdsa(out: &mut Vec<u8>, curve: &str, point: &[u8]) {
    put_string(out, curve.as_bytes());
    put_string(out, point);
}

/// Uncompressed alone, as OpenSSH: one key must have one blob. Whether the
/// point is on the curve is found out where a private half comes with it.
fn read_point<const N: usize>(curve: &str, reader: &mut Reader<'_>) -> Result<[u8; N], Malformed> {
    if reader.string()? != curve.as_bytes() {
        return Err(Malformed);
    }
    uncompressed(reader.string()?)
}

fn uncompressed<const N: usize>(point: &[u8]) -> Result<[u8; N], Malformed> {
    match point {
        [4, ..] => exact(point),
        _ => Err(Malformed),
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed)
}

/// The curves' identifiers (RFC 5656 section 10.1).
const NISTP256: &str = "nistp256";
const NISTP384: &str = "nistp384";
const NISTP521: &str = "nistp521";

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<PublicKey> {
        let point = |byte| -> [u8; 65] { std::array::from_fn(|at| if at == 0 { 4 } else { byte }) };
        vec![
            PublicKey::Ed25519([7; 32]),
            PublicKey::EcdsaP256(point(9)),
            PublicKey::EcdsaP384(std::array::from_fn(|at| if at == 0 { 4 } else { 1 })),
            PublicKey::EcdsaP521(std::array::from_fn(|at| if at == 0 { 4 } else { 2 })),
            PublicKey::Rsa {
                e: vec![1, 0, 1],
                n: vec![0xc0; 256],
            },
            PublicKey::SkEd25519 {
                public: [3; 32],
                application: "ssh:".into(),
            },
            PublicKey::SkEcdsaP256 {
                point: point(5),
                application: "ssh:work".into(),
            },
        ]
    }

    #[test]
    fn blobs_are_read_as_they_were_written_whole_or_not_at_all() {
        let mut seen = Vec::new();
        for public in all() {
            let blob = public.to_blob();
            assert_eq!(PublicKey::from_blob(&blob), Ok(public.clone()));
            for len in 0..blob.len() {
                assert_eq!(PublicKey::from_blob(&blob[..len]), Err(Malformed));
            }
            let longer = [&blob[..], &[0]].concat();
            assert_eq!(PublicKey::from_blob(&longer), Err(Malformed));
            seen.push(public.algorithm());
        }
        assert_eq!(seen, Algorithm::SSH);
    }

    #[test]
    fn what_ssh_has_not_is_its_bare_bytes() {
        let point: [u8; 65] = std::array::from_fn(|at| if at == 0 { 4 } else { 8 });
        for (public, bytes) in [
            (PublicKey::EcdsaSecp256k1(point), point.to_vec()),
            (PublicKey::X25519([6; 32]), vec![6; 32]),
            (PublicKey::EcdhP256(point), point.to_vec()),
            (PublicKey::EcdhSecp256k1(point), point.to_vec()),
        ] {
            assert_eq!(public.to_blob(), bytes);
            let algorithm = public.algorithm();
            assert_eq!(
                PublicKey::of_algorithm(algorithm, &bytes),
                Ok(public.clone())
            );
            assert_eq!(PublicKey::from_blob(&bytes), Err(Malformed));
            for len in 0..bytes.len() {
                let read = PublicKey::of_algorithm(algorithm, &bytes[..len]);
                assert_eq!(read, Err(Malformed));
            }
        }
        let ssh = PublicKey::Ed25519([7; 32]).to_blob();
        let read = PublicKey::of_algorithm(Algorithm::Rsa, &ssh);
        assert_eq!(read, Err(Malformed), "of another algorithm");
    }

    #[test]
    fn a_compressed_point_is_no_key() {
        let mut blob = all()[1].to_blob();
        let at = blob.len() - 65;
        blob[at] = 2;
        assert_eq!(PublicKey::from_blob(&blob), Err(Malformed));
    }
}
