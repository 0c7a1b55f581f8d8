//! Wallets: who is asked for an identity, and what is remembered of the answers.
//!
//! **Invariant:** lists come from what is remembered; a wallet is asked for a public key when a
//! command names an identity that is not, or a login fits a pattern of the person's own file.

use keystead_core::{Identity, KeyId, Name, PairingId, Protocol, WalletFingerprint};
use keystead_formats::ssh::PublicKey;

use crate::agent::{Agent, Turn};
use crate::control::Failure;
use crate::failures::{failure, usage};
use crate::identities::{Record, is_of};
use crate::kept::{KeptKey, WalletView};

impl Agent {
    /// Which wallet is asked: the one that is named, by its keeper's name or its own fingerprint,
    /// else the one that is remembered for the identity (and for this key of it, where that is
    /// known), else the only one. Of several keepers with the same words, whose key is the same,
    /// the one that was named last, unless it is away and another is not.
    pub(crate) fn wallet_for(
        &self,
        identity: &Identity,
        key: Option<KeyId>,
        named: Option<&str>,
    ) -> Result<WalletView, Failure> {
        let mut wallets = self.keepers.wallets();
        if let Some(named) = named {
            let id: Option<PairingId> = named.parse().ok();
            let is_its = |it: WalletFingerprint| it.to_string() == named;
            let is_named = |it: &WalletView| {
                it.name.as_str() == named
                    || Some(it.pairing) == id
                    || it.fingerprint.is_some_and(is_its)
            };
            match (wallets.iter().any(is_named), self.find_keeper(Some(named))) {
                (true, _) => wallets.retain(is_named),
                (false, Ok(keeper)) => {
                    let message = format!("{} has no wallet", keeper.name);
                    return Err(failure(&message, NO_WALLET_THERE));
                }
                // A keeper that is gone, and its words restored elsewhere: the key tells.
                (false, Err(_)) if key.is_some() => {}
                (false, Err(gone)) => return Err(gone),
            }
        }
        let records = self.records.of(identity);
        let fitting: Vec<&Record> = records
            .filter(|it| key.is_none_or(|key| it.key.id == key))
            .filter(|record| wallets.iter().any(|it| is_of(record, it)))
            .collect();
        let away = self.keepers.away();
        let mut latest_first = fitting.iter().rev();
        let here = latest_first.find(|it| !away.contains(&it.pairing));
        if let Some(latest) = here.or(fitting.last())
            && fitting.iter().all(|it| it.key.id == latest.key.id)
            && let Some(whose) = wallets.iter().find(|it| is_of(latest, it))
        {
            return Ok(whose.clone());
        }
        match wallets.as_slice() {
            [] => Err(failure("no keeper has a wallet", NO_WALLET)),
            [only] => Ok(only.clone()),
            several => {
                let names: Vec<String> = several.iter().map(described).collect();
                let message = format!("which wallet? there are several: {}", names.join(", "));
                let hint = "name its keeper or, of several there, its fingerprint with --keeper; \
                            that is remembered for this identity";
                Err(usage(&message, hint))
            }
        }
    }

    /// What is remembered of an identity there.
    pub(crate) fn recorded(&self, identity: &Identity, whose: &WalletView) -> Option<&Record> {
        let mut records = self.records.all().iter();
        records.find(|it| it.identity == *identity && is_of(it, whose))
    }

    pub(crate) fn remember_identity(&mut self, turn: &mut Turn<'_, '_>, record: Record) {
        if let Err(error) = self.records.remember(record, turn.io.disk) {
            self.notice(format!("the identities cannot be written: {error}"));
        }
    }

    /// What is known of a keeper that is gone.
    pub(crate) fn forget_records(&mut self, turn: &mut Turn<'_, '_>, pairing: PairingId) {
        if let Err(error) = self.records.forget(pairing, turn.io.disk) {
            self.notice(format!("the identities cannot be written: {error}"));
        }
    }

    /// Remembered identities that log in, and whose wallets are there, as keys.
    pub(crate) fn ssh_identities(&self) -> Vec<KeptKey> {
        let records = self.records.all();
        if !records.iter().any(is_ssh) {
            return Vec::new();
        }
        let wallets = self.keepers.wallets();
        let records = records.iter().filter(|it| is_ssh(it));
        let keys = records.filter_map(|record| {
            let whose = wallets.iter().find(|it| is_of(record, it))?;
            kept(record, whose.name.clone())
        });
        keys.collect()
    }
}

/// An identity's key, as programs may ask for it.
fn kept(record: &Record, keeper: Name) -> Option<KeptKey> {
    Some(KeptKey {
        pairing: record.pairing,
        keeper,
        name: record.key.name.clone(),
        key: PublicKey::from_blob(&record.key.public_key).ok()?,
        identity: Some(record.identity.clone()),
    })
}

fn is_ssh(record: &Record) -> bool {
    record.identity.protocol() == Protocol::Ssh
}

fn described(wallet: &WalletView) -> String {
    match wallet.fingerprint {
        None => wallet.name.to_string(),
        Some(fingerprint) => format!("{} (wallet {fingerprint})", wallet.name),
    }
}

const NO_WALLET: &str = "make one: `keystead-authenticator init --words 24`, then pair; or `keystead keeper add trezor`";

const NO_WALLET_THERE: &str = "make one there: `keystead-authenticator init --words 24`";
