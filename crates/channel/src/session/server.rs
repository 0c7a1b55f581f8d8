//! The server's way into a session: registration and login.
//!
//! **Invariant**: what a client can learn from KE2 is the same with an account and
//! without one; `open` is looked at only when KE3 has been checked.

use std::sync::Arc;

use keystead_core::Secret;
use opaque_ke::ServerLogin;
use rand_core::CryptoRngCore;

use super::binding::{Binding, SessionKind, context};
use super::frame::{Frame, FrameType, Handle};
use super::hello::{BindingKind, Hellos};
use super::ids::{ServerId, SessionId};
use super::keys::SessionKeys;
use super::name::AccountName;
use super::opaque::{
    Bound, KE1_BYTES, OpaqueError, Profile, RECORD_BYTES, ServerKeys, Suite1, finish_server,
    is_record,
};
use super::requests::{Method, Open, OpenedResult, Request};
use super::row::SessionRow;
use super::sealed::{Closed, Epoch};
use super::server_session::{ServerSession, SessionMark};
use super::set_up::{self, LoginStart, RegisterStart, RegisterUpload};
use super::status::SetUpError;

/// Where a session is opened.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The server.
    pub server: ServerId,
    /// Of this connection.
    pub hellos: Hellos,
    /// The session's.
    pub handle: Handle,
    /// What this connection's TLS gives; nothing where a proxy ends it.
    pub exporter: Option<[u8; 32]>,
    /// The lowest that the server takes.
    pub lowest_binding: BindingKind,
}

impl Place {
    /// What a session is bound to for which the client says `wanted`.
    ///
    /// # Errors
    /// Less than the server takes, or more than this connection has.
    pub fn binding(&self, wanted: BindingKind) -> Result<Binding, SetUpError> {
        match (wanted, self.exporter) {
            (BindingKind::Exporter, Some(exporter)) => Ok(Binding::Exporter(exporter)),
            (BindingKind::Unbound, _) if self.lowest_binding == BindingKind::Unbound => {
                Ok(Binding::Unbound)
            }
            (BindingKind::Exporter, None) | (BindingKind::Unbound, _) => Err(SetUpError::Binding),
        }
    }
}

/// Whose password a login is measured against.
pub enum Account<'a> {
    /// An account, active or (in its registration session) pending.
    Known {
        /// What registration left.
        record: &'a [u8; RECORD_BYTES],
        /// `user_seed`: the credential id.
        seed: &'a [u8; 32],
        /// How its password is stretched.
        profile: Profile,
    },
    /// A name that no account has.
    Unknown {
        /// [`AccountName::decoy_seed`].
        seed: [u8; 32],
        /// Drawn by [`AccountName::decoy_share`].
        profile: Profile,
    },
}

/// A server that has answered frame 10.
pub struct AwaitUpload {
    place: Place,
    binding: Binding,
    name: AccountName,
    seed: [u8; 32],
    until_ms: u64,
}

impl AwaitUpload {
    /// Evaluates the password under a new credential id; frame 11 is to be sent.
    ///
    /// Whether the name is free and the invitation good is decided before.
    ///
    /// # Errors
    /// The connection is not bound, or the request is no point.
    pub fn start(
        keys: &ServerKeys,
        place: Place,
        start: &RegisterStart,
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, Vec<u8>), SetUpError> {
        // Who ends the TLS of a registration could guess the password offline.
        let binding = place.binding(BindingKind::Exporter)?;
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let response = keys.register(&start.request, &seed)?;
        let frame = Frame {
            kind: FrameType::RegisterResponse,
            handle: place.handle,
            body: &response,
        };
        let frame = frame.encode();
        let state = Self {
            place,
            binding,
            name: start.name.clone(),
            seed,
            until_ms: now_ms.saturating_add(PENDING_MS_MAX),
        };
        Ok((state, frame))
    }

    /// Takes frame 12.
    ///
    /// # Errors
    /// Another frame, a record that is none, or too late.
    pub fn receive(self, frame: &Frame<'_>, now_ms: u64) -> Result<Uploaded, SetUpError> {
        super::turn(frame, FrameType::RegisterUpload, self.place.handle)?;
        if now_ms >= self.until_ms {
            return Err(SetUpError::Late);
        }
        let upload = RegisterUpload::decode(frame.body)?;
        if !is_record(&upload.record) {
            return Err(SetUpError::Refused);
        }
        Ok(Uploaded {
            name: self.name,
            record: upload.record,
            seed: self.seed,
            profile: upload.profile,
            place: self.place,
            binding: self.binding,
            ke1: upload.ke1,
            until_ms: self.until_ms,
        })
    }
}

/// A record that is to be stored as pending, and a login against it that waits.
pub struct Uploaded {
    /// The account's name.
    pub name: AccountName,
    /// The record.
    pub record: [u8; RECORD_BYTES],
    /// `user_seed`, drawn for this record.
    pub seed: [u8; 32],
    /// How the password was stretched.
    pub profile: Profile,
    place: Place,
    binding: Binding,
    ke1: [u8; KE1_BYTES],
    until_ms: u64,
}

impl Uploaded {
    /// Answers the login, when the pending account is stored; frame 21 is to be sent.
    ///
    /// # Errors
    /// KE1 is none.
    pub fn answer(
        self,
        keys: &ServerKeys,
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(AwaitFinish, Vec<u8>), SetUpError> {
        let account = Account::Known {
            record: &self.record,
            seed: &self.seed,
            profile: self.profile,
        };
        let attempt = Attempt {
            kind: SessionKind::Registration,
            name: &self.name,
            ke1: &self.ke1,
            binding: self.binding,
        };
        let (mut state, frame) = attempt.answer(keys, self.place, &account, now_ms, rng)?;
        state.until_ms = state.until_ms.min(self.until_ms);
        Ok((state, frame))
    }
}

/// A new password that was evaluated: between methods 20 and 21.
pub struct AwaitRecord {
    seed: [u8; 32],
}

impl AwaitRecord {
    /// Evaluates the new password under a new credential id; the response goes into
    /// [`super::requests::PasswordResponse`].
    ///
    /// # Errors
    /// The request is no point.
    pub fn start(
        keys: &ServerKeys,
        request: &[u8; 32],
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, [u8; 64]), SetUpError> {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let response = keys.register(request, &seed)?;
        Ok((Self { seed }, response))
    }

    /// The credential id that belongs to `record`.
    ///
    /// # Errors
    /// The record is none.
    pub fn finish(self, record: &[u8; RECORD_BYTES]) -> Result<[u8; 32], SetUpError> {
        match is_record(record) {
            true => Ok(self.seed),
            false => Err(SetUpError::Refused),
        }
    }
}

/// A server that has sent KE2.
pub struct AwaitFinish {
    place: Place,
    kind: SessionKind,
    name: AccountName,
    context: Vec<u8>,
    state: ServerLogin<Suite1>,
    until_ms: u64,
}

impl AwaitFinish {
    /// Answers frame 20. The guess is counted before the frame that this gives is
    /// sent: KE2 is the guess.
    ///
    /// # Errors
    /// A binding that does not fit, or KE1 is none.
    pub fn start(
        keys: &ServerKeys,
        place: Place,
        start: &LoginStart,
        account: &Account<'_>,
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, Vec<u8>), SetUpError> {
        let attempt = Attempt {
            kind: SessionKind::Request,
            name: &start.name,
            ke1: &start.ke1,
            binding: place.binding(start.binding)?,
        };
        attempt.answer(keys, place, account, now_ms, rng)
    }

    /// Takes frame 22: checks KE3, then opens `open`.
    ///
    /// # Errors
    /// Another frame, a bad KE3, an `open` that does not open, or too late.
    pub fn receive(self, frame: &Frame<'_>, now_ms: u64) -> Result<Opening, SetUpError> {
        super::turn(frame, FrameType::LoginFinish, self.place.handle)?;
        if now_ms >= self.until_ms {
            return Err(SetUpError::Late);
        }
        let (ke3, sealed) = set_up::decode_finish(frame.body).ok_or(SetUpError::Refused)?;
        let bound = Bound {
            context: &self.context,
            name: &self.name,
            server: &self.place.server,
        };
        let session_key = finish_server(self.state, ke3, &bound)?;
        let (id, keys) = SessionKeys::of_login(session_key);
        let epoch = Epoch {
            session: id,
            generation: 0,
        };
        let mut session = ServerSession::new(self.place.handle, self.kind, epoch, &keys, 0);
        let open = read_open(&mut session, sealed)?;
        Ok(Opening {
            open,
            kind: self.kind,
            draft: Draft {
                id,
                secret: keys.resume,
            },
            session: Unopened::logged_in(session),
        })
    }
}

/// A session that both ends have the keys of; it is open when the answer is sent.
pub struct Opening {
    /// What the client said.
    pub open: Open,
    /// What it is for.
    pub kind: SessionKind,
    /// What its row is made of.
    pub draft: Draft,
    /// The session.
    pub session: Unopened,
}

impl Opening {
    /// The frame with `opened`, to be sent when the login and the row are durable.
    ///
    /// # Errors
    /// The session is closed; it was not.
    pub fn opened(
        self,
        result: &OpenedResult,
        now_ms: u64,
    ) -> Result<(ServerSession, SessionRow, Vec<u8>), Closed> {
        let (session, frame) = self.session.opened(result)?;
        Ok((session, self.draft.row(now_ms), frame))
    }
}

/// A session's row before its transaction, which knows the time.
pub struct Draft {
    id: SessionId,
    secret: Secret<32>,
}

impl Draft {
    /// The session's id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The row.
    #[must_use]
    pub fn row(self, now_ms: u64) -> SessionRow {
        SessionRow::of_login(self.id, self.secret, now_ms)
    }
}

/// A session whose `opened` is not sealed yet: it tells what the transaction gave.
pub struct Unopened {
    session: ServerSession,
    kind: FrameType,
    /// What stands before the sealed part: in frame 31, what the server drew.
    head: Vec<u8>,
}

impl Unopened {
    fn logged_in(session: ServerSession) -> Self {
        Self {
            session,
            kind: FrameType::Sealed,
            head: Vec::new(),
        }
    }

    pub(super) fn resumed(session: ServerSession, drawn: Vec<u8>) -> Self {
        Self {
            session,
            kind: FrameType::Resumed,
            head: drawn,
        }
    }

    /// See [`ServerSession::mark`].
    #[must_use]
    pub fn mark(&self) -> Arc<SessionMark> {
        self.session.mark()
    }

    /// The session, and the frame that opens it at the client.
    ///
    /// # Errors
    /// The session is closed; it was not.
    pub fn opened(mut self, result: &OpenedResult) -> Result<(ServerSession, Vec<u8>), Closed> {
        let sealed = self.session.seal_opened(result)?;
        let frame = Frame {
            kind: self.kind,
            handle: self.session.handle(),
            body: &self.head,
        };
        let frame = frame.encode_parts(&[&sealed]);
        Ok((self.session, frame))
    }
}

/// A login as it came, in frame 12 or 20.
struct Attempt<'a> {
    kind: SessionKind,
    name: &'a AccountName,
    ke1: &'a [u8; KE1_BYTES],
    binding: Binding,
}

impl Attempt<'_> {
    fn answer(
        &self,
        keys: &ServerKeys,
        place: Place,
        account: &Account<'_>,
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(AwaitFinish, Vec<u8>), SetUpError> {
        let (record, seed, profile) = match account {
            Account::Known {
                record,
                seed,
                profile,
            } => (Some(*record), *seed, *profile),
            Account::Unknown { seed, profile } => (None, seed, *profile),
        };
        let Place { server, handle, .. } = place;
        let context = context(self.kind, &self.binding, &server, &place.hellos, handle);
        let bound = Bound {
            context: &context,
            name: self.name,
            server: &server,
        };
        let (state, ke2) = keys.answer(self.ke1, record, seed, &bound, rng)?;
        let frame = Frame {
            kind: FrameType::LoginResponse,
            handle,
            body: &set_up::encode_response(profile, &ke2),
        };
        let frame = frame.encode();
        let state = AwaitFinish {
            place,
            kind: self.kind,
            name: self.name.clone(),
            context,
            state,
            until_ms: now_ms.saturating_add(HANDSHAKE_MS_MAX),
        };
        Ok((state, frame))
    }
}

impl From<OpaqueError> for SetUpError {
    fn from(_: OpaqueError) -> Self {
        Self::Refused
    }
}

/// `open`, the first frame of a session.
fn read_open(session: &mut ServerSession, sealed: &[u8]) -> Result<Open, SetUpError> {
    let opened = session
        .open_first(sealed)
        .map_err(|_| SetUpError::Refused)?;
    if opened.method != Method::Open.number() || opened.sub != opened.n {
        return Err(SetUpError::OutOfTurn);
    }
    match Request::decode(Method::Open, opened.plain.bytes())? {
        (_, Request::Open(open)) => Ok(open),
        _ => Err(SetUpError::OutOfTurn),
    }
}

/// 60,000 ms from KE2 to KE3 (`spec/session.md` section 3).
pub const HANDSHAKE_MS_MAX: u64 = 60_000;

/// 600,000 ms: how long an account may stay pending (section 5.1).
pub const PENDING_MS_MAX: u64 = 600_000;
