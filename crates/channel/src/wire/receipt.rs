//! Receipts: what an authenticator states about an answer, signed (`spec/pairing.md` section 6).

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use keystead_core::{Outcome, Receipt, ReceiptChain, RequestHash, ResponseBody, SignedReceipt};

use super::response::read_outcome;
use super::{Fault, Reader, Received, Writer, body_hash};

/// Why a receipt does not prove the response that it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptFault {
    /// The outcome has none, or it is not there.
    #[error("the answer has no receipt")]
    Missing,
    /// Its bytes are no receipt.
    #[error("the receipt cannot be read: {0}")]
    Unreadable(#[source] Fault),
    /// The signature is not by the pairing's receipt key.
    #[error("the receipt's signature is false")]
    Signature,
    /// It is about another request.
    #[error("the receipt is about another request")]
    Request,
    /// It states another outcome or another body.
    #[error("the receipt states another answer")]
    Answer,
}

/// What is to be said of an answer: the next receipt of its pairing's chain.
#[must_use]
pub fn next_receipt(
    chain: &ReceiptChain,
    request_hash: RequestHash,
    outcome: Outcome,
    body: Option<&ResponseBody>,
    unix_s: u64,
) -> Receipt {
    Receipt {
        seq: chain.seq,
        prev: chain.prev,
        request_hash,
        outcome,
        unix_s,
        body_hash: body_hash(body),
    }
}

/// The receipt's bytes.
#[must_use]
pub fn encode_receipt(receipt: &Receipt) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(6).key(1).unsigned(receipt.seq);
    writer.key(2).bytes(&receipt.prev);
    writer.key(3).bytes(receipt.request_hash.as_bytes());
    writer.key(4).unsigned(u64::from(receipt.outcome.number()));
    writer.key(5).unsigned(receipt.unix_s);
    writer.key(6).bytes(&receipt.body_hash);
    writer.finish()
}

/// Reads a receipt, whole or not at all; says nothing about its signature.
///
/// # Errors
/// The first rule that the bytes break.
pub fn decode_receipt(bytes: &[u8]) -> Result<Receipt, Fault> {
    let mut reader = Reader::new(bytes);
    let mut fields = reader.fields()?;
    fields.required(&mut reader, 1)?;
    let seq = reader.unsigned()?;
    fields.required(&mut reader, 2)?;
    let prev = reader.array()?;
    fields.required(&mut reader, 3)?;
    let request_hash = RequestHash(reader.array()?);
    fields.required(&mut reader, 4)?;
    let outcome = read_outcome(&mut reader)?;
    if !outcome.has_receipt() {
        return Err(Fault::Range(u64::from(outcome.number())));
    }
    fields.required(&mut reader, 5)?;
    let unix_s = reader.unsigned()?;
    fields.required(&mut reader, 6)?;
    let body_hash = reader.array()?;
    fields.end(&mut reader)?;
    reader.end()?;
    Ok(Receipt {
        seq,
        prev,
        request_hash,
        outcome,
        unix_s,
        body_hash,
    })
}

/// What the receipt key signs: `"keystead-receipt-1" ‖ receipt`.
#[must_use]
pub fn receipt_payload(receipt: &[u8]) -> Vec<u8> {
    [b"keystead-receipt-1", receipt].concat()
}

/// Whether a signature over a receipt is by `receipt_key` (Ed25519, RFC 8032).
#[must_use]
pub fn is_signed(receipt: &SignedReceipt, receipt_key: &[u8; 32]) -> bool {
    UnparsedPublicKey::new(&ED25519, receipt_key)
        .verify(&receipt_payload(&receipt.bytes), &receipt.signature)
        .is_ok()
}

/// Checks that the response's receipt is signed by `receipt_key` and states
/// exactly this answer. Its place in the chain is for who keeps the chain:
/// an answer that never arrived leaves a gap that is no lie.
///
/// # Errors
/// The first thing that does not fit.
pub fn check_receipt(received: &Received, receipt_key: &[u8; 32]) -> Result<Receipt, ReceiptFault> {
    let response = &received.response;
    let signed = response.receipt.as_ref().ok_or(ReceiptFault::Missing)?;
    if !is_signed(signed, receipt_key) {
        return Err(ReceiptFault::Signature);
    }
    let receipt = decode_receipt(&signed.bytes).map_err(ReceiptFault::Unreadable)?;
    if receipt.request_hash != response.request_hash {
        return Err(ReceiptFault::Request);
    }
    if receipt.outcome != response.outcome || receipt.body_hash != *received.body_hash() {
        return Err(ReceiptFault::Answer);
    }
    Ok(receipt)
}
