//! The text that an approver signs (`spec/session.md` section 8), for all who read it:
//! the server that asks, the client that carries it, the authenticator that shows it.
//!
//! **Invariant**: a text has one encoding, so what is signed is the text's own bytes,
//! whole and without anything before them; a text whose hash is not its body's, or
//! whose body is no request that can be approved, is read by nobody.

use super::fields::{self, Octets, Value, message};
use super::ids::{ServerId, SessionId, UserId, request_hash, sha256};
use super::requests::{APPROVAL_BYTES_MAX, Label, Method, PUBLIC_KEY_BYTES_MAX, Request};
use crate::wire::{Fault, Reader, Writer};

message! {
    /// What is to be approved.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Approval {
        /// "keystead/1 approval".
        0 tag: ApprovalTag,
        /// Which server asks.
        1 server: ServerId,
        /// Whose key it is.
        2 user: UserId,
        /// Who asked for it.
        3 session: SessionId,
        /// What was asked.
        4 method: Method,
        /// The plaintext of the request.
        5 body: Octets<APPROVAL_BYTES_MAX>,
        /// Its hash, as it stands in the log.
        6 request_hash: [u8; 32],
        /// One nonce, one act.
        7 nonce: [u8; 16],
        /// By the server's clock, which alone judges it.
        8 expires_unix_ms: u64,
        /// Of the key, if it signs.
        9 public_key: Option<Octets<PUBLIC_KEY_BYTES_MAX>>,
        /// Of the key, if one key is meant.
        10 label: Option<Label>,
    }
}

impl Approval {
    /// Reads a text from a server whole, as an approver does before it shows anything.
    ///
    /// # Errors
    /// The first rule that the bytes break; [`Fault::Range`] when the hash is another
    /// request's, [`Fault::Misplaced`] when the request is none that waits for approval.
    pub fn read(text: &[u8]) -> Result<(Self, Request), Fault> {
        if text.len() > APPROVAL_BYTES_MAX {
            return Err(Fault::StringLength(
                u64::try_from(text.len()).unwrap_or(u64::MAX),
            ));
        }
        let approval: Self = fields::decode(text)?;
        let number = approval.method.number();
        if approval.request_hash != request_hash(&approval.user, number, &approval.body.0) {
            return Err(Fault::Range(HASH_KEY));
        }
        let (_, request) = Request::decode(approval.method, &approval.body.0)?;
        if !may_wait(&request) {
            return Err(Fault::Misplaced(METHOD_KEY));
        }
        Ok((approval, request))
    }
}

/// The first field: it says what the bytes are, and that they are nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApprovalTag;

impl Value for ApprovalTag {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.text(TAG.len())? {
            TAG => Ok(Self),
            _ => Err(Fault::Text),
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.text(TAG);
    }

    fn room(&self) -> usize {
        TAG.len()
    }
}

/// What a log entry says of an approved request: H(text ‖ signatures, in the order in
/// which they came).
#[must_use]
pub fn approval_hash(text: &[u8], signatures: &[[u8; 64]]) -> [u8; 32] {
    let mut parts = vec![text];
    parts.extend(signatures.iter().map(<[u8; 64]>::as_slice));
    sha256(&parts)
}

/// Whether such a request ever waits for an approval.
fn may_wait(request: &Request) -> bool {
    matches!(
        request,
        Request::Retrieve(_) | Request::Sign(_) | Request::Policy(_) | Request::Approvers(_)
    )
}

const TAG: &str = "keystead/1 approval";

/// The keys whose fields are judged here, for the fault that names them.
const METHOD_KEY: u64 = 4;
const HASH_KEY: u64 = 6;

#[cfg(test)]
mod tests {
    use super::super::fields::Text;
    use super::super::ids::{KeyId, RequestId};
    use super::super::requests::{Intent, KeyType, Retrieve, Show};
    use super::*;

    const USER: UserId = UserId([0x21; 32]);

    fn approval(request: &Request) -> Approval {
        let body = request.encode(RequestId([0x0d; 16]));
        Approval {
            tag: ApprovalTag,
            server: ServerId([0x51; 16]),
            user: USER,
            session: SessionId([0x55; 16]),
            method: request.method(),
            request_hash: request_hash(&USER, request.method().number(), &body),
            body: Octets(body),
            nonce: [0x0e; 16],
            expires_unix_ms: 1_800_000_000_000,
            public_key: Some(Octets(vec![0x0f; 32])),
            label: Some(Label::Open(Text("laptop".into()))),
        }
    }

    fn retrieve() -> Request {
        Request::Retrieve(Retrieve {
            key: KeyId([0x1d; 16]),
            intent: Intent::Export,
            kind: KeyType::Ed25519,
        })
    }

    #[test]
    fn a_text_has_these_bytes() {
        let text = approval(&retrieve()).encode();
        let hex: String = text.iter().map(|it| format!("{it:02x}")).collect();
        let hash = "859f72b321c66e5d8458194c484313d628e1efada074f0f915c1319c5e57e978";
        let expected = [
            "ab",
            "0073",
            "6b657973746561642f3120617070726f76616c",
            "0150",
            &"51".repeat(16),
            "025820",
            &"21".repeat(32),
            "0350",
            &"55".repeat(16),
            "0407",
            "055829",
            "a40050",
            &"0d".repeat(16),
            "0150",
            &"1d".repeat(16),
            "02020302",
            "065820",
            hash,
            "0750",
            &"0e".repeat(16),
            "081b000001a3185c5000",
            "095820",
            &"0f".repeat(32),
            "0a66",
            "6c6170746f70",
        ];
        assert_eq!(hex, expected.concat());
    }

    #[test]
    fn a_text_is_read_whole_or_not_at_all() {
        let text = approval(&retrieve()).encode();
        let (read, request) = Approval::read(&text).unwrap();
        assert_eq!(
            (read.encode(), request.method()),
            (text.clone(), Method::Retrieve)
        );
        for len in 0..text.len() {
            assert!(Approval::read(&text[..len]).is_err(), "{len}");
        }
        assert!(Approval::read(&[text.as_slice(), &[0]].concat()).is_err());
        assert!(Approval::read(&vec![0; APPROVAL_BYTES_MAX + 1]).is_err());
    }

    /// A text whose hash, method or owner is another's is none: what is shown is what the
    /// server logs.
    #[test]
    fn the_hash_is_that_of_the_request() {
        let check = |change: fn(&mut Approval), expected: bool| {
            let mut approval = approval(&retrieve());
            change(&mut approval);
            assert_eq!(Approval::read(&approval.encode()).is_ok(), expected);
        };
        check(|_| (), true);
        check(|it| it.request_hash[0] ^= 1, false);
        check(|it| it.user.0[0] ^= 1, false);
        check(|it| it.method = Method::Show, false);
        check(|it| it.body.0[40] = 1, false);
        check(|it| it.nonce[0] ^= 1, true);
    }

    #[test]
    fn what_never_waits_is_not_approved() {
        let show = Show {
            key: KeyId([1; 16]),
        };
        for request in [Request::Show(show), Request::Delete(show), Request::Ping] {
            let text = approval(&request).encode();
            assert_eq!(
                Approval::read(&text).err(),
                Some(Fault::Misplaced(METHOD_KEY))
            );
        }
    }
}
