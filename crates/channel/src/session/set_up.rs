//! Bodies of the frames that open a session.
//!
//! **Invariant**: bodies with fields are deterministic CBOR, bodies without are of
//! one exact length.

use keystead_core::Secret;

use super::binding::Binding;
use super::fields::{self, Message, Value, message};
use super::hello::{BindingKind, Hellos};
use super::ids::{ApproverId, ServerId, SessionId, sha256};
use super::name::AccountName;
use super::opaque::{KE1_BYTES, KE2_BYTES, KE3_BYTES, Profile, RECORD_BYTES};
use super::requests::Known;
use crate::wire::{Fault, Fields, Reader, Writer};

message! {
    /// Frame 10.
    RegisterStart {
        /// The account's name.
        0 name: AccountName,
        /// RegistrationRequest (RFC 9807 section 5.1).
        1 request: [u8; 32],
        /// From an invitation link.
        2 invitation: Option<Secret<16>>,
    }
}

message! {
    /// Frame 12.
    RegisterUpload {
        /// RegistrationUpload: the record.
        0 record: [u8; RECORD_BYTES],
        /// How the password was stretched.
        1 profile: Profile,
        /// KE1 of the login that follows at once.
        2 ke1: [u8; KE1_BYTES],
    }
}

message! {
    /// Frame 20.
    LoginStart {
        /// The account's name.
        0 name: AccountName,
        /// KE1.
        1 ke1: [u8; KE1_BYTES],
        /// Whether the login is bound to the TLS connection.
        2 binding: BindingKind,
        /// From an earlier login on this machine.
        3 pass: Option<Secret<32>>,
        /// Lifts a lock, once.
        4 recovery_code: Option<Secret<16>>,
        /// An approver lifts it.
        5 unlock: Option<Unlock>,
    }
}

message! {
    /// An approver lifts a lock.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Unlock {
        /// Which.
        0 approver: ApproverId,
        /// When, by its clock.
        1 unix_s: u64,
        /// Over "keystead/1 unlock" ‖ server_id ‖ name ‖ time u64.
        2 signature: [u8; 64],
    }
}

message! {
    /// Frame 30 without its proof: what the proof is over.
    #[derive(Clone, Debug, PartialEq, Eq)]
    ResumeClaim {
        /// Which session.
        0 session: SessionId,
        /// The generation that the client holds.
        1 generation: u32,
        /// Drawn for this frame.
        2 nonce: [u8; 32],
        /// X25519 (RFC 7748), drawn for this frame.
        3 point: [u8; 32],
        /// Whether it is bound to the TLS connection.
        4 binding: BindingKind,
        /// The log as the client last saw it.
        5 known: Known,
    }
}

impl ResumeClaim {
    /// T of section 5.
    pub(super) fn transcript(
        &self,
        hellos: &Hellos,
        server: &ServerId,
        binding: &Binding,
    ) -> [u8; 32] {
        let mut bound = Vec::new();
        binding.push_to(&mut bound);
        sha256(&[
            b"keystead/1 resume",
            &hellos.client,
            &hellos.server,
            &server.0,
            &bound,
            &self.encode(),
        ])
    }
}

/// Frame 30.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Keys 0 to 5.
    pub claim: ResumeClaim,
    /// Key 6: HMAC-SHA-256 under the generation's secret.
    pub proof: [u8; 32],
}

impl Resume {
    /// Its one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        fields::encode(self)
    }

    /// Reads it, whole.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        fields::decode(bytes)
    }
}

impl Message for Resume {
    fn count(&self) -> usize {
        self.claim.count() + 1
    }

    fn write_fields(&self, writer: &mut Writer) {
        self.claim.write_fields(writer);
        self.proof.write(writer.key(6));
    }

    fn read_fields(fields: &mut Fields, reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self {
            claim: ResumeClaim::read_fields(fields, reader)?,
            proof: Value::take(fields, reader, 6)?,
        })
    }

    fn room_of_fields(&self) -> usize {
        self.claim.room_of_fields() + self.proof.len()
    }
}

/// KSF profile ‖ KE2: frame 21.
pub(super) fn encode_response(profile: Profile, ke2: &[u8; KE2_BYTES]) -> Vec<u8> {
    let mut body = vec![profile.byte()];
    body.extend_from_slice(ke2);
    body
}

/// The profile's byte and KE2.
pub(super) fn decode_response(body: &[u8]) -> Option<(u8, &[u8; KE2_BYTES])> {
    let (profile, ke2) = body.split_first()?;
    Some((*profile, ke2.try_into().ok()?))
}

/// KE3 and the sealed `open`: frame 22.
pub(super) fn decode_finish(body: &[u8]) -> Option<(&[u8; KE3_BYTES], &[u8])> {
    body.split_first_chunk()
}
