//! Commands of custody and the command line about servers.
//!
//! **Invariant:** no request that brings or fetches a secret in the clear goes through the
//! agent; each command is answered by exactly one reply that ends it.

use keystead_core::{Secret, SecretBytes};
use keystead_keeper::server::ServerName;
use keystead_keeper::server::control::{Command, Failure, Reply, Server, State};
use keystead_keeper::server::protocol::requests::{Answer, LogOut, Method, Request};
use keystead_keeper::server::protocol::{Status, Ticket};

use super::event::{Behind, Do, Target, Told, Trouble};
use super::open::{APPROVAL_WAIT_S, Asker, SessionNumber};
use super::replies::{done, fail, reply};
use super::{COMMAND_WAIT_S, Held, STATUS_ERROR, STATUS_NO_ANSWER, STATUS_USAGE, Servers, Step};
use crate::ids::ClientId;

impl Servers {
    /// A command came, with what follows its line.
    pub(crate) fn command(
        &mut self,
        step: &mut Step<'_>,
        client: ClientId,
        command: Command,
        behind: Vec<SecretBytes>,
    ) {
        if let Err(failure) = self.try_command(step, client, command, behind) {
            fail(step, client, &failure);
        }
    }

    fn try_command(
        &mut self,
        step: &mut Step<'_>,
        client: ClientId,
        command: Command,
        behind: Vec<SecretBytes>,
    ) -> Result<(), Failure> {
        let mut behind = behind.into_iter();
        let first = behind.next();
        match command {
            Command::ServerGive { server, .. } => {
                let ticket = ticket(first.as_ref())?;
                let master_key = behind.next().map(secret).transpose()?;
                self.give(step, client, &named(&server)?, ticket, master_key);
            }
            Command::ServerLend { server } => {
                let name = self.known(&server)?;
                self.lend(step, &name, client);
            }
            Command::ServerGiveBack { server, .. } => {
                let name = self.known(&server)?;
                let ticket = ticket(first.as_ref())?;
                if !self.give_back(step, &name, (client, ticket)) {
                    return Err(usage("this session was not lent to this command"));
                }
                done(step, client);
            }
            Command::ServerAsk { server, method, .. } => {
                let name = self.known(&server)?;
                self.ask_for(step, client, &name, (method, first.as_ref()))?;
            }
            Command::ServerApprove { keeper, .. } => {
                let text = first.ok_or_else(|| usage("there is no text"))?;
                step.told.push(Told::Approve {
                    target: Target::Client(client),
                    by: keeper,
                    text: text.expose().to_vec(),
                    wait_s: APPROVAL_WAIT_S,
                });
            }
            Command::ServerStatus {} => {
                let servers = self.views();
                reply(step, client, Reply::Servers { servers });
            }
            Command::ServerLogout { server, everywhere } => {
                let name = self.known(&server)?;
                self.log_out(step, client, &name, everywhere);
            }
            Command::ServerMasterKey { server } => {
                let name = self.known(&server)?;
                self.master_key(step, client, &name)?;
            }
            Command::ServerRefresh { server } => {
                let name = self.known(&server)?;
                self.refresh(step, client, &name)?;
            }
            Command::ServerApprovalKey { .. } | Command::ServerOpenLocal { .. } => {
                return Err(usage("this is for the agent's keepers"));
            }
        }
        Ok(())
    }

    /// A command's connection ended: what it wanted is taken back.
    pub(crate) fn leave(&mut self, step: &mut Step<'_>, client: ClientId) {
        step.told.push(Told::ApprovalOver(Target::Client(client)));
        self.withdraw_of(step, client);
        self.borrower_left(step, client);
    }

    fn give(
        &mut self,
        step: &mut Step<'_>,
        client: ClientId,
        server: &ServerName,
        ticket: Ticket,
        master_key: Option<Secret<32>>,
    ) {
        let now = step.now;
        self.last_session += 1;
        let new = || Held::new(server.clone(), now);
        let held = self.held.entry(server.clone()).or_insert_with(new);
        held.session = SessionNumber(self.last_session);
        held.in_flight = 0;
        held.state = State::Opening;
        held.trouble = None;
        held.master_key = master_key;
        held.since_unix_s = now.unix_s;
        held.lent_to = None;
        held.waiting.push(client);
        step.carry(Do::Open {
            server: server.clone(),
            ticket,
        });
    }

    fn ask_for(
        &mut self,
        step: &mut Step<'_>,
        client: ClientId,
        server: &ServerName,
        (number, body): (u16, Option<&SecretBytes>),
    ) -> Result<(), Failure> {
        self.is_open(server)?;
        let method = Method::from_number(u64::from(number)).filter(|it| may_pass(*it));
        let method = method.ok_or_else(|| usage("this request does not go through the agent"))?;
        let body = body.map(SecretBytes::expose).unwrap_or_default();
        let read = Request::decode(method, body);
        let (id, request) = read.map_err(|fault| usage(&format!("the request: {fault}")))?;
        let asker = Asker::Command { client, method };
        self.begin_as(step, server, asker, (request, id), COMMAND_WAIT_S);
        Ok(())
    }

    fn log_out(
        &mut self,
        step: &mut Step<'_>,
        client: ClientId,
        server: &ServerName,
        everywhere: bool,
    ) {
        if self.is_open(server).is_err() {
            self.close(step, server);
            return done(step, client);
        }
        let request = Request::LogOut(LogOut { everywhere });
        let asker = Asker::LogOut { client };
        self.begin(step, server, asker, request, LOG_OUT_WAIT_S);
    }

    /// The session is gone here in any case; whether the server knows is said.
    pub(super) fn logged_out(
        &mut self,
        step: &mut Step<'_>,
        server: &ServerName,
        client: ClientId,
        answer: Result<Answer, Trouble>,
    ) {
        self.close(step, server);
        let is_known = match &answer {
            Ok(answer) => answer.status == Status::Done,
            Err(trouble) => trouble.kind == super::TroubleKind::LoginRequired,
        };
        if is_known {
            return done(step, client);
        }
        let message = match answer {
            Ok(_) => "the server refused to end the session".to_owned(),
            Err(trouble) => trouble.message,
        };
        let failure = Failure {
            status: STATUS_NO_ANSWER,
            message: format!(
                "the session is forgotten here, but the server was not told: {message}"
            ),
            hint: Some("it ends there by itself; `keystead server sessions` lists it".to_owned()),
        };
        fail(step, client, &failure);
    }

    fn close(&mut self, step: &mut Step<'_>, server: &ServerName) {
        let Some(held) = self.held.remove(server) else {
            return;
        };
        step.carry(Do::Close(server.clone()));
        step.told.push(Told::KeysChanged);
        let trouble = super::lending::gone(None);
        for client in held.waiting.into_iter().chain(held.borrowers) {
            fail(step, client, &super::failure(&trouble));
        }
        for errand in held.queue {
            self.answered(step, errand, Err(trouble.clone()));
        }
    }

    fn master_key(
        &mut self,
        step: &mut Step<'_>,
        client: ClientId,
        server: &ServerName,
    ) -> Result<(), Failure> {
        let held = self.held.get(server);
        let key = held.and_then(|held| held.master_key.as_ref());
        let key = key.ok_or_else(|| Failure {
            status: STATUS_ERROR,
            message: format!("the agent keeps no master key of {server}"),
            hint: Some("give the password, or log in with --keep".to_owned()),
        })?;
        let bytes = key.expose();
        let copy = |place: &mut [u8]| place.copy_from_slice(bytes);
        let copy = SecretBytes::fill(bytes.len(), copy);
        step.told.push(Told::Reply {
            client,
            reply: Reply::MasterKey {
                master_key_bytes: copy.len(),
            },
            behind: Some(Behind(copy)),
        });
        Ok(())
    }

    fn refresh(
        &mut self,
        step: &mut Step<'_>,
        client: ClientId,
        server: &ServerName,
    ) -> Result<(), Failure> {
        let held = self.held.get_mut(server);
        let held = held.ok_or_else(|| ended(server))?;
        if held.state == State::Stopped {
            // By the person's word: what was accepted stands in the book.
            held.state = State::Open;
            held.trouble = None;
        }
        step.carry(Do::Reload(server.clone()));
        self.is_open(server)?;
        if let Some(held) = self.held.get_mut(server) {
            held.waiting.push(client);
        }
        self.list(step, server);
        Ok(())
    }

    fn known(&self, name: &str) -> Result<ServerName, Failure> {
        let name = named(name)?;
        match self.held.contains_key(&name) {
            true => Ok(name),
            false => Err(ended(&name)),
        }
    }

    fn is_open(&self, server: &ServerName) -> Result<(), Failure> {
        let Some(held) = self.held.get(server) else {
            return Err(ended(server));
        };
        match held.state {
            State::Ended => Err(ended(server)),
            State::Stopped => Err(Failure {
                status: STATUS_ERROR,
                message: held.trouble.clone().unwrap_or_default(),
                hint: Some("see `keystead server status` and `keystead audit head`".to_owned()),
            }),
            State::Opening | State::Open | State::Lent | _ => Ok(()),
        }
    }

    /// All servers, as `server status` shows them.
    #[must_use]
    pub fn views(&self) -> Vec<Server> {
        let view = |held: &Held| {
            let about = held.about.as_ref();
            let life_s = about.map_or(0, |it| u64::from(it.life_s));
            Server {
                name: held.name.to_string(),
                address: about.map(|it| it.address.clone()).unwrap_or_default(),
                account: about.map(|it| it.account.clone()).unwrap_or_default(),
                state: held.state,
                keys: held.keys.len(),
                has_master_key: held.master_key.is_some(),
                since_unix_s: held.since_unix_s,
                until_unix_s: held.since_unix_s.saturating_add(life_s),
                trouble: held.trouble.clone(),
            }
        };
        self.held.values().map(view).collect()
    }

    /// Which server this is, by the book.
    #[must_use]
    pub fn server_id(&self, name: &str) -> Option<[u8; 16]> {
        let held = self.held.get(&name.parse::<ServerName>().ok()?)?;
        held.about.as_ref().map(|about| about.server.0)
    }
}

/// Whether a request carries no secret in the clear, so that the agent may pass it on.
const fn may_pass(method: Method) -> bool {
    match method {
        Method::Ping
        | Method::Make
        | Method::List
        | Method::Show
        | Method::Label
        | Method::Delete
        | Method::Sign
        | Method::Policy
        | Method::Approvers
        | Method::Audit
        | Method::Head
        | Method::Sessions
        | Method::RecoveryCode => true,
        Method::Open
        | Method::Complete
        | Method::StorageKey
        | Method::Put
        | Method::Import
        | Method::Retrieve
        | Method::Approve
        | Method::LogOut
        | Method::PasswordStart
        | Method::PasswordFinish
        | Method::DeleteAccount => false,
    }
}

fn ticket(bytes: Option<&SecretBytes>) -> Result<Ticket, Failure> {
    let read = bytes.and_then(|it| Ticket::decode(it.expose()).ok());
    read.ok_or_else(|| usage("this is no ticket of a session"))
}

fn secret(bytes: SecretBytes) -> Result<Secret<32>, Failure> {
    let length = || usage("a master key has 32 bytes");
    Secret::try_fill(|place| match bytes.expose().first_chunk() {
        Some(found) if bytes.len() == place.len() => {
            *place = *found;
            Ok(())
        }
        _ => Err(length()),
    })
}

fn named(name: &str) -> Result<ServerName, Failure> {
    name.parse().map_err(|error| usage(&format!("{error}")))
}

fn ended(server: &ServerName) -> Failure {
    Failure {
        status: STATUS_ERROR,
        message: format!("there is no open session at {server}"),
        hint: Some(format!("log in: keystead server login --server {server}")),
    }
}

fn usage(message: &str) -> Failure {
    Failure {
        status: STATUS_USAGE,
        message: message.to_owned(),
        hint: Some("use a keystead of the agent's version, or restart the agent".to_owned()),
    }
}

/// A log-out waits for one answer; the session is forgotten here whatever comes.
const LOG_OUT_WAIT_S: u16 = 10;
