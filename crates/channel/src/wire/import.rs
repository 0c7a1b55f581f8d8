//! Kinds 10 to 12 of `spec/pairing.md` section 5.1: keys that go to their keeper.
//!
//! **Invariant**: the key and what opens it are opaque here and are copied only
//! into [`SecretBytes`]; whoever holds a whole message wipes it.

use keystead_core::{
    Certificates, Constraints, ImportRequest, KeyForm, KeyId, LockRequest, RequestBody, SecretBytes,
};

use super::parts::{read_known_purposes, read_name, write_purposes};
use super::{
    BLOB_BYTES_MAX, CERTIFICATES_MAX, Fault, Fields, MESSAGE_BYTES_MAX, PASSPHRASE_BYTES_MAX,
    PATH_BYTES_MAX, Reader, Writer,
};

pub(super) fn write_import(writer: &mut Writer, import: &ImportRequest) {
    let constraints = &import.constraints;
    let is_limited = *constraints != Constraints::default();
    let optional = [
        import.passphrase.is_some(),
        import.name.is_some(),
        is_limited,
        !import.purposes.is_empty(),
    ];
    writer.map(2 + optional.iter().filter(|there| **there).count());
    writer.key(1).unsigned(u64::from(import.form.number()));
    writer.key(2).bytes(import.key.expose());
    if let Some(passphrase) = &import.passphrase {
        writer.key(3).bytes(passphrase.expose());
    }
    if let Some(name) = &import.name {
        writer.key(4).text(name.as_str());
    }
    if is_limited {
        write_constraints(writer.key(5), constraints);
    }
    if !import.purposes.is_empty() {
        write_purposes(writer.key(6), &import.purposes);
    }
}

pub(super) fn read_import(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<ImportRequest, Fault> {
    fields.required(reader, 1)?;
    let form = read_form(reader)?;
    fields.required(reader, 2)?;
    let key = secret(reader.bytes(MESSAGE_BYTES_MAX)?);
    let passphrase = match fields.optional(reader, 3)? {
        true => Some(secret(reader.bytes(PASSPHRASE_BYTES_MAX)?)),
        false => None,
    };
    let name = match fields.optional(reader, 4)? {
        true => Some(read_name(reader)?),
        false => None,
    };
    let constraints = match fields.optional(reader, 5)? {
        true => read_constraints(reader)?,
        false => Constraints::default(),
    };
    let purposes = match fields.optional(reader, 6)? {
        true => read_known_purposes(reader)?,
        false => Vec::new(),
    };
    Ok(ImportRequest {
        form,
        key,
        passphrase,
        name,
        constraints,
        purposes,
    })
}

/// No key named, no list: one meaning has one encoding.
pub(super) fn write_remove(writer: &mut Writer, keys: &[KeyId]) {
    writer.map(usize::from(!keys.is_empty()));
    if !keys.is_empty() {
        writer.key(1).list_of(keys, |writer, key| {
            writer.bytes(key.as_bytes());
        });
    }
}

pub(super) fn read_remove(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<Vec<KeyId>, Fault> {
    match fields.optional(reader, 1)? {
        true => reader.list_of(1, RequestBody::REMOVED_MAX, |reader| {
            reader.array().map(KeyId)
        }),
        false => Ok(Vec::new()),
    }
}

pub(super) fn write_lock(writer: &mut Writer, lock: &LockRequest) {
    writer.map(2).key(1).boolean(lock.lock);
    writer.key(2).bytes(lock.passphrase.expose());
}

pub(super) fn read_lock(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
) -> Result<LockRequest, Fault> {
    fields.required(reader, 1)?;
    let lock = reader.boolean()?;
    fields.required(reader, 2)?;
    let passphrase = secret(reader.bytes(PASSPHRASE_BYTES_MAX)?);
    Ok(LockRequest { lock, passphrase })
}

/// How many bytes of a body's encoding can be secret or of its asker's choosing, at most:
/// a buffer with room for them does not grow, so it leaves no copy behind.
pub(super) fn bytes_of(body: &RequestBody) -> usize {
    if let RequestBody::Lock(lock) = body {
        return lock.passphrase.len();
    }
    let RequestBody::Import(import) = body else {
        return 0;
    };
    let passphrase = import.passphrase.as_ref().map_or(0, SecretBytes::len);
    let limits = &import.constraints;
    let destinations = limits.destinations.as_ref().map_or(0, Vec::len);
    let provider = limits.sk_provider.as_ref().map_or(0, String::len);
    let purposes = import.purposes.len();
    let certificates = limits.certificates.as_ref().map_or(0, |it| {
        it.blobs.iter().map(|blob| blob.len() + HEAD_BYTES).sum()
    });
    import.key.len() + passphrase + destinations + provider + certificates + purposes
}

fn write_constraints(writer: &mut Writer, constraints: &Constraints) {
    let fields = [
        constraints.lifetime_s.is_some(),
        constraints.confirm,
        constraints.destinations.is_some(),
        constraints.sk_provider.is_some(),
        constraints.certificates.is_some(),
    ];
    writer.map(fields.iter().filter(|there| **there).count());
    if let Some(lifetime_s) = constraints.lifetime_s {
        writer.key(1).unsigned(u64::from(lifetime_s));
    }
    if constraints.confirm {
        writer.key(2).boolean(true);
    }
    if let Some(destinations) = &constraints.destinations {
        writer.key(3).bytes(destinations);
    }
    if let Some(provider) = &constraints.sk_provider {
        writer.key(4).text(provider);
    }
    if let Some(certificates) = &constraints.certificates {
        writer.key(5).list(2).boolean(certificates.only);
        writer.list_of(&certificates.blobs, |writer, blob| {
            writer.bytes(blob);
        });
    }
}

fn read_constraints(reader: &mut Reader<'_>) -> Result<Constraints, Fault> {
    let mut fields = reader.fields()?;
    let mut constraints = Constraints::default();
    if fields.optional(reader, 1)? {
        constraints.lifetime_s = Some(reader.unsigned_32()?);
    }
    if fields.optional(reader, 2)? {
        constraints.confirm = reader.only_true()?;
    }
    if fields.optional(reader, 3)? {
        constraints.destinations = Some(reader.bytes(MESSAGE_BYTES_MAX)?.to_vec());
    }
    if fields.optional(reader, 4)? {
        constraints.sk_provider = Some(reader.text(PATH_BYTES_MAX)?.to_owned());
    }
    if fields.optional(reader, 5)? {
        reader.tuple(2)?;
        constraints.certificates = Some(Certificates {
            only: reader.boolean()?,
            blobs: reader.list_of(0, CERTIFICATES_MAX, |reader| {
                reader.bytes(BLOB_BYTES_MAX).map(<[u8]>::to_vec)
            })?,
        });
    }
    fields.end(reader)?;
    if constraints == Constraints::default() {
        // No limit at all is written by leaving the field out.
        return Err(Fault::ListLength(0));
    }
    Ok(constraints)
}

fn read_form(reader: &mut Reader<'_>) -> Result<KeyForm, Fault> {
    let number = reader.unsigned()?;
    KeyForm::ALL
        .into_iter()
        .find(|form| u64::from(form.number()) == number)
        .ok_or(Fault::Form(number))
}

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::fill(bytes.len(), |place| place.copy_from_slice(bytes))
}

/// 5 bytes: the longest head of a string within a message (RFC 8949 section 3).
const HEAD_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use keystead_core::{Request, RequestId};

    use super::*;
    use crate::wire::encode_request;

    /// A buffer that grew leaves what it held where it was.
    fn check(body: RequestBody) {
        let room = bytes_of(&body);
        let encoded = encode_request(&Request {
            id: RequestId([1; 16]),
            unix_s: u64::MAX,
            wait_s: 300,
            want_ack: true,
            body,
        });
        assert_eq!(
            encoded.capacity(),
            Writer::with_room(room).finish().capacity()
        );
    }

    #[test]
    fn no_buffer_grows_with_a_key_in_it() {
        let opaque = |len| SecretBytes::fill(len, |bytes| bytes.fill(0xa5));
        check(RequestBody::Import(ImportRequest {
            form: KeyForm::File,
            key: opaque(3_000),
            passphrase: Some(opaque(PASSPHRASE_BYTES_MAX)),
            name: keystead_core::Name::new("n".repeat(64)).ok(),
            constraints: Constraints {
                lifetime_s: Some(u32::MAX),
                confirm: true,
                destinations: Some(vec![1; 70_000]),
                sk_provider: Some("p".repeat(PATH_BYTES_MAX)),
                certificates: Some(Certificates {
                    only: true,
                    blobs: vec![vec![2; 70]; CERTIFICATES_MAX],
                }),
            },
            purposes: keystead_core::Purpose::ALL[..8].to_vec(),
        }));
        check(RequestBody::Lock(LockRequest {
            lock: true,
            passphrase: opaque(PASSPHRASE_BYTES_MAX),
        }));
    }
}
