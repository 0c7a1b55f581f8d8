//! Requests, responses and receipts as bytes: deterministic CBOR, one encoding for one meaning.
//!
//! **Invariant**: what a decoder here accepts, the encoder gives back byte for
//! byte (RFC 8949 section 4.2.1), so a hash over bytes is a hash over meaning; but
//! purposes and transports of later versions, which a keeper may name, are left out
//! of what is read, so a receipt is checked over the bytes that came ([`Received`]).
//! Everything else is refused whole, with a [`Fault`] that names the first rule
//! broken. Layouts and limits: `spec/pairing.md` sections 1 and 5.

mod body;
mod evidence;
mod identity;
mod import;
mod key_server;
mod parts;
mod receipt;
mod request;
mod response;
mod strict;

pub use body::{body_hash, encode_body};
pub use evidence::fit_evidence;
pub(crate) use parts::{read_name, read_version};
pub use receipt::{
    ReceiptFault, check_receipt, decode_receipt, encode_receipt, is_signed, next_receipt,
    receipt_payload,
};
pub use request::{decode_request, encode_request, request_hash};
pub use response::{
    Received, decode_local_response, decode_response, encode_response, receive_response,
    response_id,
};
pub use strict::Fault;

pub(crate) use strict::{Fields, Reader, Writer};

use keystead_core::{Outcome, RequestId, is_unsafe_to_show};

/// Bytes that are no message, and what can still be said of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct WireError {
    /// The request id, where it could be read: then an answer can be sent.
    pub id: Option<RequestId>,
    /// The first rule that the bytes break.
    #[source]
    pub fault: Fault,
}

impl WireError {
    /// How a request with this fault is answered, if its id could be read.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.fault.is_unsupported() {
            Outcome::Unsupported
        } else {
            Outcome::Malformed
        }
    }
}

/// A text cut and cleaned so that it may stand in a message: characters that
/// [`is_unsafe_to_show`] names become `?`, and no more than `bytes_max` bytes stay.
#[must_use]
pub fn showable(text: &str, bytes_max: usize) -> String {
    let mut clean = String::new();
    for character in text.chars() {
        let character = if is_unsafe_to_show(character) {
            '?'
        } else {
            character
        };
        if clean.len() + character.len_utf8() > bytes_max {
            break;
        }
        clean.push(character);
    }
    clean
}

/// The version of every message here (key 0).
pub const VERSION: u64 = 1;

/// 262,144 bytes: the longest request or response, whole (section 4).
pub const MESSAGE_BYTES_MAX: usize = keystead_core::Request::BYTES_MAX;

/// 16,384 bytes: an SSH public key or signature; four times the longest in use
/// (RSA with 16,384 bits, a certificate with many principals).
pub const BLOB_BYTES_MAX: usize = 16_384;

/// 128 bytes: a session id, as much as OpenSSH's own agent takes (`AGENT_MAX_SID_LEN`).
pub const SESSION_ID_BYTES_MAX: usize = 128;

/// 255 bytes: a host's name (RFC 1035 section 2.3.4) or an account's.
pub const HOST_NAME_BYTES_MAX: usize = 255;

/// 4,096 bytes: a path (`PATH_MAX`).
pub const PATH_BYTES_MAX: usize = 4_096;

/// 1,024 bytes: one argument of a command line; more than a screen shows of it.
pub const ARGUMENT_BYTES_MAX: usize = 1_024;

/// 255 bytes: what a person is doing, in words.
pub const INTENT_BYTES_MAX: usize = 255;

/// 4,096 bytes: a passphrase or PIN; OpenSSH's `ssh-add` reads at most 1,024.
pub const PASSPHRASE_BYTES_MAX: usize = 4_096;

/// 1,024 certificates of a token's keys (OpenSSH `AGENT_MAX_EXT_CERTS`).
pub const CERTIFICATES_MAX: usize = 1_024;

/// 2,048 bytes: a URL or an address.
pub const URL_BYTES_MAX: usize = 2_048;

/// 64 bytes: the name of an algorithm (RFC 4251 section 6).
pub const ALGORITHM_BYTES_MAX: usize = 64;

/// 32 bytes: the name of a curve.
pub const CURVE_BYTES_MAX: usize = 32;

/// 1,024 bytes: an OpenPGP user id, as long as the text of an identity made of it.
pub const USER_ID_BYTES_MAX: usize = keystead_core::Identity::URI_BYTES_MAX;

/// 98,304 bytes: a key server's text (section 5.1).
pub const APPROVAL_TEXT_BYTES_MAX: usize = keystead_core::ApproveServerRequest::TEXT_BYTES_MAX;

/// 256 bytes: a receipt has at most 122.
const RECEIPT_BYTES_MAX: usize = 256;

/// 256 keys of one authenticator: more than anyone can tell apart on a screen.
pub const KEYS_MAX: usize = 256;

/// 16 ways to reach one authenticator; each is tried at the same time.
pub const TRANSPORTS_MAX: usize = 16;

/// 32 purposes of a key, those that later versions add included.
pub const PURPOSES_MAX: usize = 32;

/// 1,024 pinned hosts in one answer; the message's own limit comes soon after.
pub const HOSTS_MAX: usize = 1_024;
