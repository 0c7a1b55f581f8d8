//! What a key server wants approved, the key that approves it, and local copies of secrets.
//!
//! **Invariant**: every field of the server's text that changes what is done has a row; the
//! server's name is the one that it had when its approval key was made, never the text's.

use keystead_core::Name;

use super::{Called, Hop, Row, plain, shown, spelled, warn};
use crate::entry::Entry;
use crate::show::{Safe, clip, safe_bytes};

/// One act that a key server wants approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAct {
    /// What the server is called here.
    pub server: Name,
    /// Hex of its id.
    pub server_id: String,
    /// What it would do.
    pub deed: Deed,
    /// Which key is meant, if one is.
    pub key: Option<HeldKey>,
    /// Until when the server waits, by its own clock, seconds since 1970.
    pub until_unix_s: u64,
}

/// What a server would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Sign a login.
    Login {
        /// The account.
        user: String,
        /// Where; none where the login does not say it.
        host: Option<Hop>,
    },
    /// Sign in a namespace.
    Namespace {
        /// The namespace.
        namespace: String,
        /// `sha512`, for example.
        hash_name: String,
        /// Hex.
        hash: String,
    },
    /// Sign for OpenPGP.
    OpenPgp {
        /// The hash algorithm's number (RFC 9580 section 9.5).
        hash: u32,
        /// Hex.
        digest: String,
    },
    /// Sign bytes.
    Message {
        /// The bytes.
        content: Vec<u8>,
        /// Hex.
        sha256: String,
        /// How they are hashed.
        digest: &'static str,
    },
    /// Sign a digest of nobody knows what.
    Digest {
        /// Hex.
        digest: String,
    },
    /// Give a secret out.
    Retrieve {
        /// It may leave the workstation, too.
        is_export: bool,
    },
    /// Take other conditions for a key.
    Policy(Conditions),
    /// Let another key approve from now on.
    AddApprover {
        /// The workstation's word for it.
        label: String,
        /// Hex of its id.
        id: String,
    },
    /// Let a key approve no longer.
    RemoveApprover {
        /// Hex of its id.
        id: String,
        /// It is the one here.
        is_own: bool,
    },
    /// Stop a recovery, which lifts every need of an approval when its time has come.
    CancelRecovery,
    /// Lift the lock of an account.
    Unlock {
        /// Its name.
        account: String,
    },
}

/// Conditions of a server-held key, each in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Label and value.
    pub rows: Vec<(&'static str, String)>,
    /// What makes it weaker, so that nobody reads over it.
    pub warnings: Vec<&'static str>,
}

/// A key that the server holds, by the server's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldKey {
    /// Its name there; its id where only the workstation can read the name.
    pub label: String,
    /// `SHA256:…`, or its id there: what no change of its label changes.
    pub fingerprint: Option<String>,
}

/// The key that approves for a server, to be made or told again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeApproval {
    /// What the server will be called here.
    pub server: Name,
    /// Hex of its id.
    pub server_id: String,
    /// It was made before: its public half is told again.
    pub is_known: bool,
}

/// Local copies of a workstation, to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenLocal {
    /// The workstation's word for them.
    pub what: Name,
}

impl ServerAct {
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = vec![plain("Key server", self.server.as_str())];
        rows.extend(self.deed.rows());
        if let Some(key) = &self.key {
            let label = format!("{} (held by the server)", shown(&key.label));
            rows.push(plain(self.deed.key_label(), label));
            rows.extend(key.fingerprint.as_deref().map(|it| plain("", it)));
        }
        let until = clock(self.until_unix_s);
        rows.push(plain(
            "Until",
            format!("{until} UTC, by the server's clock; for this once"),
        ));
        rows.extend(self.deed.long_rows());
        rows
    }

    pub(super) fn line(&self) -> String {
        let key = self.key.as_ref().map(|it| shown(&it.label));
        let with = |what: String| match &key {
            Some(key) => format!("{what} with {key}"),
            None => what,
        };
        let of = |what: &str| format!("{what} {}", key.as_deref().unwrap_or("a key"));
        let what = match &self.deed {
            Deed::Login { user, host } => {
                let at = host
                    .as_ref()
                    .map_or_else(|| "a destination not proved".to_owned(), Hop::line);
                with(format!("ssh login as {} at {at}", spelled(user)))
            }
            Deed::Namespace { namespace, .. } => {
                with(format!("signature in the namespace {}", shown(namespace)))
            }
            Deed::OpenPgp { .. } => with("an OpenPGP signature".to_owned()),
            Deed::Message { content, .. } => with(format!("signature of {} bytes", content.len())),
            Deed::Digest { .. } => with("signature of a digest".to_owned()),
            Deed::Retrieve { is_export: true } => of("export of"),
            Deed::Retrieve { is_export: false } => of("retrieval of"),
            Deed::Policy(_) => of("other conditions for"),
            Deed::AddApprover { label, .. } => format!("the new approver {}", shown(label)),
            Deed::RemoveApprover { id, .. } => format!("the end of the approver {id}"),
            Deed::CancelRecovery => "the end of a recovery".to_owned(),
            Deed::Unlock { account } => format!("lifting the lock of {}", spelled(account)),
        };
        format!("key server {}: {what}", self.server)
    }

    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.server = Some(self.server.to_string());
        entry.key = self.key.as_ref().map(|it| it.label.clone());
        entry.fingerprint = self.key.as_ref().and_then(|it| it.fingerprint.clone());
        match &self.deed {
            Deed::Login { user, host } => {
                entry.user = Some(user.clone());
                entry.host_key = host.as_ref().map(|it| it.host_key.clone());
                let name = host.as_ref().and_then(Hop::name);
                entry.host = name.map(str::to_owned);
            }
            Deed::Namespace { namespace, .. } => entry.namespace = Some(namespace.clone()),
            Deed::OpenPgp { .. }
            | Deed::Message { .. }
            | Deed::Digest { .. }
            | Deed::Retrieve { .. }
            | Deed::Policy(_)
            | Deed::AddApprover { .. }
            | Deed::RemoveApprover { .. }
            | Deed::CancelRecovery => {}
            Deed::Unlock { account } => entry.user = Some(account.clone()),
        }
    }
}

impl Deed {
    fn rows(&self) -> Vec<Row> {
        match self {
            Self::Login { user, host } => login_rows(user, host.as_ref()),
            Self::Namespace {
                namespace,
                hash_name,
                hash,
            } => vec![
                plain(
                    "Sign",
                    format!("a hash in the namespace {}", shown(namespace)),
                ),
                plain("Hash", format!("{} {hash}", shown(hash_name))),
                warn("Content", "not proved: only its hash came"),
            ],
            Self::OpenPgp { hash, digest } => vec![
                plain("Sign", "an OpenPGP digest"),
                plain("Digest", format!("{} {digest}", openpgp_hash(*hash))),
                warn("Content", "text not proved: only its digest came"),
            ],
            Self::Message {
                content,
                sha256,
                digest,
            } => vec![
                plain("Sign", format!("{} bytes, {digest}", content.len())),
                plain("SHA-256", &**sha256),
                warn("", "nobody here knows what these bytes are for"),
            ],
            Self::Digest { digest } => vec![
                plain("Sign", "a digest"),
                plain("Digest", &**digest),
                warn("", "nobody knows of what: it may be anything"),
            ],
            Self::Retrieve { is_export } => retrieve_rows(*is_export),
            Self::Policy(conditions) => conditions.rows(),
            Self::AddApprover { label, id } => vec![
                plain("New approver", shown(label)),
                plain("Its id", &**id),
                warn("", "it may approve from then on, as you do here"),
            ],
            Self::RemoveApprover { id, is_own } => {
                let mut rows = vec![plain("No approver", &**id)];
                if *is_own {
                    rows.push(warn("", "this is the key here: it is asked no more"));
                }
                rows
            }
            Self::CancelRecovery => vec![
                plain("Cancel", "the recovery that somebody began"),
                plain("", "approvals stay needed as before"),
            ],
            Self::Unlock { account } => vec![
                plain("Unlock", format!("the account {}", spelled(account))),
                plain("", "whoever knows its password may try it again"),
                warn(
                    "",
                    "too many wrong passwords were typed for it: were they yours?",
                ),
            ],
        }
    }

    /// What may be long, and comes last.
    fn long_rows(&self) -> Vec<Row> {
        let Self::Message { content, .. } = self else {
            return Vec::new();
        };
        let shown = content.get(..BYTES_SHOWN_MAX).unwrap_or(content);
        let mut rows = Vec::new();
        let mut label = "Message";
        for line in shown.split(|byte| *byte == b'\n') {
            rows.push(plain(label, safe_bytes(line)));
            label = "";
        }
        if content.len() > BYTES_SHOWN_MAX {
            let rest = content.len().saturating_sub(BYTES_SHOWN_MAX);
            rows.push(warn("", format!("{rest} bytes more, which are not shown")));
        }
        rows
    }

    const fn key_label(&self) -> &'static str {
        match self {
            Self::Retrieve { .. } => "Secret",
            Self::Policy(_) => "Of key",
            Self::Login { .. }
            | Self::Namespace { .. }
            | Self::OpenPgp { .. }
            | Self::Message { .. }
            | Self::Digest { .. }
            | Self::AddApprover { .. }
            | Self::RemoveApprover { .. }
            | Self::CancelRecovery
            | Self::Unlock { .. } => "With key",
        }
    }
}

impl Conditions {
    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![plain("Change", "the conditions of a key, to these:")];
        for (label, value) in &self.rows {
            rows.push(plain(label, clip(value, CONDITION_CHARS_MAX)));
        }
        rows.extend(self.warnings.iter().map(|it| warn("", *it)));
        rows
    }
}

impl MakeApproval {
    pub(super) fn rows(&self) -> Vec<Row> {
        let (first, then) = match self.is_known {
            false => (
                "a key that approves for it",
                "it stays here; what the server asks will be shown here",
            ),
            true => (
                "the approver's key that was made for it",
                "its public half is told again",
            ),
        };
        let label = if self.is_known { "Tell" } else { "Make" };
        vec![
            plain("Key server", self.server.as_str()),
            plain("Its id", &*self.server_id),
            plain(label, first),
            plain("", then),
            warn("", "name and id are the workstation's word"),
        ]
    }

    pub(super) fn line(&self) -> String {
        let what = if self.is_known { "the" } else { "a new" };
        format!("{what} approval key for the key server {}", self.server)
    }

    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.server = Some(self.server.to_string());
    }
}

impl OpenLocal {
    pub(super) fn rows(&self) -> Vec<Row> {
        vec![
            plain(
                "Open",
                format!(
                    "the local copies {} (the workstation's word)",
                    Safe(self.what.as_str())
                ),
            ),
            warn(
                "",
                "the workstation gets the key of what it keeps there, for as long as it likes",
            ),
        ]
    }

    pub(super) fn line(&self) -> String {
        format!("opening the local copies {}", Safe(self.what.as_str()))
    }
}

fn login_rows(user: &str, host: Option<&Hop>) -> Vec<Row> {
    let mut rows = vec![plain("Log in as", spelled(user))];
    match host {
        Some(hop) => {
            rows.push(match &hop.called {
                Called::Pinned(name) => plain(
                    "Host",
                    format!("{} (this key is pinned to it)", shown(name)),
                ),
                Called::Told(_) | Called::Nameless => {
                    warn("Host", "no host is pinned here to this key")
                }
            });
            rows.push(plain("Host key", &*hop.host_key));
        }
        None => {
            rows.push(warn("Host", "destination not proved"));
            rows.push(warn("", "any host may get this login"));
        }
    }
    rows
}

fn retrieve_rows(is_export: bool) -> Vec<Row> {
    match is_export {
        true => vec![
            plain("Export", "a secret, to the workstation and beyond"),
            warn("", "whoever gets it there has it for good"),
        ],
        false => vec![
            plain("Retrieve", "a secret, for use on the workstation"),
            warn("", "whoever controls the workstation gets it"),
        ],
    }
}

/// RFC 9580 section 9.5.
fn openpgp_hash(number: u32) -> String {
    match number {
        8 => "SHA-256".to_owned(),
        9 => "SHA-384".to_owned(),
        10 => "SHA-512".to_owned(),
        11 => "SHA-224".to_owned(),
        12 => "SHA3-256".to_owned(),
        14 => "SHA3-512".to_owned(),
        number => format!("hash {number}"),
    }
}

/// The time of the day, `08:15:30`.
fn clock(unix_s: u64) -> String {
    let of_day = unix_s % DAY_S;
    let (hours, minutes, seconds) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}")
}

const DAY_S: u64 = 86_400;

/// 4 KiB of a message: as much as a person reads; more is said to be more.
const BYTES_SHOWN_MAX: usize = 4_096;

/// 2,000 characters: 40 users of usual length, 40 fingerprints.
const CONDITION_CHARS_MAX: usize = 2_000;
