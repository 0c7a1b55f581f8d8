//! S-expressions of the agent protocol: what PKDECRYPT is given, and what PKSIGN and PKDECRYPT
//! answer (GnuPG, `agent/pksign.c` and `agent/pkdecrypt.c`).

use keystead_core::SecretBytes;

use super::digest::Digest;
use super::kem::KdfParameters;
use super::packet::strip;
use super::public::PublicKey;
use crate::ParseError;
use crate::sexp::Sexp;

/// What PKDECRYPT is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ciphertext {
    /// `(enc-val (ecdh (s …) (e …)))`: gpg to 2.4 asks for the shared point alone.
    Ecdh {
        /// The sender's point as it stands in the message.
        point: Vec<u8>,
    },
    /// `(enc-val (ecc (c …) (h …) (e …) (s …) (kdf-params …)))` behind `--kem=PGP`: gpg from 2.5
    /// on asks for the session key.
    Kem {
        /// The sender's point as it stands in the message.
        point: Vec<u8>,
        /// Hash function and cipher.
        kdf: KdfParameters,
        /// The wrapped session key, without the length in front of it.
        wrapped: Vec<u8>,
        /// What is hashed behind the point.
        param: Vec<u8>,
    },
    /// Of another algorithm: RSA, ElGamal.
    Other,
}

impl Ciphertext {
    /// Reads the data of the inquiry `CIPHERTEXT`.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let sexp = Sexp::parse(bytes)?;
        if sexp.name() != Some(b"enc-val") {
            return Err(ParseError::Unknown);
        }
        if let Some(ecdh) = sexp.find("ecdh") {
            let point = ecdh.value("e").ok_or(ParseError::Value)?.to_vec();
            return Ok(Self::Ecdh { point });
        }
        match sexp.find("ecc") {
            Some(ecc) => Self::kem(ecc),
            None => Ok(Self::Other),
        }
    }

    fn kem(ecc: &Sexp) -> Result<Self, ParseError> {
        let field = |name| ecc.value(name).ok_or(ParseError::Value);
        let wrapped = match field("s")?.split_first() {
            Some((len, wrapped)) if usize::from(*len) == wrapped.len() => wrapped,
            _ => return Err(ParseError::Value),
        };
        Ok(Self::Kem {
            point: field("e")?.to_vec(),
            kdf: KdfParameters::new(number(field("h")?)?, number(field("c")?)?)?,
            wrapped: wrapped.to_vec(),
            param: field("kdf-params")?.to_vec(),
        })
    }
}

/// `(sig-val …)` of a keeper's signature: r ‖ s, or RSA's integer.
///
/// # Errors
/// [`ParseError::Value`] for a signature of another length, [`ParseError::Unknown`] for a key
/// that does not sign.
pub fn sig_val(key: &PublicKey, signature: &[u8]) -> Result<Vec<u8>, ParseError> {
    if key.kdf().is_some() {
        return Err(ParseError::Unknown);
    }
    let inner = match key.curve() {
        None => Sexp::named("rsa", [Sexp::pair("s", strip(signature))]),
        Some(curve) => {
            let (r, s) = halves(signature, curve.field_bytes())?;
            // libgcrypt gives EdDSA's numbers at full length, ECDSA's as numbers.
            if curve.is_compact() {
                Sexp::named("eddsa", [Sexp::pair("r", r), Sexp::pair("s", s)])
            } else {
                let (r, s) = (Sexp::pair("r", strip(r)), Sexp::pair("s", strip(s)));
                Sexp::named("ecdsa", [r, s])
            }
        }
    };
    Ok(Sexp::named("sig-val", [inner]).encode())
}

/// `(5:value…)` and a zero byte, as gpg-agent answers PKDECRYPT.
#[must_use]
pub fn secret_value(secret: &[u8]) -> SecretBytes {
    let head = format!("(5:value{}:", secret.len());
    let parts = [head.as_bytes(), secret, b")\0"];
    SecretBytes::fill(parts.iter().map(|part| part.len()).sum(), |bytes| {
        let mut places = bytes.iter_mut();
        for part in parts {
            for (byte, place) in part.iter().zip(places.by_ref()) {
                *place = *byte;
            }
        }
    })
}

/// The argument of SETHASH: `--hash=NAME HEX`, or the number of the function and HEX.
///
/// # Errors
/// [`ParseError::Unknown`] for a number of no function here; else another [`ParseError`].
pub fn sethash(arguments: &[u8]) -> Result<Digest, ParseError> {
    let text = std::str::from_utf8(arguments).map_err(|_| ParseError::Text)?;
    let mut words = text.split_ascii_whitespace();
    let first = words.next().ok_or(ParseError::Truncated)?;
    let algorithm = match first.strip_prefix("--hash=") {
        Some(name) => super::HashAlgorithm::from_name(name).map_err(|_| ParseError::Value)?,
        None => super::HashAlgorithm::from_id(first.parse().map_err(|_| ParseError::Unknown)?)?,
    };
    let digits = words.next().ok_or(ParseError::Truncated)?;
    if words.next().is_some() {
        return Err(ParseError::LeftOver);
    }
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return Err(ParseError::Value);
    };
    let bytes = pairs
        .iter()
        .map(|pair| super::keygrip::unhex::<1>(pair).map(|[byte]| byte))
        .collect::<Result<Vec<u8>, _>>()?;
    Digest::new(algorithm, &bytes)
}

fn halves(signature: &[u8], half: usize) -> Result<(&[u8], &[u8]), ParseError> {
    match signature.split_at_checked(half) {
        Some((r, s)) if s.len() == half => Ok((r, s)),
        _ => Err(ParseError::Value),
    }
}

fn number(text: &[u8]) -> Result<u8, ParseError> {
    let text = std::str::from_utf8(text).map_err(|_| ParseError::Value)?;
    text.parse().map_err(|_| ParseError::Value)
}
