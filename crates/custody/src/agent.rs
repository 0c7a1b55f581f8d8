//! The running agent: who keeps sessions, and who reaches paired authenticators.
//!
//! **Invariant:** a ticket, a master key and the key of local copies stand behind a line of the
//! control socket, never in it; nothing else that is secret goes there. An agent that does not
//! run is not started here: `keystead` has done that before, where it can.

use keystead_channel::session::{ApproverId, Ticket};
use keystead_core::{Secret, SecretBytes, hex};
use keystead_daemon::home::{self, Folders};
use keystead_daemon::line::{Limits, LineReader, write_line};
use keystead_keeper::server::control::{Command, Door, DoorError, Failure as AgentFailure, Reply};
use keystead_vault::client::{AuthenticatorSlot, MasterKey};
use serde::Deserialize;
use tokio::net::UnixStream;

use crate::failure::{self, Failure};
use crate::runtime;
use crate::talk::{harmless, say};

/// A conversation with the agent.
pub(crate) struct Link {
    door: Door,
}

/// A session that the agent lent; it wants it back on the same conversation.
pub(crate) struct Loan {
    link: Link,
    server: String,
}

impl Link {
    /// Connects, if an agent runs.
    pub(crate) async fn to_running() -> Result<Option<Self>, Failure> {
        let folders = Folders::of(home::Program::Agent);
        let folders = folders.map_err(|error| Failure::of(&error).hint(error.hint()))?;
        match Door::open(&folders.runtime.join(SOCKET_NAME)).await {
            Ok(door) => Ok(Some(Self { door })),
            Err(DoorError::Away(_)) => Ok(None),
            Err(error) => Err(of_door(&error)),
        }
    }

    /// Takes the session for a while; `None` if it has none that can be lent.
    pub(crate) async fn borrow(mut self, server: &str) -> Result<Option<(Loan, Ticket)>, Failure> {
        let server = server.to_owned();
        let command = Command::ServerLend {
            server: server.clone(),
        };
        let bytes = match self.ask(&command, &[]).await? {
            (Reply::Ticket { .. }, Some(bytes)) => bytes,
            (Reply::Failed(_), _) => return Ok(None),
            _ => return Err(unexpected()),
        };
        let ticket = Ticket::decode(bytes.expose()).map_err(|_| unexpected())?;
        Ok(Some((Loan { link: self, server }, ticket)))
    }

    /// The master key, if the person had the agent keep it.
    pub(crate) async fn master_key(&mut self, server: &str) -> Result<Option<MasterKey>, Failure> {
        let command = Command::ServerMasterKey {
            server: server.to_owned(),
        };
        match self.ask(&command, &[]).await? {
            (Reply::MasterKey { .. }, Some(bytes)) => {
                let key = exact(&bytes).ok_or_else(unexpected)?;
                Ok(Some(MasterKey::kept(key)))
            }
            (Reply::Failed(_), _) => Ok(None),
            _ => Err(unexpected()),
        }
    }

    /// Gives it a session that was opened here, and the master key if it is to keep it.
    pub(crate) async fn give(
        &mut self,
        server: &str,
        ticket: &Ticket,
        master: Option<&MasterKey>,
    ) -> Result<(), Failure> {
        let ticket = ticket.encode();
        let master = master.map(|it| it.to_keep().expose().as_slice());
        let command = Command::ServerGive {
            server: server.to_owned(),
            ticket_bytes: ticket.len(),
            master_key_bytes: master.map(<[u8]>::len),
        };
        let mut behind = vec![ticket.expose()];
        behind.extend(master);
        self.done(&command, &behind).await
    }

    /// Has it look at a server's keys again.
    pub(crate) async fn refresh(&mut self, server: &str) -> Result<(), Failure> {
        let command = Command::ServerRefresh {
            server: server.to_owned(),
        };
        self.done(&command, &[]).await
    }

    /// Has it end its session at a server, and forget the server's keys.
    async fn log_out(&mut self, server: &str) -> Result<(), Failure> {
        let command = Command::ServerLogout {
            server: server.to_owned(),
            everywhere: false,
        };
        self.done(&command, &[]).await
    }

    /// Has an authenticator, this one if it is named, approve a server's text.
    pub(crate) async fn approve(
        &mut self,
        server: &str,
        keeper: Option<String>,
        text: &[u8],
    ) -> Result<(ApproverId, [u8; 64]), Failure> {
        let command = Command::ServerApprove {
            server: server.to_owned(),
            keeper,
            text_bytes: text.len(),
        };
        match self.ask(&command, &[text]).await? {
            (
                Reply::Approval {
                    approver,
                    signature,
                    ..
                },
                _,
            ) => {
                let approver = hex::typed_array(&approver).map(ApproverId);
                approver
                    .zip(hex::typed_array(&signature))
                    .ok_or_else(unexpected)
            }
            (Reply::Failed(failure), _) => Err(of_agent(failure)),
            _ => Err(unexpected()),
        }
    }

    /// Has a paired authenticator derive the key that opens local copies; its holder is asked.
    pub(crate) async fn open_local(
        &mut self,
        keeper: Option<String>,
        salt: &[u8; 32],
    ) -> Result<Secret<32>, Failure> {
        let command = Command::ServerOpenLocal {
            keeper,
            salt: hex::encode(salt),
            what: OPENED.to_owned(),
        };
        match self.ask(&command, &[]).await? {
            (Reply::LocalKey { .. }, Some(bytes)) => exact(&bytes).ok_or_else(unexpected),
            (Reply::Failed(failure), _) => Err(of_agent(failure)),
            _ => Err(unexpected()),
        }
    }

    async fn done(&mut self, command: &Command, behind: &[&[u8]]) -> Result<(), Failure> {
        match self.ask(command, behind).await? {
            (Reply::Done {}, _) => Ok(()),
            (Reply::Failed(failure), _) => Err(of_agent(failure)),
            _ => Err(unexpected()),
        }
    }

    /// Says a command and waits for the reply that ends it; what is waited for is told.
    async fn ask(
        &mut self,
        command: &Command,
        behind: &[&[u8]],
    ) -> Result<(Reply, Option<SecretBytes>), Failure> {
        let said = self.door.say(command, behind).await;
        said.map_err(|error| of_door(&error))?;
        loop {
            let (reply, bytes) = self.door.next().await.map_err(|error| of_door(&error))?;
            if let Reply::Reaching { keeper, left_s } = &reply {
                let keeper = harmless(keeper);
                say(format_args!("reaching {keeper}, {left_s} s left"));
            } else if let Reply::Waiting { keeper, left_s } = &reply {
                let keeper = harmless(keeper);
                say(format_args!(
                    "waiting for the holder at {keeper}, {left_s} s left"
                ));
            } else {
                return Ok((reply, bytes));
            }
        }
    }
}

impl Loan {
    /// Gives the session back.
    pub(crate) async fn give_back(mut self, ticket: &Ticket) -> Result<(), Failure> {
        let ticket = ticket.encode();
        let command = Command::ServerGiveBack {
            server: self.server,
            ticket_bytes: ticket.len(),
        };
        self.link.done(&command, &[ticket.expose()]).await
    }
}

/// What an authenticator derives for a new slot, and the slot that names it.
pub(crate) fn derive_first(
    keeper: &str,
    rng: &mut dyn rand_core::CryptoRngCore,
) -> Result<(AuthenticatorSlot, Secret<32>), Failure> {
    let slot = AuthenticatorSlot::draw(id_of(keeper)?, rng);
    let derived = derive(Some(slot.keeper.clone()), &slot.salt)?;
    Ok((slot, derived))
}

/// What the authenticator of a slot derives.
pub(crate) fn derive_again(slot: &AuthenticatorSlot) -> Result<Secret<32>, Failure> {
    derive(Some(slot.keeper.clone()), &slot.salt)
}

fn derive(keeper: Option<String>, salt: &[u8; 32]) -> Result<Secret<32>, Failure> {
    runtime::run(async |ended| {
        let asked = async {
            let link = Link::to_running().await?;
            let mut link = link.ok_or_else(not_running)?;
            link.open_local(keeper, salt).await
        };
        tokio::select! {
            derived = asked => derived,
            signal = ended.wait() => Err(Failure::interrupted(signal)),
        }
    })
}

/// Has an agent that runs look at a server again: keys or sessions there have changed. One that
/// does not run looks when it starts.
pub(crate) fn look_again(server: &str) -> Result<(), Failure> {
    runtime::run(async |_| match Link::to_running().await? {
        Some(mut agent) => agent.refresh(server).await,
        None => Ok(()),
    })
}

/// Has a running agent end its session at a server.
pub(crate) fn log_out(server: &str) -> Result<(), Failure> {
    runtime::run(async |_| match Link::to_running().await? {
        Some(mut agent) => agent.log_out(server).await,
        None => Ok(()),
    })
}

/// Nobody reaches authenticators or keeps sessions.
pub(crate) fn not_running() -> Failure {
    Failure::new("the agent does not run")
        .hint("start it: `keystead agent start`")
        .status(failure::Status::NotReached)
}

/// What the agent knows a keeper by, whatever it is called: 16 hexadecimal digits.
fn id_of(name: &str) -> Result<String, Failure> {
    let folders = Folders::of(home::Program::Agent);
    let folders = folders.map_err(|error| Failure::of(&error).hint(error.hint()))?;
    let socket = folders.runtime.join(SOCKET_NAME);
    let status = runtime::run(async |_| {
        let connected = UnixStream::connect(&socket).await;
        let (reader, mut writer) = connected.map_err(|_| not_running())?.into_split();
        write_line(&mut writer, STATUS).await?;
        let mut lines = LineReader::new(reader, Limits::ANSWERS);
        let line = lines.next().await.map_err(|error| Failure::of(&error))?;
        line.ok_or_else(unexpected)
    })?;
    let status: Status = serde_json::from_slice(&status).map_err(|_| unexpected())?;
    let meant = status
        .keepers
        .into_iter()
        .find(|it| it.name == name || it.id == name);
    meant.map(|it| it.id).ok_or_else(|| {
        Failure::new(format!("no keeper is called {}", harmless(name)))
            .hint("see `keystead keeper list`")
    })
}

/// As much of the agent's `status` as is looked at here.
#[derive(Deserialize)]
struct Status {
    keepers: Vec<Keeper>,
}

#[derive(Deserialize)]
struct Keeper {
    id: String,
    name: String,
}

fn exact<const N: usize>(bytes: &SecretBytes) -> Option<Secret<N>> {
    let bytes: &[u8; N] = bytes.expose().try_into().ok()?;
    Some(Secret::fill(|out| out.copy_from_slice(bytes)))
}

fn unexpected() -> Failure {
    Failure::new("the agent answered something else")
        .hint("stop it (`keystead agent stop`) and try again")
}

fn of_door(error: &DoorError) -> Failure {
    Failure::of(error).hint(error.hint())
}

fn of_agent(failure: AgentFailure) -> Failure {
    let status = match failure.status {
        2 => failure::Status::Usage,
        3 => failure::Status::Refused,
        4 => failure::Status::NotReached,
        5 => failure::Status::Forbidden,
        _ => failure::Status::Error,
    };
    Failure {
        status,
        message: failure.message,
        hint: failure.hint,
    }
}

/// The agent's own command, beside those of servers (`agent::control`).
const STATUS: &[u8] = br#"{"command":"status"}"#;

/// The agent's socket for commands, in its runtime folder.
const SOCKET_NAME: &str = "control.sock";

/// What the holder is told is opened.
const OPENED: &str = "of secrets on this machine";
