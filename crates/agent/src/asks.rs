//! What is open at keepers: from the question to the entry in the log and the answer.

use keystead_core::{Name, Request, RequestBody, SignRequest, hex};
use keystead_formats::ssh::{SessionBind, ToBeSigned};
use keystead_keeper::server::control;
use keystead_keeper::{self as keeper, AskId, KeeperError, Progress, local};

use crate::agent::{Agent, Turn};
use crate::ask::End;
use crate::ask::{Ask, Asker, Said, Whom};
use crate::asked::Then;
use crate::checks::checked;
use crate::connection::Work;
use crate::control::Reply;
use crate::ends::note;
use crate::errand::log_refusal;
use crate::event::Action;
use crate::ids::{ClientId, ConnectionId};
use crate::kept::KeptKey;
use crate::key_control;
use crate::key_ends::finish_use;
use crate::local_link::LOCAL_WAIT_S;
use crate::log::{Entry, Hop};
use crate::server_commands;
use crate::words::Words;

impl Agent {
    /// Asks a keeper, or the local authenticator.
    pub(crate) fn ask(
        &mut self,
        turn: &mut Turn<'_, '_>,
        asker: Asker,
        whom: Whom,
        body: RequestBody,
        entry: Entry,
    ) {
        let ask = self.new_ask();
        let waiting = asker
            .connection()
            .and_then(|id| self.connections.get_mut(&id));
        if let Some(connection) = waiting {
            connection.work = Work::Ask(ask);
        }
        let Whom {
            pairing,
            name: keeper,
        } = whom;
        let is_local = pairing == local::ID;
        let wait_s = match &asker {
            _ if is_local => LOCAL_WAIT_S,
            // Nobody's login hangs on it, so the person may take the time that a request can have.
            Asker::Command { .. } | Asker::ServerCommand { .. } | Asker::KeyBrought { .. } => {
                Request::WAIT_S_MAX.min(MAKE_KEY_WAIT_S)
            }
            Asker::Identity(asked) if matches!(asked.then, Then::List(..)) => LIST_WAIT_S,
            Asker::Program { .. }
            | Asker::Local { .. }
            | Asker::Import { .. }
            | Asker::Change { .. }
            | Asker::Identity(_)
            | Asker::KeyUse { .. }
            | Asker::Nobody => self.setup.settings.wait_s,
        };
        let entry = Entry {
            keeper: Some(keeper.to_string()),
            pairing: self
                .keepers
                .gives_receipts(pairing)
                .then(|| pairing.to_string()),
            ..entry
        };
        let open = Ask {
            asker,
            keeper,
            pairing,
            begun_ms: turn.now.mono_ms,
            wait_s,
            said: Said::Nothing,
            approver: None,
            entry,
        };
        self.asks.insert(ask, open);
        if is_local {
            return self.ask_local(turn, ask, body, wait_s);
        }
        let event = keeper::Event::Ask {
            ask,
            pairing,
            body,
            wait_s,
        };
        self.tell_keepers(turn, event);
    }

    pub(crate) fn ask_keeper(
        &mut self,
        turn: &mut Turn<'_, '_>,
        asker: Asker,
        (kept, sign): (KeptKey, SignRequest),
        entry: Entry,
    ) {
        let whom = Whom {
            pairing: kept.pairing,
            name: kept.keeper,
        };
        self.ask(turn, asker, whom, RequestBody::Sign(sign), entry);
    }

    /// Asks the next keeper of the same key, as this one cannot be reached.
    fn ask_next(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ConnectionId,
        open: Ask,
        next: (KeptKey, SignRequest),
        why: &str,
    ) {
        let keeper = open.keeper.as_str();
        self.say(turn, id, &Words::Unreached { keeper, why });
        let entry = Entry {
            request_hash: None,
            decision: String::new(),
            reason: None,
            ..entry_for(&next.0, open.entry)
        };
        self.ask_keeper(turn, open.asker, next, entry);
    }

    /// Asks the keeper to make a key.
    pub(crate) fn ask_key(
        &mut self,
        turn: &mut Turn<'_, '_>,
        client: ClientId,
        whom: (keystead_core::PairingId, Name),
        made: keystead_core::MakeKeyRequest,
    ) {
        let (pairing, name) = whom;
        let entry = Entry {
            key: Some(made.name.to_string()),
            ..turn.entry("make-key", "")
        };
        let body = RequestBody::MakeKey(made);
        let asker = Asker::Command { client };
        self.ask(turn, asker, Whom { pairing, name }, body, entry);
    }

    /// News of an open question.
    pub(crate) fn progress(&mut self, turn: &mut Turn<'_, '_>, ask: AskId, progress: Progress) {
        match progress {
            Progress::Sent { hash, .. } => {
                if let Some(open) = self.asks.get_mut(&ask) {
                    open.entry.request_hash = Some(hex::encode(hash.as_bytes()));
                }
            }
            Progress::Asking { authenticator } => {
                if let Some(open) = self.asks.get_mut(&ask)
                    && self.keepers.servers.has(open.pairing)
                {
                    open.approver = Some(authenticator);
                }
                self.tell_waiting(turn, ask, Said::Asking);
            }
            Progress::Done(end) => {
                if let Some(open) = self.asks.remove(&ask) {
                    self.finish(turn, open, end);
                }
            }
        }
    }

    /// Those that nobody has answered for a while.
    pub(crate) fn tick_asks(&mut self, turn: &mut Turn<'_, '_>) {
        let now_ms = turn.now.mono_ms;
        let due = |open: &Ask| open.wake_ms().is_some_and(|at| at <= now_ms);
        let asks: Vec<AskId> = self
            .asks
            .iter()
            .filter(|(_, open)| due(open))
            .map(|(ask, _)| *ask)
            .collect();
        for ask in asks {
            self.tell_waiting(turn, ask, Said::Reaching);
        }
    }

    fn tell_waiting(&mut self, turn: &mut Turn<'_, '_>, ask: AskId, news: Said) {
        let Some(open) = self.asks.get_mut(&ask) else {
            return;
        };
        if open.said == Said::Asking {
            return;
        }
        open.said = news;
        let left_s = open.left_s(turn.now.mono_ms);
        let keeper = open.asked().to_string();
        let login = login(&open.entry);
        match &open.asker {
            Asker::Nobody => {}
            Asker::Program { connection, .. }
            | Asker::Local { connection }
            | Asker::Import { connection, .. }
            | Asker::Change { connection, .. } => {
                let keeper = keeper.as_str();
                let words = match news {
                    Said::Asking => Words::Asking {
                        keeper,
                        login: login.as_deref(),
                        left_s,
                    },
                    Said::Reaching | Said::Nothing => Words::Reaching { keeper, left_s },
                };
                let connection = *connection;
                self.say(turn, connection, &words);
            }
            Asker::Command { client } => {
                let client = *client;
                let reply = match news {
                    Said::Asking => Reply::Waiting { keeper, left_s },
                    Said::Reaching | Said::Nothing => Reply::Reaching { keeper, left_s },
                };
                turn.reply(client, reply);
            }
            Asker::ServerCommand { client } => {
                let client = *client;
                let reply = match news {
                    Said::Asking => control::Reply::Waiting { keeper, left_s },
                    Said::Reaching | Said::Nothing => control::Reply::Reaching { keeper, left_s },
                };
                turn.server_reply(client, reply, None);
            }
            asker @ (Asker::Identity(_) | Asker::KeyUse { .. } | Asker::KeyBrought { .. }) => {
                tell_key_command(turn, asker, (&keeper, left_s), news);
            }
        }
    }

    /// Takes a question back whose asker is gone.
    pub(crate) fn withdraw(&mut self, turn: &mut Turn<'_, '_>, ask: AskId) {
        let Some(open) = self.asks.remove(&ask) else {
            return;
        };
        if open.pairing == local::ID {
            self.withdraw_local(turn, ask);
        } else {
            self.tell_keepers(turn, keeper::Event::Withdraw { ask });
        }
        let entry = Entry {
            unix_s: turn.now.unix_s,
            decision: WITHDRAWN.to_owned(),
            ..open.entry
        };
        self.record(turn, &entry);
    }

    /// Takes back what a command has asked.
    pub(crate) fn withdraw_of(&mut self, turn: &mut Turn<'_, '_>, gone: ClientId) {
        let asks: Vec<AskId> = self
            .asks
            .iter()
            .filter(|(_, open)| open.asker.client() == Some(gone))
            .map(|(ask, _)| *ask)
            .collect();
        for ask in asks {
            self.withdraw(turn, ask);
        }
    }

    fn finish(&mut self, turn: &mut Turn<'_, '_>, mut open: Ask, end: End) {
        open.entry.unix_s = turn.now.unix_s;
        let end = checked(&open, end);
        note(&mut open.entry, &end);
        // No answer before its entry: without one there is no signature.
        let written = self.book.write(turn.now, &open.entry, turn.io.disk);
        let end = match written {
            Ok(()) => Ok(end),
            Err(error) => {
                let why = log_refusal(&error);
                self.notice(why.clone());
                Err(why)
            }
        };
        if let Ok(Err(
            KeeperError::Unreachable { reason, .. } | KeeperError::DeviceAway { why: reason, .. },
        )) = &end
            && let Asker::KeyUse { asked, .. } = &mut open.asker
            && let Some(next) = asked.next()
        {
            return self.ask_next_use(turn, open, next, reason);
        }
        if let (
            Asker::Program { connection, .. },
            Ok(Err(
                KeeperError::Unreachable { reason, .. }
                | KeeperError::DeviceAway { why: reason, .. },
            )),
        ) = (&open.asker, &end)
        {
            let connection = *connection;
            if let Some(next) = open.next() {
                return self.ask_next(turn, connection, open, next, reason);
            }
        }
        self.tell(turn, open, end);
    }

    /// The asker gets what it asked for, or learns why not.
    fn tell(&mut self, turn: &mut Turn<'_, '_>, mut open: Ask, end: Result<End, String>) {
        match std::mem::replace(&mut open.asker, Asker::Nobody) {
            Asker::Program {
                connection, key, ..
            } => self.finish_signature(turn, connection, &open, Some(key.blob()), end),
            Asker::Local { connection } => {
                self.finish_signature(turn, connection, &open, None, end);
            }
            Asker::Import {
                connection,
                bringing,
            } => self.finish_import(turn, connection, *bringing, &open, end),
            Asker::Change { connection, change } => {
                self.finish_change(turn, connection, change, &open, end);
            }
            Asker::Nobody => {}
            Asker::Command { client } => {
                let reply = self.finish_key(turn, &open, end);
                turn.reply(client, reply);
            }
            Asker::ServerCommand { client } => server_commands::finish(turn, client, &open, end),
            Asker::Identity(asked) => self.finish_identity(turn, *asked, &open, end),
            Asker::KeyBrought { client, .. } => self.finish_brought(turn, client, &open, end),
            Asker::KeyUse { client, asked } => finish_use(turn, client, &asked, &open, end),
        }
    }
}

/// A front end that is another process hears it, and the person at the terminal that it is for.
fn tell_key_command(
    turn: &mut Turn<'_, '_>,
    asker: &Asker,
    (keeper, left_s): (&str, u64),
    news: Said,
) {
    let name = keeper.to_owned();
    let (words, reply) = match news {
        Said::Asking => (
            Words::Asking {
                keeper,
                login: None,
                left_s,
            },
            key_control::Reply::Waiting {
                keeper: name,
                left_s,
            },
        ),
        Said::Reaching | Said::Nothing => (
            Words::Reaching { keeper, left_s },
            key_control::Reply::Reaching {
                keeper: name,
                left_s,
            },
        ),
    };
    if let Asker::KeyUse { asked, .. } = asker
        && let Some(pid) = asked.pid
    {
        turn.act(Action::Say {
            pid,
            line: words.to_string(),
            is_asking: news == Said::Asking,
        });
    }
    if let Some(client) = asker.client() {
        turn.key_reply(client, reply, None);
    }
}

pub(crate) fn entry_for(kept: &KeptKey, entry: Entry) -> Entry {
    Entry {
        key: Some(kept.name.to_string()),
        ..entry
    }
}

/// The account and the host, where a login is asked for and somebody knows the host's name.
fn login(entry: &Entry) -> Option<String> {
    let user = entry.user.as_deref()?;
    let host = entry.host_names.first()?;
    Some(format!("{user}@{host}"))
}

pub(crate) fn content_entry(entry: Entry, content: &ToBeSigned) -> Entry {
    let purpose = Some(content.purpose().as_str().to_owned());
    match content {
        ToBeSigned::UserAuth(login) => Entry {
            purpose,
            user: Some(login.user.clone()),
            ..entry
        },
        ToBeSigned::SshSig(signed) => Entry {
            purpose,
            namespace: Some(signed.namespace.clone()),
            ..entry
        },
        ToBeSigned::Certificate(_) | ToBeSigned::Opaque => Entry { purpose, ..entry },
    }
}

pub(crate) fn hop(bind: &SessionBind) -> Hop {
    Hop {
        host_key: bind.host_key.fingerprint(),
        session_id: hex::encode(&bind.session_id),
        forwarding: bind.forwarding,
    }
}

/// 2 s, as long as a person's look at the keys waits: a login is held up no longer for an
/// identity whose wallet is away.
const LIST_WAIT_S: u16 = 2;

/// A program or command went away.
const WITHDRAWN: &str = "withdrawn";

/// A person at the other machine has to find the screen first, and no server hangs up meanwhile.
const MAKE_KEY_WAIT_S: u16 = 120;
