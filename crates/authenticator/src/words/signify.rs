//! A signature as minisign and signify make them: of a file, or of its hash, and of a comment.

use super::{KeyWords, Origin, Row, plain, warn};
use crate::entry::Entry;
use crate::show::{Safe, clip};

/// A minisign signature: two, the second over the first and the comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signify {
    /// What is signed.
    pub content: SignifyContent,
    /// The comment that is signed with it.
    pub trusted_comment: String,
    /// The key that signs.
    pub key: KeyWords,
    /// The program that asks.
    pub origin: Origin,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignifyContent {
    /// A file itself.
    Whole {
        /// How long it is.
        bytes: usize,
        /// Hex of its SHA-256.
        sha256: String,
        /// The file, where it is text that can be shown.
        text: Option<String>,
    },
    /// Hex of the file's BLAKE2b-512; nobody here has seen the file.
    Prehashed(String),
}

impl Signify {
    pub(super) fn line(&self) -> String {
        let what = match &self.content {
            SignifyContent::Whole { bytes, .. } => format!("{bytes} bytes"),
            SignifyContent::Prehashed(_) => "a file's hash".to_owned(),
        };
        let comment = clip(&self.comment(), COMMENT_CHARS_MAX);
        format!(
            "minisign signature of {what} \"{comment}\" with {}",
            self.key
        )
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        match &self.content {
            SignifyContent::Whole { bytes, sha256, .. } => {
                rows.push(plain(
                    "Sign",
                    format!("a file of {bytes} bytes, by minisign"),
                ));
                rows.push(plain("Hash", format!("sha256 {sha256}")));
                if *bytes == PREHASH_BYTES {
                    rows.push(warn("", MAY_BE_A_HASH));
                }
            }
            SignifyContent::Prehashed(hash) => {
                rows.push(plain("Sign", "a file by its hash (prehashed), by minisign"));
                rows.push(plain("Hash", format!("blake2b-512 {hash}")));
            }
        }
        rows.extend(self.key.rows(""));
        rows.extend(self.origin.rows());
        rows.push(plain("Comment", format!("{} (signed too)", self.comment())));
        if let SignifyContent::Whole {
            text: Some(text), ..
        } = &self.content
        {
            let mut label = "Text";
            for line in text.trim_end_matches('\n').split('\n') {
                rows.push(plain(label, Safe(line).to_string()));
                label = "";
            }
        }
        rows
    }

    /// All of it; minisign's own comments part their words by tabs.
    fn comment(&self) -> String {
        Safe(&self.trusted_comment.replace('\t', " ")).to_string()
    }

    pub(super) fn describe(&self, entry: &mut Entry) {
        self.key.describe(entry);
    }
}

/// A prehashed signature is one over a hash of so many bytes (BLAKE2b-512), and says nowhere that
/// it is.
const PREHASH_BYTES: usize = 64;
const MAY_BE_A_HASH: &str = "64 bytes may be the hash of another file: this would sign that file";

/// 72 characters of the comment in a line of the log; the screen has all of it.
const COMMENT_CHARS_MAX: usize = 72;
