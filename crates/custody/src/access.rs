//! A session at a key server for the length of one command.
//!
//! **Invariant:** a session that the agent lent is given back and one that was opened here is
//! ended, however the command ends; what was seen of the server's log is kept first. The
//! password is asked for only when there is nothing else that serves.

use std::sync::Arc;
use std::time::Duration;

use keystead_channel::session::requests::{
    Answer, Approve, Entries, List, LogOut, Request, StorageKey as SealedStorageKey,
};
use keystead_channel::session::{
    Extras, KeyId, Password, RequestId, Status as Code, Text, Ticket, UserId,
};
use keystead_daemon::SystemRng;
use keystead_daemon::process::Termination;
use keystead_keeper::server::{Lasting, LoggedIn, Login, Remote, ServerError, Waiting};
use keystead_vault::client::{MasterKey, StorageKey};
use tokio::sync::mpsc;

use crate::agent::{self, Loan};
use crate::failure::{Failure, Status};
use crate::prompt::Given;
use crate::runtime;
use crate::servers::Server;
use crate::talk::say;

/// An open session, and what opens the account's own secrets if that was asked for.
pub(crate) struct Access {
    server: Server,
    lasting: Lasting,
    master: Option<MasterKey>,
    origin: Origin,
}

/// Where a session comes from.
enum Origin {
    /// From the agent, which wants it back.
    Lent(Loan),
    /// Opened here, with the password.
    Own,
}

/// What a command needs a session for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// For what the server may read.
    Session,
    /// For what only this account opens: the password, unless the agent keeps the master key.
    MasterKey,
    /// For what is only done right after a login.
    FreshLogin,
}

/// Runs `work` with a session at `server`, and ends or gives back the session behind it. ^C ends
/// the work; what the server has done by then stays done.
pub(crate) fn with<T>(
    server: Server,
    need: Need,
    given: &mut Given,
    work: impl AsyncFnOnce(&Access) -> Result<T, Failure>,
) -> Result<T, Failure> {
    runtime::run(async |ended| {
        let access = Access::open(server, need, given, ended).await?;
        access.run(ended, work).await
    })
}

/// Runs `work` with the agent's session, if it has one that serves; without asking for anything.
pub(crate) fn with_lent<T>(
    server: Server,
    work: impl AsyncFnOnce(&Access) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    runtime::run(async |ended| {
        let lent = match Access::lent(&server, Need::MasterKey, ended).await? {
            Some(lent) => Some(lent),
            None => Access::lent(&server, Need::Session, ended).await?,
        };
        let Some((lasting, master, loan)) = lent else {
            return Ok(None);
        };
        let access = Access {
            server,
            lasting,
            master,
            origin: Origin::Lent(loan),
        };
        access.run(ended, work).await.map(Some)
    })
}

impl Access {
    async fn open(
        server: Server,
        need: Need,
        given: &mut Given,
        ended: &mut Termination,
    ) -> Result<Self, Failure> {
        let lent = match need {
            Need::Session | Need::MasterKey => Self::lent(&server, need, ended).await?,
            Need::FreshLogin => None,
        };
        if let Some((lasting, master, loan)) = lent {
            return Ok(Self {
                server,
                lasting,
                master,
                origin: Origin::Lent(loan),
            });
        }
        let wish = Wish {
            uses_pass: true,
            ..Wish::default()
        };
        let logged_in = tokio::select! {
            logged_in = log_in(&server, given, wish) => logged_in?,
            signal = ended.wait() => return Err(Failure::interrupted(signal)),
        };
        let endpoint = server.page.endpoint().map_err(of_server)?;
        Ok(Self {
            lasting: Lasting::open(endpoint, logged_in.session),
            master: Some(MasterKey::derive(logged_in.export_key)),
            server,
            origin: Origin::Own,
        })
    }

    /// Does the work; then the session is given back or ended.
    async fn run<T>(
        self,
        ended: &mut Termination,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let outcome = tokio::select! {
            outcome = work(&self) => outcome,
            signal = ended.wait() => Err(Failure::interrupted(signal)),
        };
        let closed = tokio::time::timeout(CLOSE_WAIT, self.close()).await;
        if closed.is_err() {
            say("note: the session could not be ended in time; the server ends it when it idles");
        }
        outcome
    }

    /// The agent's session, if it has one that serves. Who ends it here gives it back all the
    /// same.
    async fn lent(
        server: &Server,
        need: Need,
        ended: &mut Termination,
    ) -> Result<Option<(Lasting, Option<MasterKey>, Loan)>, Failure> {
        let Some(mut agent) = agent::Link::to_running().await? else {
            return Ok(None);
        };
        let master = match need {
            Need::MasterKey => match agent.master_key(server.name()).await? {
                Some(key) => Some(key),
                None => return Ok(None),
            },
            Need::Session | Need::FreshLogin => None,
        };
        let Some((loan, ticket)) = agent.borrow(server.name()).await? else {
            return Ok(None);
        };
        let endpoint = server.page.endpoint().map_err(of_server)?;
        let as_lent = Ticket::decode(ticket.encode().expose()).map_err(|_| unreadable())?;
        let lasting = Lasting::resting(endpoint, ticket, Arc::clone(&server.watch));
        let opened = tokio::select! {
            opened = lasting.session() => opened,
            signal = ended.wait() => {
                // A server that is silent now has confirmed nothing: what was lent serves still.
                let ticket = tokio::time::timeout(RETURN_WAIT, lasting.lend()).await;
                let ticket = ticket.ok().and_then(Result::ok).unwrap_or(as_lent);
                loan.give_back(&ticket).await?;
                return Err(Failure::interrupted(signal));
            }
        };
        match opened {
            Ok(_) => Ok(Some((lasting, master, loan))),
            // It idled away: a login of its own serves as well.
            Err(ServerError::LoginRequired) => Ok(None),
            Err(error) => {
                if matches!(error, ServerError::Log(_)) {
                    server.keep_seen()?;
                }
                if let Ok(ticket) = lasting.lend().await {
                    loan.give_back(&ticket).await?;
                }
                Err(of_server(error))
            }
        }
    }

    /// The server, and what is kept of it.
    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    /// Whose session it is.
    pub(crate) const fn user(&self) -> UserId {
        self.server.page.user
    }

    /// Asks, and gives the answer of what was done. A refusal is a failure.
    ///
    /// What waits for an approval is brought to the holder's authenticator by the agent.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        let answer = self.answer(request).await?;
        if answer.status != Code::Done {
            return Err(of_server(ServerError::of_answer(&answer)));
        }
        Ok(answer)
    }

    /// A page of what the account has there; or which entry the server cannot open, where
    /// that is the first of it.
    pub(crate) async fn page(&self, list: List) -> Result<Result<Entries, KeyId>, Failure> {
        let answer = self.answer(&Request::List(list)).await?;
        if answer.status == Code::Done {
            return result(&answer, Entries::decode).map(Ok);
        }
        let error = ServerError::of_answer(&answer);
        if let ServerError::Unread { key } = error {
            return Ok(Err(key));
        }
        Err(of_server(error))
    }

    async fn answer(&self, request: &Request) -> Result<Answer, Failure> {
        let id = RequestId::draw(&mut SystemRng);
        let (sender, mut waiting) = mpsc::unbounded_channel();
        let asked = self.lasting.ask_with(request, id, move |it| {
            // Nobody waits when the answer is there.
            drop(sender.send(it));
        });
        let approving = async {
            while let Some(it) = waiting.recv().await {
                approve(self.server.name(), it).await?;
            }
            std::future::pending::<Result<(), Failure>>().await
        };
        tokio::select! {
            answer = asked => answer.map_err(of_server),
            failed = approving => Err(failed.err().unwrap_or_else(no_approval)),
        }
    }

    /// Whether there is what opens the account's own secrets.
    pub(crate) const fn has_master(&self) -> bool {
        self.master.is_some()
    }

    /// What opens the account's own secrets.
    pub(crate) async fn storage_key(&self) -> Result<StorageKey, Failure> {
        let missing = || Failure::new("this needs the password");
        let master = self.master.as_ref().ok_or_else(missing)?;
        let answer = self.ask(&Request::StorageKey).await?;
        let sealed = result(&answer, SealedStorageKey::decode)?;
        master
            .open_storage_key(&self.user().0, &sealed.storage_key)
            .map_err(|_| {
                Failure::new("the server's answer is not this account's storage key")
                    .hint("do not use this server until you know why; see `keystead audit verify`")
            })
    }

    /// Keeps what was seen, then gives the session back or ends it. What goes wrong here is
    /// said, and changes nothing of what was done.
    async fn close(self) {
        if let Err(failure) = self.server.keep_seen() {
            say(format_args!("note: {}", failure.message));
        }
        let done = match self.origin {
            Origin::Lent(loan) => match self.lasting.lend().await {
                Ok(ticket) => loan.give_back(&ticket).await,
                Err(error) => Err(of_server(error)),
            },
            Origin::Own => {
                let request = Request::LogOut(LogOut { everywhere: false });
                // A server that is away ends it when it idles.
                drop(self.lasting.ask(&request).await);
                Ok(())
            }
        };
        if let Err(failure) = done {
            say(format_args!(
                "note: the agent's session is gone ({}); log in again: keystead server login",
                failure.message
            ));
        }
    }
}

/// How a login is wanted.
#[derive(Default)]
pub(crate) struct Wish {
    /// Beside the password.
    pub(crate) extras: Extras,
    /// What the server's list of sessions calls this machine.
    pub(crate) device: Option<String>,
    /// Use the device pass that is kept here, if there is one.
    pub(crate) uses_pass: bool,
    /// Ask for a new one.
    pub(crate) wants_pass: bool,
}

/// Logs in with the password; says what the server tells of the time before.
pub(crate) async fn log_in(
    server: &Server,
    given: &mut Given,
    mut wish: Wish,
) -> Result<LoggedIn, Failure> {
    let password = given.password(server.account(), server.name())?;
    if wish.uses_pass {
        wish.extras.pass = server.pass()?;
    }
    let remote = connect(server).await?;
    log_in_at(&remote, server, password, wish).await
}

/// Logs in over this connection.
pub(crate) async fn log_in_at(
    remote: &Remote,
    server: &Server,
    password: Password,
    wish: Wish,
) -> Result<LoggedIn, Failure> {
    let has_code = wish.extras.recovery_code.is_some();
    let has_word = wish.extras.unlock.is_some();
    let who = Login {
        account: server.page.account.clone(),
        password,
        extras: wish.extras,
        device: machine_name(wish.device.as_deref())?,
        wants_pass: wish.wants_pass,
        keeping: None,
    };
    let logged_in = remote.login(who, Arc::clone(&server.watch)).await;
    if matches!(logged_in, Err(ServerError::Log(_))) {
        // Both heads stay: what stops here stops every command until the person says so.
        server.keep_seen()?;
    }
    let logged_in = logged_in.map_err(|error| {
        let is_wrong = matches!(error, ServerError::WrongPassword);
        if has_code && is_wrong {
            return Failure::new("the password or the recovery code is wrong")
                .hint("a recovery code works once; the operator can lift a lock, too");
        }
        if has_word && is_wrong {
            return Failure::new(
                "the password is wrong, or the server takes no word of this approver",
            )
            .hint("see that both clocks are right; the operator can lift a lock, too");
        }
        of_server(error)
    })?;
    if let Some(count @ 1..) = logged_in.opened.failed_logins {
        let logins = if count == 1 { "login" } else { "logins" };
        say(format_args!(
            "note: {count} failed {logins} since the last one; see `keystead audit show`"
        ));
    }
    Ok(logged_in)
}

/// A connection to the pinned server.
pub(crate) async fn connect(server: &Server) -> Result<Remote, Failure> {
    let endpoint = server.page.endpoint().map_err(of_server)?;
    Remote::connect(&endpoint).await.map_err(of_server)
}

/// What an answer of this method brings.
pub(crate) fn result<T, E>(
    answer: &Answer,
    decode: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, Failure> {
    let result = answer.result.as_ref().map(|it| decode(it.expose()));
    match result {
        Some(Ok(result)) => Ok(result),
        Some(Err(_)) | None => Err(Failure::new("the server's answer lacks what was asked for")
            .hint("do not use this server until you know why")),
    }
}

/// A failure of the server's, with the exit status that tells it.
pub(crate) fn of_server(error: ServerError) -> Failure {
    let is_away = error.is_passing() || matches!(error, ServerError::Secure(_));
    let status = if is_away {
        Status::NotReached
    } else if matches!(error, ServerError::Answered(Code::Policy)) {
        Status::Forbidden
    } else if matches!(error, ServerError::Answered(Code::Approval)) {
        Status::Refused
    } else {
        Status::Error
    };
    Failure::of(&error).status(status).hint(error.hint())
}

/// What this machine is called in the server's list of sessions.
pub(crate) fn machine_name(given: Option<&str>) -> Result<Text<64>, Failure> {
    let own = rustix::system::uname();
    let name = match given {
        Some(name) => name.to_owned(),
        None => own.nodename().to_string_lossy().into_owned(),
    };
    let fits = (1..=MACHINE_BYTES_MAX).contains(&name.len());
    match fits && !name.chars().any(keystead_core::is_unsafe_to_show) {
        true => Ok(Text(name)),
        false if given.is_none() => Ok(Text("workstation".to_owned())),
        false => Err(Failure::usage(
            "a device's name has 1 to 64 printable bytes",
        )),
    }
}

/// Brings what waits to the holder, and the holder's word to the server.
async fn approve(server: &str, waiting: Waiting) -> Result<(), Failure> {
    let agent = agent::Link::to_running().await?;
    let mut agent = agent.ok_or_else(no_approval)?;
    say("an authenticator is asked to approve this");
    let (approver, signature) = agent.approve(server, None, waiting.text.expose()).await?;
    let request = Request::Approve(Approve {
        sub: waiting.sub,
        approver,
        signature,
    });
    waiting.session.done(&request).await.map_err(of_server)?;
    Ok(())
}

fn unreadable() -> Failure {
    Failure::new("the agent's session cannot be read").hint("log in again: keystead server login")
}

fn no_approval() -> Failure {
    Failure::new("a paired authenticator must approve this, and the agent does not run")
        .hint("`keystead agent start`")
        .status(Status::NotReached)
}

/// 1 s: what is on its way at a server that answers is there by then; a person has pressed ^C.
const RETURN_WAIT: Duration = Duration::from_secs(1);

/// 5 s: giving back takes a round trip at the most.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// 64 bytes (`spec/session.md` section 8).
const MACHINE_BYTES_MAX: usize = 64;
