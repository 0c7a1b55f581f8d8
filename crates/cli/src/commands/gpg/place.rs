//! Which keeper holds an OpenPGP key, and how it comes by the parts of one.
//!
//! **Invariant:** a keeper is chosen by its name, or is the only one that can be meant; where
//! several can, the person is told them and nobody is asked.

use keystead_agent::control::{Keeper, KeeperState};
use keystead_core::{Curve, Derivation, KeyType, Name, Protocol, Purpose};

use crate::agent_link;
use crate::commands::identity::settings;
use crate::failure::{Failure, Status};
use crate::server_link;
use crate::terminal::{harmless, say};

use super::part::{Part, Stored};

/// Where the private halves are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A wallet derives them: this keeper's, else the one that the agent finds.
    Wallet(Option<String>),
    /// An authenticator stores them.
    Authenticator(String),
    /// A key server holds them; it decrypts nothing.
    Server(String),
}

/// What a part of a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Certifies, and signs.
    Primary,
    /// Signs under a primary.
    Sign,
    Encrypt,
    Authenticate,
}

/// By what the parts of one key are told apart.
#[derive(Clone, Copy)]
pub(super) struct Naming<'a> {
    pub(super) user_id: &'a str,
    /// In the place of the user id, where a wallet derives.
    pub(super) identity: Option<&'a str>,
    pub(super) curve: Curve,
    /// Of a wallet's key.
    pub(super) index: u32,
}

impl Place {
    /// The keeper of this name; without a name a wallet, else the only keeper.
    pub(super) fn of(named: Option<&Name>) -> Result<Self, Failure> {
        let servers = server_link::book()?.names();
        let servers = servers.map_err(|error| server_link::of_book(&error))?;
        if let Some(named) = named.filter(|it| servers.iter().any(|s| s.as_str() == it.as_str())) {
            return Ok(Self::Server(named.to_string()));
        }
        let mut keepers = agent_link::status()?.keepers;
        keepers.retain(|it| it.state != KeeperState::Unpairing);
        if let Some(named) = named {
            let name = named.to_string();
            let found = keepers.iter().find(|it| it.name == name || it.id == name);
            return Ok(match found {
                Some(keeper) if !derives(keeper) => Self::Authenticator(name),
                // The agent says what it is, if it is any.
                Some(_) | None => Self::Wallet(Some(name)),
            });
        }
        let servers = servers.iter().map(ToString::to_string).map(Self::Server);
        let mut all: Vec<Self> = keepers.iter().map(Self::at).chain(servers).collect();
        if let Some(first) = all.iter().find(|it| matches!(it, Self::Wallet(_))) {
            if all.len() > 1 {
                say(format_args!(
                    "note: a wallet holds it; --keeper NAME chooses among {}",
                    names(&all)
                ));
                return Ok(Self::Wallet(None));
            }
            return Ok(first.clone());
        }
        match (all.pop(), all.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                all.push(last);
                let message = format!("which keeper? there are {}", names(&all));
                Err(Failure::new(message)
                    .hint("name it with --keeper")
                    .status(Status::Usage))
            }
            (None, _) => {
                Err(Failure::new("no keeper is paired")
                    .hint("`keystead pair` pairs an authenticator"))
            }
        }
    }

    fn at(keeper: &Keeper) -> Self {
        if derives(keeper) {
            Self::Wallet(Some(keeper.name.clone()))
        } else {
            Self::Authenticator(keeper.name.clone())
        }
    }

    /// Its name; none where the agent finds it.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Wallet(name) => name.as_deref(),
            Self::Authenticator(name) | Self::Server(name) => Some(name),
        }
    }

    pub(super) const fn is_wallet(&self) -> bool {
        matches!(self, Self::Wallet(_))
    }

    /// A device of its own, which shows one thing at a time.
    pub(super) fn is_hardware(&self) -> Result<bool, Failure> {
        let Self::Wallet(Some(name)) = self else {
            return Ok(false);
        };
        let keepers = agent_link::status()?.keepers;
        let is_it = |it: &Keeper| it.hardware && (it.name == *name || it.id == *name);
        Ok(keepers.iter().any(is_it))
    }

    /// A wallet derives what other programs derive of the same words; a stored key is of the
    /// curve on which gpg takes every kind of subkey.
    pub(super) fn usual_curve(&self) -> Result<Curve, Failure> {
        match self {
            Self::Wallet(_) => Ok(settings()?.wallet_curve),
            Self::Authenticator(_) | Self::Server(_) => Ok(Curve::Ed25519),
        }
    }

    /// The part of a key for this.
    pub(super) fn part(&self, role: Role, naming: &Naming<'_>) -> Result<Part, Failure> {
        let (keeper, is_server) = match self {
            Self::Wallet(keeper) => return derived(keeper.clone(), role, naming),
            Self::Authenticator(keeper) => (keeper, false),
            Self::Server(keeper) => (keeper, true),
        };
        let (key_type, purpose) = match (role, naming.curve) {
            (Role::Encrypt, _) if is_server => {
                return Err(
                    Failure::new(format!("the key server {keeper} decrypts nothing"))
                        .hint("name an authenticator for it")
                        .status(Status::Usage),
                );
            }
            (Role::Encrypt, Curve::Nist256p1) => (KeyType::EcdhP256, Some(Purpose::OpenPgpDecrypt)),
            (Role::Encrypt, Curve::Secp256k1) => {
                (KeyType::EcdhSecp256k1, Some(Purpose::OpenPgpDecrypt))
            }
            (Role::Encrypt, Curve::Ed25519 | Curve::Curve25519) => {
                (KeyType::X25519, Some(Purpose::OpenPgpDecrypt))
            }
            (Role::Authenticate, _) if is_server => {
                let message = format!("an ssh key at {keeper} is no part of an OpenPGP key");
                return Err(Failure::new(message)
                    .hint("`keystead key new` has one made for ssh")
                    .status(Status::Usage));
            }
            // SSH's own purposes: it signs SSH blobs alone.
            (Role::Authenticate, Curve::Nist256p1) => (KeyType::EcdsaP256, None),
            (Role::Authenticate, _) => (KeyType::Ed25519, None),
            (Role::Primary | Role::Sign, Curve::Nist256p1) => {
                (KeyType::EcdsaP256, Some(Purpose::OpenPgp))
            }
            (Role::Primary | Role::Sign, Curve::Secp256k1) if is_server => {
                let message = format!("{keeper} signs nothing for OpenPGP on secp256k1");
                return Err(Failure::new(message)
                    .hint("use --curve ed25519, or nist256p1")
                    .status(Status::Usage));
            }
            (Role::Primary | Role::Sign, Curve::Secp256k1) => {
                (KeyType::EcdsaSecp256k1, Some(Purpose::OpenPgp))
            }
            (Role::Primary | Role::Sign, Curve::Ed25519 | Curve::Curve25519) => {
                (KeyType::Ed25519, Some(Purpose::OpenPgp))
            }
        };
        Ok(Part::Stored(Stored {
            keeper: keeper.clone(),
            is_server,
            name: stored_name(role, naming.user_id)?,
            key_type,
            purpose,
        }))
    }
}

fn derived(keeper: Option<String>, role: Role, naming: &Naming<'_>) -> Result<Part, Failure> {
    let text = naming.identity.unwrap_or(naming.user_id);
    let (protocol, curve, derivation) = match role {
        Role::Primary | Role::Sign => (Protocol::Gpg, naming.curve, Derivation::Sign),
        Role::Encrypt => (
            Protocol::Gpg,
            encryption_curve(naming.curve),
            Derivation::Agree,
        ),
        Role::Authenticate => (Protocol::Ssh, naming.curve, Derivation::Sign),
    };
    Part::derived(keeper, (protocol, text), curve, naming.index, derivation)
}

/// What a stored part is called at its keeper: by the mail, which is what tells keys apart. What
/// it is for stands in front, since a long name is cut.
fn stored_name(role: Role, user_id: &str) -> Result<Name, Failure> {
    let mail = user_id
        .rsplit_once('<')
        .and_then(|(_, rest)| rest.strip_suffix('>'))
        .unwrap_or(user_id);
    let what = match role {
        Role::Primary => "gpg",
        Role::Sign => "gpg sign",
        Role::Encrypt => "gpg decrypt",
        Role::Authenticate => "gpg login",
    };
    Name::of_text(format!("{what} {mail}").as_bytes())
        .ok_or_else(|| Failure::new("that user id gives no name for a key").status(Status::Usage))
}

/// Where a key on `curve` has its encryption.
const fn encryption_curve(curve: Curve) -> Curve {
    match curve {
        Curve::Ed25519 | Curve::Curve25519 => Curve::Curve25519,
        Curve::Nist256p1 => Curve::Nist256p1,
        Curve::Secp256k1 => Curve::Secp256k1,
    }
}

const fn derives(keeper: &Keeper) -> bool {
    keeper.hardware || !keeper.wallets.is_empty()
}

fn names(places: &[Place]) -> String {
    let names = places.iter().filter_map(Place::name).map(harmless);
    let names: Vec<String> = names.map(|it| it.to_string()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(user_id: &str, curve: Curve) -> Naming<'_> {
        Naming {
            user_id,
            identity: None,
            curve,
            index: 0,
        }
    }

    #[test]
    fn stored_parts_have_types_purposes_and_names() {
        let authenticator = Place::Authenticator("spare".to_owned());
        let check = |role, curve, expected: (&str, KeyType, Option<Purpose>)| {
            let part = authenticator.part(role, &naming("Alex <alex@example.org>", curve));
            let Ok(Part::Stored(stored)) = part else {
                panic!("{role:?} on {curve}");
            };
            let found = (stored.name.as_str(), stored.key_type, stored.purpose);
            assert_eq!(found, expected);
            assert!(!stored.is_server);
        };
        let signs = Some(Purpose::OpenPgp);
        let opens = Some(Purpose::OpenPgpDecrypt);
        let ed25519 = Curve::Ed25519;
        check(
            Role::Primary,
            ed25519,
            ("gpg alex@example.org", KeyType::Ed25519, signs),
        );
        check(
            Role::Sign,
            Curve::Nist256p1,
            ("gpg sign alex@example.org", KeyType::EcdsaP256, signs),
        );
        check(
            Role::Encrypt,
            ed25519,
            ("gpg decrypt alex@example.org", KeyType::X25519, opens),
        );
        check(
            Role::Encrypt,
            Curve::Nist256p1,
            ("gpg decrypt alex@example.org", KeyType::EcdhP256, opens),
        );
        check(
            Role::Authenticate,
            ed25519,
            ("gpg login alex@example.org", KeyType::Ed25519, None),
        );
    }

    #[test]
    fn a_key_server_holds_what_signs_alone() {
        let lab = Place::Server("lab".to_owned());
        let check = |role, curve, why: Option<&str>| {
            let part = lab.part(role, &naming("Alex", curve));
            match (part, why) {
                (Ok(Part::Stored(stored)), None) => assert!(stored.is_server),
                (Err(failure), Some(why)) => {
                    assert!(failure.message.contains(why), "{}", failure.message);
                }
                _ => panic!("{role:?} on {curve}"),
            }
        };
        check(Role::Primary, Curve::Ed25519, None);
        check(Role::Sign, Curve::Nist256p1, None);
        check(Role::Primary, Curve::Secp256k1, Some("secp256k1"));
        check(Role::Encrypt, Curve::Ed25519, Some("decrypts nothing"));
        check(Role::Authenticate, Curve::Ed25519, Some("ssh key"));
    }
}
