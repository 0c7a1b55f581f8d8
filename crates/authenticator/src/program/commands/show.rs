//! Commands that read: `status`, `key list`, `host list`, `log`.
//!
//! What is on disk is read from there, beside a running authenticator too:
//! every file is whole at every moment, and the log only grows.

use std::time::Duration;

use keystead_channel::session::ApproverId;
use keystead_core::hex;
use keystead_daemon::home::Folders;
use keystead_daemon::process::{Lock, LockError};
use keystead_daemon::{FolderDisk, utc};
use serde::Serialize;

use super::{ask, converse, strange};
use crate::control::{Command, JSON_VERSION, KeyLine, PairingLine, Reply, Status};
use crate::entry::Entry;
use crate::holder::key_line;
use crate::journal::Journal;
use crate::keyring::{ApprovalEntry, Custody, Keyring};
use crate::pairing_file::StoredPairing;
use crate::pins::{Pin, Pins};
use crate::program::control;
use crate::program::conversation::Conversation;
use crate::program::failure::Failure;
use crate::program::print;
use crate::show::Safe;

/// `status`
pub(crate) fn status(folders: &Folders, json: bool) -> Result<(), Failure> {
    let socket = control::socket(folders);
    let is_running = || super::block_on(Conversation::connect(&socket)).map(|it| it.is_some());
    let mut looks_left = LOOKS;
    let is_running = loop {
        if is_running()? {
            break true;
        }
        if !is_in_use(folders)? {
            break false;
        }
        // One that is being started is about to listen; `pair` and its like never will.
        if looks_left == 0 {
            return show_status(&status_on_disk(folders)?, json);
        }
        looks_left -= 1;
        std::thread::sleep(BETWEEN_LOOKS);
    };
    let reply = converse(folders, None, async |talk: &mut Conversation| {
        ask(talk, Command::Status, None).await
    })?;
    let Reply::Status(mut status) = reply else {
        return Err(strange());
    };
    status.running = is_running;
    show_status(&status, json)
}

/// Whether a command, such as `pair`, works there at this moment.
fn is_in_use(folders: &Folders) -> Result<bool, Failure> {
    match Lock::take(&folders.state) {
        Ok(_) => Ok(false),
        Err(LockError::Held { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// What can be said beside a command that works there.
fn status_on_disk(folders: &Folders) -> Result<Status, Failure> {
    let disk = FolderDisk::open(&folders.state)?;
    let keys = Keyring::load(&disk)?;
    let stored = StoredPairing::load_all(&disk)?;
    let live = stored
        .into_iter()
        .filter(|it| it.pair_key.is_some() && it.revoked_unix_s.is_none());
    let pairings = live.map(|it| PairingLine {
        id: it.id().to_string(),
        workstation: it.workstation.to_string(),
        relay: it.relay.as_ref().map(ToString::to_string),
        made: it.made_unix_s,
        used: it.used,
        channels: 0,
    });
    Ok(Status {
        version: JSON_VERSION,
        name: keys.name().to_string(),
        running: false,
        locked: true,
        addresses: Vec::new(),
        pairings: pairings.collect(),
        waiting: 0,
    })
}

fn show_status(status: &Status, json: bool) -> Result<(), Failure> {
    if json {
        return print::json(status);
    }
    let state = match (status.running, status.locked) {
        (false, _) => "not running",
        (true, true) => "running, locked",
        (true, false) => "running, unlocked",
    };
    print::line(format_args!("{}: {state}", status.name))?;
    for address in &status.addresses {
        print::line(format_args!("listens at {address}"))?;
    }
    if status.waiting > 0 {
        print::line(format_args!("{} requests wait for you", status.waiting))?;
    }
    pairings(status)
}

fn pairings(status: &Status) -> Result<(), Failure> {
    if status.pairings.is_empty() {
        return print::line("no pairing yet");
    }
    let row = |pairing: &crate::control::PairingLine| {
        vec![
            pairing.workstation.clone(),
            pairing.id.clone(),
            format!("since {}", utc(pairing.made)),
            pairing
                .relay
                .clone()
                .unwrap_or_else(|| "no relay".to_owned()),
            match (pairing.channels, pairing.used) {
                (0, false) => "not used yet".to_owned(),
                (0, true) => "away".to_owned(),
                (_, _) => "connected".to_owned(),
            },
        ]
    };
    let rows: Vec<Vec<String>> = status.pairings.iter().map(row).collect();
    print::table(&rows)
}

/// `key list`
pub(crate) fn keys(folders: &Folders, json: bool) -> Result<(), Failure> {
    let disk = FolderDisk::open(&folders.state)?;
    let keys = Keyring::load(&disk)?;
    let pairings = StoredPairing::load_all(&disk)?;
    let listed = keys.entries().iter().filter_map(|entry| {
        let custody = keys.custody(&entry.id);
        Some(Listed {
            key: key_line(entry)?,
            custody: custody.map(|it| CustodyLine::of(it, &pairings)),
        })
    });
    let wallets: Vec<String> = keys.wallets().map(|it| it.to_string()).collect();
    let approvals: Vec<ApprovalLine> = keys.approvals().map(|it| ApprovalLine::of(&it)).collect();
    let keys: Vec<Listed> = listed.collect();
    if json {
        return print::json(&Keys {
            version: JSON_VERSION,
            keys,
            wallets,
            approvals,
        });
    }
    let wallets = wallets.into_iter().map(|fingerprint| {
        let what = "a key for each identity; wallet show lists them";
        vec![
            "wallet".to_owned(),
            String::new(),
            fingerprint,
            what.to_owned(),
        ]
    });
    let approvals = approvals.into_iter().map(ApprovalLine::row);
    let rows: Vec<Vec<String>> = keys
        .into_iter()
        .map(|Listed { key, custody }| {
            let custody = custody.map(|it| it.words()).unwrap_or_default();
            vec![key.name, key.algorithm, key.fingerprint, custody]
        })
        .chain(wallets)
        .chain(approvals)
        .collect();
    print::table(&rows)
}

/// A key that approves for a key server; no key that signs anything else.
#[derive(Serialize)]
struct ApprovalLine {
    /// What the server is called here.
    server: String,
    /// Hex.
    server_id: String,
    /// By which the server knows the approver, hex.
    approver: String,
    /// Hex of the Ed25519 public key.
    public_key: String,
}

impl ApprovalLine {
    fn of(entry: &ApprovalEntry) -> Self {
        Self {
            server: entry.server.to_string(),
            server_id: hex::encode(&entry.server_id),
            approver: ApproverId::of(&entry.public).to_string(),
            public_key: hex::encode(&entry.public),
        }
    }

    fn row(self) -> Vec<String> {
        let approver = format!("approver {}", self.approver);
        let what = "approves for this key server".to_owned();
        vec![self.server, "approval".to_owned(), approver, what]
    }
}

/// How a key that was brought is kept.
#[derive(Serialize)]
struct CustodyLine {
    /// The workstation, or the pairing's id where it has ended; none for the holder.
    brought_by: Option<String>,
    /// When it is forgotten, seconds since 1970.
    expires: Option<u64>,
    /// Whether each use is asked about.
    confirm: bool,
    /// Whether it is limited to destinations.
    destinations: bool,
}

impl CustodyLine {
    fn of(custody: &Custody, pairings: &[StoredPairing]) -> Self {
        let brought_by = custody.pairing.map(|id| {
            let pairing = pairings.iter().find(|it| it.id() == id);
            pairing.map_or_else(|| id.to_string(), |it| it.workstation.to_string())
        });
        Self {
            brought_by,
            expires: custody.expires_unix_s,
            confirm: custody.constraints.confirm,
            destinations: custody.constraints.destinations.is_some(),
        }
    }

    fn words(&self) -> String {
        let by = self.brought_by.as_deref().unwrap_or("you");
        let mut words = format!("brought by {}", Safe(by));
        if let Some(unix_s) = self.expires {
            words += &format!(", until {}", utc(unix_s));
        }
        if self.confirm {
            words += ", asks each time";
        }
        if self.destinations {
            words += ", for some hosts alone";
        }
        words
    }
}

/// `host list`
pub(crate) fn hosts(folders: &Folders, json: bool) -> Result<(), Failure> {
    let disk = FolderDisk::open(&folders.state)?;
    Keyring::load(&disk)?;
    let pins = Pins::load(&disk)?;
    if json {
        let hosts = pins.iter().map(|(name, pin)| Host { name, pin }).collect();
        return print::json(&Hosts {
            version: JSON_VERSION,
            hosts,
        });
    }
    let row = |(name, pin): (&str, &Pin)| {
        vec![
            Safe(name).to_string(),
            Safe(&pin.host_key).to_string(),
            format!("since {} by {}", utc(pin.time), Safe(&pin.workstation)),
        ]
    };
    let rows: Vec<Vec<String>> = pins.iter().map(row).collect();
    print::table(&rows)
}

/// `log`
pub(crate) fn log(folders: &Folders, json: bool) -> Result<(), Failure> {
    let disk = FolderDisk::open(&folders.state)?;
    Keyring::load(&disk)?;
    let entries = Journal::read_all(&disk)?;
    if json {
        return print::json(&Log {
            version: JSON_VERSION,
            entries,
        });
    }
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    print::table(&rows)
}

fn row(entry: &Entry) -> Vec<String> {
    let shown = |text: &Option<String>| text.as_deref().map(|it| Safe(it).to_string());
    let mut about = Vec::new();
    if let Some(server) = shown(&entry.server) {
        // The line that was shown names server, act and key; it is safe to show.
        let words = entry.words.clone();
        about.push(words.unwrap_or_else(|| format!("key server {server}")));
    } else if let Some(user) = shown(&entry.user) {
        let host = shown(&entry.host).or_else(|| shown(&entry.host_key));
        about.push(format!(
            "{user} at {}",
            host.unwrap_or_else(|| "a host not proved".to_owned())
        ));
    } else {
        about.extend(shown(&entry.host));
        about.extend(shown(&entry.namespace).map(|it| format!("namespace {it}")));
    }
    let key = shown(&entry.key).filter(|_| entry.server.is_none());
    about.extend(key.map(|it| format!("key {it}")));
    about.extend(shown(&entry.identity));
    about.extend(shown(&entry.wallet).map(|it| format!("wallet {it}")));
    about.extend(shown(&entry.code).map(|it| format!("code {it}")));
    about.extend(shown(&entry.reason));
    vec![
        utc(entry.unix_s),
        entry.decision.clone(),
        entry.purpose.clone().unwrap_or_else(|| entry.kind.clone()),
        shown(&entry.workstation).unwrap_or_else(|| "here".to_owned()),
        about.join(", "),
    ]
}

/// 2 s in all: so long a start takes to open the keys.
const LOOKS: u32 = 20;

/// Between two of them.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Keys {
    version: u32,
    keys: Vec<Listed>,
    /// Their fingerprints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wallets: Vec<String>,
    approvals: Vec<ApprovalLine>,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    key: KeyLine,
    #[serde(skip_serializing_if = "Option::is_none")]
    custody: Option<CustodyLine>,
}

#[derive(Serialize)]
struct Hosts<'a> {
    version: u32,
    hosts: Vec<Host<'a>>,
}

#[derive(Serialize)]
struct Host<'a> {
    name: &'a str,
    #[serde(flatten)]
    pin: &'a Pin,
}

#[derive(Serialize)]
struct Log {
    version: u32,
    entries: Vec<Entry>,
}
