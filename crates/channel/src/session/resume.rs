//! A session goes on, on another connection or server: frames 30 and 31.
//!
//! **Invariant**: a proof is over both hellos of the connection that it comes on, so
//! it is worth nothing elsewhere; the new keys need the old secret and an exchange
//! (X25519) that is gone afterwards.

use keystead_core::{Secret, SecretBytes};
use keystead_sodium::crypto_box;
use rand_core::CryptoRngCore;

use super::binding::{Binding, SessionKind};
use super::client_session::ClientSession;
use super::frame::{Frame, FrameType, Handle};
use super::hello::{BindingKind, Greeted};
use super::ids::{ServerId, SessionId};
use super::keys::SessionKeys;
use super::name::hmac_sha256;
use super::requests::{Known, OpenedResult};
use super::sealed::Epoch;
use super::set_up::{Resume, ResumeClaim};
use super::status::SetUpError;
use crate::wire::Fault;

/// What a client resumes a session with.
pub struct Ticket {
    pub(super) session: SessionId,
    pub(super) generation: u32,
    pub(super) server: ServerId,
    /// rs_g.
    pub(super) secret: Secret<32>,
}

impl Ticket {
    /// Which session.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Of which server.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// How often it was resumed.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// For the way from one program of a person to another, in memory alone:
    /// session ‖ generation u32 ‖ server ‖ rs_g.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let generation = self.generation.to_be_bytes();
        let parts = [
            self.session.0.as_slice(),
            &generation,
            &self.server.0,
            self.secret.expose(),
        ];
        SecretBytes::fill(TICKET_BYTES, |out| {
            let bytes = parts.into_iter().flatten();
            out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        })
    }

    /// Reads what [`Ticket::encode`] gave.
    ///
    /// # Errors
    /// Of another length.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let read = |bytes| {
            let (session, rest) = <[u8]>::split_first_chunk(bytes)?;
            let (generation, rest) = rest.split_first_chunk()?;
            let (server, rest) = rest.split_first_chunk()?;
            let secret = <&[u8; 32]>::try_from(rest).ok()?;
            Some(Self {
                session: SessionId(*session),
                generation: u32::from_be_bytes(*generation),
                server: ServerId(*server),
                secret: Secret::fill(|to| to.copy_from_slice(secret)),
            })
        };
        read(bytes).ok_or(Fault::TooLong(bytes.len()))
    }

    /// Frame 30, to be sent on a connection to the same server.
    ///
    /// # Errors
    /// Another server, or it wants a binding that is not there; the ticket with it.
    pub fn resume(
        self,
        greeted: &Greeted,
        handle: Handle,
        binding: Binding,
        known: Known,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(ResumeSent, Vec<u8>), Box<NotResumed>> {
        if greeted.server_id != self.server {
            let error = SetUpError::ServerChanged {
                found: greeted.server_id,
                log_key: greeted.hello.log_key,
            };
            return Err(NotResumed::new(error, self));
        }
        let is_bound = binding.kind() == BindingKind::Exporter;
        if greeted.hello.lowest_binding == BindingKind::Exporter && !is_bound {
            return Err(NotResumed::new(SetUpError::Binding, self));
        }
        let scalar = Secret::fill(|bytes| rng.fill_bytes(bytes));
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let claim = ResumeClaim {
            session: self.session,
            generation: self.generation,
            nonce,
            point: crypto_box::public_key(scalar.expose()),
            binding: binding.kind(),
            known,
        };
        let transcript = claim.transcript(&greeted.hellos, &self.server, &binding);
        let proof = hmac_sha256(&self.secret, &[&transcript]);
        let body = Resume { claim, proof }.encode();
        let frame = Frame {
            kind: FrameType::Resume,
            handle,
            body: &body,
        };
        let frame = frame.encode();
        let sent = ResumeSent {
            ticket: self,
            handle,
            scalar,
            transcript,
        };
        Ok((sent, frame))
    }
}

/// A client that has sent frame 30.
pub struct ResumeSent {
    ticket: Ticket,
    handle: Handle,
    scalar: Secret<32>,
    transcript: [u8; 32],
}

impl ResumeSent {
    /// The connection is gone: the ticket may be tried again elsewhere, for frame 31
    /// may have been lost.
    #[must_use]
    pub fn into_ticket(self) -> Ticket {
        self.ticket
    }

    /// Takes frame 31.
    ///
    /// # Errors
    /// Another frame, a refusal, a server that does not have the session's secret; the
    /// ticket with it, which is worth something unless the server refused it.
    pub fn receive(
        self,
        frame: &Frame<'_>,
    ) -> Result<(ClientSession, OpenedResult), Box<NotResumed>> {
        match self.try_receive(frame) {
            Ok(opened) => Ok(opened),
            Err(error) => Err(NotResumed::new(error, self.ticket)),
        }
    }

    fn try_receive(&self, frame: &Frame<'_>) -> Result<(ClientSession, OpenedResult), SetUpError> {
        super::expect(frame, FrameType::Resumed, self.handle)?;
        let drawn = frame.body.first_chunk::<DRAWN_BYTES>();
        let drawn = drawn.ok_or(SetUpError::OutOfTurn)?;
        let sealed = frame.body.get(DRAWN_BYTES..).unwrap_or_default();
        let point = drawn.last_chunk().ok_or(SetUpError::OutOfTurn)?;
        let shared = exchange(&self.scalar, point).ok_or(SetUpError::Refused)?;
        let secret = &self.ticket.secret;
        let keys = SessionKeys::of_resumption(secret, &shared, &self.transcript, drawn);
        let generation = self.ticket.generation.checked_add(1);
        let epoch = Epoch {
            session: self.ticket.session,
            generation: generation.ok_or(SetUpError::OutOfTurn)?,
        };
        let server = self.ticket.server;
        let kind = SessionKind::Request;
        let mut session = ClientSession::new(self.handle, kind, server, epoch, keys, AFTER_RESUME);
        let opened = session.open_first(sealed)?;
        Ok((session, opened))
    }
}

/// A session that did not go on.
pub struct NotResumed {
    /// Why.
    pub error: SetUpError,
    /// What it was tried with.
    pub ticket: Ticket,
}

impl NotResumed {
    fn new(error: SetUpError, ticket: Ticket) -> Box<Self> {
        Box::new(Self { error, ticket })
    }
}

/// X25519 (RFC 7748 section 6.1); nothing for a point that gives all zeros.
pub(super) fn exchange(scalar: &Secret<32>, point: &[u8; 32]) -> Option<Secret<32>> {
    Secret::try_fill(|shared| crypto_box::x25519(scalar.expose(), point, shared)).ok()
}

/// A ticket's parts.
const TICKET_BYTES: usize = 16 + 4 + 16 + 32;

/// Nonce and point of frame 31.
pub(super) const DRAWN_BYTES: usize = 32 + 32;

/// 1: frame 30 took the place of number 0.
pub(super) const AFTER_RESUME: u64 = 1;
