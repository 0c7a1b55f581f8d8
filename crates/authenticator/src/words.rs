//! What is asked, in a person's words.
//!
//! **Invariant**: every word comes from what was parsed or proved; what only
//! the workstation says is marked as its word, and everything foreign is shown
//! escaped ([`crate::show`]).

mod certify;
mod custody;
mod decrypt;
mod key;
mod key_server;
mod login;
mod openpgp;
mod origin;
mod sign;
mod signify;

use keystead_core::Purpose;

use crate::entry::Entry;
use crate::show::{Safe, clip};

pub use certify::Certify;
pub use custody::{Import, MakeKey, Remove};
pub use decrypt::{Decrypt, DecryptWords};
pub use key::KeyWords;
pub use key_server::{Conditions, Deed, HeldKey, MakeApproval, OpenLocal, ServerAct};
pub use login::{Bound, Called, Destination, Hop, Login, NotProved};
pub use openpgp::OpenPgp;
pub use origin::Origin;
pub(crate) use origin::THEIR_WORD;
pub use sign::{Content, GitForm, Sign};
pub use signify::{Signify, SignifyContent};

/// One thing that a person is asked, parsed whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A signature that logs in by ssh.
    Login(Login),
    /// A signature in a namespace.
    Sign(Sign),
    /// A certificate, signed as its authority.
    Certify(Certify),
    /// A signature for OpenPGP.
    OpenPgp(OpenPgp),
    /// A signature for minisign.
    Signify(Signify),
    /// Something encrypted.
    Decrypt(Decrypt),
    /// A new key.
    MakeKey(MakeKey),
    /// A key that comes from the workstation.
    Import(Import),
    /// Keys that are to be forgotten.
    Remove(Remove),
    /// The list of hosts where keys were used: how many it has.
    Hosts(usize),
    /// An act that a key server wants approved.
    Server(ServerAct),
    /// The key that approves for a key server.
    MakeApproval(MakeApproval),
    /// Local copies of secrets.
    OpenLocal(OpenLocal),
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
            Self::Certify(certify) => certify.rows(),
            Self::OpenPgp(sign) => sign.rows(),
            Self::Signify(sign) => sign.rows(),
            Self::Decrypt(decrypt) => decrypt.rows(),
            Self::MakeKey(make) => make.rows(),
            Self::Import(import) => import.rows(),
            Self::Remove(remove) => remove.rows(),
            Self::Hosts(count) => vec![plain(
                "Send",
                format!("the list of {count} hosts and accounts where keys were used"),
            )],
            Self::Server(act) => act.rows(),
            Self::MakeApproval(make) => make.rows(),
            Self::OpenLocal(open) => open.rows(),
        }
    }

    /// All of it in one line, for notices and the log.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Login(login) => login.line(),
            Self::Sign(sign) => sign.line(),
            Self::Certify(certify) => certify.line(),
            Self::OpenPgp(sign) => sign.line(),
            Self::Signify(sign) => sign.line(),
            Self::Decrypt(decrypt) => decrypt.line(),
            Self::MakeKey(make) => make.line(),
            Self::Import(import) => import.line(),
            Self::Remove(remove) => remove.line(),
            Self::Hosts(count) => format!("the list of {count} hosts"),
            Self::Server(act) => act.line(),
            Self::MakeApproval(make) => make.line(),
            Self::OpenLocal(open) => open.line(),
        }
    }

    /// The line, and what tells requests apart that have one line and stand in one list: the first
    /// digits of the hash that a signature is over, the command that wants something opened.
    #[must_use]
    pub fn line_apart(&self) -> String {
        let line = self.line();
        let apart = match self {
            Self::Sign(sign) => Some((&*sign.hash_name, clip(&sign.hash, DIGEST_CHARS_MAX))),
            Self::OpenPgp(sign) if sign.git_form().is_some() => {
                Some((&*sign.hash_name, clip(&sign.digest, DIGEST_CHARS_MAX)))
            }
            Self::Decrypt(decrypt) => decrypt
                .origin
                .command()
                .map(|it| ("by the workstation's word", it)),
            Self::OpenPgp(_)
            | Self::Login(_)
            | Self::Certify(_)
            | Self::Signify(_)
            | Self::MakeKey(_)
            | Self::Import(_)
            | Self::Remove(_)
            | Self::Hosts(_)
            | Self::Server(_)
            | Self::MakeApproval(_)
            | Self::OpenLocal(_) => None,
        };
        apart.map_or_else(
            || line.clone(),
            |(name, it)| format!("{line} ({name} {it})"),
        )
    }

    /// Whether a person reads the same for both, but for the program that asks. Two commits may
    /// have one subject.
    #[must_use]
    pub fn reads_as(&self, other: &Self) -> bool {
        let is_same = match (self, other) {
            (Self::Sign(one), Self::Sign(other)) => {
                one.content == other.content && one.hash == other.hash
            }
            (Self::OpenPgp(one), Self::OpenPgp(other)) => one.digest == other.digest,
            _ => true,
        };
        is_same && self.line_apart() == other.line_apart()
    }

    /// What the key does it for; none for what uses no key.
    #[must_use]
    pub fn purpose(&self) -> Option<Purpose> {
        match self {
            Self::Login(_) => Some(Purpose::SshLogin),
            Self::Sign(sign) if sign.git_form().is_some() => Some(Purpose::GitCommit),
            Self::Sign(_) => Some(Purpose::SshSig),
            Self::Certify(_) => Some(Purpose::SshCertificate),
            Self::OpenPgp(_) => Some(Purpose::OpenPgp),
            Self::Signify(_) => Some(Purpose::Signify),
            Self::Decrypt(decrypt) => Some(match decrypt.form {
                DecryptWords::OpenPgp => Purpose::OpenPgpDecrypt,
                DecryptWords::Age => Purpose::AgeUnwrap,
            }),
            Self::MakeKey(_)
            | Self::Import(_)
            | Self::Remove(_)
            | Self::Hosts(_)
            | Self::Server(_)
            | Self::MakeApproval(_)
            | Self::OpenLocal(_) => None,
        }
    }

    /// What the workstation says of the program that asks.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Login(login) => Some(&login.origin),
            Self::Sign(sign) => Some(&sign.origin),
            Self::Certify(certify) => Some(&certify.origin),
            Self::OpenPgp(sign) => Some(&sign.origin),
            Self::Signify(sign) => Some(&sign.origin),
            Self::Decrypt(decrypt) => Some(&decrypt.origin),
            Self::MakeKey(_)
            | Self::Import(_)
            | Self::Remove(_)
            | Self::Hosts(_)
            | Self::Server(_)
            | Self::MakeApproval(_)
            | Self::OpenLocal(_) => None,
        }
    }

    /// What the log says of it beside the line: user, host, host key, namespace.
    pub(crate) fn describe(&self, entry: &mut Entry) {
        entry.words = Some(self.line());
        entry.purpose = self.purpose().map(|it| it.as_str().to_owned());
        if let Some(origin) = self.origin() {
            origin.describe(entry);
        }
        match self {
            Self::Login(login) => login.describe(entry),
            Self::Sign(sign) => sign.describe(entry),
            Self::Certify(certify) => certify.describe(entry),
            Self::OpenPgp(sign) => sign.describe(entry),
            Self::Signify(sign) => sign.describe(entry),
            Self::Decrypt(decrypt) => decrypt.describe(entry),
            Self::MakeKey(make) => entry.key = Some(make.name.to_string()),
            Self::Import(import) => {
                entry.key = Some(import.name.to_string());
                entry.fingerprint = Some(import.fingerprint.clone());
            }
            Self::Server(act) => act.describe(entry),
            Self::MakeApproval(make) => make.describe(entry),
            Self::Remove(_) | Self::Hosts(_) | Self::OpenLocal(_) => {}
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

pub(crate) fn shown(foreign: &str) -> String {
    clip(&Safe(foreign).to_string(), SHOWN_CHARS_MAX)
}

/// A name that a machine compares letter by letter, of an account or a host: people take letters
/// of other scripts for those that look like them, so such a name is spelled, too.
pub(crate) fn spelled(foreign: &str) -> String {
    if foreign.is_ascii() {
        return shown(foreign);
    }
    let letter = |it: char| match it.is_ascii() {
        true => Safe(it.encode_utf8(&mut [0; 4])).to_string(),
        false => it.escape_unicode().to_string(),
    };
    let letters: String = foreign.chars().map(letter).collect();
    format!(
        "{} (not ASCII: {})",
        shown(foreign),
        clip(&letters, SHOWN_CHARS_MAX)
    )
}

/// Foreign text in one row: longer ones (a user name has 32 characters, a host name
/// 253) are cut, so that what stands around them stays on the screen.
const SHOWN_CHARS_MAX: usize = 260;

/// 16 digits and the mark of a cut: enough to tell one digest from the next.
const DIGEST_CHARS_MAX: usize = 17;

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod tests;
