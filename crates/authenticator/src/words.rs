//! What is asked, in a person's words.
//!
//! **Invariant**: every word comes from what was parsed or proved; what only
//! the workstation says is marked as its word, and everything foreign is shown
//! escaped ([`crate::show`]).

use keystead_core::{Name, Purpose};

use crate::entry::Entry;
use crate::show::{Safe, clip};

/// One thing that a person is asked, parsed whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A signature that logs in by ssh.
    Login(Login),
    /// A signature in a namespace.
    Sign(Sign),
    /// A new key.
    MakeKey(MakeKey),
    /// The list of hosts where keys were used: how many it has.
    Hosts(usize),
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account, from the blob.
    pub user: String,
    /// Where.
    pub destination: Destination,
    /// The hops before the destination, the first one first.
    pub way: Vec<Hop>,
    /// The key that signs.
    pub key: Name,
    /// The program that asks, by the workstation's word.
    pub program: Option<String>,
}

/// Where a login goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The host signed this very session.
    Proved(Hop),
    /// Nobody knows where this signature will be used.
    NotProved(NotProved),
}

/// Why a destination is not proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotProved {
    /// The client sent no host's signature.
    NoBind,
    /// The client behind the last hop sent none.
    Forwarded,
}

/// A host that proved its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// What it is called, and who says so.
    pub called: Called,
    /// `SHA256:…`.
    pub host_key: String,
}

/// What a host is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// Pinned here to this key.
    Pinned(String),
    /// The workstation's `known_hosts` says so; the first one is pinned on approval.
    Told(Vec<String>),
    /// Nobody says.
    Nameless,
}

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
    pub key: Name,
    /// The program that asks, by the workstation's word.
    pub program: Option<String>,
}

/// What is known of a signed content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A git commit: rows of label and value, and the message.
    Git {
        /// `a git commit`, `a git tag`.
        what: &'static str,
        /// Label and value.
        rows: Vec<(&'static str, String)>,
        /// The message.
        message: String,
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

/// A new key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeKey {
    /// Its name.
    pub name: Name,
    /// Its type, as people type it.
    pub algorithm: &'static str,
}

/// One line that a person reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is about; empty when it goes on with the row before.
    pub label: &'static str,
    /// What it says, safe to show.
    pub value: String,
    /// How it is said.
    pub tone: Tone,
}

/// How a row is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As a matter of fact.
    Plain,
    /// So that nobody reads over it.
    Warn,
}

impl Asked {
    /// The rows in the order in which they are shown; what may be long comes last.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        match self {
            Self::Login(login) => login.rows(),
            Self::Sign(sign) => sign.rows(),
            Self::MakeKey(make) => vec![
                plain(
                    "Make a key",
                    format!("{}, type {}", make.name, make.algorithm),
                ),
                plain("", "it stays here; the workstation gets its public half"),
            ],
            Self::Hosts(count) => vec![plain(
                "Send",
                format!("the list of {count} hosts and accounts where keys were used"),
            )],
        }
    }

    /// All of it in one line, for notices and the log.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Login(login) => {
                let at = match &login.destination {
                    Destination::Proved(hop) => hop.line(),
                    Destination::NotProved(_) => "a destination not proved".to_owned(),
                };
                format!(
                    "ssh login as {} at {at} with {}",
                    shown(&login.user),
                    login.key
                )
            }
            Self::Sign(sign) => format!("{} with {}", sign.what(), sign.key),
            Self::MakeKey(make) => format!("a new key {}, type {}", make.name, make.algorithm),
            Self::Hosts(count) => format!("the list of {count} hosts"),
        }
    }

    /// What the signature is for; none for what is no signature.
    #[must_use]
    pub fn purpose(&self) -> Option<Purpose> {
        match self {
            Self::Login(_) => Some(Purpose::SshLogin),
            Self::Sign(Sign {
                content: Content::Git { .. },
                ..
            }) => Some(Purpose::GitCommit),
            Self::Sign(_) => Some(Purpose::SshSig),
            Self::MakeKey(_) | Self::Hosts(_) => None,
        }
    }

    /// What the log says of it beside the line: user, host, host key, namespace.
    pub(crate) fn describe(&self, entry: &mut Entry) {
        entry.words = Some(self.line());
        entry.purpose = self.purpose().map(|it| it.as_str().to_owned());
        match self {
            Self::Login(login) => {
                entry.user = Some(login.user.clone());
                entry.key = Some(login.key.to_string());
                entry.path = login.way.iter().map(|hop| hop.host_key.clone()).collect();
                entry.process.clone_from(&login.program);
                if let Destination::Proved(hop) = &login.destination {
                    entry.host_key = Some(hop.host_key.clone());
                    entry.host = hop.name().map(str::to_owned);
                }
            }
            Self::Sign(sign) => {
                entry.namespace = Some(sign.namespace.clone());
                entry.key = Some(sign.key.to_string());
                entry.path = sign.way.iter().map(|hop| hop.host_key.clone()).collect();
                entry.process.clone_from(&sign.program);
            }
            Self::MakeKey(make) => entry.key = Some(make.name.to_string()),
            Self::Hosts(_) => {}
        }
    }

    /// The name that becomes pinned to the destination's key when this is approved.
    #[must_use]
    pub fn to_pin(&self) -> Option<(&str, &str)> {
        let Self::Login(Login {
            destination: Destination::Proved(hop),
            ..
        }) = self
        else {
            return None;
        };
        match &hop.called {
            Called::Told(names) => Some((names.first()?, &hop.host_key)),
            Called::Pinned(_) | Called::Nameless => None,
        }
    }
}

impl Login {
    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![plain("Log in as", shown(&self.user))];
        match &self.destination {
            Destination::Proved(hop) => {
                rows.push(hop.row());
                rows.push(plain("Host key", &*hop.host_key));
            }
            Destination::NotProved(why) => {
                rows.push(warn("Host", "destination not proved"));
                rows.push(warn("", why.words()));
            }
        }
        rows.extend(way_row(&self.way));
        rows.push(plain("With key", self.key.as_str()));
        rows.extend(program_row(self.program.as_deref()));
        rows
    }
}

impl NotProved {
    const fn words(self) -> &'static str {
        match self {
            Self::NoBind => "the client sent no host's signature: any host may get this login",
            Self::Forwarded => "a forwarded agent asks: the hop below may use it anywhere",
        }
    }
}

impl Hop {
    /// Its name, pinned or told.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.called {
            Called::Pinned(name) => Some(name),
            Called::Told(names) => names.first().map(String::as_str),
            Called::Nameless => None,
        }
    }

    fn row(&self) -> Row {
        match &self.called {
            Called::Pinned(name) => plain(
                "Host",
                format!("{} (this key is pinned to it)", shown(name)),
            ),
            Called::Told(names) => {
                let names: Vec<String> = names.iter().map(|it| shown(it)).collect();
                let names = names.join(", ");
                warn(
                    "Host",
                    format!("new here; the workstation's known_hosts says {names}"),
                )
            }
            Called::Nameless => warn("Host", "new here, and nobody says its name"),
        }
    }

    fn line(&self) -> String {
        match &self.called {
            Called::Pinned(name) => format!("{} ({})", shown(name), self.host_key),
            Called::Told(names) => {
                let name = names.first().map(|it| shown(it)).unwrap_or_default();
                format!("{name}? ({})", self.host_key)
            }
            Called::Nameless => self.host_key.clone(),
        }
    }
}

impl Sign {
    fn what(&self) -> String {
        match &self.content {
            Content::Git { what, .. } => format!("signature of {what}"),
            Content::Unreadable { .. } | Content::NotProved | Content::Differs => {
                format!("signature in the namespace {}", shown(&self.namespace))
            }
        }
    }

    fn rows(&self) -> Vec<Row> {
        let namespace = format!("a hash in the namespace {}", shown(&self.namespace));
        let mut rows = match &self.content {
            Content::Git { what, rows, .. } => {
                let own = rows.iter().map(|(label, value)| plain(label, &**value));
                std::iter::once(plain("Sign", *what)).chain(own).collect()
            }
            Content::Unreadable { .. } | Content::NotProved | Content::Differs => vec![
                plain("Sign", namespace),
                plain("Hash", format!("{} {}", self.hash_name, self.hash)),
            ],
        };
        rows.extend(self.content.warning());
        rows.extend(way_row(&self.way));
        rows.push(plain("With key", self.key.as_str()));
        rows.extend(program_row(self.program.as_deref()));
        if let Content::Git { message, .. } = &self.content {
            let mut label = "Message";
            for line in message.trim_end_matches('\n').split('\n') {
                rows.push(plain(label, Safe(line).to_string()));
                label = "";
            }
        }
        rows
    }
}

impl Content {
    fn warning(&self) -> Option<Row> {
        let words = match self {
            Self::Git { .. } => return None,
            Self::Unreadable { bytes } => format!("{bytes} bytes that cannot be shown here"),
            Self::NotProved => "content not proved: only its hash came".to_owned(),
            Self::Differs => "content not proved: what came has another hash".to_owned(),
        };
        Some(warn("Content", words))
    }
}

fn way_row(way: &[Hop]) -> Option<Row> {
    let (first, rest) = way.split_first()?;
    let way = rest
        .iter()
        .fold(first.line(), |way, hop| format!("{way} → {}", hop.line()));
    Some(plain("By way of", way))
}

fn program_row(program: Option<&str>) -> Option<Row> {
    program.map(|path| {
        plain(
            "Program",
            format!("{} (the workstation's word)", shown(path)),
        )
    })
}

fn plain(label: &'static str, value: impl Into<String>) -> Row {
    Row {
        label,
        value: value.into(),
        tone: Tone::Plain,
    }
}

fn warn(label: &'static str, value: impl Into<String>) -> Row {
    Row {
        label,
        value: value.into(),
        tone: Tone::Warn,
    }
}

fn shown(foreign: &str) -> String {
    clip(&Safe(foreign).to_string(), SHOWN_CHARS_MAX)
}

/// Foreign text in one row: longer ones (a user name has 32 characters, a host name
/// 253) are cut, so that what stands around them stays on the screen.
const SHOWN_CHARS_MAX: usize = 260;

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I";

    fn login(destination: Destination, way: Vec<Hop>) -> Asked {
        Asked::Login(Login {
            user: "alex".into(),
            destination,
            way,
            key: Name::new("main").unwrap(),
            program: Some("/usr/bin/ssh".into()),
        })
    }

    fn hop(called: Called) -> Hop {
        Hop {
            called,
            host_key: FINGERPRINT.into(),
        }
    }

    fn sign(namespace: &str, content: Content) -> Asked {
        Asked::Sign(Sign {
            namespace: namespace.into(),
            hash_name: "sha256".into(),
            hash: "00ff".into(),
            content,
            way: vec![],
            key: Name::new("main").unwrap(),
            program: None,
        })
    }

    /// `!` marks a row that warns.
    fn row_text(row: &Row) -> String {
        let mark = if row.tone == Tone::Warn { "!" } else { "" };
        format!("{mark}{}|{}\n", row.label, row.value)
    }

    fn check(asked: &Asked, line: &str, rows: &str) {
        let shown: String = asked.rows().iter().map(row_text).collect();
        assert_eq!(shown, rows);
        assert_eq!(asked.line(), line);
    }

    #[test]
    fn a_login_at_a_pinned_host() {
        check(
            &login(
                Destination::Proved(hop(Called::Pinned("db1".into()))),
                vec![],
            ),
            "ssh login as alex at db1 (SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I) with main",
            "Log in as|alex\n\
             Host|db1 (this key is pinned to it)\n\
             Host key|SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I\n\
             With key|main\n\
             Program|/usr/bin/ssh (the workstation's word)\n",
        );
    }

    #[test]
    fn a_login_at_a_new_host_behind_another() {
        check(
            &login(
                Destination::Proved(hop(Called::Told(vec!["db1".into(), "10.0.0.1".into()]))),
                vec![hop(Called::Pinned("bastion".into()))],
            ),
            "ssh login as alex at db1? (SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I) with main",
            "Log in as|alex\n\
             !Host|new here; the workstation's known_hosts says db1, 10.0.0.1\n\
             Host key|SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I\n\
             By way of|bastion (SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I)\n\
             With key|main\n\
             Program|/usr/bin/ssh (the workstation's word)\n",
        );
    }

    #[test]
    fn a_login_without_proof() {
        check(
            &login(Destination::NotProved(NotProved::NoBind), vec![]),
            "ssh login as alex at a destination not proved with main",
            "Log in as|alex\n\
             !Host|destination not proved\n\
             !|the client sent no host's signature: any host may get this login\n\
             With key|main\n\
             Program|/usr/bin/ssh (the workstation's word)\n",
        );
        check(
            &login(
                Destination::NotProved(NotProved::Forwarded),
                vec![hop(Called::Nameless)],
            ),
            "ssh login as alex at a destination not proved with main",
            "Log in as|alex\n\
             !Host|destination not proved\n\
             !|a forwarded agent asks: the hop below may use it anywhere\n\
             By way of|SHA256:uNiVztksCsDhcc0u9e8BrCJFuHmXe1EGtEUCFGqvR0I\n\
             With key|main\n\
             Program|/usr/bin/ssh (the workstation's word)\n",
        );
    }

    #[test]
    fn signatures_in_a_namespace() {
        check(
            &sign("file", Content::NotProved),
            "signature in the namespace file with main",
            "Sign|a hash in the namespace file\nHash|sha256 00ff\n\
             !Content|content not proved: only its hash came\nWith key|main\n",
        );
        check(
            &sign("git", Content::Differs),
            "signature in the namespace git with main",
            "Sign|a hash in the namespace git\nHash|sha256 00ff\n\
             !Content|content not proved: what came has another hash\nWith key|main\n",
        );
        check(
            &sign(
                "git",
                Content::Git {
                    what: "a git commit",
                    rows: vec![("Tree", "4b82".into())],
                    message: "Mend it\n\nBecause \x1b[2J\n".into(),
                },
            ),
            "signature of a git commit with main",
            "Sign|a git commit\nTree|4b82\nWith key|main\nMessage|Mend it\n|\n|Because \\u{1b}[2J\n",
        );
    }

    #[test]
    fn foreign_text_plays_no_tricks() {
        let mut asked = login(
            Destination::Proved(hop(Called::Told(vec!["a\x1b]0;x\x07".into()]))),
            vec![],
        );
        if let Asked::Login(login) = &mut asked {
            login.user = format!("root\x1b[8m{}", "x".repeat(300));
        }
        let all: String = asked.rows().iter().map(|row| row.value.as_str()).collect();
        assert!(!(all + &asked.line()).contains(|c: char| c.is_control()));
    }

    #[test]
    fn only_a_told_name_is_pinned() {
        let to_pin = |called| {
            let asked = login(Destination::Proved(hop(called)), vec![]);
            asked.to_pin().map(|(name, _)| name.to_owned())
        };
        assert_eq!(
            to_pin(Called::Told(vec!["db1".into(), "b".into()])),
            Some("db1".into())
        );
        assert_eq!(to_pin(Called::Pinned("db1".into())), None);
        assert_eq!(to_pin(Called::Nameless), None);
    }
}
