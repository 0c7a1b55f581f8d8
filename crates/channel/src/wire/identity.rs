//! Kinds 3 and 8 of `spec/pairing.md` section 5.1, and the identities of kind 2: keys that a
//! wallet derives.
//!
//! **Invariant**: an identity that is read can exist ([`Identity::new`]); one of a protocol or on
//! a curve that a later version may know is `unsupported`, never guessed at.

use keystead_core::{
    Curve, DecryptForm, DecryptRequest, Derivation, Identity, IdentityError, KeyId, Plaintext,
    PublicKeyRequest, SecretBytes, WalletFingerprint,
};

use super::evidence::{read_evidence, write_evidence};
use super::{BLOB_BYTES_MAX, CURVE_BYTES_MAX, Fault, Fields, Reader, Writer};

pub(super) fn write_decrypt(writer: &mut Writer, decrypt: &DecryptRequest) {
    writer.map(if decrypt.identity.is_some() { 5 } else { 4 });
    writer.key(1).bytes(decrypt.key.as_bytes());
    writer.key(2).unsigned(u64::from(decrypt.form.number()));
    writer.key(3).bytes(&decrypt.content);
    write_evidence(writer.key(5), &decrypt.evidence);
    write_optional(writer, 6, decrypt.identity.as_ref());
}

pub(super) fn read_decrypt(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<DecryptRequest, Fault> {
    fields.required(reader, 1)?;
    let key = KeyId(reader.array()?);
    fields.required(reader, 2)?;
    let number = reader.unsigned()?;
    let form = DecryptForm::ALL
        .into_iter()
        .find(|form| u64::from(form.number()) == number)
        .ok_or(Fault::Form(number))?;
    fields.required(reader, 3)?;
    let content = reader.bytes(DecryptRequest::CONTENT_BYTES_MAX)?.to_vec();
    fields.required(reader, 5)?;
    let evidence = read_evidence(reader)?;
    let identity = read_optional(reader, fields, 6)?;
    Ok(DecryptRequest {
        key,
        form,
        content,
        evidence,
        identity,
    })
}

pub(super) fn write_public_key(writer: &mut Writer, asked: &PublicKeyRequest) {
    writer.map(if asked.wallet.is_some() { 2 } else { 1 });
    write_identity(writer.key(1), &asked.identity);
    if let Some(wallet) = &asked.wallet {
        writer.key(2).bytes(wallet.as_bytes());
    }
}

pub(super) fn read_public_key(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<PublicKeyRequest, Fault> {
    fields.required(reader, 1)?;
    let identity = read_identity(reader)?;
    let wallet = match fields.optional(reader, 2)? {
        true => Some(WalletFingerprint(reader.array()?)),
        false => None,
    };
    Ok(PublicKeyRequest { identity, wallet })
}

pub(super) fn write_plaintext(writer: &mut Writer, plaintext: &Plaintext) {
    writer.map(1).key(1).bytes(plaintext.secret().expose());
}

pub(super) fn read_plaintext(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<Plaintext, Fault> {
    fields.required(reader, 1)?;
    let bytes = reader.bytes(BLOB_BYTES_MAX)?;
    let copied = SecretBytes::fill(bytes.len(), |place| place.copy_from_slice(bytes));
    Ok(Plaintext::new(copied))
}

/// The identity behind `key`, if there is one.
pub(super) fn write_optional(writer: &mut Writer, key: u64, identity: Option<&Identity>) {
    if let Some(identity) = identity {
        write_identity(writer.key(key), identity);
    }
}

pub(super) fn read_optional(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
    key: u64,
) -> Result<Option<Identity>, Fault> {
    match fields.optional(reader, key)? {
        true => read_identity(reader).map(Some),
        false => Ok(None),
    }
}

fn write_identity(writer: &mut Writer, identity: &Identity) {
    writer.list(4).text(identity.uri());
    writer.text(identity.curve().as_str());
    writer.unsigned(u64::from(identity.index()));
    writer.unsigned(u64::from(identity.derivation().number()));
}

fn read_identity(reader: &mut Reader<'_>) -> Result<Identity, Fault> {
    reader.tuple(4)?;
    let uri = reader.text(Identity::URI_BYTES_MAX)?;
    let curve: Option<Curve> = reader.text(CURVE_BYTES_MAX)?.parse().ok();
    let index = reader.unsigned_32()?;
    let number = reader.unsigned()?;
    let derivation = Derivation::from_number(number).ok_or(Fault::Range(number))?;
    let curve = curve.ok_or(Fault::Derivation)?;
    Identity::new(uri, curve, index, derivation).map_err(|error| match error {
        IdentityError::Protocol(_) => Fault::Derivation,
        IdentityError::NotAscii(_) => Fault::Text,
        IdentityError::Empty | IdentityError::TooLong { .. } | IdentityError::Curve { .. } | _ => {
            Fault::Identity
        }
    })
}
