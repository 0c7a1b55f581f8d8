//! Something that is to be opened.

use super::openpgp::user_id_row;
use super::{KeyWords, Origin, Row, plain, shown};
use crate::entry::Entry;

/// A decryption. What is inside nobody knows before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decrypt {
    /// Of which kind of file.
    pub form: DecryptWords,
    /// The user id, by the workstation's word.
    pub user_id: Option<String>,
    /// The key that decrypts.
    pub key: KeyWords,
    /// The program that asks.
    pub origin: Origin,
}

/// What is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecryptWords {
    /// An OpenPGP message.
    OpenPgp,
    /// An age file; it is proved that this key opens it.
    Age,
}

impl DecryptWords {
    pub(crate) const fn one(self) -> &'static str {
        match self {
            Self::OpenPgp => "an OpenPGP message",
            Self::Age => "an age file",
        }
    }

    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::OpenPgp => "OpenPGP messages",
            Self::Age => "age files",
        }
    }
}

impl Decrypt {
    pub(super) fn line(&self) -> String {
        let files = match self.origin.files.as_slice() {
            [] => String::new(),
            [one] => format!(" {}", shown(one)),
            [one, rest @ ..] => format!(" {} and {} more", shown(one), rest.len()),
        };
        format!("opening of {}{files} with {}", self.form.one(), self.key)
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let gives = match self.form {
            DecryptWords::OpenPgp => "the workstation gets the key of this message alone",
            DecryptWords::Age => "tried: it is for this key; the workstation gets its file key",
        };
        let mut rows = vec![plain("Open", self.form.one()), plain("", gives)];
        rows.extend(user_id_row(self.user_id.as_deref(), &self.key));
        rows.extend(self.key.rows(""));
        rows.extend(self.origin.rows());
        rows
    }

    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.user_id.clone_from(&self.user_id);
        self.key.describe(entry);
    }
}
