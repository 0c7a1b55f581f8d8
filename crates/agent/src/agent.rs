//! What the agent decides: programs ask, keepers are asked, the log is written, answers leave.
//!
//! **Invariant:** [`Agent::step`] touches nothing but its arguments. No signature is in its
//! actions unless the entry of that request is in the log, and unless the signature is the key's
//! over just the bytes that were asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use keystead_core::{Name, PairingId, hex};
use keystead_daemon::{Io, Now};
use keystead_keeper::{self as keeper, AskId, Keepers, Notice, PairingView, RelayUrl};

use crate::added::Added;
use crate::ask::Ask;
use crate::asked::{KeyUse, Target};
use crate::certificates::Certificates;
use crate::connection::Connection;
use crate::control::{Failure, Reply};
use crate::event::{Action, Event};
use crate::habits::Habits;
use crate::hardware::{self, HardwareWallets};
use crate::identities::Records;
use crate::ids::{ClientId, ConnectionId};
use crate::keeps::{Keeping, Keeps, Wants};
use crate::local_link::LocalLink;
use crate::lock::Lock;
use crate::log::{Book, Entry};
use crate::policy::{FILE_NAME, Policy, PolicyError};
use crate::settings::Settings;
use crate::upstream::Door;

/// The agent's whole state.
pub struct Agent {
    pub(crate) setup: Setup,
    pub(crate) keepers: Keeping,
    pub(crate) book: Book,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) asks: BTreeMap<AskId, Ask>,
    /// Commands that wait for the keepers to tell their keys, and until when.
    pub(crate) looking: BTreeMap<ClientId, u64>,
    next_ask: u64,
    pub(crate) lock: Lock,
    /// The command that pairs, of which there is one at a time.
    pub(crate) pairing: Option<ClientId>,
    /// The remembered one.
    pub(crate) relay: Option<RelayUrl>,
    pub(crate) notices: Vec<String>,
    pub(crate) policy: Policy,
    pub(crate) certificates: Certificates,
    /// What is held by the local authenticator.
    pub(crate) added: Added,
    pub(crate) local: LocalLink,
    /// Blobs of keys that live elsewhere and are not to be seen until they are shown again.
    pub(crate) hidden: BTreeSet<Vec<u8>>,
    /// Keys that programs here brought into a keeper's custody since the start.
    pub(crate) custody: BTreeMap<Vec<u8>, PairingId>,
    pub(crate) habits: Habits,
    /// Public keys of identities that wallets have told.
    pub(crate) records: Records,
    /// Uses of keys whose process is being looked at.
    pub(crate) key_uses: BTreeMap<ClientId, (KeyUse, Target)>,
    /// Moments at which a connection has waited long enough; those of the past say nothing.
    pub(crate) alarms: BTreeSet<(u64, ConnectionId)>,
}

impl Agent {
    /// Loads pairings, log and remembered relay.
    ///
    /// # Errors
    /// [`LoadError`]: the state folder cannot be read.
    pub fn load(now: Now, setup: Setup, io: &mut Io<'_>) -> Result<Self, LoadError> {
        let (keepers, told) = Keepers::load(now, io)?;
        let mut agent = Self::with(now, setup, Box::new(keepers), io)?;
        let mut turn = Turn::new(now, io);
        for notice in told {
            agent.keepers_notice(&mut turn, notice);
        }
        Ok(agent)
    }

    /// As [`Agent::load`], with keepers that are loaded already.
    ///
    /// # Errors
    /// [`LoadError::Unreadable`].
    pub fn with(
        now: Now,
        setup: Setup,
        keepers: Box<dyn Keeps>,
        io: &mut Io<'_>,
    ) -> Result<Self, LoadError> {
        let unreadable = |source| LoadError::Unreadable { source };
        let (book, cut) = Book::load(now, io.disk).map_err(unreadable)?;
        let remembered = io.disk.read(RELAY_FILE).map_err(unreadable)?;
        let relay = remembered.as_deref().and_then(relay_of);
        let (records, lost) = Records::load(io.disk).map_err(unreadable)?;
        let (hardware, damaged) = hardware::read(io.disk).map_err(unreadable)?;
        let is_relay_lost = remembered.is_some() && relay.is_none();
        let mut agent = Self {
            setup,
            keepers: Keeping::new(keepers, HardwareWallets::with(hardware)),
            book,
            connections: BTreeMap::new(),
            asks: BTreeMap::new(),
            looking: BTreeMap::new(),
            next_ask: 0,
            lock: Lock::default(),
            pairing: None,
            relay,
            notices: Vec::new(),
            policy: Policy::default(),
            certificates: Certificates::default(),
            added: Added::default(),
            local: LocalLink::default(),
            hidden: BTreeSet::new(),
            custody: BTreeMap::new(),
            habits: Habits::default(),
            records,
            key_uses: BTreeMap::new(),
            alarms: BTreeSet::new(),
        };
        agent.read_policy(io.disk)?;
        agent.read_certificates(io.disk).map_err(unreadable)?;
        cut.into_iter().for_each(|notice| agent.notice(notice));
        lost.into_iter().for_each(|notice| agent.notice(notice));
        damaged.into_iter().for_each(|notice| agent.notice(notice));
        if is_relay_lost {
            agent.notice(RELAY_LOST.to_owned());
        }
        agent.write_key_files(&mut Turn::new(now, io));
        Ok(agent)
    }

    /// Takes one event.
    pub fn step(&mut self, now: Now, event: Event, io: &mut Io<'_>) -> Vec<Action> {
        let mut turn = Turn::new(now, io);
        match event {
            Event::Connect { connection, pid } => {
                self.connections.insert(connection, Connection::new(pid));
            }
            Event::Frame { connection, frame } => self.frame(&mut turn, connection, frame),
            Event::HangUp { connection } => self.hang_up(&mut turn, connection),
            Event::Look { connection, seen } => self.looked(&mut turn, connection, seen),
            Event::LookFor { client, seen } => self.looked_for(&mut turn, client, seen),
            Event::LookAround {
                connection,
                seen,
                identities,
            } => self.looked_around(&mut turn, connection, &seen, identities.as_deref()),
            Event::Upstream {
                connection,
                message,
            } => self.came_from_upstream(&mut turn, connection, message),
            Event::Local { bytes } => self.came_from_local(&mut turn, bytes.as_deref()),
            Event::LocalAway { why } => self.local_away(&mut turn, &why),
            Event::Forget => self.forget_added(&mut turn),
            Event::Command {
                client,
                line,
                attached,
                addresses,
            } => match attached {
                Some(attached) => self.import_file(&mut turn, client, &line, attached),
                None => self.command(&mut turn, client, &line, addresses),
            },
            Event::Leave { client } => self.leave(&mut turn, client),
            Event::Net(event) => self.tell_keepers(&mut turn, keeper::Event::Net(event)),
            Event::Server(came) => {
                self.tell_servers(&mut turn, |servers, step| servers.came(step, came));
            }
            Event::ServerCommand {
                client,
                command,
                behind,
            } => self.server_command(&mut turn, client, command, behind),
            Event::KeyCommand {
                client,
                command,
                behind,
            } => self.key_command(&mut turn, client, command, behind),
            Event::Device(came) => {
                self.tell_hardware(&mut turn, |hardware, step| hardware.came(step, came));
            }
            Event::DeviceCommand {
                client,
                command,
                behind,
            } => self.hardware_command(&mut turn, client, command, behind),
            Event::Tick => {
                self.tell_keepers(&mut turn, keeper::Event::Tick);
                self.tick_local(&mut turn);
                self.tick_asks(&mut turn);
                self.tick_connections(&mut turn);
            }
        }
        self.answer_looking(&mut turn);
        if let Err(error) = self.book.tick(now, turn.io.disk) {
            self.notice(format!("the log cannot be synced: {error}"));
        }
        turn.actions
    }

    /// When [`Event::Tick`] is due, by the steady clock.
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        let asks = self.asks.values().filter_map(Ask::wake_ms);
        asks.chain(self.keepers.next_wake_ms())
            .chain(self.book.wake_ms())
            .chain(self.looking_wake_ms())
            .chain(self.local.next_wake_ms())
            .chain(self.added.next_wake_ms())
            .chain(self.alarms.first().map(|(at_ms, _)| *at_ms))
            .min()
    }

    /// Before the process ends: the keepers say goodbye, and the log is synced.
    pub fn close(&mut self, now: Now, io: &mut Io<'_>) -> Vec<Action> {
        let mut turn = Turn::new(now, io);
        let last = self.keepers.shut_down(now, turn.io);
        self.take_keepers(&mut turn, last);
        if let Err(error) = self.book.close(turn.io.disk) {
            tracing::error!(%error, "the log cannot be synced");
        }
        turn.actions
    }

    /// Tells the keepers, and does what they want done.
    pub(crate) fn tell_keepers(&mut self, turn: &mut Turn<'_, '_>, event: keeper::Event) {
        let actions = self.keepers.step(turn.now, event, turn.io);
        self.take_keepers(turn, actions);
    }

    pub(crate) fn take_keepers(&mut self, turn: &mut Turn<'_, '_>, wants: Vec<Wants>) {
        for want in wants {
            match want {
                Wants::Keeper(keeper::Action::Net(action)) => turn.act(Action::Net(action)),
                Wants::Keeper(keeper::Action::Progress { ask, progress }) => {
                    self.progress(turn, ask, progress);
                }
                Wants::Keeper(keeper::Action::Pairing(progress)) => {
                    self.pairing_progress(turn, progress);
                }
                Wants::Keeper(keeper::Action::Notice(notice)) => self.keepers_notice(turn, notice),
                Wants::Server(told) => self.take_server(turn, told),
                Wants::Device(told) => self.take_hardware(turn, told),
                Wants::Approval { by, pairing, end } => {
                    self.note_approval(turn, &by, pairing, *end)
                }
            }
        }
    }

    fn keepers_notice(&mut self, turn: &mut Turn<'_, '_>, notice: Notice) {
        match &notice {
            Notice::KeysChanged { .. } => self.write_key_files(turn),
            Notice::Unpaired { name, pairing } => {
                self.forget_records(turn, *pairing);
                self.write_key_files(turn);
                let entry = Entry {
                    keeper: Some(name.to_string()),
                    ..turn.entry("unpair", "by-holder")
                };
                self.record(turn, &entry);
            }
            Notice::Answered {
                pairing,
                keeper,
                kind,
                outcome,
                request_hash,
                receipt,
            } => {
                let entry = Entry {
                    keeper: Some(keeper.to_string()),
                    pairing: Some(pairing.to_string()),
                    request_hash: Some(hex::encode(request_hash.as_bytes())),
                    receipt: Some(hex::encode(&receipt.bytes)),
                    receipt_signature: Some(hex::encode(&receipt.signature)),
                    ..turn.entry(kind.as_str(), outcome.as_str())
                };
                self.record(turn, &entry);
            }
            Notice::Damaged { .. }
            | Notice::RelayAway { .. }
            | Notice::RelayBack { .. }
            | Notice::ClockDiffers { .. }
            | Notice::ReceiptGap { .. }
            | Notice::Misbehaved { .. }
            | Notice::NotSaved { .. }
            | _ => {}
        }
        let Some(text) = notice_text(&notice, &self.keepers.pairings()) else {
            return;
        };
        if matches!(notice, Notice::RelayAway { .. } | Notice::RelayBack { .. }) {
            self.tell_who_pairs(turn, &text);
        }
        self.notice(text);
    }

    /// Writes an entry of something that has happened anyway; what must not happen without one
    /// asks the book itself.
    pub(crate) fn record(&mut self, turn: &mut Turn<'_, '_>, entry: &Entry) {
        if let Err(error) = self.book.write(turn.now, entry, turn.io.disk) {
            self.notice(format!("the log cannot be written: {error}"));
        }
    }

    /// Tells the person by `keystead status`, and developers by the trace.
    pub(crate) fn notice(&mut self, text: String) {
        tracing::warn!(notice = %text);
        if self.notices.last() == Some(&text) {
            return;
        }
        if self.notices.len() >= NOTICES_MAX {
            self.notices.remove(0);
        }
        self.notices.push(text);
    }

    pub(crate) fn new_ask(&mut self) -> AskId {
        self.next_ask += 1;
        AskId(self.next_ask)
    }
}

/// What the agent is told at its start and does not find out by itself.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the person has set.
    pub settings: Settings,
    /// How this machine is called when no setting says it.
    pub host_name: Name,
    /// Where `ssh` finds the agent.
    pub ssh_auth_sock: PathBuf,
    /// The folder of the disk in [`Io`], to name files to people.
    pub state_folder: PathBuf,
    /// The agent's process.
    pub pid: u32,
    /// What holds for keys that are brought here.
    pub here: Here,
}

/// What holds for keys that are brought to this agent.
#[derive(Debug, Clone, Default)]
pub struct Here {
    /// The socket of the agent that was there before.
    pub upstream: Option<PathBuf>,
    /// The lifetime of a key that came without one (`ssh-agent -t`).
    pub lifetime_s: Option<u32>,
    /// Forwarded programs may bring tokens (`ssh-agent -O allow-remote-pkcs11`).
    pub allow_remote_tokens: bool,
}

/// One event, the moment it came, and what is to be done about it.
pub(crate) struct Turn<'a, 'b> {
    pub(crate) now: Now,
    pub(crate) io: &'a mut Io<'b>,
    pub(crate) actions: Vec<Action>,
}

impl<'a, 'b> Turn<'a, 'b> {
    const fn new(now: Now, io: &'a mut Io<'b>) -> Self {
        let actions = Vec::new();
        Self { now, io, actions }
    }

    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(crate) fn reply(&mut self, client: ClientId, reply: Reply) {
        self.act(Action::Reply { client, reply });
    }

    pub(crate) fn door(&mut self, connection: ConnectionId, door: Door) {
        self.act(Action::Upstream { connection, door });
    }

    pub(crate) fn fail(&mut self, client: ClientId, failure: Failure) {
        self.reply(client, Reply::Failed(failure));
    }

    /// A log entry of this moment.
    pub(crate) fn entry(&self, kind: &str, decision: &str) -> Entry {
        Entry {
            unix_s: self.now.unix_s,
            kind: kind.to_owned(),
            decision: decision.to_owned(),
            ..Entry::default()
        }
    }
}

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The pairings cannot be read.
    #[error(transparent)]
    Keepers(#[from] keeper::LoadError),
    /// What the policy forbids is not known.
    #[error("{FILE_NAME} in the state folder: {0}")]
    Policy(#[from] PolicyError),
    /// The log or another file cannot be read.
    #[error("the state folder cannot be read")]
    Unreadable {
        /// Why.
        source: std::io::Error,
    },
}

impl LoadError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Keepers(error) => error.hint(),
            Self::Policy(error) => error.hint(),
            Self::Unreadable { .. } => "see that the state folder belongs to you and is readable",
        }
    }
}

/// The relay in its file; none when the line was cut off.
fn relay_of(file: &[u8]) -> Option<RelayUrl> {
    let line = file.strip_suffix(b"\n")?;
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// What a person is told of a notice; none where a list says it anyway.
fn notice_text(notice: &Notice, pairings: &[PairingView]) -> Option<String> {
    let name = |id: &PairingId| {
        let view = pairings.iter().find(|it| it.pairing == *id);
        view.map_or_else(|| format!("keeper {id}"), |it| it.name.to_string())
    };
    Some(match notice {
        Notice::Damaged { file, reason } => {
            format!("{file} cannot be read ({reason}); it stays as it is")
        }
        Notice::RelayAway { relay, reason } => format!("relay {relay} is away: {reason}"),
        Notice::RelayBack { relay } => format!("relay {relay} is back"),
        Notice::Unpaired { name, .. } => format!("{name} has ended the pairing"),
        Notice::ClockDiffers { pairing, ahead_s } => {
            let side = if *ahead_s > 0 { "ahead of" } else { "behind" };
            let off_s = ahead_s.unsigned_abs();
            format!(
                "the clock of {} is {off_s} s {side} this one",
                name(pairing)
            )
        }
        Notice::ReceiptGap {
            pairing,
            first,
            last,
        } if first == last => format!(
            "an answer of {} did not arrive here (receipt {first})",
            name(pairing)
        ),
        Notice::ReceiptGap {
            pairing,
            first,
            last,
        } => format!(
            "answers of {} did not arrive here (receipts {first} to {last})",
            name(pairing)
        ),
        Notice::Misbehaved { pairing, what } => format!("{} misbehaved: {what}", name(pairing)),
        Notice::NotSaved { file, reason } => format!("{file} cannot be written: {reason}"),
        Notice::KeysChanged { .. } | Notice::Answered { .. } | _ => return None,
    })
}

/// The remembered relay, in the state folder.
pub(crate) const RELAY_FILE: &str = "relay";

/// Said when [`RELAY_FILE`] is not a whole line with a relay's address in it.
const RELAY_LOST: &str =
    "the remembered relay cannot be read; `keystead pair --relay URL` names it anew";

/// What `status` shows at most; a person reads no more.
const NOTICES_MAX: usize = 32;
