//! What front ends in other processes (gpg-agent, age's plugin, the command line) and the running
//! agent say to each other of keys: one JSON object a line over the agent's `control.sock`, and
//! raw bytes behind those lines that announce them.
//!
//! **Invariant:** what is to be signed or was decrypted stands behind its line, never in it. Each
//! [`Command`] is answered by any number of [`Reply`]s that tell of progress and exactly one that
//! ends it; hanging up takes it back.

use keystead_core::{Curve, Derivation, Identity, IdentityError, Intent, KeyId};
use keystead_daemon::line;
use serde::{Deserialize, Serialize};

use crate::control::Failure;

/// What the agent is asked about keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "command",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case",
    deny_unknown_fields
)]
pub enum Command {
    /// The public key of an identity: from the agent's record, else of the wallet. Answered by
    /// [`Reply::Reaching`], [`Reply::Waiting`] and at last [`Reply::Key`].
    IdentityKey {
        /// Which.
        identity: IdentitySpec,
        /// Whose wallet; else the one recorded for the identity, else the only one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keeper: Option<String>,
    },
    /// All keys of keepers, with their purposes, and those of recorded identities. Answered by
    /// [`Reply::Keys`], at once.
    Keys {},
    /// A keeper makes a key. Answered by [`Reply::Reaching`], [`Reply::Waiting`] and at last
    /// [`Reply::Key`].
    MakeKey {
        /// Where, and what for.
        wanted: NewKey,
        /// A [`keystead_core::KeyType`].
        algorithm: String,
    },
    /// A private key goes into a keeper's custody: PKCS#8, as PEM, behind the line. Answered by
    /// [`Reply::Reaching`], [`Reply::Waiting`] and at last [`Reply::Key`].
    TakeKey {
        /// Where, and what for.
        wanted: NewKey,
        /// Length of the key.
        key_bytes: usize,
    },
    /// A signature. Answered by [`Reply::Reaching`], [`Reply::Waiting`] and at last
    /// [`Reply::Signature`].
    KeySign {
        /// By which key.
        key: KeyChoice,
        /// The number of a [`keystead_core::SignForm`].
        form: u8,
        /// Bytes of what is signed.
        content_bytes: usize,
        /// As in the SSH agent protocol; form 1 alone.
        #[serde(default, skip_serializing_if = "is_zero")]
        flags: u32,
        /// What is shown with it.
        #[serde(default)]
        shown: Shown,
    },
    /// A decryption. Answered by [`Reply::Reaching`], [`Reply::Waiting`] and at last
    /// [`Reply::Plaintext`].
    KeyDecrypt {
        /// By which key.
        key: KeyChoice,
        /// The number of a [`keystead_core::DecryptForm`].
        form: u8,
        /// Bytes of what is decrypted.
        content_bytes: usize,
        /// What is shown with it.
        #[serde(default)]
        shown: Shown,
    },
}

impl Command {
    /// The command that a line holds; none for the agent's other commands.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Result<Self, serde_json::Error>> {
        line::command(line, |name| NAMES.contains(&name))
    }

    /// How many raw bytes follow the line, part by part: the content, then the preimage.
    #[must_use]
    pub fn bytes_behind(&self) -> Vec<usize> {
        match self {
            Self::KeySign {
                content_bytes,
                shown,
                ..
            }
            | Self::KeyDecrypt {
                content_bytes,
                shown,
                ..
            } => [Some(*content_bytes), shown.preimage_bytes]
                .into_iter()
                .flatten()
                .collect(),
            Self::TakeKey { key_bytes, .. } => vec![*key_bytes],
            Self::IdentityKey { .. } | Self::Keys {} | Self::MakeKey { .. } => Vec::new(),
        }
    }
}

/// A key that is to be at a keeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Which keeper; may be left out when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<String>,
    /// The name it shall have there.
    pub name: String,
    /// Words of [`keystead_core::Purpose`]; none: what SSH does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<String>,
}

/// Which key: an identity's, or one of this id, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChoice {
    /// 64 hex digits; where an identity stands beside it, its key must be this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// From which a wallet derives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySpec>,
    /// At which keeper; else where it is known to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<String>,
}

impl KeyChoice {
    /// The key of this id.
    #[must_use]
    pub fn of_id(id: KeyId) -> Self {
        Self {
            id: Some(id.to_string()),
            ..Self::default()
        }
    }

    /// An identity's key.
    #[must_use]
    pub fn of_identity(identity: &Identity) -> Self {
        Self {
            identity: Some(IdentitySpec::of(identity)),
            ..Self::default()
        }
    }
}

/// What is shown to the holder beside the bytes; the workstation's word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Bytes whose hash is signed, which follow the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preimage_bytes: Option<usize>,
    /// The files that it is about; none leaves it to the command line of `peer_pid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The OpenPGP user id whose key it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// On behalf of which process: what it is goes along, and words reach its terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_pid: Option<i32>,
    /// The act that it is part of: what is asked for at once in one act is one question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
}

/// Several requests that somebody wants with one deed; the workstation's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// 32 hex digits, drawn: the same for all of its requests.
    pub id: String,
    /// In words: `gpg init`.
    pub what: String,
    /// How many requests it has.
    pub count: u32,
}

impl Act {
    /// A new one.
    #[must_use]
    pub fn new(id: [u8; 16], what: &str, count: u32) -> Self {
        Self {
            id: keystead_core::hex::encode(&id),
            what: what.to_owned(),
            count,
        }
    }

    /// As it goes to the holder; none where the id is no id.
    #[must_use]
    pub fn intent(&self) -> Option<Intent> {
        let id = keystead_core::hex::decode(&self.id)?;
        Some(Intent {
            id: id.try_into().ok()?,
            what: self.what.clone(),
            count: Some(self.count),
        })
    }
}

/// An [`Identity`] in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySpec {
    /// The text that is hashed, with its protocol.
    pub uri: String,
    /// A name of a [`Curve`].
    pub curve: String,
    /// Which key of this text.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub index: u32,
    /// The number of a [`Derivation`].
    pub derivation: u8,
    /// The text was brought into its canonical form by the person's choice (`--canonical`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub canonical: bool,
}

impl IdentitySpec {
    /// Of an identity that was taken as it is.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        Self {
            uri: identity.uri().to_owned(),
            curve: identity.curve().as_str().to_owned(),
            index: identity.index(),
            derivation: identity.derivation().number(),
            canonical: false,
        }
    }

    /// The identity.
    ///
    /// # Errors
    /// Why it is none.
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        let protocol = || IdentityError::Protocol(self.uri.clone());
        let curve: Curve = self.curve.parse().map_err(|_| protocol())?;
        let derivation =
            Derivation::from_number(u64::from(self.derivation)).ok_or_else(protocol)?;
        Identity::new(self.uri.clone(), curve, self.index, derivation)
    }
}

/// What the agent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "reply",
    rename_all = "kebab-case",
    rename_all_fields = "snake_case"
)]
#[non_exhaustive]
pub enum Reply {
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
    /// Something is to be done on a device in the person's hand.
    Notice {
        /// One line.
        text: String,
    },
    /// One key.
    Key(HeldKey),
    /// All of them.
    Keys {
        /// In the order of their keepers; those of identities last.
        keys: Vec<HeldKey>,
    },
    /// The signature follows, in the form's own encoding; it has been verified.
    Signature {
        /// Its length.
        signature_bytes: usize,
        /// Who made it.
        keeper: String,
    },
    /// What came of the decryption follows. It is secret.
    Plaintext {
        /// Its length.
        plaintext_bytes: usize,
        /// Who made it.
        keeper: String,
    },
    /// Not done.
    Failed(Failure),
}

impl Reply {
    /// Does this end the answer to a command?
    #[must_use]
    pub const fn is_last(&self) -> bool {
        !matches!(
            self,
            Self::Reaching { .. } | Self::Waiting { .. } | Self::Notice { .. }
        )
    }

    /// How many raw bytes follow the line.
    #[must_use]
    pub const fn bytes_behind(&self) -> Option<usize> {
        match self {
            Self::Signature {
                signature_bytes, ..
            } => Some(*signature_bytes),
            Self::Plaintext {
                plaintext_bytes, ..
            } => Some(*plaintext_bytes),
            Self::Reaching { .. }
            | Self::Waiting { .. }
            | Self::Notice { .. }
            | Self::Key(_)
            | Self::Keys { .. }
            | Self::Failed(_) => None,
        }
    }
}

/// A key that is held elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldKey {
    /// 64 hex digits: SHA-256 of the public key.
    pub id: String,
    /// An [`keystead_core::Algorithm`]'s name, where it is known.
    pub algorithm: String,
    /// The public key as on the wire, hex.
    pub public_key: String,
    /// The holder's name for it.
    pub name: String,
    /// Words of [`keystead_core::Purpose`].
    pub purposes: Vec<String>,
    /// The keeper's name on this machine.
    pub keeper: String,
    /// From which a wallet derives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySpec>,
    /// Which wallet, 8 hex digits, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet: Option<String>,
}

impl HeldKey {
    /// The public key's bytes; none when the text is no hex.
    #[must_use]
    pub fn public_key_bytes(&self) -> Option<Vec<u8>> {
        keystead_core::hex::decode(&self.public_key)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(word: &bool) -> bool {
    !*word
}

/// Of all [`Command`]s.
const NAMES: [&str; 6] = [
    "identity-key",
    "keys",
    "make-key",
    "take-key",
    "key-sign",
    "key-decrypt",
];

#[cfg(test)]
mod tests {
    use keystead_core::{Curve, Derivation};

    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<Command>, behind: &[usize]) {
        let read = Command::read(line.as_bytes()).and_then(Result::ok);
        assert_eq!(read, expected, "{line}");
        if let Some(command) = expected {
            assert_eq!(serde_json::to_string(&command).unwrap(), line);
            assert_eq!(command.bytes_behind(), behind);
        }
    }

    fn identity() -> IdentitySpec {
        let identity =
            Identity::new("ssh://alex@db1", Curve::Ed25519, 0, Derivation::Sign).unwrap();
        IdentitySpec::of(&identity)
    }

    #[test]
    fn commands_and_what_follows_them() {
        check(
            r#"{"command":"identity-key","identity":{"uri":"ssh://alex@db1","curve":"ed25519","derivation":13},"keeper":"phone"}"#,
            Some(Command::IdentityKey {
                identity: identity(),
                keeper: Some("phone".to_owned()),
            }),
            &[],
        );
        check(r#"{"command":"keys"}"#, Some(Command::Keys {}), &[]);
        check(
            r#"{"command":"key-sign","key":{"id":"00"},"form":2,"content_bytes":33,"shown":{"preimage_bytes":120,"user_id":"Alex","peer_pid":7,"act":{"id":"07070707070707070707070707070707","what":"gpg init","count":3}}}"#,
            Some(Command::KeySign {
                key: KeyChoice {
                    id: Some("00".to_owned()),
                    ..KeyChoice::default()
                },
                form: 2,
                content_bytes: 33,
                flags: 0,
                shown: Shown {
                    preimage_bytes: Some(120),
                    user_id: Some("Alex".to_owned()),
                    peer_pid: Some(7),
                    files: Vec::new(),
                    act: Some(Act::new([7; 16], "gpg init", 3)),
                },
            }),
            &[33, 120],
        );
        check(
            r#"{"command":"key-decrypt","key":{},"form":2,"content_bytes":64,"shown":{"files":["a.age"]}}"#,
            Some(Command::KeyDecrypt {
                key: KeyChoice::default(),
                form: 2,
                content_bytes: 64,
                shown: Shown {
                    files: vec!["a.age".to_owned()],
                    ..Shown::default()
                },
            }),
            &[64],
        );
        let wanted = NewKey {
            keeper: Some("phone".to_owned()),
            name: "mail".to_owned(),
            purposes: vec!["openpgp".to_owned()],
        };
        check(
            r#"{"command":"make-key","wanted":{"keeper":"phone","name":"mail","purposes":["openpgp"]},"algorithm":"ed25519"}"#,
            Some(Command::MakeKey {
                wanted: wanted.clone(),
                algorithm: "ed25519".to_owned(),
            }),
            &[],
        );
        check(
            r#"{"command":"take-key","wanted":{"keeper":"phone","name":"mail","purposes":["openpgp"]},"key_bytes":119}"#,
            Some(Command::TakeKey {
                wanted,
                key_bytes: 119,
            }),
            &[119],
        );
        check(r#"{"command":"keys","more":1}"#, None, &[]);
        check(r#"{"command":"status"}"#, None, &[]);
        check("", None, &[]);
    }

    #[test]
    fn another_command_is_none_of_ours_and_a_wrong_one_is_told() {
        assert!(Command::read(br#"{"command":"status"}"#).is_none());
        assert!(
            Command::read(br#"{"command":"key-sign"}"#)
                .unwrap()
                .is_err()
        );
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        let line = r#"{"command":"key-decrypt","key":{},"form":2,"content_bytes":64}"#;
        for len in 0..line.len() {
            check(&line[..len], None, &[]);
        }
    }

    #[test]
    fn an_act_has_an_id_of_16_bytes() {
        let act = Act::new([7; 16], "gpg init", 3);
        let intent = act.intent().unwrap();
        assert_eq!((intent.id, intent.count), ([7; 16], Some(3)));
        for wrong in ["", "07", "x7070707070707070707070707070707"] {
            let act = Act {
                id: wrong.to_owned(),
                ..act.clone()
            };
            assert_eq!(act.intent(), None, "{wrong}");
        }
    }

    #[test]
    fn an_identity_there_and_back() {
        let spec = identity();
        assert_eq!(IdentitySpec::of(&spec.identity().unwrap()), spec);
        for wrong in [
            IdentitySpec {
                derivation: 44,
                ..spec.clone()
            },
            IdentitySpec {
                curve: "p256".to_owned(),
                ..spec.clone()
            },
            IdentitySpec {
                uri: "https://a".to_owned(),
                ..spec
            },
        ] {
            assert!(wrong.identity().is_err());
        }
    }

    #[test]
    fn a_reply_says_what_follows_it() {
        let reply = Reply::Signature {
            signature_bytes: 64,
            keeper: "phone".to_owned(),
        };
        let line = serde_json::to_string(&reply).unwrap();
        assert_eq!(
            line,
            r#"{"reply":"signature","signature_bytes":64,"keeper":"phone"}"#
        );
        assert_eq!(reply.bytes_behind(), Some(64));
        assert!(reply.is_last());
    }
}
