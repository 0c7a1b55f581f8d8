//! The signed head of the log: a C2SP signed note (c2sp.org/signed-note) with the body
//! of a C2SP checkpoint (c2sp.org/tlog-checkpoint) and one line more, `epoch E`.
//!
//! **Invariant**: a checkpoint that opens was signed by the log key over exactly these
//! numbers; further signature lines, of witnesses, are well-formed and say nothing.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::hex;

use super::export::decimal;
use super::tree::{Hash, sha256};
use crate::session::ServerId;

/// The head of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose.
    pub server: ServerId,
    /// Raised when a backup was restored.
    pub epoch: u64,
    /// Leaves.
    pub size: u64,
    /// The tree's root.
    pub root: Hash,
}

impl Checkpoint {
    /// What is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let origin = origin(&self.server);
        let root = STANDARD.encode(self.root);
        format!("{origin}\n{}\n{root}\nepoch {}\n", self.size, self.epoch)
    }

    /// The note, with the log key's signature over [`Checkpoint::text`].
    #[must_use]
    pub fn note(&self, log_key: &[u8; 32], signature: &[u8; 64]) -> Vec<u8> {
        let origin = origin(&self.server);
        let signed = [key_hash(&origin, log_key).as_slice(), signature].concat();
        let signed = STANDARD.encode(signed);
        format!("{}\n{DASH}{origin} {signed}\n", self.text()).into_bytes()
    }

    /// Reads a note and checks that `log_key` of `server` signed it.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn open(
        note: &[u8],
        server: &ServerId,
        log_key: &[u8; 32],
    ) -> Result<Self, CheckpointFault> {
        let (checkpoint, text, signatures) = parse(note)?;
        if checkpoint.server != *server {
            return Err(CheckpointFault::Origin);
        }
        let origin = origin(server);
        let key_hash = key_hash(&origin, log_key);
        let mut ours = signatures
            .iter()
            .filter(|it| it.name == origin && it.key_hash == key_hash);
        let signature = ours.next().ok_or(CheckpointFault::NotSigned)?;
        let is_signed = verifies(text.as_bytes(), log_key, &signature.bytes);
        // One signature a key: a second one would be a second form of the same head.
        if is_signed && ours.next().is_none() {
            Ok(checkpoint)
        } else {
            Err(CheckpointFault::NotSigned)
        }
    }

    /// Reads a note without looking at who signed it.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn read(note: &[u8]) -> Result<Self, CheckpointFault> {
        parse(note).map(|(checkpoint, _, _)| checkpoint)
    }
}

/// Why bytes are no checkpoint of this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// It breaks the form of a signed note.
    #[error("the checkpoint is no signed note")]
    Note,
    /// Its lines are not those of a checkpoint.
    #[error("the checkpoint's lines break the rules")]
    Lines,
    /// It is another log's.
    #[error("the checkpoint is of another log")]
    Origin,
    /// The log key did not sign it.
    #[error("the checkpoint is not signed by the log's key")]
    NotSigned,
}

/// A signature line.
struct Signature<'n> {
    name: &'n str,
    key_hash: [u8; 4],
    bytes: Vec<u8>,
}

fn parse(note: &[u8]) -> Result<(Checkpoint, &str, Vec<Signature<'_>>), CheckpointFault> {
    let note = std::str::from_utf8(note).map_err(|_| CheckpointFault::Note)?;
    if note.chars().any(|it| it != '\n' && it.is_ascii_control()) {
        return Err(CheckpointFault::Note);
    }
    // The last empty line is what parts text and signatures.
    let at = note.rfind("\n\n").ok_or(CheckpointFault::Note)?;
    let (text, rest) = note.split_at(at + 1);
    let lines = rest.strip_prefix('\n').and_then(|it| it.strip_suffix('\n'));
    let lines = lines.ok_or(CheckpointFault::Note)?;
    let signatures = lines.split('\n').map(read_signature);
    let signatures: Option<Vec<_>> = signatures.take(SIGNATURES_MAX + 1).collect();
    let signatures = signatures.ok_or(CheckpointFault::Note)?;
    if signatures.len() > SIGNATURES_MAX {
        return Err(CheckpointFault::Note);
    }
    let checkpoint = read_text(text).ok_or(CheckpointFault::Lines)?;
    Ok((checkpoint, text, signatures))
}

fn read_text(text: &str) -> Option<Checkpoint> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let server = lines.next()?.strip_prefix(ORIGIN)?;
    let size = decimal(lines.next()?)?;
    let root = lines.next()?;
    let epoch = decimal(lines.next()?.strip_prefix("epoch ")?)?;
    if lines.next().is_some() {
        return None;
    }
    Some(Checkpoint {
        server: ServerId(hex::decode_array(server)?),
        epoch,
        size,
        root: STANDARD.decode(root).ok()?.try_into().ok()?,
    })
}

fn read_signature(line: &str) -> Option<Signature<'_>> {
    let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
    let is_name = !name.is_empty() && !name.chars().any(|it| it.is_whitespace() || it == '+');
    let decoded = STANDARD.decode(encoded).ok()?;
    let (key_hash, bytes) = decoded.split_first_chunk()?;
    (is_name && !bytes.is_empty()).then(|| Signature {
        name,
        key_hash: *key_hash,
        bytes: bytes.to_vec(),
    })
}

/// The log's name in its checkpoints.
fn origin(server: &ServerId) -> String {
    format!("{ORIGIN}{server}")
}

/// The key hash of a note's signature: H(name ‖ newline ‖ 1 ‖ key), the first 4 bytes
/// (c2sp.org/signed-note, algorithm 1 = Ed25519).
#[must_use]
pub fn key_hash(name: &str, key: &[u8; 32]) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[1], key]);
    hash.first_chunk().copied().unwrap_or_default()
}

/// Whether `log_key` signed `text` (Ed25519, RFC 8032).
#[must_use]
pub fn is_signed(text: &[u8], log_key: &[u8; 32], signature: &[u8; 64]) -> bool {
    verifies(text, log_key, signature)
}

fn verifies(text: &[u8], key: &[u8; 32], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key)
        .verify(text, signature)
        .is_ok()
}

/// What the old log key signs when the log gets a new one (`spec/session.md` section 6).
#[must_use]
pub fn key_notice(server: &ServerId, new_key: &[u8; 32]) -> Vec<u8> {
    [b"keystead/1 log key".as_slice(), &server.0, new_key].concat()
}

/// What stands before the server's id in the origin line.
const ORIGIN: &str = "keystead/";

/// An em dash and a space, before each signature.
const DASH: &str = "\u{2014} ";

/// 16 signature lines: the log's own and those of more witnesses than anyone runs.
pub const SIGNATURES_MAX: usize = 16;
