//! `response` of `spec/pairing.md` section 5.

use keystead_core::{
    Kind, Outcome, RequestHash, RequestId, Response, ResponseBody, SignedReceipt, labelled_hash,
};
use keystead_sodium::memory::wipe;

use super::body::{BODY_LABEL, read_ack, read_body};
use super::parts::read_version;
use super::request::read_id;
use super::{
    Fault, Fields, MESSAGE_BYTES_MAX, RECEIPT_BYTES_MAX, Reader, VERSION, WireError, Writer,
    encode_body,
};

/// A response as it came over a channel.
///
/// What it says may leave out what only later versions know; its receipt is about
/// the bytes, so the body's hash is taken from them.
pub struct Received {
    /// What it says.
    pub response: Response,
    body_hash: [u8; 32],
}

impl Received {
    /// `H("keystead-body-1", the body's bytes as they came, or nothing)`; of a response
    /// with an outcome that has a receipt.
    pub(super) fn body_hash(&self) -> &[u8; 32] {
        &self.body_hash
    }
}

/// The response's bytes, which may hold what was decrypted: wipe them after use.
#[must_use]
pub fn encode_response(response: &Response) -> Vec<u8> {
    let optional = [response.body.is_some(), response.receipt.is_some()];
    let mut body = response.body.as_ref().map(encode_body);
    let receipt = response.receipt.as_ref();
    let receipt_bytes = receipt.map_or(0, |it| it.bytes.len() + it.signature.len());
    let body_bytes = body.as_ref().map_or(0, Vec::len);
    let mut writer = Writer::with_room(body_bytes.saturating_add(receipt_bytes));
    writer.map(5 + optional.iter().filter(|there| **there).count());
    writer.key(0).unsigned(VERSION);
    writer.key(1).bytes(response.id.as_bytes());
    writer.key(2).unsigned(response.unix_s);
    writer.key(3).bytes(response.request_hash.as_bytes());
    writer.key(4).unsigned(u64::from(response.outcome.number()));
    if let Some(body) = &mut body {
        writer.key(5).encoded(body);
        wipe(body);
    }
    if let Some(receipt) = receipt {
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
    receive_response(bytes, kind_of).map(|received| received.response)
}

/// As [`decode_response`], for who checks the receipt
/// ([`check_receipt`](super::check_receipt)).
///
/// # Errors
/// [`WireError`] with the first rule broken.
pub fn receive_response(
    bytes: &[u8],
    kind_of: impl FnOnce(&RequestId) -> Option<Kind>,
) -> Result<Received, WireError> {
    read_response(bytes, kind_of, Signing::Receipts).map_err(|fault| WireError {
        id: read_id(bytes),
        fault,
    })
}

/// As [`decode_response`], of an authenticator on a local link (section 4.1): it gives no
/// receipts, so none may stand there.
///
/// # Errors
/// [`WireError`] with the first rule broken.
pub fn decode_local_response(
    bytes: &[u8],
    kind_of: impl FnOnce(&RequestId) -> Option<Kind>,
) -> Result<Response, WireError> {
    read_response(bytes, kind_of, Signing::Nothing)
        .map(|received| received.response)
        .map_err(|fault| WireError {
            id: read_id(bytes),
            fault,
        })
}

/// The id that a response or request names, if it stands at its place.
#[must_use]
pub fn response_id(bytes: &[u8]) -> Option<RequestId> {
    read_id(bytes)
}

/// What the answerer signs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signing {
    /// Each outcome that has a receipt.
    Receipts,
    /// Nothing: the other end is a child of this process.
    Nothing,
}

fn read_response(
    bytes: &[u8],
    kind_of: impl FnOnce(&RequestId) -> Option<Kind>,
    signing: Signing,
) -> Result<Received, Fault> {
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
    let (body, body_bytes) = read_body_of(&mut reader, &mut fields, outcome, kind)?;
    let has_receipt = signing == Signing::Receipts && outcome.has_receipt();
    let receipt = read_receipt_of(&mut reader, &mut fields, has_receipt)?;
    fields.end(&mut reader)?;
    reader.end()?;
    let body_hash = match has_receipt {
        true => labelled_hash(BODY_LABEL, body_bytes),
        false => [0; 32],
    };
    let response = Response {
        id,
        unix_s,
        request_hash,
        outcome,
        body,
        receipt,
    };
    Ok(Received {
        response,
        body_hash,
    })
}

pub(super) fn read_outcome(reader: &mut Reader<'_>) -> Result<Outcome, Fault> {
    let number = reader.unsigned()?;
    u8::try_from(number)
        .ok()
        .and_then(Outcome::from_number)
        .ok_or(Fault::Range(number))
}

/// The body and its bytes.
fn read_body_of<'b>(
    reader: &mut Reader<'b>,
    fields: &mut Fields,
    outcome: Outcome,
    kind: Kind,
) -> Result<(Option<ResponseBody>, &'b [u8]), Fault> {
    match (fields.optional(reader, 5)?, outcome.has_body()) {
        (true, true) => {
            let start = reader.position();
            let body = if outcome == Outcome::Ack {
                read_ack(reader)?
            } else {
                read_body(reader, kind)?
            };
            Ok((Some(body), reader.since(start)))
        }
        (false, false) => Ok((None, &[])),
        (true, false) => Err(Fault::Misplaced(5)),
        (false, true) => Err(Fault::MissingKey(5)),
    }
}

fn read_receipt_of(
    reader: &mut Reader<'_>,
    fields: &mut Fields,
    is_wanted: bool,
) -> Result<Option<SignedReceipt>, Fault> {
    match (fields.optional(reader, 6)?, is_wanted) {
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

#[cfg(test)]
mod tests {
    use keystead_core::{Plaintext, SecretBytes};

    use super::*;

    /// A buffer that grew leaves what it held where it was.
    #[test]
    fn no_buffer_grows_with_a_plaintext_in_it() {
        let plaintext = Plaintext::new(SecretBytes::fill(65, |bytes| bytes.fill(0xa5)));
        let body = ResponseBody::Plaintext(plaintext);
        let body_bytes = encode_body(&body);
        assert_eq!(body_bytes.capacity(), Writer::new().finish().capacity());
        let receipt = SignedReceipt {
            bytes: vec![1; RECEIPT_BYTES_MAX],
            signature: [2; 64],
        };
        let room = body_bytes.len() + receipt.bytes.len() + receipt.signature.len();
        let encoded = encode_response(&Response {
            id: RequestId([1; 16]),
            unix_s: u64::MAX,
            request_hash: RequestHash([3; 32]),
            outcome: Outcome::Approve,
            body: Some(body),
            receipt: Some(receipt),
        });
        let expected = Writer::with_room(room).finish().capacity();
        assert_eq!(encoded.capacity(), expected);
    }
}
