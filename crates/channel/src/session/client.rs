//! The client's way into a session: registration and login.
//!
//! **Invariant**: the password leaves only blinded; `open` leaves only when KE2 has
//! proved that the server knows the record and has the key of its hello.

use std::sync::Arc;

use keystead_core::Secret;
use rand_core::CryptoRngCore;

use super::binding::{Binding, SessionKind, context};
use super::client_session::ClientSession;
use super::fields::Message;
use super::frame::{Frame, FrameType, Handle};
use super::hello::{BindingKind, Greeted};
use super::ids::RequestId;
use super::keys::SessionKeys;
use super::name::{AccountName, Password};
use super::opaque::{LoggingIn, Owner, Profile, RECORD_BYTES, Registering, Stretched};
use super::requests::{Answer, Method, Open, OpenedResult, Request};
use super::sealed::Epoch;
use super::set_up::{self, LoginStart, RegisterStart, RegisterUpload, Unlock};
use super::status::{ErrorBody, SetUpError, Status};

/// Who logs in.
pub struct Credentials {
    /// The account.
    pub name: AccountName,
    /// The password; gone when KE3 is made.
    pub password: Password,
}

/// What a login may bring beside the password.
#[derive(Default)]
pub struct Extras {
    /// A device pass of an earlier login.
    pub pass: Option<Secret<32>>,
    /// Lifts a lock, once.
    pub recovery_code: Option<Secret<16>>,
    /// An approver lifts it.
    pub unlock: Option<Unlock>,
}

/// A client that has sent frame 10.
pub struct RegisterSent {
    handle: Handle,
    credentials: Credentials,
    exporter: [u8; 32],
    state: Registering,
    kept: Option<Arc<Stretched>>,
}

impl RegisterSent {
    /// Blinds the password. Registration is always bound to its TLS connection.
    ///
    /// # Errors
    /// The password cannot be blinded: [`SetUpError::Refused`].
    pub fn start(
        handle: Handle,
        credentials: Credentials,
        exporter: [u8; 32],
        invitation: Option<Secret<16>>,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, Vec<u8>), SetUpError> {
        let (state, request) = Registering::start(&credentials.password, rng)?;
        let start = RegisterStart {
            name: credentials.name.clone(),
            request,
            invitation,
        };
        let frame = frame(FrameType::RegisterStart, handle, &start);
        let sent = Self {
            handle,
            credentials,
            exporter,
            state,
            kept: None,
        };
        Ok((sent, frame))
    }

    /// Keeps what the password is stretched to; see [`Stretched`].
    #[must_use]
    pub fn keeping(mut self, kept: Arc<Stretched>) -> Self {
        self.kept = Some(kept);
        self
    }

    /// Takes frame 11: makes the record, stretched as `profile` says, and begins the
    /// login that confirms it. Frame 12 is to be sent.
    ///
    /// # Errors
    /// Another frame, a refusal, a server with another key than its hello told.
    pub fn receive(
        self,
        frame: &Frame<'_>,
        greeted: &Greeted,
        profile: Profile,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(LoginSent, Vec<u8>), SetUpError> {
        super::expect(frame, FrameType::RegisterResponse, self.handle)?;
        let response = frame.body.try_into().map_err(|_| SetUpError::OutOfTurn)?;
        let password = &self.credentials.password;
        let owner = Owner {
            name: &self.credentials.name,
            server: &greeted.server_id,
            profile,
            kept: self.kept.as_ref(),
        };
        let opaque_key = &greeted.hello.opaque_key;
        // `export_key` comes again with the login, and is used only then.
        let (record, _) = self
            .state
            .finish(response, password, &owner, opaque_key, rng)?;
        let (state, ke1) = LoggingIn::start(password, rng)?;
        let upload = RegisterUpload {
            record,
            profile,
            ke1,
        };
        let frame = self::frame(FrameType::RegisterUpload, self.handle, &upload);
        let sent = LoginSent {
            handle: self.handle,
            credentials: self.credentials,
            binding: Binding::Exporter(self.exporter),
            state,
            registered: Some(profile),
            kept: self.kept,
        };
        Ok((sent, frame))
    }
}

/// A client that has sent KE1, in frame 12 or 20.
pub struct LoginSent {
    handle: Handle,
    credentials: Credentials,
    binding: Binding,
    state: LoggingIn,
    /// In a registration session: the profile that was chosen.
    registered: Option<Profile>,
    kept: Option<Arc<Stretched>>,
}

impl LoginSent {
    /// Begins a login with frame 20.
    ///
    /// # Errors
    /// The password cannot be blinded: [`SetUpError::Refused`].
    pub fn start(
        handle: Handle,
        credentials: Credentials,
        binding: Binding,
        extras: Extras,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, Vec<u8>), SetUpError> {
        let (state, ke1) = LoggingIn::start(&credentials.password, rng)?;
        let start = LoginStart {
            name: credentials.name.clone(),
            ke1,
            binding: binding.kind(),
            pass: extras.pass,
            recovery_code: extras.recovery_code,
            unlock: extras.unlock,
        };
        let frame = frame(FrameType::LoginStart, handle, &start);
        let sent = Self {
            handle,
            credentials,
            binding,
            state,
            registered: None,
            kept: None,
        };
        Ok((sent, frame))
    }

    /// Keeps what the password is stretched to, or uses what was kept; see [`Stretched`].
    #[must_use]
    pub fn keeping(mut self, kept: Arc<Stretched>) -> Self {
        self.kept = Some(kept);
        self
    }

    /// Takes frame 21, which proves the server; frame 22 with `open` is to be sent.
    ///
    /// Takes as long as the profile's Argon2id does.
    ///
    /// # Errors
    /// Another frame, a refusal, a profile that is not to be used, a wrong password.
    pub fn receive(
        self,
        frame: &Frame<'_>,
        greeted: &Greeted,
        open: Open,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(OpenSent, Vec<u8>), SetUpError> {
        super::expect(frame, FrameType::LoginResponse, self.handle)?;
        let is_bound = self.binding.kind() == BindingKind::Exporter;
        if greeted.hello.lowest_binding == BindingKind::Exporter && !is_bound {
            return Err(SetUpError::Binding);
        }
        let (byte, ke2) = set_up::decode_response(frame.body).ok_or(SetUpError::OutOfTurn)?;
        let profile = Profile::from_number(u64::from(byte));
        let profile = profile.filter(|it| self.registered.is_none_or(|chosen| chosen == *it));
        let profile = profile.ok_or(SetUpError::Profile(byte))?;
        let kind = match self.registered {
            Some(_) => SessionKind::Registration,
            None => SessionKind::Request,
        };
        let server = &greeted.server_id;
        let context = context(kind, &self.binding, server, &greeted.hellos, self.handle);
        let owner = Owner {
            name: &self.credentials.name,
            server,
            profile,
            kept: self.kept.as_ref(),
        };
        let password = &self.credentials.password;
        let opaque_key = &greeted.hello.opaque_key;
        let logged_in = self
            .state
            .finish(ke2, password, &owner, &context, opaque_key, rng)?;
        let (id, keys) = SessionKeys::of_login(logged_in.session_key);
        let epoch = Epoch {
            session: id,
            generation: 0,
        };
        let mut session = ClientSession::new(self.handle, kind, *server, epoch, keys, 0);
        let request = Request::Open(open);
        let body = session.seal_first(&request, RequestId::draw(rng));
        let finish = Frame {
            kind: FrameType::LoginFinish,
            handle: self.handle,
            body: &logged_in.ke3,
        };
        let frame = finish.encode_parts(&[&body.map_err(|_| SetUpError::OutOfTurn)?]);
        let sent = OpenSent {
            session,
            export_key: logged_in.export_key,
        };
        Ok((sent, frame))
    }
}

/// A client that has sent frame 22.
pub struct OpenSent {
    pub(super) session: ClientSession,
    pub(super) export_key: Secret<64>,
}

impl OpenSent {
    /// Takes `opened`: the session is open.
    ///
    /// # Errors
    /// Another frame, a refusal, a frame that does not open.
    pub fn receive(mut self, frame: &Frame<'_>) -> Result<LoggedIn, SetUpError> {
        super::expect(frame, FrameType::Sealed, self.session.handle())?;
        let opened = self.session.open_first(frame.body)?;
        Ok(LoggedIn {
            session: self.session,
            export_key: self.export_key,
            opened,
        })
    }
}

/// What a login gives.
pub struct LoggedIn {
    /// The session; after a registration, one that takes `complete` alone.
    pub session: ClientSession,
    /// `master_key` is made of it; it goes to where that is used, and is gone.
    pub export_key: Secret<64>,
    /// What the server said.
    pub opened: OpenedResult,
}

/// A client that has asked for another password: methods 20 and 21.
pub struct NewPassword {
    credentials: Credentials,
    state: Registering,
}

impl NewPassword {
    /// Blinds the new password; what comes with the state goes into
    /// [`super::requests::PasswordStart`].
    ///
    /// # Errors
    /// The password cannot be blinded: [`SetUpError::Refused`].
    pub fn start(
        credentials: Credentials,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, [u8; 32]), SetUpError> {
        let (state, request) = Registering::start(&credentials.password, rng)?;
        Ok((Self { credentials, state }, request))
    }

    /// Takes [`super::requests::PasswordResponse`]: the record for
    /// [`super::requests::PasswordFinish`] and the new `export_key`.
    ///
    /// # Errors
    /// A server with another key than its hello told.
    pub fn finish(
        self,
        response: &[u8; 64],
        greeted: &Greeted,
        profile: Profile,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<([u8; RECORD_BYTES], Secret<64>), SetUpError> {
        let password = &self.credentials.password;
        let owner = Owner {
            name: &self.credentials.name,
            server: &greeted.server_id,
            profile,
            kept: None,
        };
        let opaque_key = &greeted.hello.opaque_key;
        let made = self
            .state
            .finish(response, password, &owner, opaque_key, rng)?;
        Ok(made)
    }
}

/// The result of `opened`, if the server did open.
pub(super) fn read_opened(plain: &[u8]) -> Result<OpenedResult, SetUpError> {
    let answer = Answer::decode(Method::Open, plain)?;
    match (answer.status, answer.result) {
        (Status::Done, Some(result)) => Ok(OpenedResult::decode(result.expose())?),
        (Status::Done, None) => Err(SetUpError::OutOfTurn),
        (code, _) => Err(SetUpError::Server(ErrorBody { code, wait_s: None })),
    }
}

fn frame(kind: FrameType, handle: Handle, body: &impl Message) -> Vec<u8> {
    let body = super::fields::encode(body);
    let frame = Frame {
        kind,
        handle,
        body: &body,
    };
    frame.encode()
}
