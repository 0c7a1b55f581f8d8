//! The keys that are held, each with what limits its use.
//!
//! **Invariant**: an id stands once; what is over is gone before anything else is looked at.

use std::path::PathBuf;
use std::sync::Arc;

use keystead_core::{Constraints, KeyEntry, KeyId, Name, Purpose};
use keystead_daemon::Now;
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::constraint::Destinations;
use keystead_formats::ssh::wire::ParseError;
use keystead_vault::SigningKey;

use super::{MS_PER_S, SecurityKey};

/// A key, or a certificate with its key.
pub(super) struct Identity {
    /// As it is listed: the plain key, or the certificate.
    pub(super) public: PublicKey,
    pub(super) signer: Signer,
    pub(super) name: Name,
    pub(super) limits: Limits,
}

/// What makes its signatures.
#[derive(Clone)]
pub(super) enum Signer {
    /// A private key in this process.
    Memory(Arc<SigningKey>),
    /// A FIDO token, which `ssh-sk-helper` speaks to.
    SecurityKey(Arc<SecurityKey>),
    /// A PKCS#11 token.
    Token {
        /// Its library.
        provider: PathBuf,
        /// The plain key there.
        key: KeyId,
    },
}

/// The constraints, read.
#[derive(Clone, Default)]
pub(super) struct Limits {
    pub(super) until_ms: Option<u64>,
    pub(super) confirm: bool,
    pub(super) destinations: Option<Arc<Destinations>>,
}

impl Limits {
    /// From now on.
    pub(super) fn read(now: Now, constraints: &Constraints) -> Result<Self, ParseError> {
        let lifetime_ms = |s| u64::from(s).saturating_mul(MS_PER_S);
        let destinations = constraints.destinations.as_deref();
        Ok(Self {
            until_ms: constraints
                .lifetime_s
                .map(|s| now.mono_ms.saturating_add(lifetime_ms(s))),
            confirm: constraints.confirm,
            destinations: destinations
                .map(Destinations::parse)
                .transpose()?
                .map(Arc::new),
        })
    }
}

impl Identity {
    pub(super) fn is_over(&self, now: Now) -> bool {
        self.limits.until_ms.is_some_and(|it| it <= now.mono_ms)
    }

    /// As a me response and the answer to an import tell it.
    pub(super) fn entry(&self) -> KeyEntry {
        KeyEntry {
            id: self.public.id(),
            algorithm: self.public.type_name().to_owned(),
            public_key: self.public.blob().to_vec(),
            name: self.name.clone(),
            purposes: PURPOSES.to_vec(),
        }
    }

    pub(super) fn provider(&self) -> Option<&PathBuf> {
        match &self.signer {
            Signer::Token { provider, .. } => Some(provider),
            Signer::Memory(_) | Signer::SecurityKey(_) => None,
        }
    }
}

/// All of them, in the order in which they came.
#[derive(Default)]
pub(super) struct Identities(Vec<(KeyId, Identity)>);

impl Identities {
    pub(super) fn find(&self, id: &KeyId) -> Option<&Identity> {
        let found = self.0.iter().find(|(own, _)| own == id);
        found.map(|(_, identity)| identity)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes one in, at its old place if it was there; gives the library of the one before.
    pub(super) fn put(&mut self, identity: Identity) -> Vec<PathBuf> {
        let id = identity.public.id();
        match self.0.iter_mut().find(|(own, _)| *own == id) {
            Some((_, old)) => {
                let old = std::mem::replace(old, identity);
                old.provider().cloned().into_iter().collect()
            }
            None => {
                self.0.push((id, identity));
                Vec::new()
            }
        }
    }

    /// Drops all of which this is true, and gives the libraries of those.
    pub(super) fn remove(&mut self, drop: impl Fn(&KeyId, &Identity) -> bool) -> Vec<PathBuf> {
        let dropped = self.0.extract_if(.., |(id, it)| drop(id, it));
        dropped
            .filter_map(|(_, it)| it.provider().cloned())
            .collect()
    }

    pub(super) fn uses(&self, provider: &PathBuf) -> bool {
        self.0.iter().any(|(_, it)| it.provider() == Some(provider))
    }

    pub(super) fn entries(&self) -> Vec<KeyEntry> {
        self.0.iter().map(|(_, it)| it.entry()).collect()
    }

    pub(super) fn next_end_ms(&self) -> Option<u64> {
        self.0.iter().filter_map(|(_, it)| it.limits.until_ms).min()
    }
}

/// What a key that was added here is for: all that `ssh-agent` would do with it.
pub(super) const PURPOSES: [Purpose; 5] = [
    Purpose::SshLogin,
    Purpose::SshSig,
    Purpose::GitCommit,
    Purpose::Opaque,
    Purpose::SshCertificate,
];

/// 256 keys: as many as fit one me response.
pub(super) const IDENTITIES_MAX: usize = keystead_channel::wire::KEYS_MAX;
