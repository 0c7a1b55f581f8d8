//! Commands about key servers: what the servers' own deciding answers, and what needs an
//! authenticator.
//!
//! **Invariant:** what an authenticator did for a server is in the log before it is used.

use keystead_core::{
    MakeApprovalKeyRequest, Name, OpenLocalRequest, Outcome, PairingId, RequestBody, ResponseBody,
    SecretBytes, hex,
};
use keystead_keeper::KeeperError;
use keystead_keeper::server::control::{self, Command, Reply};

use crate::agent::{Agent, Turn};
use crate::ask::End;
use crate::ask::{Ask, Asker, Whom};
use crate::control::{Failure, FailureKind};
use crate::ends::note;
use crate::event::Action;
use crate::failures::kind_of_error;
use crate::failures::usage;
use crate::ids::ClientId;
use crate::log::Entry;
use crate::servers::{Behind, Servers, Step, Told};

impl Agent {
    /// Lets the servers decide something, and does what they want done.
    pub(crate) fn tell_servers(
        &mut self,
        turn: &mut Turn<'_, '_>,
        decide: impl FnOnce(&mut Servers, &mut Step<'_>),
    ) {
        let wants = self.keepers.decide(turn.now, turn.io, decide);
        self.take_keepers(turn, wants);
    }

    /// A command came, with what follows its line.
    pub(crate) fn server_command(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        command: Command,
        behind: Vec<SecretBytes>,
    ) {
        let asked = match command {
            Command::ServerApprovalKey { server, keeper } => {
                self.ask_approval_key(turn, client, &server, keeper.as_deref())
            }
            Command::ServerOpenLocal { keeper, salt, what } => {
                self.ask_open_local(turn, client, keeper.as_deref(), (&salt, what))
            }
            command @ (Command::ServerGive { .. }
            | Command::ServerLend { .. }
            | Command::ServerGiveBack { .. }
            | Command::ServerAsk { .. }
            | Command::ServerApprove { .. }
            | Command::ServerStatus {}
            | Command::ServerLogout { .. }
            | Command::ServerMasterKey { .. }
            | Command::ServerRefresh { .. }) => {
                self.tell_servers(turn, |servers, step| {
                    servers.command(step, client, command, behind);
                });
                Ok(())
            }
        };
        if let Err(failure) = asked {
            turn.server_reply(client, Reply::Failed(told(failure)), None);
        }
    }

    pub(crate) fn take_server(&mut self, turn: &mut Turn<'_, '_>, told: Told) {
        match told {
            Told::Do(act) => turn.act(Action::Server(act)),
            Told::Progress { ask, progress } => self.progress(turn, ask, progress),
            Told::Reply {
                client,
                reply,
                behind,
            } => turn.server_reply(client, reply, behind),
            Told::KeysChanged => self.write_key_files(turn),
            Told::Notice(text) => self.notice(text),
            // They stay with who holds both kinds of keeper.
            Told::Approve { .. } | Told::ApprovalOver(_) => {}
        }
    }

    /// An authenticator has answered for a server.
    pub(crate) fn note_approval(
        &mut self,
        turn: &mut Turn<'_, '_>,
        by: &Name,
        pairing: PairingId,
        end: End,
    ) {
        let mut entry = Entry {
            keeper: Some(by.to_string()),
            pairing: Some(pairing.to_string()),
            ..turn.entry("approve-server", "")
        };
        note(&mut entry, &end);
        self.record(turn, &entry);
    }

    fn ask_approval_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        server: &str,
        keeper: Option<&str>,
    ) -> Result<(), Failure> {
        let server_id = self
            .keepers
            .servers
            .server_id(server)
            .ok_or_else(|| Failure {
                kind: FailureKind::Error,
                message: format!("there is no open session at {server}"),
                hint: Some(format!("log in: keystead server login --server {server}")),
            })?;
        let server = name(server.to_owned())?;
        let body = RequestBody::MakeApprovalKey(MakeApprovalKeyRequest { server_id, server });
        self.ask_for_servers(turn, client, keeper, body, "make-approval-key")
    }

    fn ask_open_local(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        keeper: Option<&str>,
        (salt, what): (&str, String),
    ) -> Result<(), Failure> {
        let salt = salt_of(salt).ok_or_else(|| {
            usage(
                "a salt has 64 hex digits",
                "use a keystead of the agent's version",
            )
        })?;
        let what = name(what)?;
        let body = RequestBody::OpenLocal(OpenLocalRequest { salt, what });
        self.ask_for_servers(turn, client, keeper, body, "open-local")
    }

    fn ask_for_servers(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        keeper: Option<&str>,
        body: RequestBody,
        kind: &str,
    ) -> Result<(), Failure> {
        let found = self.find_keeper(keeper)?;
        let whom = Whom {
            pairing: found.pairing,
            name: found.name,
        };
        let entry = turn.entry(kind, "");
        self.ask(turn, Asker::ServerCommand { client }, whom, body, entry);
        Ok(())
    }
}

impl Turn<'_, '_> {
    pub(crate) fn server_reply(&mut self, client: ClientId, reply: Reply, behind: Option<Behind>) {
        self.act(Action::ServerReply {
            client,
            reply,
            behind,
        });
    }
}

/// The end of what an authenticator was asked for a command about servers.
pub(crate) fn finish(
    turn: &mut Turn<'_, '_>,
    client: ClientId,
    open: &Ask,
    end: Result<End, String>,
) {
    let keeper = open.keeper.to_string();
    let (reply, behind) = match end {
        Ok(Ok(answer)) => match (answer.outcome, answer.body) {
            (Outcome::Approve, Some(ResponseBody::ApprovalKey(key))) => {
                let public_key = hex::encode(&key);
                (Reply::ApprovalKey { public_key, keeper }, None)
            }
            (Outcome::Approve, Some(ResponseBody::LocalKey(key))) => {
                let bytes = key.secret().expose();
                let copy = SecretBytes::fill(bytes.len(), |place| place.copy_from_slice(bytes));
                let key_bytes = copy.len();
                (Reply::LocalKey { key_bytes, keeper }, Some(Behind(copy)))
            }
            (Outcome::Refuse | Outcome::Block, _) => {
                let message = format!("refused by {keeper}");
                (failed(FailureKind::Refused, message, None), None)
            }
            (Outcome::Expire, _) => {
                let message = format!("no answer from {keeper} within {} s", open.wait_s);
                let hint = "answer on the authenticator's screen, and try again";
                (failed(FailureKind::NoAnswer, message, Some(hint)), None)
            }
            (outcome, _) => {
                let message = format!("{keeper} answers: {}", outcome.as_str());
                (failed(FailureKind::Error, message, None), None)
            }
        },
        Ok(Err(error)) => (error_reply(&error), None),
        Err(why) => (
            failed(FailureKind::Error, why, Some("make room on the disk")),
            None,
        ),
    };
    turn.server_reply(client, reply, behind);
}

fn error_reply(error: &KeeperError) -> Reply {
    failed(kind_of_error(error), error.to_string(), Some(error.hint()))
}

fn failed(kind: FailureKind, message: String, hint: Option<&str>) -> Reply {
    Reply::Failed(told(Failure {
        kind,
        message,
        hint: hint.map(str::to_owned),
    }))
}

fn told(failure: Failure) -> control::Failure {
    control::Failure {
        status: failure.kind.exit_status(),
        message: failure.message,
        hint: failure.hint,
    }
}

fn name(text: String) -> Result<Name, Failure> {
    Name::new(text).map_err(|error| usage(&error.to_string(), "use another name"))
}

/// 32 bytes of hex digits.
fn salt_of(digits: &str) -> Option<[u8; 32]> {
    let mut salt = [0; 32];
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex || digits.len() != salt.len() * 2 {
        return None;
    }
    for (place, pair) in salt.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(salt)
}
