//! What an auditor is handed: lines of text (`spec/audit.md` section 6).
//!
//! **Invariant**: an export has one form; what is read is written back the same, line by
//! line, so a log of any length is written and read with one line in memory.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::hex;

use super::tree::Hash;
use crate::session::requests::{CHECKPOINT_BYTES_MAX, KeyType, LEAF_BYTES_MAX, PATH_MAX};
use crate::session::{KeyId, ServerId, UserId};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The first one: what the file is, in version 1.
    Title,
    /// Whose log.
    Server(ServerId),
    /// What signs its checkpoints.
    Key([u8; 32]),
    /// Whose entries; without it the file holds the log of all.
    User(UserId),
    /// A signed head. They are numbered from 0.
    Checkpoint(Vec<u8>),
    /// An entry.
    Leaf {
        /// Where it is in the tree.
        index: u64,
        /// Its bytes.
        leaf: Vec<u8>,
    },
    /// The inclusion path of the leaf in the line before.
    Path {
        /// In the tree of this checkpoint.
        checkpoint: u64,
        /// RFC 6962 section 2.1.1.
        path: Vec<Hash>,
    },
    /// An entry of an account that was deleted: its hash is what is left.
    Erased {
        /// Where it is in the tree.
        index: u64,
        /// The leaf's hash.
        hash: Hash,
    },
    /// That one checkpoint continues another.
    Consistency {
        /// The smaller one.
        from: u64,
        /// The greater one.
        to: u64,
        /// RFC 6962 section 2.1.2.
        proof: Vec<Hash>,
    },
    /// A key that the server listed when the last leaf was written.
    Listed {
        /// Which.
        key: KeyId,
        /// What it is.
        kind: KeyType,
        /// How often its label changed.
        revision: u32,
    },
    /// The last one: how many stand before it.
    End(u64),
}

impl Line {
    /// The line, with its end.
    #[must_use]
    pub fn write(&self) -> String {
        let mut line = match self {
            Self::Title => TITLE.to_owned(),
            Self::Server(server) => format!("server {server}"),
            Self::Key(key) => format!("key {}", STANDARD.encode(key)),
            Self::User(user) => format!("user {user}"),
            Self::Checkpoint(note) => format!("checkpoint {}", STANDARD.encode(note)),
            Self::Leaf { index, leaf } => format!("leaf {index} {}", STANDARD.encode(leaf)),
            Self::Path { checkpoint, path } => format!("path {checkpoint} {}", joined(path)),
            Self::Erased { index, hash } => format!("erased {index} {}", STANDARD.encode(hash)),
            Self::Consistency { from, to, proof } => {
                format!("consistency {from} {to} {}", joined(proof))
            }
            Self::Listed {
                key,
                kind,
                revision,
            } => {
                format!("listed {key} {} {revision}", kind.number())
            }
            Self::End(lines) => format!("end {lines}"),
        };
        line.push('\n');
        line
    }

    /// Reads a line without its end.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        if line == TITLE {
            return Some(Self::Title);
        }
        let mut words = line.split(' ');
        let mut word = || words.next();
        let read = match word()? {
            "server" => Self::Server(ServerId(hex::decode_array(word()?)?)),
            "key" => Self::Key(bytes(word()?, 32)?.try_into().ok()?),
            "user" => Self::User(UserId(hex::decode_array(word()?)?)),
            "checkpoint" => Self::Checkpoint(bytes(word()?, CHECKPOINT_BYTES_MAX)?),
            "leaf" => Self::Leaf {
                index: decimal(word()?)?,
                leaf: bytes(word()?, LEAF_BYTES_MAX)?,
            },
            "path" => Self::Path {
                checkpoint: decimal(word()?)?,
                path: split(word()?)?,
            },
            "erased" => Self::Erased {
                index: decimal(word()?)?,
                hash: bytes(word()?, 32)?.try_into().ok()?,
            },
            "consistency" => Self::Consistency {
                from: decimal(word()?)?,
                to: decimal(word()?)?,
                proof: split(word()?)?,
            },
            "listed" => Self::Listed {
                key: KeyId(hex::decode_array(word()?)?),
                kind: KeyType::from_number(decimal(word()?)?)?,
                revision: decimal(word()?)?.try_into().ok()?,
            },
            "end" => Self::End(decimal(word()?)?),
            _ => return None,
        };
        words.next().is_none().then_some(read)
    }
}

/// Hashes one behind the other; `-` for none.
fn joined(hashes: &[Hash]) -> String {
    if hashes.is_empty() {
        return "-".to_owned();
    }
    STANDARD.encode(hashes.concat())
}

fn split(word: &str) -> Option<Vec<Hash>> {
    if word == "-" {
        return Some(Vec::new());
    }
    let joined = bytes(word, PATH_MAX * 32)?;
    let hashes = super::tile::hashes_of(&joined)?;
    (!hashes.is_empty()).then_some(hashes)
}

fn bytes(word: &str, max: usize) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(word).ok()?;
    (bytes.len() <= max).then_some(bytes)
}

/// A decimal number without leading zeros.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|it| it.is_ascii_digit());
    let is_shortest = text == "0" || !text.starts_with('0');
    (is_plain && is_shortest)
        .then(|| text.parse().ok())
        .flatten()
}

/// The first line.
const TITLE: &str = "keystead audit 1";
