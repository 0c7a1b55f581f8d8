//! A login, and the hosts that it goes by and to.

use super::{KeyWords, Origin, Row, plain, shown, spelled, warn};
use crate::entry::Entry;

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account, from the blob.
    pub user: String,
    /// Where.
    pub destination: Destination,
    /// What the login is bound to.
    pub bound: Bound,
    /// The hops before the destination, the first one first.
    pub way: Vec<Hop>,
    /// The key that signs.
    pub key: KeyWords,
    /// The key id of the certificate by which the key logs in, if by one.
    pub certificate: Option<String>,
    /// The program that asks.
    pub origin: Origin,
}

/// What a login says of itself, in the bytes that are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// It names the host's key (`publickey-hostbound-v00@openssh.com`).
    ToHost,
    /// It names the session alone: clients and servers before OpenSSH 8.9, and
    /// `PubkeyAuthentication=unbound`.
    ToSession,
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
    /// `SHA256:…`
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

impl Login {
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = vec![plain("Log in as", spelled(&self.user))];
        match &self.destination {
            Destination::Proved(hop) => {
                rows.push(hop.row());
                rows.push(plain("Host key", &*hop.host_key));
                if self.bound == Bound::ToSession {
                    rows.push(warn("", UNBOUND));
                }
            }
            Destination::NotProved(why) => {
                rows.push(warn("Host", "destination not proved"));
                rows.push(warn("", why.words()));
            }
        }
        rows.extend(way_row(&self.way));
        let certificate = self.certificate.as_deref().map_or(String::new(), |id| {
            format!(", by its certificate {}", shown(id))
        });
        rows.extend(self.key.rows(&certificate));
        rows.extend(self.origin.rows());
        rows
    }

    pub(super) fn line(&self) -> String {
        let at = match &self.destination {
            Destination::Proved(hop) if self.bound == Bound::ToSession => {
                format!(
                    "{} (destination not proved by the login itself)",
                    hop.line()
                )
            }
            Destination::Proved(hop) => hop.line(),
            Destination::NotProved(_) => "a destination not proved".to_owned(),
        };
        format!(
            "ssh login as {} at {at} with {}",
            spelled(&self.user),
            self.key
        )
    }

    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.user = Some(self.user.clone());
        self.key.describe(entry);
        entry.path = self.way.iter().map(|hop| hop.host_key.clone()).collect();
        if let Destination::Proved(hop) = &self.destination {
            entry.host_key = Some(hop.host_key.clone());
            entry.host = hop.name().map(str::to_owned);
        }
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

    pub(crate) fn line(&self) -> String {
        match &self.called {
            Called::Pinned(name) => format!("{} ({})", shown(name), self.host_key),
            Called::Told(names) => {
                let name = names.first().map(|it| shown(it)).unwrap_or_default();
                format!("{name} ({UNPROVED}, {})", self.host_key)
            }
            Called::Nameless => self.host_key.clone(),
        }
    }

    /// Its name, and where only the workstation says it, that; its key where it has none.
    pub(crate) fn short(&self) -> String {
        match &self.called {
            Called::Pinned(name) => shown(name),
            Called::Told(names) => {
                let name = names.first().map(|it| shown(it)).unwrap_or_default();
                format!("{name} ({UNPROVED})")
            }
            Called::Nameless => self.host_key.clone(),
        }
    }
}

/// Behind a name that no pin proves.
const UNPROVED: &str = "unproved name";

/// The host signed the session, and the login is for that session; but the login does not say so.
const UNBOUND: &str = "destination not proved by the login itself: client or server \
    does not bind it to the host; the host did sign this session";

pub(super) fn way_row(way: &[Hop]) -> Option<Row> {
    let (first, rest) = way.split_first()?;
    let way = rest
        .iter()
        .fold(first.line(), |way, hop| format!("{way} → {}", hop.line()));
    Some(plain("By way of", way))
}
