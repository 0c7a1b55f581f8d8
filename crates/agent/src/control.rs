//! What `keystead` and the running agent say to each other: one JSON object a line over
//! `control.sock` (0600, own uid alone).
//!
//! **Invariant:** each [`Command`] is answered by any number of [`Reply`]s that tell of progress
//! and exactly one that ends it ([`Reply::is_last`]); then the next command may follow on the
//! same connection. Hanging up in the middle takes the command back. Nothing secret crosses but
//! the pairing link, which is meant for the person's screen.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a command asks the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Who is there? Answered by [`Reply::Version`].
    Version {},
    /// Answered by [`Reply::Status`], at once.
    Status {},
    /// The same, once the keepers have told their keys anew; those that do not within two seconds
    /// are silent.
    Refresh {},
    /// Makes an offer. Answered by [`Reply::Offer`], [`Reply::HelloSeen`], [`Reply::Code`],
    /// [`Reply::WaitingForHolder`] and at last [`Reply::Paired`] or [`Reply::Failed`].
    Pair {
        /// How this machine calls itself; else the setting, else its host name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The relay to use and to remember; else the remembered one, else none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relay: Option<String>,
    },
    /// The person's word on the code, on the connection that asked to pair.
    Confirm {
        /// Are the codes the same?
        same: bool,
    },
    /// Gives the authenticator another name on this machine. Answered by [`Reply::Done`].
    RenameKeeper {
        /// Its name, or its id.
        keeper: String,
        /// The new one.
        name: String,
    },
    /// Ends a pairing. Answered by [`Reply::Done`].
    UnpairKeeper {
        /// Its name, or its id.
        keeper: String,
    },
    /// Has a key made there. Answered by [`Reply::Reaching`], [`Reply::Waiting`] and at last [`Reply::Key`].
    NewKey {
        /// Which keeper; may be left out when there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keeper: Option<String>,
        /// The key's name.
        name: String,
        /// A [`keystead_core::KeyType`]: `ed25519`, `rsa3072`, …, or a name as in SSH.
        algorithm: String,
    },
    /// Takes a key file into a keeper's custody. Behind the line follow `key_bytes` bytes of the
    /// file, then `passphrase_bytes` of its passphrase. Answered by [`Reply::Reaching`],
    /// [`Reply::Waiting`] and at last [`Reply::Keys`].
    ImportKey {
        /// Which keeper; may be left out when there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keeper: Option<String>,
        /// The name it shall have there; else the keeper finds one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Length of the file.
        key_bytes: usize,
        /// Length of the passphrase that opens it, if it needs one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passphrase_bytes: Option<usize>,
        /// The keeper forgets it after so many seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lifetime_s: Option<u32>,
        /// The holder is asked at each use.
        confirm: bool,
    },
    /// The rules of this machine. Answered by [`Reply::Policy`].
    Policy {},
    /// Sets a rule. Answered by [`Reply::Policy`].
    SetPolicy {
        /// For this key alone (its name or fingerprint); else for all without a rule of their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// A name of [`crate::policy::Rule`].
        rule: String,
        /// `ask` or `refuse`, or a list with commas.
        value: String,
    },
    /// Takes a rule back. Answered by [`Reply::Policy`].
    UnsetPolicy {
        /// As in [`Command::SetPolicy`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Which.
        rule: String,
    },
    /// The certificates that are offered. Answered by [`Reply::Certificates`].
    Certificates {},
    /// Offers a user certificate with its key. Answered by [`Reply::Certificates`], which holds
    /// the new one alone.
    AddCertificate {
        /// The line of a `-cert.pub` file.
        line: String,
    },
    /// Offers it no more. Answered by [`Reply::Done`].
    RemoveCertificate {
        /// The name or fingerprint of its key, or the name of its file.
        certificate: String,
    },
    /// Ends the agent, once it has answered [`Reply::Done`].
    Stop {},
}

/// What the agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reply {
    /// Who is there.
    Version {
        /// The program's version.
        version: String,
        /// [`PROTOCOL`].
        protocol: u32,
    },
    /// How things stand.
    Status(Status),
    /// The offer is up.
    Offer {
        /// For the person who types it on the other machine. Secret until the pairing is stored.
        link: String,
        /// The same for the QR code; none when it would be too long for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        qr_text: Option<String>,
        /// Time left.
        expires_in_ms: u64,
        /// The relay that carries it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relay: Option<String>,
        /// The addresses of this machine that it names.
        addresses: Vec<String>,
    },
    /// Somebody who knows the offer's secret has answered.
    HelloSeen {},
    /// Compare, then send [`Command::Confirm`].
    Code {
        /// `123 456`.
        code: String,
        /// How the other machine calls itself.
        authenticator: String,
        /// Time left for both persons to say yes.
        expires_in_ms: u64,
    },
    /// Something is in the way of the pairing, or no longer is.
    Notice {
        /// One line.
        text: String,
    },
    /// This side has confirmed, the other one has not.
    WaitingForHolder {},
    /// Stored on both sides.
    Paired {
        /// The new keeper.
        keeper: Keeper,
    },
    /// Asked, and nobody has answered yet.
    Reaching {
        /// Where.
        keeper: String,
        /// Time left.
        left_s: u64,
    },
    /// A person is being asked.
    Waiting {
        /// Where.
        keeper: String,
        /// Time left.
        left_s: u64,
    },
    /// The key that was made.
    Key(Key),
    /// The keys that were taken into custody.
    Keys {
        /// At least one.
        keys: Vec<Key>,
    },
    /// The rules of this machine, as they stand now.
    Policy {
        /// Those that are set, and the general ones at their default.
        rules: Vec<PolicyRule>,
        /// The file that holds them.
        file: PathBuf,
    },
    /// Certificates that are offered with their keys.
    Certificates {
        /// In the order of their files' names.
        certificates: Vec<Certificate>,
    },
    /// Done; nothing to tell.
    Done {},
    /// Not done.
    Failed(Failure),
}

impl Reply {
    /// Does this end the answer to a command?
    #[must_use]
    pub const fn is_last(&self) -> bool {
        match self {
            Self::Version { .. }
            | Self::Status(_)
            | Self::Paired { .. }
            | Self::Key(_)
            | Self::Keys { .. }
            | Self::Policy { .. }
            | Self::Certificates { .. }
            | Self::Done {}
            | Self::Failed(_) => true,
            Self::Offer { .. }
            | Self::HelloSeen {}
            | Self::Code { .. }
            | Self::WaitingForHolder {}
            | Self::Notice { .. }
            | Self::Reaching { .. }
            | Self::Waiting { .. } => false,
        }
    }
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The agent's process.
    pub pid: u32,
    /// Where `ssh` finds it.
    pub ssh_auth_sock: PathBuf,
    /// Locked by `ssh-add -x`.
    pub locked: bool,
    /// How long a signature is waited for.
    pub wait_s: u16,
    /// The remembered relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// Where `.pub` files are.
    pub keys_folder: PathBuf,
    /// Who holds keys for this machine.
    pub keepers: Vec<Keeper>,
    /// Their keys.
    pub keys: Vec<Key>,
    /// What went wrong and a person should know; the latest last.
    pub notices: Vec<String>,
}

/// A paired authenticator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// 16 hex digits.
    pub id: String,
    /// Its name on this machine.
    pub name: String,
    /// `paired`; `unused` until a channel has used the pairing; `unpairing` while the other
    /// side does not know.
    pub state: KeeperState,
    /// Has it a channel now?
    pub connected: bool,
    /// Was it asked for its keys, and has not answered? Those listed are what it told last.
    #[serde(default)]
    pub silent: bool,
    /// How many keys it has.
    pub keys: usize,
    /// Its wallets, 8 hex digits each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wallets: Vec<String>,
    /// It is a hardware wallet: it derives keys, and stores none.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hardware: bool,
}

/// How far a pairing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeeperState {
    /// In use.
    Paired,
    /// Stored, and no later channel has used it.
    Unused,
    /// Ended here; the other side is still to be told.
    Unpairing,
}

/// A key that is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The holder's name for it.
    pub name: String,
    /// As `key new --type` takes it: `ed25519`, `p256`; else as in SSH.
    #[serde(rename = "type")]
    pub key_type: String,
    /// The `authorized_keys` line.
    pub public_key: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// The keeper's name.
    pub keeper: String,
    /// Its `.pub` file.
    pub file: PathBuf,
    /// Hidden by `ssh-add -d` or `-D`: no program sees it until the agent is started again.
    #[serde(default)]
    pub hidden: bool,
}

/// One rule of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRule {
    /// The key it is for, by name or fingerprint; none for the general one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A name of [`crate::policy::Rule`].
    pub rule: String,
    /// `ask`, `refuse`, `any`, or a list with commas.
    pub value: String,
    /// Nobody has set it.
    pub is_default: bool,
}

/// A user certificate that is offered with its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The fingerprint of the key.
    pub key: String,
    /// The key's name, where a keeper has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_name: Option<String>,
    /// The authority's text.
    pub key_id: String,
    /// Its number.
    pub serial: u64,
    /// Who may log in with it; empty means everybody.
    pub principals: Vec<String>,
    /// First second of validity, since 1970.
    pub valid_from_unix_s: u64,
    /// First second after validity; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to_unix_s: Option<u64>,
    /// The fingerprint of the authority's key.
    pub authority: String,
    /// Its file.
    pub file: PathBuf,
    /// Is it valid now, and its key there? Others are not offered.
    pub is_offered: bool,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For the exit status.
    pub kind: FailureKind,
    /// One line for a person.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Kinds of failure; the numbers are the exit statuses of `DESIGN.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FailureKind {
    /// Something did not work.
    Error,
    /// The command makes no sense.
    Usage,
    /// The holder said no.
    Refused,
    /// The keeper was not reached, or nobody answered.
    NoAnswer,
    /// A rule forbids it.
    Policy,
    /// The keeper has no such key; of a decryption also: it is not for this key. Nobody was asked.
    UnknownKey,
}

impl FailureKind {
    /// The exit status of a command that ends so.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Error | Self::UnknownKey => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NoAnswer => 4,
            Self::Policy => 5,
        }
    }
}

/// The number of this protocol: raised when a command of the one version would be misunderstood
/// by the other.
pub const PROTOCOL: u32 = 2;

/// The socket's name in the runtime folder.
pub const SOCKET_NAME: &str = "control.sock";

/// The SSH socket's name in the runtime folder.
pub const SSH_SOCKET_NAME: &str = "ssh.sock";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(word: &bool) -> bool {
    !*word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<Command>) {
        let read: Option<Command> = serde_json::from_str(line).ok();
        assert_eq!(read, expected, "{line}");
        if let Some(command) = expected {
            assert_eq!(serde_json::to_string(&command).unwrap(), line);
        }
    }

    #[test]
    fn commands() {
        check(r#"{"command":"status"}"#, Some(Command::Status {}));
        check(r#"{"command":"refresh"}"#, Some(Command::Refresh {}));
        check(r#"{"command":"stop"}"#, Some(Command::Stop {}));
        let pair = Command::Pair {
            name: None,
            relay: Some("http://relay".to_owned()),
        };
        check(r#"{"command":"pair","relay":"http://relay"}"#, Some(pair));
        let same = Command::Confirm { same: true };
        check(r#"{"command":"confirm","same":true}"#, Some(same));
        let set = Command::SetPolicy {
            key: None,
            rule: "users".to_owned(),
            value: "alex,root".to_owned(),
        };
        check(
            r#"{"command":"set-policy","rule":"users","value":"alex,root"}"#,
            Some(set),
        );
        let line = "ssh-ed25519-cert-v01@openssh.com AAAA".to_owned();
        check(
            r#"{"command":"add-certificate","line":"ssh-ed25519-cert-v01@openssh.com AAAA"}"#,
            Some(Command::AddCertificate { line }),
        );
        check(r#"{"command":"status","more":1}"#, None);
        check(r#"{"command":"later"}"#, None);
        check(r#"{"command":"confirm"}"#, None);
        check("", None);
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        let line = r#"{"command":"new-key","name":"main","algorithm":"ed25519"}"#;
        for len in 0..line.len() {
            check(&line[..len], None);
        }
    }
}
