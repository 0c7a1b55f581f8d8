//! What may be approved, or blocked, in advance of a request.
//!
//! **Invariant**: these two functions are all there is: a grant fires only for a request from
//! which [`Scope::of`] makes the very scope that the grant was made for, and where it makes none
//! no grant can be made and none fires. So it is here that the rules of `spec/pairing.md`
//! section 4 stand: proved hosts alone, proved commits alone, the whole path or nothing, no
//! presence key, no key that is to be asked for each time.

use keystead_core::{Intent, Purpose, hex};
use serde::{Deserialize, Serialize};

use crate::words::{Asked, Bound, Destination, GitForm, Hop, Login, Sign, shown, spelled};

/// What a grant covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "kebab-case")]
pub enum Scope {
    /// Logins of one user at one host key.
    Login {
        /// The account.
        user: String,
        /// `SHA256:…`
        host_key: String,
        /// What such a login is bound to.
        bound: Bound,
        /// `SHA256:…` of every hop before it, the first one first.
        path: Vec<String>,
    },
    /// Commits, or tags, whose content is proved.
    Git {
        /// Which of the two.
        form: GitForm,
        /// `SHA256:…` of every host that the agent is forwarded over.
        path: Vec<String>,
    },
    /// All that a key does for one purpose beside SSH: OpenPGP, age, minisign.
    Purpose {
        /// The purpose's word.
        purpose: String,
    },
    /// Commits, or tags, of one announced act. Never written: a restart asks again.
    Act {
        /// Hex of the intent's id.
        intent: String,
        /// Commits or tags.
        form: GitForm,
        /// As above.
        path: Vec<String>,
    },
}

/// How a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// As the holder says, in advance too.
    Free,
    /// Each use is to be approved by a person: its signatures state presence, or it was brought
    /// with that constraint.
    AskEachTime,
}

impl Scope {
    /// What a grant made from `asked` would cover; none where none may be made.
    #[must_use]
    pub fn of(asked: &Asked, key_use: KeyUse) -> Option<Self> {
        if key_use == KeyUse::AskEachTime {
            return None;
        }
        match asked {
            Asked::Login(Login {
                user,
                destination: Destination::Proved(hop),
                bound,
                way,
                ..
            }) => Some(Self::Login {
                user: user.clone(),
                host_key: hop.host_key.clone(),
                bound: *bound,
                path: path_of(way),
            }),
            Asked::Sign(sign) => Some(Self::Git {
                form: sign.git_form()?,
                path: path_of(&sign.way),
            }),
            // Commits and tags that are proved are granted apart from what is not seen.
            Asked::OpenPgp(sign) if sign.git_form().is_some() => Some(Self::Git {
                form: sign.git_form()?,
                path: Vec::new(),
            }),
            Asked::OpenPgp(_) | Asked::Signify(_) | Asked::Decrypt(_) => Some(Self::Purpose {
                purpose: asked.purpose()?.as_str().to_owned(),
            }),
            // A login to nobody knows where; what is signed once and holds for long; keys.
            Asked::Login(_)
            | Asked::Certify(_)
            | Asked::MakeKey(_)
            | Asked::Import(_)
            | Asked::Remove(_)
            | Asked::Hosts(_)
            // What a server wants approved is approved once, by its nonce.
            | Asked::Server(_)
            | Asked::MakeApproval(_)
            | Asked::OpenLocal(_) => None,
        }
    }

    /// What the approval of a whole announced act would cover; none where it covers each
    /// request that is seen, and no more.
    #[must_use]
    pub fn of_act(asked: &Asked, key_use: KeyUse, intent: &Intent) -> Option<Self> {
        match Self::of(asked, key_use)? {
            Self::Git { form, path } => Some(Self::Act {
                intent: hex::encode(&intent.id),
                form,
                path,
            }),
            // The hosts of a run differ: who has seen one has not seen the next.
            Self::Login { .. } | Self::Purpose { .. } | Self::Act { .. } => None,
        }
    }
}

/// What a block covers: wider than a grant, for a no may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "kebab-case")]
pub enum Blocked {
    /// Logins of one user at one host key, by whatever path.
    Login {
        /// The account.
        user: String,
        /// `SHA256:…`
        host_key: String,
    },
    /// Logins whose destination is not proved.
    NotProved,
    /// Signatures in one namespace.
    Namespace {
        /// The namespace.
        namespace: String,
    },
    /// Certificates.
    Certificates,
    /// All for one purpose beside SSH.
    Purpose {
        /// The purpose's word.
        purpose: String,
    },
    /// Another kind of request, by its word.
    Kind {
        /// `make-key`, `import`, `remove`, `hosts`, `make-approval-key`, `open-local`;
        /// `approve-server` with the server's id behind it.
        kind: String,
    },
}

impl Blocked {
    /// What a block made from `asked` covers.
    #[must_use]
    pub fn of(asked: &Asked) -> Self {
        let kind = |kind: &str| Self::Kind {
            kind: kind.to_owned(),
        };
        match asked {
            Asked::Login(login) => match &login.destination {
                Destination::Proved(hop) => Self::Login {
                    user: login.user.clone(),
                    host_key: hop.host_key.clone(),
                },
                Destination::NotProved(_) => Self::NotProved,
            },
            Asked::Sign(Sign { namespace, .. }) => Self::Namespace {
                namespace: namespace.clone(),
            },
            Asked::Certify(_) => Self::Certificates,
            Asked::OpenPgp(_) | Asked::Signify(_) | Asked::Decrypt(_) => {
                let purpose = asked.purpose().map_or("", Purpose::as_str);
                Self::Purpose {
                    purpose: purpose.to_owned(),
                }
            }
            Asked::MakeKey(_) => kind("make-key"),
            Asked::Import(_) => kind("import"),
            Asked::Remove(_) => kind("remove"),
            Asked::Hosts(_) => kind("hosts"),
            Asked::Server(act) => kind(&format!("approve-server {}", act.server_id)),
            Asked::MakeApproval(_) => kind("make-approval-key"),
            Asked::OpenLocal(_) => kind("open-local"),
        }
    }
}

/// The words for what a grant made from `asked` would cover; a name that only the workstation
/// says carries a mark.
#[must_use]
pub fn grant_words(asked: &Asked) -> String {
    words_for(asked, Hop::short)
}

/// The words for what a grant covers that was made from `asked`: the approval pinned the name.
#[must_use]
pub fn granted_words(asked: &Asked) -> String {
    words_for(asked, |hop| hop.name().map_or_else(|| hop.short(), shown))
}

fn words_for(asked: &Asked, host: impl Fn(&Hop) -> String) -> String {
    match asked {
        Asked::Login(login) => {
            let host = match &login.destination {
                Destination::Proved(hop) => host(hop),
                Destination::NotProved(_) => "any host".to_owned(),
            };
            format!("{}@{host}{}", spelled(&login.user), by_way_of(&login.way))
        }
        Asked::Sign(sign) => {
            let plural = sign.git_form().map_or("signatures", GitForm::plural);
            format!("{plural}{}", by_way_of(&sign.way))
        }
        Asked::OpenPgp(sign) => match sign.git_form() {
            Some(form) => format!("{}, by OpenPGP, with {}", form.plural(), sign.key),
            // What a digest is of nobody has seen: it may certify a user id or a subkey.
            None => format!("all OpenPGP signatures, of keys too, with {}", sign.key),
        },
        Asked::Signify(sign) => format!("minisign signatures with {}", sign.key),
        Asked::Decrypt(decrypt) => {
            format!("opening {} with {}", decrypt.form.plural(), decrypt.key)
        }
        // Never granted.
        Asked::Certify(_)
        | Asked::MakeKey(_)
        | Asked::Import(_)
        | Asked::Remove(_)
        | Asked::Hosts(_)
        | Asked::Server(_)
        | Asked::MakeApproval(_)
        | Asked::OpenLocal(_) => asked.line(),
    }
}

/// The words for what a block made from `asked` covers.
#[must_use]
pub fn block_words(asked: &Asked) -> String {
    match asked {
        Asked::Login(login) => match &login.destination {
            Destination::Proved(hop) => {
                format!("logins as {} at {}", spelled(&login.user), hop.short())
            }
            Destination::NotProved(_) => "logins without a proved destination".to_owned(),
        },
        Asked::Sign(sign) => format!("signatures in the namespace {}", shown(&sign.namespace)),
        Asked::Certify(_) => "SSH certificates".to_owned(),
        Asked::OpenPgp(_) => "OpenPGP signatures".to_owned(),
        Asked::Signify(_) => "minisign signatures".to_owned(),
        Asked::Decrypt(decrypt) => format!("opening {}", decrypt.form.plural()),
        Asked::MakeKey(_) => "making keys".to_owned(),
        Asked::Import(_) => "bringing keys".to_owned(),
        Asked::Remove(_) => "forgetting keys".to_owned(),
        Asked::Hosts(_) => "the list of hosts".to_owned(),
        Asked::Server(act) => format!("what the key server {} asks", act.server),
        Asked::MakeApproval(_) => "making approval keys".to_owned(),
        Asked::OpenLocal(_) => "opening local copies".to_owned(),
    }
}

fn by_way_of(way: &[Hop]) -> String {
    match way {
        [] => String::new(),
        way => {
            let names: Vec<String> = way.iter().map(Hop::short).collect();
            format!(" by way of {}", names.join(" → "))
        }
    }
}

fn path_of(way: &[Hop]) -> Vec<String> {
    way.iter().map(|hop| hop.host_key.clone()).collect()
}
