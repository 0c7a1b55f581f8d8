//! Keys on secp256k1, which sign nothing here but are kept: PKCS#8, SEC 1.

use keystead_core::SecretBytes;

use super::cipher::{self, Pbes2};
use super::der::{BIT_STRING, CONTEXT_0, CONTEXT_1, Der, OBJECT_IDENTIFIER, OCTET_STRING};
use super::{ImportError, oid, pem};
use crate::held::{HeldKey, Kind};

/// The scalar of a key file, as long as the field; `None` where the file holds another key.
///
/// # Errors
/// [`ImportError`].
pub(crate) fn secp256k1_of_file(
    file: &[u8],
    passphrase: Option<&SecretBytes>,
) -> Result<Option<SecretBytes>, ImportError> {
    let part = pem::private_part(file)?;
    let bytes = part.content.expose();
    match part.label {
        pem::Label::Pkcs8 => of_pkcs8(bytes),
        pem::Label::EncryptedPkcs8 => {
            let mut outer = Der::new(bytes);
            let mut key = outer.sequence()?;
            outer.finish()?;
            let method = Pbes2::read(key.sequence()?)?;
            let encrypted = key.value(OCTET_STRING)?;
            key.finish()?;
            let passphrase = passphrase.ok_or(ImportError::NoPassphrase)?;
            let plain = cipher::open_pbes2(&method, passphrase, encrypted)?;
            of_pkcs8(plain.expose())
        }
        pem::Label::Sec1 => of_sec1(bytes, Curve::Inside),
        pem::Label::OpenSsh | pem::Label::Pkcs1 => Ok(None),
    }
}

/// Where the curve is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    Inside,
    Outside,
}

fn of_pkcs8(bytes: &[u8]) -> Result<Option<SecretBytes>, ImportError> {
    let mut outer = Der::new(bytes);
    let mut key = outer.sequence()?;
    outer.finish()?;
    if key.small()? > 1 {
        return Err(ImportError::Malformed);
    }
    let mut method = key.sequence()?;
    if method.value(OBJECT_IDENTIFIER)? != oid::EC_PUBLIC_KEY
        || method.value(OBJECT_IDENTIFIER)? != oid::SECP256K1
    {
        return Ok(None);
    }
    method.finish()?;
    let private = key.value(OCTET_STRING)?;
    key.optional(CONTEXT_0)?;
    key.finish()?;
    of_sec1(private, Curve::Outside)
}

fn of_sec1(bytes: &[u8], curve: Curve) -> Result<Option<SecretBytes>, ImportError> {
    let mut outer = Der::new(bytes);
    let mut key = outer.sequence()?;
    outer.finish()?;
    if key.small()? != 1 {
        return Err(ImportError::Malformed);
    }
    let scalar = key.value(OCTET_STRING)?;
    let named = match key.optional(CONTEXT_0)? {
        Some(parameters) => {
            let mut parameters = Der::new(parameters);
            let named = parameters.value(OBJECT_IDENTIFIER)?;
            parameters.finish()?;
            Some(named)
        }
        None => None,
    };
    match (named, curve) {
        (Some(oid::SECP256K1), _) | (None, Curve::Outside) => {}
        (Some(_), Curve::Outside) => return Err(ImportError::Inconsistent),
        (_, Curve::Inside) => return Ok(None),
    }
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
    let zeros = SCALAR_BYTES
        .checked_sub(scalar.len())
        .ok_or(ImportError::Inconsistent)?;
    let copy = |out: &mut [u8]| {
        for (place, byte) in out.iter_mut().skip(zeros).zip(scalar) {
            *place = *byte;
        }
    };
    let scalar = SecretBytes::fill(SCALAR_BYTES, copy);
    let held = HeldKey::import(Kind::Secp256k1, SecretBytes::fill(SCALAR_BYTES, copy));
    let held = held.map_err(|_| ImportError::Inconsistent)?;
    match point {
        // A BIT STRING without unused bits, around the uncompressed point.
        Some([0, point @ ..]) if held.public_key() == Some(point) => Ok(Some(scalar)),
        Some(_) => Err(ImportError::Inconsistent),
        None => Ok(Some(scalar)),
    }
}

const SCALAR_BYTES: usize = 32;
