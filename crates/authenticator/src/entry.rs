//! One entry of the authenticator's log.
//!
//! **Invariant**: an entry holds what was asked, what was shown for it and what
//! was decided, and never a payload, a signature made, or a secret.

use keystead_core::{Outcome, PairingId, RequestHash, RequestId, hex};
use serde::{Deserialize, Serialize};

/// What one line of the log says, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since 1970 by the authenticator's clock.
    pub unix_s: u64,
    /// What was asked: the word of a request's kind, or `init`, `pair`,
    /// `key-new`, `host-accept`, `unpair` for what the holder did here.
    pub kind: String,
    /// How it ended: the word of an outcome.
    pub decision: String,
    /// Why, where it was not the holder's own yes or no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Hex of the pairing's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<String>,
    /// The workstation's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workstation: Option<String>,
    /// Hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_hash: Option<String>,
    /// How long the workstation waits for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_s: Option<u16>,
    /// What was put to the holder, in one line, as it was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// What the signature is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The key's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// From what the key was derived, as it is hashed, with index and curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The wallet's fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wallet: Option<String>,
    /// The OpenPGP user id, by the workstation's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The key's fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What the key server is called here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Hex of the server's id and of the nonce whose act was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_nonce: Option<String>,
    /// The account at the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The host's name, where it is pinned or becomes so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Fingerprint of the proved host key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// Fingerprints of the host keys on the way, the first hop first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// The namespace of an SSHSIG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// SHA-256, hex, of the bytes that were to be signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<String>,
    /// The program that asked, by the workstation's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// It ran in the background, by the workstation's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<bool>,
    /// The files it worked on, by the workstation's word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What the request was one part of, by the workstation's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// How many requests one answer covered, where it was more than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<u32>,
    /// The grant or block that decided, or that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<u64>,
    /// How often that grant has been used, this time counted in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_used: Option<u32>,
    /// The code that both ends compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The number of the receipt within the pairing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_seq: Option<u64>,
    /// Hex of the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// Hex of its signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_signature: Option<String>,
    /// What the first entry of a file takes over from the file before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
}

/// In a file's first entry: where the log comes from, and what of it is still needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// How many files were kept before this one; the last is `log.N` of this number.
    pub kept: u64,
    /// Hex of the hash of the last entry there.
    pub head: String,
    /// Of each entry that is still needed what is needed, the oldest first.
    pub entries: Vec<Entry>,
}

impl Entry {
    /// An entry for what a holder did here, not a workstation.
    #[must_use]
    pub fn own(time: u64, kind: &str, outcome: Outcome) -> Self {
        Self {
            unix_s: time,
            kind: kind.to_owned(),
            decision: outcome.as_str().to_owned(),
            ..Self::default()
        }
    }

    /// With no text longer than a request may make it: whoever asks chooses names, paths and
    /// reasons, up to the length of a whole message.
    #[must_use]
    pub fn clipped(mut self) -> Self {
        clip(&mut self.words, WORDS_BYTES_MAX);
        for text in [
            &mut self.reason,
            &mut self.workstation,
            &mut self.key,
            &mut self.identity,
            &mut self.user_id,
            &mut self.server,
            &mut self.user,
            &mut self.host,
            &mut self.host_key,
            &mut self.namespace,
            &mut self.process,
            &mut self.intent,
        ] {
            clip(text, TEXT_BYTES_MAX);
        }
        for file in &mut self.files {
            clip_text(file, TEXT_BYTES_MAX);
        }
        self.files.truncate(FILES_MAX);
        self.path.truncate(keystead_core::Evidence::BINDS_MAX);
        self
    }

    /// The pairing it belongs to, if to any.
    #[must_use]
    pub fn pairing_id(&self) -> Option<PairingId> {
        self.pairing.as_ref()?.parse().ok()
    }

    /// The request that it answers, if any.
    #[must_use]
    pub fn request(&self) -> Option<(RequestId, RequestHash)> {
        let id = self.request_id.as_ref()?.parse().ok()?;
        let hash = self.request_hash.as_ref()?.parse().ok()?;
        Some((id, hash))
    }

    /// The receipt's number and bytes, if it has one.
    #[must_use]
    pub fn receipt(&self) -> Option<(u64, Vec<u8>)> {
        Some((self.receipt_seq?, hex::decode(self.receipt.as_ref()?)?))
    }
}

fn clip(text: &mut Option<String>, bytes_max: usize) {
    if let Some(text) = text {
        clip_text(text, bytes_max);
    }
}

fn clip_text(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = text.floor_char_boundary(bytes_max);
        text.truncate(end);
        text.push('…');
    }
}

/// 4 file names of a request are logged.
pub(crate) const FILES_MAX: usize = 4;

/// 1 KiB: what a person is shown of a request in one line.
const WORDS_BYTES_MAX: usize = 1_024;

/// 256 bytes: a host's name fits whole (255, RFC 1035 section 2.3.4). With it an entry has
/// some 4 KiB at the most, and 10,000 ids a day fill 40 MiB of log.
const TEXT_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_makes_a_long_entry() {
        let long = Some("ä\n".repeat(80_000));
        let entry = Entry {
            words: long.clone(),
            reason: long.clone(),
            workstation: long.clone(),
            key: long.clone(),
            user: long.clone(),
            host: long.clone(),
            host_key: long.clone(),
            namespace: long.clone(),
            process: long.clone(),
            intent: long,
            files: vec!["ä\n".repeat(80_000); 16],
            path: vec![format!("SHA256:{}", "x".repeat(43)); 16],
            ..Entry::own(1, "sign", Outcome::Approve)
        };
        let json = serde_json::to_string(&entry.clipped()).unwrap();
        assert!(json.len() < 8_000, "{}", json.len());
        let usual = Entry {
            user: Some("alex".into()),
            host: Some("h".repeat(255)),
            ..Entry::own(1, "sign", Outcome::Approve)
        };
        assert_eq!(usual.clone().clipped(), usual);
    }

    #[test]
    fn an_entry_reads_back_and_leaves_out_what_it_has_not() {
        let entry = Entry {
            receipt_seq: Some(3),
            receipt: Some("a0".into()),
            pairing: Some("0011223344556677".into()),
            ..Entry::own(1_700_000_000, "sign", Outcome::Approve)
        };
        let json = serde_json::to_string(&entry).unwrap();
        assert_eq!(
            json,
            r#"{"unix_s":1700000000,"kind":"sign","decision":"approve","pairing":"0011223344556677","receipt_seq":3,"receipt":"a0"}"#
        );
        let read: Entry = serde_json::from_str(&json).unwrap();
        assert_eq!(read, entry);
        assert_eq!(read.receipt(), Some((3, vec![0xa0])));
    }
}
