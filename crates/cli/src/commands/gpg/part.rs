//! One part of an OpenPGP key: derived by a wallet, or stored by a keeper.
//!
//! **Invariant:** a stored part is made once: a keeper that has it under its name already, of the
//! same kind and for the same purpose, is not asked for another, so that a run that was
//! interrupted is gone on with.

use keystead_agent::gpg::MappedKey;
use keystead_agent::key_control::{HeldKey, IdentitySpec, KeyChoice, NewKey};
use keystead_core::{
    Algorithm, Curve, Derivation, Identity, KeyId, KeyType, Name, Protocol, Purpose,
};
use keystead_daemon::SystemRng;
use keystead_formats::openpgp::{KeyPacket, PublicKey};
use keystead_keeper::server::ServerName;
use keystead_keeper::server::control::Command;
use keystead_keeper::server::protocol::requests::{
    Entry, Generate, KeyPurpose, KeyType as ServerKeyType, Label, NewKey as Made, Request,
};
use keystead_keeper::server::protocol::{List, Text};
use rand_core::RngCore;

use crate::agent_link::unexpected;
use crate::failure::{Failure, Status};
use crate::key_link::KeyLink;
use crate::server_link::{self, ServerLink};
use crate::terminal::{harmless, say};

/// A part that is to be fetched.
pub(super) enum Part {
    Derived {
        identity: Identity,
        keeper: Option<String>,
    },
    Stored(Stored),
}

/// A key of its own at a keeper.
pub(super) struct Stored {
    pub(super) keeper: String,
    pub(super) is_server: bool,
    /// What it is called there.
    pub(super) name: Name,
    pub(super) key_type: KeyType,
    /// None: what SSH does.
    pub(super) purpose: Option<Purpose>,
}

impl Part {
    pub(super) fn derived(
        keeper: Option<String>,
        (protocol, text): (Protocol, &str),
        curve: Curve,
        index: u32,
        derivation: Derivation,
    ) -> Result<Self, Failure> {
        let identity = Identity::new(protocol.uri_of(text), curve, index, derivation)
            .map_err(|error| Failure::of(&error).hint(error.hint()).status(Status::Usage))?;
        Ok(Self::Derived { identity, keeper })
    }

    /// Its public half; made, if it is to be stored and is not there.
    pub(super) async fn fetch(self, link: &mut KeyLink) -> Result<Found, Failure> {
        match self {
            Self::Derived { identity, keeper } => {
                let spec = IdentitySpec::of(&identity);
                let held = link.identity_key(spec, keeper).await?;
                Found::of(held, Some(identity))
            }
            Self::Stored(stored) => Found::of(stored.fetch(link).await?, None),
        }
    }
}

impl Stored {
    async fn fetch(self, link: &mut KeyLink) -> Result<HeldKey, Failure> {
        let keys = link.keys().await?;
        let is_named = |it: &&HeldKey| {
            it.keeper == self.keeper && it.name == self.name.as_str() && it.identity.is_none()
        };
        if let Some(known) = keys.iter().find(is_named) {
            if !self.is(known) {
                return Err(self.taken());
            }
            say(format_args!(
                "{} has the key {} already: it is taken as it is",
                harmless(&self.keeper),
                harmless(self.name.as_str())
            ));
            return Ok(known.clone());
        }
        if self.is_server {
            self.make_at_server().await?;
            let keys = link.keys().await?;
            let mut made = keys.iter().filter(is_named).filter(|it| self.is(it));
            return made.next().cloned().ok_or_else(|| {
                let message = format!("{} has made the key and does not list it", self.keeper);
                Failure::new(message).hint("run the same again: it goes on with that key")
            });
        }
        let wanted = NewKey {
            keeper: Some(self.keeper.clone()),
            name: self.name.to_string(),
            purposes: self
                .purpose
                .iter()
                .map(|it| it.as_str().to_owned())
                .collect(),
        };
        link.make_key(wanted, self.key_type.as_str()).await
    }

    fn is(&self, key: &HeldKey) -> bool {
        let is_for = match self.purpose {
            Some(purpose) => key.purposes == [purpose.as_str()],
            None => key
                .purposes
                .iter()
                .any(|it| it == Purpose::SshLogin.as_str()),
        };
        is_for && key.algorithm == self.key_type.algorithm().as_str()
    }

    fn taken(&self) -> Failure {
        let (keeper, name) = (harmless(&self.keeper), harmless(self.name.as_str()));
        Failure::new(format!(
            "{keeper} has another kind of key that is called {name}"
        ))
        .hint("take the curve of that one, or give that one another name there")
        .status(Status::Usage)
    }

    /// The agent lists what a server has listed last: it is asked anew.
    async fn make_at_server(&self) -> Result<(), Failure> {
        let page = server_link::server(&server_link::book()?, Some(&self.keeper))?;
        let mut link = ServerLink::open().await?;
        let entries = link.list(&page.name).await?.entries;
        let is_named =
            |it: &&Entry| matches!(&it.label, Label::Open(text) if text.0 == self.name.as_str());
        match entries.iter().find(is_named) {
            Some(known) if known.purposes.0 != [KeyPurpose::OpenPgp] => return Err(self.taken()),
            Some(_) => {}
            None => {
                let request = self.generate()?;
                link.result(&page.name, &request, Made::decode).await?;
            }
        }
        refresh(&mut link, &page.name).await
    }

    fn generate(&self) -> Result<Request, Failure> {
        let kind = if self.key_type == KeyType::Ed25519 {
            ServerKeyType::Ed25519
        } else if self.key_type == KeyType::EcdsaP256 {
            ServerKeyType::P256
        } else {
            return Err(self.taken());
        };
        let mut nonce = [0; 32];
        SystemRng.fill_bytes(&mut nonce);
        Ok(Request::Make(Generate {
            nonce,
            kind,
            label: Label::Open(Text(self.name.to_string())),
            replaces: None,
            size: None,
            purposes: List(vec![KeyPurpose::OpenPgp]),
            policy: None,
        }))
    }
}

async fn refresh(link: &mut ServerLink, server: &ServerName) -> Result<(), Failure> {
    let command = Command::ServerRefresh {
        server: server.to_string(),
    };
    link.done(&command).await
}

/// A key whose public half is here.
pub(super) struct Found {
    key: PublicKey,
    algorithm: Algorithm,
    public_key: Vec<u8>,
    pub(super) key_id: KeyId,
    identity: Option<Identity>,
    keeper: String,
}

impl Found {
    fn of(held: HeldKey, identity: Option<Identity>) -> Result<Self, Failure> {
        let algorithm: Algorithm = held.algorithm.parse().map_err(|_| unexpected())?;
        let public_key = held.public_key_bytes().ok_or_else(unexpected)?;
        Ok(Self {
            key: PublicKey::of_keeper(algorithm, &public_key).map_err(|_| unexpected())?,
            algorithm,
            public_key,
            key_id: held.id.parse().map_err(|_| unexpected())?,
            identity,
            keeper: held.keeper,
        })
    }

    /// As a part of the key that this user id has since then.
    pub(super) fn part_of(self, user_id: &str, created_unix_s: u32) -> Fetched {
        let keygrip = self.key.keygrip();
        let packet = KeyPacket::new(self.key, created_unix_s);
        Fetched {
            mapped: MappedKey {
                keygrip,
                algorithm: self.algorithm,
                public_key: self.public_key,
                key_id: self.key_id,
                identity: self.identity,
                keeper: Some(self.keeper),
                user_id: user_id.to_owned(),
                created_unix_s,
                fingerprint: Some(packet.fingerprint()),
            },
            packet,
        }
    }
}

/// A part with its time, and so with its fingerprint.
pub(super) struct Fetched {
    pub(super) packet: KeyPacket,
    pub(super) mapped: MappedKey,
}

impl Fetched {
    pub(super) fn choice(&self) -> KeyChoice {
        KeyChoice {
            id: Some(self.mapped.key_id.to_string()),
            identity: self.mapped.identity.as_ref().map(IdentitySpec::of),
            keeper: self.mapped.keeper.clone(),
        }
    }
}
