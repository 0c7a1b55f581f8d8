//! `session-bind@openssh.com` (OpenSSH `PROTOCOL.agent` §1): the client hands the agent the
//! host's signature over the session id, so the destination is proved and not told.

use super::key::PublicKey;
use super::signature::VerifyError;
use super::userauth::SESSION_ID_BYTES;
use super::wire::{ParseError, Reader, Writer};

/// A bound session: read, not yet believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionBind {
    /// The key that the host proved to the client, perhaps a host certificate.
    pub host_key: PublicKey,
    /// The first exchange hash of the connection.
    pub session_id: Vec<u8>,
    /// The host's signature over the session id.
    pub signature: Vec<u8>,
    /// Is the agent forwarded to that host?
    pub forwarding: bool,
}

impl SessionBind {
    /// The name of the extension.
    pub const EXTENSION: &'static str = "session-bind@openssh.com";

    /// Reads the contents of the extension message whole.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(contents: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(contents);
        let host_key = reader.string()?;
        let session_id = reader.string()?;
        let signature = reader.string()?;
        let forwarding = reader.bool()?;
        reader.finish()?;
        Self::from_parts(host_key, session_id, signature, forwarding)
    }

    /// Puts together what evidence carries as separate fields.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn from_parts(
        host_key: &[u8],
        session_id: &[u8],
        signature: &[u8],
        forwarding: bool,
    ) -> Result<Self, ParseError> {
        if !SESSION_ID_BYTES.contains(&session_id.len()) {
            return Err(ParseError::Value);
        }
        if signature.len() > SIGNATURE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        Ok(Self {
            host_key: PublicKey::from_blob(host_key)?,
            session_id: session_id.to_vec(),
            signature: signature.to_vec(),
            forwarding,
        })
    }

    /// Reads what a request carries as evidence.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn from_evidence(evidence: &keystead_core::SessionBind) -> Result<Self, ParseError> {
        Self::from_parts(
            &evidence.host_key,
            &evidence.session_id,
            &evidence.signature,
            evidence.forwarding,
        )
    }

    /// As a request carries it.
    #[must_use]
    pub fn to_evidence(&self) -> keystead_core::SessionBind {
        keystead_core::SessionBind {
            host_key: self.host_key.blob().to_vec(),
            session_id: self.session_id.clone(),
            signature: self.signature.clone(),
            forwarding: self.forwarding,
        }
    }

    /// The contents of the extension message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .string(self.host_key.blob())
            .string(&self.session_id)
            .string(&self.signature)
            .bool(self.forwarding)
            .into_bytes()
    }

    /// Did the host sign this session id, and an authority the host's certificate, if it is one?
    /// Without this a bind means nothing. Whether the authority is trusted is another question.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self) -> Result<(), VerifyError> {
        if let Some(certificate) = self.host_key.certificate()
            && !certificate.is_signed_in(self.host_key.blob())
        {
            // The session is signed by the key inside, which says nothing of what is around it.
            return Err(VerifyError::False);
        }
        self.host_key.verify(&self.session_id, &self.signature)
    }
}

/// RSA-16384 takes 2 KiB; nothing longer can be verified here.
const SIGNATURE_BYTES_MAX: usize = 4 * 1024;
