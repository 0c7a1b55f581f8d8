//! `response` of `spec/pairing.md` section 3.

use keystead_core::{Kind, Outcome, RequestHash, RequestId, Response, ResponseBody, SignedReceipt};

use super::body::{read_ack, read_body};
use super::receipt::RECEIPT_BYTES_MAX;
use super::request::{read_id, read_version};
use super::{Fault, Fields, MESSAGE_BYTES_MAX, Reader, VERSION, WireError, Writer, encode_body};

/// The response's bytes.
#[must_use]
pub fn encode_response(response: &Response) -> Vec<u8> {
    let optional = [response.body.is_some(), response.receipt.is_some()];
    let mut writer = Writer::new();
    writer.map(5 + optional.iter().filter(|there| **there).count());
    writer.key(0).unsigned(VERSION);
    writer.key(1).bytes(response.id.as_bytes());
    writer.key(2).unsigned(response.unix_s);
    writer.key(3).bytes(response.request_hash.as_bytes());
    writer.key(4).unsigned(u64::from(response.outcome.number()));
    if let Some(body) = &response.body {
        writer.key(5).encoded(&encode_body(body));
    }
    if let Some(receipt) = &response.receipt {
        writer.key(6).list(2);
        writer.bytes(&receipt.bytes).bytes(&receipt.signature);
    }
    writer.finish()
}

/// Reads a response, whole or not at all.
///
/// `kind_of` says which kind of request is outstanding under an id: it gives
/// the body its meaning. An id that it does not know is [`Fault::NotAsked`].
/// A body stands with `ack` and `approved`, a receipt with the outcomes that
/// have one, and neither stands with any other.
///
/// # Errors
/// [`WireError`] with the first rule broken.
pub fn decode_response(
    bytes: &[u8],
    kind_of: impl FnOnce(&RequestId) -> Option<Kind>,
) -> Result<Response, WireError> {
    read_response(bytes, kind_of).map_err(|fault| WireError {
        id: read_id(bytes),
        fault,
    })
}

/// The id that a response or request names, if it stands at its place.
#[must_use]
pub fn response_id(bytes: &[u8]) -> Option<RequestId> {
    read_id(bytes)
}

fn read_response(
    bytes: &[u8],
    kind_of: impl FnOnce(&RequestId) -> Option<Kind>,
) -> Result<Response, Fault> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Fault::TooLong(bytes.len()));
    }
    let mut reader = Reader::new(bytes);
    let mut fields = reader.fields()?;
    read_version(&mut reader, &mut fields)?;
    fields.required(&mut reader, 1)?;
    let id = RequestId(reader.array()?);
    let kind = kind_of(&id).ok_or(Fault::NotAsked)?;
    fields.required(&mut reader, 2)?;
    let unix_s = reader.unsigned()?;
    fields.required(&mut reader, 3)?;
    let request_hash = RequestHash(reader.array()?);
    fields.required(&mut reader, 4)?;
    let outcome = read_outcome(&mut reader)?;
    let body = read_body_of(&mut reader, &mut fields, outcome, kind)?;
    let receipt = read_receipt_of(&mut reader, &mut fields, outcome)?;
    fields.end(&mut reader)?;
    reader.end()?;
    Ok(Response {
        id,
        unix_s,
        request_hash,
        outcome,
        body,
        receipt,
    })
}

pub(super) fn read_outcome(reader: &mut Reader<'_>) -> Result<Outcome, Fault> {
    let number = reader.unsigned()?;
    u8::try_from(number)
        .ok()
        .and_then(Outcome::from_number)
        .ok_or(Fault::Range(number))
}

fn read_body_of(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
    outcome: Outcome,
    kind: Kind,
) -> Result<Option<ResponseBody>, Fault> {
    match (fields.optional(reader, 5)?, outcome.has_body()) {
        (true, true) if outcome == Outcome::Ack => read_ack(reader).map(Some),
        (true, true) => read_body(reader, kind).map(Some),
        (false, false) => Ok(None),
        (true, false) => Err(Fault::Misplaced(5)),
        (false, true) => Err(Fault::MissingKey(5)),
    }
}

fn read_receipt_of(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
    outcome: Outcome,
) -> Result<Option<SignedReceipt>, Fault> {
    match (fields.optional(reader, 6)?, outcome.has_receipt()) {
        (true, true) => {
            reader.tuple(2)?;
            Ok(Some(SignedReceipt {
                bytes: reader.bytes(RECEIPT_BYTES_MAX)?.to_vec(),
                signature: reader.array()?,
            }))
        }
        (false, false) => Ok(None),
        (true, false) => Err(Fault::Misplaced(6)),
        (false, true) => Err(Fault::MissingKey(6)),
    }
}
