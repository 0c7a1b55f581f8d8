//! One connection to a key server: registers, logs in, resumes.
//!
//! **Invariant**: nothing is sent but hello before the server is the pinned one; each
//! step has its time; passwords are stretched beside the connection, not in its way.

use std::sync::Arc;
use std::time::Duration;

use keystead_channel::session::requests::{Open, OpenedResult};
use keystead_channel::session::{
    AccountName, Binding, Credentials, Extras, Frame, FrameError, Greeted, Greeting, Handle,
    Hellos, LoginSent, Nullable, OpenSent, Password, Pin, Profile, RegisterSent, ServerHello,
    ServerId, SessionKind, SetUpError, Stretched, Text, Ticket, UserId,
};
use keystead_core::Secret;
use keystead_daemon::SystemRng;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::endpoint::{Binds, Endpoint};
use super::error::{ServerError, Step};
use super::line::Line;
use super::plan::ANSWER_WAIT;
use super::session::{Core, Session};
use super::watch::Watch;

/// One connection to a server that has said hello. Clones are the same connection; it
/// ends with the last of them and of its sessions.
#[derive(Clone)]
pub struct Remote {
    line: Arc<Line>,
    greeted: Arc<Greeted>,
    exporter: [u8; 32],
    binds: Binds,
    answer_wait: Duration,
    certificate_ends_unix_s: Option<u64>,
}

/// Who registers.
pub struct Register {
    /// The account.
    pub account: AccountName,
    /// Its password.
    pub password: Password,
    /// From the link.
    pub invitation: Option<Secret<16>>,
    /// How the password is stretched.
    pub profile: Profile,
    /// The stretched password is kept here, for a client that logs in again and again
    /// (`channel::session::Stretched`).
    pub keeping: Option<Arc<Stretched>>,
}

/// A registration whose password is stretched, and whose record is to be stored.
pub struct Registering<'r> {
    remote: &'r Remote,
    sent: LoginSent,
    upload: Vec<u8>,
    frames: mpsc::Receiver<Vec<u8>>,
}

/// A registration that waits for `complete`.
pub struct Registered {
    /// Drawn by the server.
    pub user: UserId,
    /// `master_key` is made of it.
    pub export_key: Secret<64>,
    /// Takes `complete` alone, and then closes.
    pub session: Session,
}

/// Who logs in.
pub struct Login {
    /// The account.
    pub account: AccountName,
    /// Its password.
    pub password: Password,
    /// Device pass, recovery code, an approver's word.
    pub extras: Extras,
    /// How this machine is called in the list of sessions.
    pub device: Text<64>,
    /// Whether a device pass is wanted.
    pub wants_pass: bool,
    /// As in [`Register`].
    pub keeping: Option<Arc<Stretched>>,
}

/// A login that succeeded.
pub struct LoggedIn {
    /// The session.
    pub session: Session,
    /// `master_key` is made of it.
    pub export_key: Secret<64>,
    /// What the server said; its log has been checked.
    pub opened: OpenedResult,
}

/// A session that did not go on.
pub struct NotResumed {
    /// Why.
    pub error: ServerError,
    /// What it can be tried with again; none if the server refused it.
    pub ticket: Option<Ticket>,
}

impl Remote {
    /// Connects, and checks that the server is the pinned one.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn connect(to: &Endpoint) -> Result<Self, ServerError> {
        let stream = to.connector.connect().await?;
        let exporter = stream.exporter();
        let certificate_ends_unix_s = stream.certificate_ends_unix_s();
        let remote = Self::over(stream, exporter, to.pin, to.binds).await?;
        let answer_wait = to.answer_wait;
        Ok(Self {
            answer_wait,
            certificate_ends_unix_s,
            ..remote
        })
    }

    /// Over a stream that is there, whose exporter is known.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn over<S>(
        stream: S,
        exporter: [u8; 32],
        pin: Pin,
        binds: Binds,
    ) -> Result<Self, ServerError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let line = Line::start(stream);
        let (greeting, hello) = Greeting::start(&mut SystemRng);
        let mut frames = line.listen(Handle::CONNECTION)?;
        line.send(hello).await?;
        let rest = next(&mut frames, HELLO_WAIT).await?;
        let greeted = greeting.receive(&frame(&rest)?, pin);
        let greeted = greeted.map_err(|error| ServerError::of_set_up(error, Step::Hello))?;
        line.routes().forget(Handle::CONNECTION);
        Ok(Self {
            line: Arc::new(line),
            greeted: Arc::new(greeted),
            exporter,
            binds,
            answer_wait: ANSWER_WAIT,
            certificate_ends_unix_s: None,
        })
    }

    /// What the server said of itself.
    #[must_use]
    pub fn hello(&self) -> &ServerHello {
        &self.greeted.hello
    }

    /// When the server's certificate ends, in seconds from 1970; none over a stream that was
    /// there.
    #[must_use]
    pub fn certificate_ends_unix_s(&self) -> Option<u64> {
        self.certificate_ends_unix_s
    }

    /// Which server.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.greeted.server_id
    }

    /// What is to be pinned of it at registration.
    #[must_use]
    pub fn pin(&self) -> Pin {
        Pin::Both(self.greeted.server_id, self.greeted.hello.log_key)
    }

    /// What a password change needs of the connection.
    #[must_use]
    pub fn greeted(&self) -> &Greeted {
        &self.greeted
    }

    /// The hashes of both hellos.
    #[must_use]
    pub fn hellos(&self) -> Hellos {
        self.greeted.hellos
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.line.is_gone()
    }

    /// Registers, up to the login that confirms the record: `complete` is to be asked of
    /// the session.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn register(
        &self,
        who: Register,
        watch: Arc<Watch>,
    ) -> Result<Registered, ServerError> {
        self.begin_registration(who).await?.finish(watch).await
    }

    /// The half of [`Remote::register`] that ends with the stretched password: the server
    /// has stored nothing yet.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn begin_registration(&self, who: Register) -> Result<Registering<'_>, ServerError> {
        if self.binds == Binds::Never {
            return Err(ServerError::RegistrationUnbound);
        }
        let step = |error| ServerError::of_set_up(error, Step::Register);
        let (handle, mut frames) = self.line.set_up()?;
        let credentials = Credentials {
            name: who.account,
            password: who.password,
        };
        let exporter = self.exporter;
        let rng = &mut SystemRng;
        let sent = RegisterSent::start(handle, credentials, exporter, who.invitation, rng);
        let (mut sent, first) = sent.map_err(step)?;
        if let Some(stretched) = who.keeping {
            sent = sent.keeping(stretched);
        }
        self.line.send(first).await?;
        let rest = next(&mut frames, SET_UP_WAIT).await?;
        let greeted = Arc::clone(&self.greeted);
        let stretching = move || {
            let frame = Frame::decode(&rest).map_err(no_frame)?;
            sent.receive(&frame, &greeted, who.profile, &mut SystemRng)
        };
        let (sent, upload) = stretch(stretching).await?.map_err(step)?;
        Ok(Registering {
            remote: self,
            sent,
            upload,
            frames,
        })
    }

    /// Logs in.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn login(&self, who: Login, watch: Arc<Watch>) -> Result<LoggedIn, ServerError> {
        let step = |error| ServerError::of_set_up(error, Step::Login);
        let (handle, mut frames) = self.line.set_up()?;
        let credentials = Credentials {
            name: who.account,
            password: who.password,
        };
        let binding = self.binding();
        let sent = LoginSent::start(handle, credentials, binding, who.extras, &mut SystemRng);
        let (mut sent, first) = sent.map_err(step)?;
        if let Some(stretched) = who.keeping {
            sent = sent.keeping(stretched);
        }
        self.line.send(first).await?;
        let open = Open {
            known: watch.with(|seen| seen.known()),
            device: who.device,
            pass_wanted: who.wants_pass,
        };
        let (sent, finish) = self.finish(sent, &mut frames, open, Step::Login).await?;
        self.open(sent, finish, frames, Step::Open, &watch).await
    }

    /// Goes on with a session of another connection.
    ///
    /// The ticket is gone if this is dropped half way; [`super::Lasting`] keeps it.
    ///
    /// # Errors
    /// [`NotResumed`], with the ticket if it is worth another try.
    pub async fn resume(
        &self,
        ticket: Ticket,
        watch: Arc<Watch>,
    ) -> Result<(Session, OpenedResult), Box<NotResumed>> {
        let (handle, mut frames) = match self.line.set_up() {
            Ok(set_up) => set_up,
            Err(error) => return Err(NotResumed::again(error, ticket)),
        };
        let known = watch.with(|seen| seen.known());
        let rng = &mut SystemRng;
        let (sent, first) = match ticket.resume(&self.greeted, handle, self.binding(), known, rng) {
            Ok(sent) => sent,
            Err(not) => return Err(NotResumed::of(*not)),
        };
        self.line.admit_long_frames();
        if let Err(error) = self.line.send(first).await {
            return Err(NotResumed::again(error, sent.into_ticket()));
        }
        let rest = match next(&mut frames, SET_UP_WAIT).await {
            Ok(rest) => rest,
            Err(error) => return Err(NotResumed::again(error, sent.into_ticket())),
        };
        let frame = match Frame::decode(&rest) {
            Ok(frame) => frame,
            Err(_) => {
                let error = ServerError::Misbehaved("it sends what is no frame");
                return Err(NotResumed::again(error, sent.into_ticket()));
            }
        };
        let (session, opened) = sent.receive(&frame).map_err(|not| NotResumed::of(*not))?;
        let seen = watch.with(|seen| seen.opened(&opened.user, &opened));
        if let Err(error) = seen {
            return Err(NotResumed::again(error.into(), session.into_ticket()));
        }
        let core = Core::new(
            session,
            opened.user,
            opened.limits,
            (watch, self.answer_wait),
        );
        let session = self.route(handle, core, frames);
        match session.confirm_receipts().await {
            Ok(()) => Ok((session, opened)),
            Err(error) => Err(Box::new(NotResumed {
                error,
                ticket: session.into_ticket(),
            })),
        }
    }

    fn binding(&self) -> Binding {
        self.binds.binding(self.exporter)
    }

    /// Frame 21 to frame 22.
    async fn finish(
        &self,
        sent: LoginSent,
        frames: &mut mpsc::Receiver<Vec<u8>>,
        open: Open,
        step: Step,
    ) -> Result<(OpenSent, Vec<u8>), ServerError> {
        let rest = next(frames, SET_UP_WAIT).await?;
        let greeted = Arc::clone(&self.greeted);
        let stretching = move || {
            let frame = Frame::decode(&rest).map_err(no_frame)?;
            sent.receive(&frame, &greeted, open, &mut SystemRng)
        };
        let done = stretch(stretching).await?;
        done.map_err(|error| ServerError::of_set_up(error, step))
    }

    /// Frame 22 to `opened`.
    async fn open(
        &self,
        sent: OpenSent,
        finish: Vec<u8>,
        mut frames: mpsc::Receiver<Vec<u8>>,
        step: Step,
        watch: &Arc<Watch>,
    ) -> Result<LoggedIn, ServerError> {
        self.line.admit_long_frames();
        self.line.send(finish).await?;
        let rest = next(&mut frames, SET_UP_WAIT).await?;
        let logged_in = sent.receive(&frame(&rest)?);
        let logged_in = logged_in.map_err(|error| ServerError::of_set_up(error, step))?;
        let (session, opened) = (logged_in.session, logged_in.opened);
        let is_logged_in = session.kind() == SessionKind::Request;
        if is_logged_in {
            watch.with(|seen| seen.opened(&opened.user, &opened))?;
        }
        let handle = session.handle();
        let shared = (Arc::clone(watch), self.answer_wait);
        let core = Core::new(session, opened.user, opened.limits, shared);
        let session = self.route(handle, core, frames);
        if is_logged_in {
            session.confirm_receipts().await?;
        }
        Ok(LoggedIn {
            session,
            export_key: logged_in.export_key,
            opened,
        })
    }

    fn route(&self, handle: Handle, core: Core, mut frames: mpsc::Receiver<Vec<u8>>) -> Session {
        let core = Arc::new(core);
        let heard: Arc<Core> = Arc::clone(&core);
        self.line.routes().open(handle, heard, &mut frames);
        Session::new(core, Arc::clone(&self.line))
    }
}

impl Registering<'_> {
    /// Has the record stored and confirms it by a login.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn finish(self, watch: Arc<Watch>) -> Result<Registered, ServerError> {
        let Self {
            remote,
            sent,
            upload,
            mut frames,
        } = self;
        remote.line.send(upload).await?;
        let open = Open {
            known: Nullable(None),
            device: Text(REGISTERING.to_owned()),
            pass_wanted: false,
        };
        let step = Step::Register;
        let (sent, finish) = remote.finish(sent, &mut frames, open, step).await?;
        let logged_in = remote.open(sent, finish, frames, step, &watch).await?;
        Ok(Registered {
            user: logged_in.opened.user,
            export_key: logged_in.export_key,
            session: logged_in.session,
        })
    }
}

impl NotResumed {
    fn again(error: ServerError, ticket: Ticket) -> Box<Self> {
        let ticket = Some(ticket);
        Box::new(Self { error, ticket })
    }

    fn of(not: keystead_channel::session::NotResumed) -> Box<Self> {
        let error = ServerError::of_set_up(not.error, Step::Resume);
        let is_over = matches!(error, ServerError::LoginRequired);
        let ticket = (!is_over).then_some(not.ticket);
        Box::new(Self { error, ticket })
    }
}

/// What follows the length of the next frame.
async fn next(
    frames: &mut mpsc::Receiver<Vec<u8>>,
    wait: Duration,
) -> Result<Vec<u8>, ServerError> {
    let came = tokio::time::timeout(wait, frames.recv()).await;
    let came = came.map_err(|_| ServerError::Late {
        wait_s: wait.as_secs(),
    })?;
    came.ok_or(ServerError::Broken)
}

fn frame(rest: &[u8]) -> Result<Frame<'_>, ServerError> {
    Frame::decode(rest).map_err(|_| ServerError::Misbehaved("it sends what is no frame"))
}

fn no_frame(_: FrameError) -> SetUpError {
    SetUpError::OutOfTurn
}

/// Argon2id takes a tenth of a second: the connection goes on meanwhile.
async fn stretch<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServerError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| ServerError::Stretch)
}

/// A device name must stand in `open`; of a registration nobody reads it.
const REGISTERING: &str = "registering";

/// A hello is one round trip.
const HELLO_WAIT: Duration = Duration::from_secs(10);

/// A step of a login or resumption waits for the server's disk, and for who came before.
const SET_UP_WAIT: Duration = Duration::from_secs(30);
