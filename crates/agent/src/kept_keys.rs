//! Keys of keepers, as programs may ask for them.
//!
//! **Invariant:** a key that a person has hidden (`ssh-add -d`) is neither listed nor used until it
//! is shown again; hiding destroys nothing.

use keystead_core::{Algorithm, Purpose};
use keystead_formats::ssh::PublicKey;

use crate::agent::Agent;
use crate::kept::KeptKey;

impl Agent {
    /// A key at every keeper that lists it: those that are connected first, and among them
    /// who was paired first. Whoever lists another's key later does not get its requests.
    /// Of those with the same words, who are asked for an identity, the one named last is first.
    ///
    /// A certificate that is offered stands for its key.
    pub(crate) fn keepers_of(&self, blob: &[u8]) -> Vec<KeptKey> {
        let plain = self.certificates.plain(blob).map(PublicKey::blob);
        let blob = plain.unwrap_or(blob);
        if self.hidden.contains(blob) {
            return Vec::new();
        }
        let mut keys = self.kept_keys();
        keys.extend(self.ssh_identities().into_iter().rev());
        keys.retain(|kept| kept.key.blob() == blob);
        if keys.len() > 1 {
            let (views, away) = (self.keepers.pairings(), self.keepers.away());
            keys.sort_by_key(|kept| {
                let view = views.iter().find(|it| it.pairing == kept.pairing);
                let is_away = away.contains(&kept.pairing);
                let paired = kept
                    .identity
                    .is_none()
                    .then_some(view.map(|it| it.paired_unix_s));
                view.map(|_| (is_away, paired))
            });
        }
        keys
    }

    /// Whether a key is hidden, by its own blob or by that of a certificate.
    pub(crate) fn is_hidden(&self, blob: &[u8]) -> bool {
        let plain = self.certificates.plain(blob).map(PublicKey::blob);
        self.hidden.contains(plain.unwrap_or(blob))
    }

    /// The keys of all keepers that SSH can use, in their order, hidden ones too.
    pub(crate) fn kept_keys(&self) -> Vec<KeptKey> {
        let keys = self.keepers.keys().into_iter();
        let keys = keys.filter_map(|(pairing, keeper, entry)| {
            let is_other = |it: Algorithm| !it.is_ssh();
            if entry.algorithm.parse().is_ok_and(is_other) || !is_for_ssh(&entry.purposes) {
                return None;
            }
            let key = PublicKey::from_blob(&entry.public_key)
                .inspect_err(|error| tracing::warn!(%error, key = %entry.name, "passed over"))
                .ok()?;
            Some(KeptKey {
                pairing,
                keeper,
                name: entry.name,
                key,
                identity: None,
            })
        });
        keys.collect()
    }
}

/// A key that signs for OpenPGP alone would be refused its every login.
fn is_for_ssh(purposes: &[Purpose]) -> bool {
    let is_other = |it: &Purpose| {
        matches!(
            it,
            Purpose::OpenPgp | Purpose::OpenPgpDecrypt | Purpose::AgeUnwrap | Purpose::Signify
        )
    };
    !purposes.iter().all(is_other)
}
