//! What is asked of key servers: through the agent, which has the session.
//!
//! **Invariant:** nothing secret is in what is asked here or in its answer; those requests are
//! `keystead-custody`'s.

use keystead_agent::control::SOCKET_NAME;
use keystead_daemon::SystemRng;
use keystead_keeper::server::control::{Command, Door, DoorError, Reply, Server};
use keystead_keeper::server::protocol::requests::{
    Answer, Entries, Entry, List, PAGE_MAX, Request,
};
use keystead_keeper::server::protocol::{KeyId, RequestId, Status as Code};
use keystead_keeper::server::{Book, BookError, Page, ServerError, ServerName, ServerNameError};

use crate::agent_link::{AgentLink, folders, unexpected};
use crate::failure::{Failure, Status};
use crate::terminal::Countdown;

/// A conversation about servers with the agent, which is started if none runs.
pub(crate) struct ServerLink(Door);

impl ServerLink {
    /// Connects.
    pub(crate) async fn open() -> Result<Self, Failure> {
        // Starts it, and sees that it is of this version.
        drop(AgentLink::open().await?);
        let socket = folders()?.runtime.join(SOCKET_NAME);
        Door::open(&socket)
            .await
            .map(Self)
            .map_err(|it| of_door(&it))
    }

    /// Says a command and waits for the reply that ends it, saying what is waited for meanwhile.
    pub(crate) async fn say(
        &mut self,
        command: &Command,
        behind: &[u8],
    ) -> Result<(Reply, Vec<u8>), Failure> {
        let said = self.0.say(command, &[behind]).await;
        said.map_err(|it| of_door(&it))?;
        let mut countdown = Countdown::default();
        loop {
            let (reply, bytes) = tokio::select! {
                next = self.0.next() => next.map_err(|it| of_door(&it))?,
                () = countdown.tick() => continue,
            };
            let (what, left_s) = if let Reply::Reaching { keeper, left_s } = &reply {
                (format!("no answer from {keeper} yet"), *left_s)
            } else if let Reply::Waiting { keeper, left_s } = &reply {
                (format!("approve on {keeper}"), *left_s)
            } else if let Reply::Failed(failure) = reply {
                return Err(of_agent(failure));
            } else {
                let bytes = bytes.map(|it| it.expose().to_vec());
                return Ok((reply, bytes.unwrap_or_default()));
            };
            countdown.stop();
            countdown.start(what, left_s.saturating_mul(1_000));
        }
    }

    /// As [`ServerLink::say`], where there is nothing to tell.
    pub(crate) async fn done(&mut self, command: &Command) -> Result<(), Failure> {
        let Reply::Done {} = self.say(command, &[]).await?.0 else {
            return Err(unexpected());
        };
        Ok(())
    }

    /// Asks a server, and takes nothing but "done" for an answer.
    pub(crate) async fn ask(
        &mut self,
        server: &ServerName,
        request: &Request,
    ) -> Result<Answer, Failure> {
        let body = request.encode(RequestId::draw(&mut SystemRng));
        self.ask_with(server, request, &body).await
    }

    /// The same with the bytes that are asked, for whoever needs their hash.
    pub(crate) async fn ask_with(
        &mut self,
        server: &ServerName,
        request: &Request,
        body: &[u8],
    ) -> Result<Answer, Failure> {
        let answer = self.answer(server, request, body).await?;
        if answer.status != Code::Done {
            return Err(of_code(answer.status, server));
        }
        Ok(answer)
    }

    /// Whatever the server answers.
    async fn answer(
        &mut self,
        server: &ServerName,
        request: &Request,
        body: &[u8],
    ) -> Result<Answer, Failure> {
        let method = request.method();
        let command = Command::ServerAsk {
            server: server.to_string(),
            method: method.number(),
            body_bytes: body.len(),
        };
        let (reply, bytes) = self.say(&command, body).await?;
        let Reply::Answer { .. } = reply else {
            return Err(unexpected());
        };
        Answer::decode(method, &bytes).map_err(|_| unexpected())
    }

    /// Asks for what has a result; `read` is its type's `decode`.
    pub(crate) async fn result<T, E>(
        &mut self,
        server: &ServerName,
        request: &Request,
        read: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<T, Failure> {
        result_of(&self.ask(server, request).await?, read)
    }

    /// All that the account has there.
    pub(crate) async fn list(&mut self, server: &ServerName) -> Result<Listing, Failure> {
        let mut listing = Listing::default();
        let mut after: Option<KeyId> = None;
        loop {
            let limit = u32::try_from(PAGE_MAX).unwrap_or(u32::MAX);
            let request = Request::List(List { after, limit });
            let body = request.encode(RequestId::draw(&mut SystemRng));
            let answer = self.answer(server, &request, &body).await?;
            listing.body = body;
            let last = match (answer.status, ServerError::of_answer(&answer)) {
                (Code::Done, _) => {
                    let page = result_of(&answer, Entries::decode)?;
                    let last = page.entries.0.last().map(|it| it.key);
                    listing.entries.extend(page.entries.0);
                    last.filter(|_| page.more)
                }
                (_, ServerError::Unread { key }) => {
                    listing.unread.push(key);
                    Some(key)
                }
                (code, _) => return Err(of_code(code, server)),
            };
            match last {
                // A server that repeats itself would never end.
                Some(last) if after.is_none_or(|after| last > after) => after = Some(last),
                Some(_) => return Err(unexpected()),
                None => return Ok(listing),
            }
        }
    }

    /// How the agent's sessions stand.
    pub(crate) async fn servers(&mut self) -> Result<Vec<Server>, Failure> {
        let Reply::Servers { servers } = self.say(&Command::ServerStatus {}, &[]).await?.0 else {
            return Err(unexpected());
        };
        Ok(servers)
    }
}

/// What an account has at a server.
#[derive(Default)]
pub(crate) struct Listing {
    /// What the server can open.
    pub(crate) entries: Vec<Entry>,
    /// What it cannot.
    unread: Vec<KeyId>,
    /// The last request for it.
    pub(crate) body: Vec<u8>,
}

impl Listing {
    /// That the server can open all of it.
    pub(crate) fn check(&self, server: &ServerName) -> Result<(), Failure> {
        if self.unread.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = self.unread.iter().map(KeyId::to_string).collect();
        let entries = if ids.len() == 1 { "entry" } else { "entries" };
        let ids = ids.join(", ");
        let said = format!("{server} cannot open its {entries} {ids}; the others are listed");
        Err(Failure::new(said).hint("tell the operator; the others can be used as before"))
    }
}

/// The result of an answer that has one.
pub(crate) fn result_of<T, E>(
    answer: &Answer,
    read: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, Failure> {
    let bytes = answer.result.as_ref().ok_or_else(unexpected)?;
    read(bytes.expose()).map_err(|_| unexpected())
}

/// The servers that this machine knows: where the agent finds them, too.
pub(crate) fn book() -> Result<Book, Failure> {
    Book::open(&folders()?.state).map_err(|it| of_book(&it))
}

/// The server of this name; without a name the only one.
pub(crate) fn server(book: &Book, wanted: Option<&str>) -> Result<Page, Failure> {
    let name = match wanted {
        Some(name) => name
            .parse()
            .map_err(|it: ServerNameError| of_book(&it.into()))?,
        None => only(book)?,
    };
    book.page(&name).map_err(|it| of_book(&it))
}

/// Whether a server has this name here.
pub(crate) fn is_server(name: &str) -> Result<bool, Failure> {
    let names = book()?.names().map_err(|it| of_book(&it))?;
    Ok(names.iter().any(|it| it.as_str() == name))
}

fn only(book: &Book) -> Result<ServerName, Failure> {
    let names = book.names().map_err(|it| of_book(&it))?;
    match names.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new("no key server is known here").hint(REGISTER)),
        _ => Err(Failure::new("which server? there are several")
            .hint("name it with --server (`keystead server status`)")
            .status(Status::Usage)),
    }
}

pub(crate) fn of_book(error: &BookError) -> Failure {
    Failure::of(error).hint(error.hint())
}

fn of_door(error: &DoorError) -> Failure {
    Failure::of(error).hint(error.hint())
}

fn of_agent(failure: keystead_keeper::server::control::Failure) -> Failure {
    Failure {
        status: Status::of_code(failure.status),
        message: failure.message,
        hint: failure.hint,
    }
}

/// What a server answered instead.
fn of_code(code: Code, server: &ServerName) -> Failure {
    let (status, message) = match code {
        Code::NotFound => (Status::Error, "has no such key"),
        Code::LoginRequired => (Status::Error, "wants a login first"),
        Code::FreshLogin => (Status::Error, "wants a login of the last minutes for this"),
        Code::Policy => (Status::Forbidden, "does not: the key's policy forbids it"),
        Code::Approval => (Status::Refused, "got no approval, or got it too late"),
        Code::Quota => (Status::Error, "keeps no more for this account"),
        Code::TooLarge => (Status::Error, "takes nothing that long"),
        Code::Conflict => (Status::Error, "was asked something else at the same time"),
        Code::Busy | Code::Unavailable => (Status::NotReached, "cannot do it now"),
        Code::Refused => (Status::Refused, "refused"),
        Code::Locked => (Status::Refused, "has locked the account"),
        Code::InvalidKey => (Status::Error, "says that this is no key"),
        Code::WrongType => (Status::Error, "says that it is a key of another type"),
        Code::Corrupt => (Status::Error, "cannot read its own entry any more"),
        Code::Done
        | Code::Waiting
        | Code::Malformed
        | Code::Version
        | Code::Wait
        | Code::NameTaken
        | Code::Method
        | Code::Binding => (Status::Error, "did not do it"),
    };
    let failure = Failure::new(format!("{server} {message}")).status(status);
    if matches!(code, Code::LoginRequired | Code::FreshLogin) {
        return failure.hint(format!("`keystead server login --server {server}`"));
    }
    failure.hint(code.hint())
}

/// What to do without a server.
pub(crate) const REGISTER: &str = "`keystead server register LINK`, with the link of an invitation";
