//! Which requests that wait at the same time are one question.
//!
//! **Invariant**: only requests that one look can judge are put together: of one pairing, one
//! key, one class (a proved host is never with an unproved one, a readable commit never with a
//! bare hash), one path, and all or none of them in the background. What they share beyond is
//! an act that the workstation names, or the destination itself, or the programs that ask.

use keystead_core::{Intent, KeyId, PairingId};

use crate::words::{Asked, Bound, Called, Destination, GitForm, Hop, Login, OpenPgp, Origin, Sign};

/// What requests have in common that are one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pairing: PairingId,
    key: KeyId,
    is_background: bool,
    class: Class,
    path: Vec<String>,
    shared: Shared,
}

/// Requests of different classes are judged differently.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Class {
    /// A login at a host that proved its key, under a name that was known here or not.
    Login {
        user: String,
        bound: Bound,
        is_new: bool,
    },
    LoginNotProved {
        user: String,
    },
    Git(GitForm),
    /// In a namespace, its content not shown.
    Signature(String),
    /// As [`Class::Git`].
    OpenPgpGit(GitForm),
    /// A digest alone.
    OpenPgp,
    /// Which kind of file.
    Decrypt(&'static str),
}

/// What makes them one act.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shared {
    Intent([u8; 16]),
    Destination {
        host_key: String,
    },
    Programs {
        program: Option<String>,
        parents: Vec<String>,
    },
}

impl Group {
    /// The group of a sign request; none where it is always a question of its own.
    #[must_use]
    pub fn of(
        pairing: PairingId,
        key: KeyId,
        asked: &Asked,
        intent: Option<&Intent>,
    ) -> Option<Self> {
        let origin = asked.origin()?;
        let (class, way, own) = match asked {
            Asked::Login(login) => login_of(login),
            Asked::Sign(sign) => sign_of(sign),
            Asked::OpenPgp(sign) => openpgp_of(sign),
            // One act opens several files: that they are of this key is proved.
            Asked::Decrypt(decrypt) => (
                Class::Decrypt(decrypt.form.plural()),
                [].as_slice(),
                Some(programs(&decrypt.origin)),
            ),
            // Each has its own file and comment, which a list of several does not show.
            Asked::Signify(_)
            | Asked::Certify(_)
            | Asked::MakeKey(_)
            | Asked::Import(_)
            | Asked::Remove(_)
            | Asked::Hosts(_)
            | Asked::Server(_)
            | Asked::MakeApproval(_)
            | Asked::OpenLocal(_) => return None,
        };
        let shared = match intent {
            Some(intent) => Shared::Intent(intent.id),
            None => own?,
        };
        Some(Self {
            pairing,
            key,
            is_background: origin.is_background,
            class,
            path: way.iter().map(|hop| hop.host_key.clone()).collect(),
            shared,
        })
    }
}

/// Class, path, and what such logins share where no act is named.
fn login_of(login: &Login) -> (Class, &[Hop], Option<Shared>) {
    match &login.destination {
        Destination::Proved(hop) => {
            let class = Class::Login {
                user: login.user.clone(),
                bound: login.bound,
                is_new: !matches!(hop.called, Called::Pinned(_)),
            };
            let shared = Shared::Destination {
                host_key: hop.host_key.clone(),
            };
            (class, &login.way, Some(shared))
        }
        // Nobody knows whether two of them go to the same host.
        Destination::NotProved(_) => {
            let user = login.user.clone();
            (Class::LoginNotProved { user }, &login.way, None)
        }
    }
}

fn sign_of(sign: &Sign) -> (Class, &[Hop], Option<Shared>) {
    match sign.git_form() {
        Some(form) => (Class::Git(form), &sign.way, Some(programs(&sign.origin))),
        // Bare hashes: what they have in common is not known.
        None => (Class::Signature(sign.namespace.clone()), &sign.way, None),
    }
}

fn openpgp_of(sign: &OpenPgp) -> (Class, &[Hop], Option<Shared>) {
    match sign.git_form() {
        Some(form) => (Class::OpenPgpGit(form), &[], Some(programs(&sign.origin))),
        None => (Class::OpenPgp, &[], None),
    }
}

fn programs(origin: &Origin) -> Shared {
    Shared::Programs {
        program: origin.program.clone(),
        parents: origin.parents.clone(),
    }
}

#[cfg(test)]
mod tests;
