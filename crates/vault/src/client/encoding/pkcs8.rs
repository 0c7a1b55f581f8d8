//! PKCS#8 (RFC 5958; RFC 8410 for Ed25519) and SEC 1 (RFC 5915), written.

use keystead_core::SecretBytes;

use super::der::{integer, value};
use crate::client::Value;
use crate::client::seal::joined;
use crate::held::Kind;
use crate::import::der::{
    BIT_STRING, CONTEXT_0, CONTEXT_1, NULL, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE,
};
use crate::import::oid;

/// `OneAsymmetricKey`, version 0: with the public half where the kind's own structure has it.
pub(super) fn write(key: &Value) -> Option<SecretBytes> {
    let private = key.bytes().expose();
    let identifier = |bytes: &[u8]| value(OBJECT_IDENTIFIER, &[bytes]);
    let (method, content) = match key.kind() {
        Kind::Arbitrary => return None,
        Kind::Ed25519 => (
            value(SEQUENCE, &[identifier(oid::ED25519).expose()]),
            value(OCTET_STRING, &[private]),
        ),
        Kind::P256 | Kind::Secp256k1 => {
            let of_key = identifier(oid::EC_PUBLIC_KEY);
            let of_curve = identifier(curve(key.kind())?);
            (
                value(SEQUENCE, &[of_key.expose(), of_curve.expose()]),
                ec_private_key(key, None)?,
            )
        }
        Kind::Rsa => {
            let of_key = identifier(oid::RSA_ENCRYPTION);
            let null = value(NULL, &[]);
            (
                value(SEQUENCE, &[of_key.expose(), null.expose()]),
                joined(&[private]),
            )
        }
    };
    let content = value(OCTET_STRING, &[content.expose()]);
    let version = integer(&[]);
    Some(value(
        SEQUENCE,
        &[version.expose(), method.expose(), content.expose()],
    ))
}

/// `ECPrivateKey` that names its curve.
pub(super) fn sec1(key: &Value) -> Option<SecretBytes> {
    let named = value(OBJECT_IDENTIFIER, &[curve(key.kind())?]);
    ec_private_key(key, Some(named.expose()))
}

/// RFC 5915 section 3; inside PKCS#8 the curve stands outside.
fn ec_private_key(key: &Value, named: Option<&[u8]>) -> Option<SecretBytes> {
    let version = integer(&[1]);
    let scalar = value(OCTET_STRING, &[key.bytes().expose()]);
    let parameters = named.map(|it| value(CONTEXT_0, &[it]));
    // No unused bits before the uncompressed point.
    let point = value(BIT_STRING, &[&[0], key.public_key()?]);
    let point = value(CONTEXT_1, &[point.expose()]);
    let mut parts = vec![version.expose(), scalar.expose()];
    parts.extend(parameters.as_ref().map(SecretBytes::expose));
    parts.push(point.expose());
    Some(value(SEQUENCE, &parts))
}

fn curve(kind: Kind) -> Option<&'static [u8]> {
    match kind {
        Kind::P256 => Some(oid::NIST_P256),
        Kind::Secp256k1 => Some(oid::SECP256K1),
        Kind::Arbitrary | Kind::Ed25519 | Kind::Rsa => None,
    }
}
