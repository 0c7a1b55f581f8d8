//! A signature in a namespace: a git commit or tag, a file, anything else.

use super::login::way_row;
use super::{Hop, KeyWords, Origin, Row, plain, shown, warn};
use crate::entry::Entry;
use crate::show::{Safe, clip};

/// A signature in a namespace (SSHSIG).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The namespace, from the blob.
    pub namespace: String,
    /// `sha512` or `sha256`.
    pub hash_name: String,
    /// Hex of the hash.
    pub hash: String,
    /// What is known of what was hashed.
    pub content: Content,
    /// The hosts that forward the agent, the first one first.
    pub way: Vec<Hop>,
    /// The key that signs.
    pub key: KeyWords,
    /// The program that asks.
    pub origin: Origin,
}

/// What is known of a signed content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A git commit or tag: rows of label and value, and the message.
    Git {
        /// Which of the two.
        form: GitForm,
        /// Label and value.
        rows: Vec<(&'static str, String)>,
        /// The message.
        message: String,
        /// The lines of what else is signed and may be long, safe to show.
        below: Vec<String>,
    },
    /// Bytes came that have this hash, but they are not what this program can show.
    Unreadable {
        /// How many.
        bytes: usize,
    },
    /// Only the hash came.
    NotProved,
    /// Bytes came that have another hash.
    Differs,
}

/// What git signs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum GitForm {
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
}

impl GitForm {
    /// Several of them.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Commit => "git commits",
            Self::Tag => "git tags",
        }
    }

    pub(super) const fn one(self) -> &'static str {
        match self {
            Self::Commit => "a git commit",
            Self::Tag => "a git tag",
        }
    }
}

impl Sign {
    /// Commit or tag, where the content is proved to be one.
    #[must_use]
    pub fn git_form(&self) -> Option<GitForm> {
        self.content.git_form()
    }

    pub(super) fn line(&self) -> String {
        let what = match self.git_form() {
            Some(_) => format!("signature of {}", what_is_signed(&self.content)),
            None => format!("signature in the namespace {}", shown(&self.namespace)),
        };
        format!("{what} with {}", self.key)
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let namespace = format!("a hash in the namespace {}", shown(&self.namespace));
        let mut rows = match self.git_form() {
            Some(form) => content_rows(&self.content, form.one()),
            None => vec![
                plain("Sign", namespace),
                plain("Hash", format!("{} {}", self.hash_name, self.hash)),
            ],
        };
        if !USUAL_NAMESPACES.contains(&self.namespace.as_str()) {
            rows.push(warn("", "nobody here knows what this namespace is for"));
        }
        rows.extend(self.content.warning());
        rows.extend(way_row(&self.way));
        rows.extend(self.key.rows(""));
        rows.extend(self.origin.rows());
        rows.extend(message_rows(&self.content));
        rows
    }

    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.namespace = Some(self.namespace.clone());
        self.key.describe(entry);
        entry.path = self.way.iter().map(|hop| hop.host_key.clone()).collect();
    }
}

/// A commit or tag in one line.
pub(super) fn what_is_signed(content: &Content) -> String {
    match content {
        Content::Git {
            form,
            rows,
            message,
            ..
        } => format!("{}{}", form.one(), subject(*form, rows, message)),
        Content::Unreadable { .. } | Content::NotProved | Content::Differs => String::new(),
    }
}

/// The rows of a commit or tag, all but the rest of its message, behind what is signed.
pub(super) fn content_rows(content: &Content, what: &str) -> Vec<Row> {
    let mut all = vec![plain("Sign", what)];
    if let Content::Git { rows, message, .. } = content {
        let (subject, _) = parted(message);
        all.extend(subject.map(|it| plain("Subject", Safe(it).to_string())));
        all.extend(rows.iter().map(|(label, value)| plain(label, &**value)));
    }
    all
}

/// What the subject leaves of the message of a commit or tag, and what else of it may be long.
pub(super) fn message_rows(content: &Content) -> Vec<Row> {
    let Content::Git { message, below, .. } = content else {
        return Vec::new();
    };
    let (_, rest) = parted(message);
    let rest = rest.into_iter().flat_map(|it| it.split('\n'));
    let mut rows = labelled("Message", rest.map(|it| Safe(it).to_string()));
    rows.extend(labelled("Also signed", below.iter().cloned()));
    rows
}

/// Lines as rows, the first of them with the label.
fn labelled(label: &'static str, lines: impl Iterator<Item = String>) -> Vec<Row> {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let rows = labels.zip(lines).map(|(label, line)| plain(label, line));
    rows.collect()
}

/// A message's first line, where it is short enough to stand before all else, and what follows
/// it: git parts them by an empty line.
fn parted(message: &str) -> (Option<&str>, Option<&str>) {
    let message = message.trim_end_matches('\n');
    let (first, rest) = match message.split_once('\n') {
        Some((first, rest)) => (first, Some(rest.strip_prefix('\n').unwrap_or(rest))),
        None => (message, None),
    };
    if (1..=SUBJECT_CHARS_MAX).contains(&first.chars().count()) {
        return (Some(first), rest);
    }
    (None, Some(message))
}

/// What tells one commit or tag from the next: the first line of its message, or its name.
fn subject(form: GitForm, rows: &[(&'static str, String)], message: &str) -> String {
    let subject = match form {
        GitForm::Commit => Safe(message.lines().next().unwrap_or_default()).to_string(),
        // Safe to show already, as every row.
        GitForm::Tag => rows
            .first()
            .map(|(_, name)| name.clone())
            .unwrap_or_default(),
    };
    if subject.is_empty() {
        return String::new();
    }
    format!(" \"{}\"", clip(&subject, SUBJECT_CHARS_MAX))
}

impl Content {
    /// Commit or tag, where it is proved to be one.
    #[must_use]
    pub const fn git_form(&self) -> Option<GitForm> {
        match self {
            Self::Git { form, .. } => Some(*form),
            Self::Unreadable { .. } | Self::NotProved | Self::Differs => None,
        }
    }

    pub(super) fn warning(&self) -> Option<Row> {
        let words = match self {
            Self::Git { .. } => return None,
            Self::Unreadable { bytes } => {
                format!("{bytes} bytes, proved by the hash, not shown: no commit and no tag")
            }
            Self::NotProved => "not proved: only its hash came".to_owned(),
            Self::Differs => "not proved: what came has another hash".to_owned(),
        };
        Some(warn("Content", words))
    }
}

/// 72: the length to which people write subjects.
const SUBJECT_CHARS_MAX: usize = 72;

/// What OpenSSH's and git's own programs sign in (ssh-keygen(1), `-Y sign`; git-config(1)).
const USUAL_NAMESPACES: [&str; 3] = ["git", "file", "email"];
