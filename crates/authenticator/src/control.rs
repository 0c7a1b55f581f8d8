//! What the commands say to a running authenticator, and what it answers.
//!
//! One JSON object a line over a Unix socket of the same user. Where a line
//! has `passphrase_bytes`, so many raw bytes follow it: a passphrase never
//! stands in JSON. The same types go to the authenticator that a command runs
//! in its own process when none is up.

use keystead_core::Derivation;
use serde::{Deserialize, Serialize};

use crate::identities::RECORD_BYTES_MAX;

/// One line to the authenticator.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    /// What is to be done.
    #[serde(flatten)]
    pub command: Command,
    /// How many bytes of passphrase follow the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase_bytes: Option<usize>,
}

/// What a command asks of the authenticator.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// How is it?
    Status,
    /// Make a key. A passphrase is needed only where it is locked.
    KeyNew {
        /// Its name.
        name: String,
        /// A [`keystead_core::KeyType`]'s name.
        algorithm: String,
        /// A [`keystead_core::Purpose`]'s number; none for SSH.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        purpose: Option<u8>,
    },
    /// About wallets.
    Wallet {
        /// What.
        deed: WalletDeed,
    },
    /// Take a key file into custody. Behind the line stand the file, its
    /// passphrase and, where this is locked, the store's, in this order.
    KeyImport {
        /// Its name; none takes the file's comment.
        name: Option<String>,
        /// Length of the file.
        file_bytes: usize,
        /// Length of its passphrase, where it has one.
        file_passphrase_bytes: Option<usize>,
    },
    /// Destroy a key.
    KeyRemove {
        /// Its name.
        name: String,
    },
    /// Destroy the key that approves for a key server.
    ApprovalRemove {
        /// What the server is called here.
        server: String,
    },
    /// Answer an offer.
    Pair {
        /// Link or QR code's text. Holds the one-time secret.
        link: String,
        /// Take the code as compared.
        yes: bool,
    },
    /// The holder compared the code: the second line of a `pair`.
    PairDecide {
        /// Whether both screens show the same.
        same: bool,
    },
    /// End a pairing.
    Unpair {
        /// The workstation's name, or the pairing's id.
        workstation: String,
    },
    /// Wipe the keys from memory.
    Lock,
    /// Open the keys with the passphrase that follows.
    Unlock,
    /// Pin a host's key, in place of the one that is pinned.
    HostAccept {
        /// The host's name.
        name: String,
        /// `SHA256:…`
        host_key: String,
    },
    /// Forget which key a host has.
    HostForget {
        /// The host's name.
        name: String,
    },
    /// What is granted and blocked?
    GrantList,
    /// End grants or blocks.
    GrantRevoke {
        /// Which.
        which: WhichGrants,
    },
}

/// What is done about wallets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum WalletDeed {
    /// Add the wallet of the words that follow the line, with their passphrase; behind it the
    /// store's, where this is locked.
    Add {
        /// Length of the words.
        words_bytes: usize,
        /// Length of their passphrase, 0 for none.
        words_passphrase_bytes: usize,
    },
    /// Which wallets are here, and what were they used for?
    Show,
    /// Forget a wallet.
    Remove {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// Take in the record that follows the line; behind it the store's passphrase.
    Import {
        /// Length of the record.
        record_bytes: usize,
    },
    /// Derive the keys of these identities.
    Find {
        /// Their texts.
        uris: Vec<String>,
        /// The indexes from 0 to this one.
        index_max: u32,
        /// Hex of the key ids that are looked for; none shows all.
        keys: Vec<String>,
    },
}

/// Which grants and blocks are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhichGrants {
    /// All of them.
    All,
    /// The one of this number.
    One(u64),
}

/// One line from the authenticator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Something to be said to the person meanwhile.
    Say {
        /// One line.
        line: String,
    },
    /// The code is to be compared; `pair-decide` is awaited.
    Code {
        /// `123 456`
        code: String,
        /// Who shows the same.
        workstation: String,
        /// How long the answer is waited for.
        expires_in_s: u64,
    },
    /// Answer to `status`, the last line.
    Status(Status),
    /// Grants and blocks: the last line.
    Grants(GrantLines),
    /// A key was made: the last line.
    Key(KeyLine),
    /// Wallets: the last line.
    Wallets(WalletLines),
    /// Identities that were found: the last line.
    Identities {
        /// The oldest wallet's first.
        identities: Vec<IdentityLine>,
    },
    /// Done: the last line.
    Done {
        /// What was done, for the person.
        line: String,
    },
    /// Not done: the last line.
    Failed {
        /// What failed.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl Reply {
    /// Whether nothing follows.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        !matches!(self, Self::Say { .. } | Self::Code { .. })
    }

    pub(crate) fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn done(line: impl Into<String>) -> Self {
        Self::Done { line: line.into() }
    }
}

/// How the authenticator is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of this object.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Whether a process answers requests.
    pub running: bool,
    /// Whether keys can sign now.
    pub locked: bool,
    /// Where it accepts TCP connections.
    pub addresses: Vec<String>,
    /// Whom it is paired with.
    pub pairings: Vec<PairingLine>,
    /// How many requests wait for the holder.
    pub waiting: usize,
}

/// A pairing, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingLine {
    /// Hex.
    pub id: String,
    /// The workstation's name.
    pub workstation: String,
    /// The relay, if any.
    pub relay: Option<String>,
    /// When it was made, seconds since 1970.
    pub made: u64,
    /// Whether a request has used it since.
    pub used: bool,
    /// How many channels it has now.
    pub channels: usize,
}

/// A key, as `key list` and `key new` show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLine {
    /// The holder's name for it.
    pub name: String,
    /// As people type it.
    #[serde(rename = "type")]
    pub algorithm: String,
    /// The line for `authorized_keys`; of a key for age or minisign what their programs take, of
    /// another hex.
    pub public_key: String,
    /// `SHA256:…`
    pub fingerprint: String,
}

/// The wallets, as `wallet show` shows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletLines {
    /// The version of this object.
    pub version: u32,
    /// The oldest first.
    pub wallets: Vec<WalletLine>,
}

/// A wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletLine {
    /// Hex.
    pub fingerprint: String,
    /// What it was used for, the oldest first; none while it is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identities: Option<Vec<IdentityLine>>,
}

/// An identity, with its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityLine {
    /// The text that is hashed.
    pub identity: String,
    /// Its curve.
    pub curve: String,
    /// Its index.
    pub index: u32,
    /// 13 of one that signs, 17 of one that agrees on keys.
    pub derivation: u8,
    /// The wallet's fingerprint.
    pub wallet: String,
    /// When it was asked for first, seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_unix_s: Option<u64>,
    /// Its key.
    pub key: KeyLine,
}

impl IdentityLine {
    /// Curve and index, and what its key does where that is not plain.
    #[must_use]
    pub fn details(&self) -> String {
        let mut details = self.curve.clone();
        if self.index != 0 {
            details.push_str(&format!(", index {}", self.index));
        }
        let is_agreeing = self.derivation == Derivation::Agree.number();
        if is_agreeing && self.identity.starts_with("gpg://") {
            details.push_str(", decrypts");
        }
        details
    }
}

/// What is granted and blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantLines {
    /// The version of this object.
    pub version: u32,
    /// Standing approvals, the oldest first.
    pub grants: Vec<GrantLine>,
    /// Standing refusals, the oldest first.
    pub blocks: Vec<BlockLine>,
}

/// A grant, as `grant list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantLine {
    /// Its number.
    pub id: u64,
    /// `login`, `git`, `purpose`, or `act` for the rest of an act that was approved whole.
    pub scope: String,
    /// What it covers, in words.
    pub what: String,
    /// Who may ask.
    pub workstation: String,
    /// Hex.
    pub pairing: String,
    /// Which key signs.
    pub key: Option<String>,
    /// The account.
    pub user: Option<String>,
    /// `SHA256:…` of the host's key.
    pub host_key: Option<String>,
    /// `SHA256:…` of each host on the way, the first one first.
    pub path: Vec<String>,
    /// For programs in the background alone.
    pub background: bool,
    /// When it was made, seconds since 1970.
    pub made_unix_s: u64,
    /// When it ends.
    pub ends_unix_s: u64,
    /// How often it may be used.
    pub count_max: u32,
    /// How often it was.
    pub used: u32,
}

/// A block, as `grant list` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockLine {
    /// Its number.
    pub id: u64,
    /// What is refused, in words.
    pub what: String,
    /// To whom.
    pub workstation: String,
    /// Hex.
    pub pairing: String,
    /// When it was made, seconds since 1970.
    pub made_unix_s: u64,
}

impl Command {
    /// How many secret bytes may follow its line.
    #[must_use]
    pub const fn secret_bytes_max(&self) -> usize {
        match self {
            Self::KeyImport { .. } => KEY_FILE_BYTES_MAX + 2 * PASSPHRASE_BYTES_MAX,
            Self::Wallet { deed } => match deed {
                WalletDeed::Add { .. } => 3 * PASSPHRASE_BYTES_MAX,
                WalletDeed::Import { .. } => RECORD_BYTES_MAX + PASSPHRASE_BYTES_MAX,
                WalletDeed::Show | WalletDeed::Remove { .. } | WalletDeed::Find { .. } => {
                    PASSPHRASE_BYTES_MAX
                }
            },
            Self::Status
            | Self::KeyNew { .. }
            | Self::KeyRemove { .. }
            | Self::ApprovalRemove { .. }
            | Self::Pair { .. }
            | Self::PairDecide { .. }
            | Self::Unpair { .. }
            | Self::Lock
            | Self::Unlock
            | Self::HostAccept { .. }
            | Self::HostForget { .. }
            | Self::GrantList
            | Self::GrantRevoke { .. } => PASSPHRASE_BYTES_MAX,
        }
    }
}

/// A link holds a one-time secret: it is not shown.
impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Status => "Status",
            Self::KeyNew { .. } => "KeyNew",
            Self::KeyImport { .. } => "KeyImport",
            Self::Wallet { .. } => "Wallet",
            Self::KeyRemove { .. } => "KeyRemove",
            Self::ApprovalRemove { .. } => "ApprovalRemove",
            Self::Pair { .. } => "Pair",
            Self::PairDecide { .. } => "PairDecide",
            Self::Unpair { .. } => "Unpair",
            Self::Lock => "Lock",
            Self::Unlock => "Unlock",
            Self::HostAccept { .. } => "HostAccept",
            Self::HostForget { .. } => "HostForget",
            Self::GrantList => "GrantList",
            Self::GrantRevoke { .. } => "GrantRevoke",
        })
    }
}

/// The version of every object that `--json` prints.
pub const JSON_VERSION: u32 = 1;

/// 1,024 bytes: the longest passphrase; a sentence of a hundred words has some 600.
pub const PASSPHRASE_BYTES_MAX: usize = 1_024;

/// 32 KiB: the longest key file; an RSA key of 8,192 bits takes some 6 KiB.
pub const KEY_FILE_BYTES_MAX: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<Command>) {
        let line = serde_json::from_str::<Line>(json).ok();
        assert_eq!(line.map(|it| it.command), expected, "{json}");
    }

    #[test]
    fn lines_as_they_travel() {
        check(r#"{"command":"lock"}"#, Some(Command::Lock));
        check(
            r#"{"command":"unlock","passphrase_bytes":5}"#,
            Some(Command::Unlock),
        );
        check(
            r#"{"command":"pair-decide","same":true}"#,
            Some(Command::PairDecide { same: true }),
        );
        check(
            r#"{"command":"wallet","deed":{"do":"remove","fingerprint":"44a58098"}}"#,
            Some(Command::Wallet {
                deed: WalletDeed::Remove {
                    fingerprint: "44a58098".into(),
                },
            }),
        );
        check(r#"{"command":"explode"}"#, None);
        check(r#"{}"#, None);
        check("", None);
        let reply = Reply::failed("no", "do");
        let json = serde_json::to_string(&reply).unwrap();
        assert_eq!(json, r#"{"reply":"failed","message":"no","hint":"do"}"#);
        assert_eq!(serde_json::from_str::<Reply>(&json).unwrap(), reply);
    }

    #[test]
    fn a_link_is_not_shown() {
        let pair = Command::Pair {
            link: "keystead:pair#canary".into(),
            yes: false,
        };
        assert!(!format!("{pair:?}").contains("canary"));
    }
}
