//! `request` of `spec/pairing.md` section 5.

use keystead_core::{
    KeyId, Kind, MakeKeyRequest, Request, RequestBody, RequestHash, RequestId, Secret, SignForm,
    SignRequest, labelled_hash,
};

use super::evidence::{read_evidence, write_evidence};
use super::identity::{
    read_decrypt, read_optional, read_public_key, write_decrypt, write_optional, write_public_key,
};
use super::import::{
    bytes_of, read_import, read_lock, read_remove, write_import, write_lock, write_remove,
};
use super::key_server::{
    read_approve_server, read_make_approval_key, read_open_local, write_approve_server,
    write_make_approval_key, write_open_local,
};
use super::parts::{read_known_purposes, read_name, read_version, write_purposes};
use super::{
    ALGORITHM_BYTES_MAX, Fault, Fields, MESSAGE_BYTES_MAX, Reader, VERSION, WireError, Writer,
};

/// `H("keystead-request-1", request bytes as received)`.
#[must_use]
pub fn request_hash(request: &[u8]) -> RequestHash {
    RequestHash(labelled_hash("keystead-request-1", request))
}

/// The request's bytes. Those of a `confirm_request` hold `pair_key`, those of kinds 10 and 12
/// a key or what opens it: wipe them after use.
#[must_use]
pub fn encode_request(request: &Request) -> Vec<u8> {
    let mut writer = Writer::with_room(bytes_of(&request.body));
    writer.map(6).key(0).unsigned(VERSION);
    writer.key(1).bytes(request.id.as_bytes());
    writer.key(2).unsigned(request.unix_s);
    writer.key(3).unsigned(u64::from(request.wait_s));
    writer.key(4).boolean(request.want_ack);
    writer.key(5).list(2);
    writer.unsigned(u64::from(request.body.kind().number()));
    write_body(&mut writer, &request.body);
    writer.finish()
}

/// Reads a request, whole or not at all.
///
/// # Errors
/// [`WireError`] with the first rule broken, and the request's id where it stands
/// at its place: then [`WireError::outcome`] is the answer, else the channel ends.
pub fn decode_request(bytes: &[u8]) -> Result<Request, WireError> {
    read_request(bytes).map_err(|fault| WireError {
        id: read_id(bytes),
        fault,
    })
}

fn read_request(bytes: &[u8]) -> Result<Request, Fault> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Fault::TooLong(bytes.len()));
    }
    let mut reader = Reader::new(bytes);
    let mut fields = reader.fields()?;
    read_version(&mut reader, &mut fields)?;
    fields.required(&mut reader, 1)?;
    let id = RequestId(reader.array()?);
    fields.required(&mut reader, 2)?;
    let unix_s = reader.unsigned()?;
    fields.required(&mut reader, 3)?;
    let wait_s = read_wait(&mut reader)?;
    fields.required(&mut reader, 4)?;
    let want_ack = reader.boolean()?;
    fields.required(&mut reader, 5)?;
    reader.tuple(2)?;
    let kind = read_kind(&mut reader)?;
    let body = read_body(&mut reader, kind)?;
    fields.end(&mut reader)?;
    reader.end()?;
    Ok(Request {
        id,
        unix_s,
        wait_s,
        want_ack,
        body,
    })
}

/// The id of what may otherwise be unreadable: keys 0 and 1 at their places.
pub(super) fn read_id(bytes: &[u8]) -> Option<RequestId> {
    let mut reader = Reader::new(bytes);
    let mut fields = reader.fields().ok()?;
    fields.required(&mut reader, 0).ok()?;
    reader.unsigned().ok()?;
    fields.required(&mut reader, 1).ok()?;
    reader.array().ok().map(RequestId)
}

fn read_wait(reader: &mut Reader<'_>) -> Result<u16, Fault> {
    match reader.unsigned_to(u64::from(Request::WAIT_S_MAX))? {
        0 => Err(Fault::Range(0)),
        wait_s => u16::try_from(wait_s).map_err(|_| Fault::Range(wait_s)),
    }
}

fn read_kind(reader: &mut Reader<'_>) -> Result<Kind, Fault> {
    let number = reader.unsigned()?;
    u8::try_from(number)
        .ok()
        .and_then(Kind::from_number)
        .ok_or(Fault::Kind(number))
}

fn write_body(writer: &mut Writer, body: &RequestBody) {
    match body {
        RequestBody::Me { nonce_c } => {
            writer.map(usize::from(nonce_c.is_some()));
            if let Some(nonce_c) = nonce_c {
                writer.key(1).bytes(nonce_c);
            }
        }
        RequestBody::Hosts | RequestBody::Unpair => {
            writer.map(0);
        }
        RequestBody::Sign(sign) => write_sign(writer, sign),
        RequestBody::Decrypt(decrypt) => write_decrypt(writer, decrypt),
        RequestBody::PublicKey(asked) => write_public_key(writer, asked),
        RequestBody::Confirm { pair_key } => {
            writer.map(1).key(1).bytes(pair_key.expose());
        }
        RequestBody::Cancel { target } => {
            writer.map(1).key(1).bytes(target.as_bytes());
        }
        RequestBody::MakeKey(make) => write_make_key(writer, make),
        RequestBody::Import(import) => write_import(writer, import),
        RequestBody::Remove { keys } => write_remove(writer, keys),
        RequestBody::Lock(lock) => write_lock(writer, lock),
        RequestBody::ApproveServer(asked) => write_approve_server(writer, asked),
        RequestBody::MakeApprovalKey(asked) => write_make_approval_key(writer, asked),
        RequestBody::OpenLocal(asked) => write_open_local(writer, asked),
        // `RequestBody` can grow in core only together with this match: an
        // empty body for a kind with content is refused by every receiver.
        _ => {
            writer.map(0);
        }
    }
}

fn read_body(reader: &mut Reader<'_>, kind: Kind) -> Result<RequestBody, Fault> {
    let mut fields = reader.fields()?;
    let body = match kind {
        Kind::Me => RequestBody::Me {
            nonce_c: match fields.optional(reader, 1)? {
                true => Some(reader.array()?),
                false => None,
            },
        },
        Kind::Sign => RequestBody::Sign(read_sign(reader, &mut fields)?),
        Kind::Decrypt => RequestBody::Decrypt(read_decrypt(reader, &mut fields)?),
        Kind::PublicKey => RequestBody::PublicKey(read_public_key(reader, &mut fields)?),
        Kind::Hosts => RequestBody::Hosts,
        Kind::Unpair => RequestBody::Unpair,
        Kind::Confirm => {
            fields.required(reader, 1)?;
            RequestBody::Confirm {
                pair_key: Secret::take(&mut reader.array()?),
            }
        }
        Kind::Cancel => {
            fields.required(reader, 1)?;
            RequestBody::Cancel {
                target: RequestId(reader.array()?),
            }
        }
        Kind::MakeKey => RequestBody::MakeKey(read_make_key(reader, &mut fields)?),
        Kind::Import => RequestBody::Import(read_import(reader, &mut fields)?),
        Kind::Remove => RequestBody::Remove {
            keys: read_remove(reader, &mut fields)?,
        },
        Kind::Lock => RequestBody::Lock(read_lock(reader, &mut fields)?),
        Kind::ApproveServer => {
            RequestBody::ApproveServer(read_approve_server(reader, &mut fields)?)
        }
        Kind::MakeApprovalKey => {
            RequestBody::MakeApprovalKey(read_make_approval_key(reader, &mut fields)?)
        }
        Kind::OpenLocal => RequestBody::OpenLocal(read_open_local(reader, &mut fields)?),
        // As above: core's list of kinds and this one grow together.
        _ => return Err(Fault::Kind(u64::from(kind.number()))),
    };
    fields.end(reader)?;
    Ok(body)
}

fn write_sign(writer: &mut Writer, sign: &SignRequest) {
    writer.map(if sign.identity.is_some() { 6 } else { 5 });
    writer.key(1).bytes(sign.key.as_bytes());
    writer.key(2).unsigned(u64::from(sign.form.number()));
    writer.key(3).bytes(&sign.content);
    writer.key(4).unsigned(u64::from(sign.flags));
    writer.key(5);
    write_evidence(writer, &sign.evidence);
    write_optional(writer, 6, sign.identity.as_ref());
}

fn read_sign(reader: &mut Reader<'_>, fields: &mut Fields) -> Result<SignRequest, Fault> {
    fields.required(reader, 1)?;
    let key = KeyId(reader.array()?);
    fields.required(reader, 2)?;
    let number = reader.unsigned()?;
    let form = SignForm::ALL
        .into_iter()
        .find(|form| u64::from(form.number()) == number)
        .ok_or(Fault::Form(number))?;
    fields.required(reader, 3)?;
    let content = reader.bytes(MESSAGE_BYTES_MAX)?.to_vec();
    fields.required(reader, 4)?;
    let flags = reader.unsigned_32()?;
    fields.required(reader, 5)?;
    let evidence = read_evidence(reader)?;
    let identity = read_optional(reader, fields, 6)?;
    Ok(SignRequest {
        key,
        form,
        content,
        flags,
        evidence,
        identity,
    })
}

/// Purposes that nobody named, no list: one meaning has one encoding.
fn write_make_key(writer: &mut Writer, make: &MakeKeyRequest) {
    writer.map(if make.purposes.is_empty() { 2 } else { 3 });
    writer.key(1).text(make.name.as_str());
    writer.key(2).text(&make.algorithm);
    if !make.purposes.is_empty() {
        write_purposes(writer.key(3), &make.purposes);
    }
}

fn read_make_key(reader: &mut Reader<'_>, fields: &mut Fields) -> Result<MakeKeyRequest, Fault> {
    fields.required(reader, 1)?;
    let name = read_name(reader)?;
    fields.required(reader, 2)?;
    let algorithm = reader.text(ALGORITHM_BYTES_MAX)?.to_owned();
    let purposes = match fields.optional(reader, 3)? {
        true => read_known_purposes(reader)?,
        false => Vec::new(),
    };
    Ok(MakeKeyRequest {
        name,
        algorithm,
        purposes,
    })
}
