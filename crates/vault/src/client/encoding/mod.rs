//! Secrets in the forms that other programs have: in and out.
//!
//! **Invariant:** what comes in is a whole key of the kind that it says, or is refused; what goes
//! out is built in locked memory, and is read by the program that the form is of.
//!
//! | form | Ed25519 | P-256 | secp256k1 | RSA |
//! |---|---|---|---|---|
//! | PKCS#8 (RFC 5958, RFC 8410, RFC 5915) | yes | yes | yes | yes |
//! | traditional PEM (RFC 5915, RFC 8017) | none | SEC 1 | SEC 1 | PKCS#1 |
//! | `openssh-key-v1` (OpenSSH PROTOCOL.key) | yes | yes | none | yes |
//! | raw | seed | scalar | scalar | PKCS#1 DER |

mod der;
mod openssh;
mod pem;
mod pkcs8;
mod read;
#[cfg(test)]
mod tests;

use keystead_core::SecretBytes;
use rand_core::CryptoRngCore;

use super::Value;
use super::seal::joined;
use crate::ImportError;
use crate::held::{HeldError, Kind};
use crate::import::der::Der;

pub use read::Brought;

/// A form that a secret leaves in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The bytes alone.
    Raw,
    /// PKCS#8 in PEM.
    Pkcs8,
    /// PKCS#1 or SEC 1 in PEM.
    Traditional,
    /// OpenSSH's own file, not encrypted.
    OpenSsh,
}

impl Value {
    /// Writes it; `comment` stands in OpenSSH's form alone.
    ///
    /// # Errors
    /// [`EncodingError::NoForm`].
    pub fn write(
        &self,
        form: Form,
        comment: &str,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<SecretBytes, EncodingError> {
        let no_form = EncodingError::NoForm {
            kind: self.kind(),
            form,
        };
        let private = self.bytes().expose();
        let written = match (form, self.kind()) {
            (Form::Raw, _) => Some(joined(&[private])),
            (_, Kind::Arbitrary) => None,
            (Form::Pkcs8, _) => {
                pkcs8::write(self).map(|der| pem::write("PRIVATE KEY", der.expose()))
            }
            (Form::Traditional, Kind::Rsa) => Some(pem::write("RSA PRIVATE KEY", private)),
            (Form::Traditional, Kind::P256 | Kind::Secp256k1) => {
                pkcs8::sec1(self).map(|der| pem::write("EC PRIVATE KEY", der.expose()))
            }
            (Form::Traditional, Kind::Ed25519) => None,
            (Form::OpenSsh, _) => openssh::write(self, comment, rng)
                .map(|file| pem::write("OPENSSH PRIVATE KEY", file.expose())),
        };
        written.ok_or(no_form)
    }
}

/// The numbers of an RSA key that was checked when it came.
struct RsaNumbers<'a> {
    n: &'a [u8],
    e: &'a [u8],
    d: &'a [u8],
    p: &'a [u8],
    q: &'a [u8],
    q_inverse: &'a [u8],
}

fn rsa_numbers(pkcs1: &[u8]) -> Option<RsaNumbers<'_>> {
    let mut key = Der::new(pkcs1).sequence().ok()?;
    key.small().ok()?;
    let mut next = || key.unsigned().ok();
    let [n, e, d, p, q, _, _, q_inverse] = [
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
    ];
    Some(RsaNumbers {
        n,
        e,
        d,
        p,
        q,
        q_inverse,
    })
}

/// Why a secret does not come in, or not go out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// The file is no key that is known here.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The bytes are no key of the kind that they should be.
    #[error(transparent)]
    Held(#[from] HeldError),
    /// Another kind than was said.
    #[error("it is of type {found}, not {wanted}")]
    OtherKind {
        /// What it is.
        found: Kind,
        /// What was said.
        wanted: Kind,
    },
    /// Keys of this kind have no such form.
    #[error("a secret of type {kind} has no such form")]
    NoForm {
        /// What it is.
        kind: Kind,
        /// The form.
        form: Form,
    },
}

impl EncodingError {
    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Import(ImportError::OtherType { .. }) => {
                "Ed25519, P-256, secp256k1 and RSA keys have a type; store others as arbitrary"
            }
            Self::Import(error) => error.hint(),
            Self::Held(HeldError::Rsa) => {
                "RSA keys have 3,072 to 8,192 bits; store others as arbitrary"
            }
            Self::Held(_) => "check that the bytes are the key, whole; or leave --type out",
            Self::OtherKind { .. } => "leave --type out, or name the right one",
            Self::NoForm { .. } => "--form standard fits each type",
        }
    }
}
