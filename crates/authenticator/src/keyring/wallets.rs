//! The wallets of an authenticator, and the keys that they derive.
//!
//! **Invariant**: a wallet that is not in the file is not in memory either. What is told of a
//! derived key is its identity's: nothing of it is kept.

use std::io;

use keystead_core::{
    Algorithm, Identity, KeyEntry, KeyId, Name, Protocol, Purpose, Purposes, WalletFingerprint,
};
use keystead_daemon::Disk;
use keystead_formats::ssh::key::key_id;
use keystead_vault::wallet::{SealedSeed, Wallet, WalletError};
use rand_core::CryptoRngCore;

use super::{Keyring, UnlockError, file};

impl Keyring {
    /// The wallets, the oldest first.
    pub fn wallets(&self) -> impl Iterator<Item = WalletFingerprint> {
        self.wallets.iter().map(SealedSeed::fingerprint)
    }

    /// Seals a wallet and writes the file; one that is here already stays.
    ///
    /// # Errors
    /// [`AddWalletError`]; there is no new wallet then.
    pub fn add_wallet(
        &mut self,
        wallet: Wallet,
        rng: &mut dyn CryptoRngCore,
        disk: &mut dyn Disk,
    ) -> Result<(), AddWalletError> {
        self.hold_wallet(wallet, rng)?;
        if let Err(error) = self.save(disk) {
            self.wallets.pop();
            if let Some(open) = &mut self.open {
                open.wallets.pop();
            }
            return Err(AddWalletError::Disk(error));
        }
        Ok(())
    }

    /// Seals a wallet for a file that is about to be written.
    ///
    /// # Errors
    /// [`AddWalletError`].
    pub fn hold_wallet(
        &mut self,
        wallet: Wallet,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(), AddWalletError> {
        let fingerprint = wallet.fingerprint();
        if self.wallets().any(|it| it == fingerprint) {
            return Err(AddWalletError::Known { fingerprint });
        }
        if self.wallets.len() >= WALLETS_MAX {
            return Err(AddWalletError::Full);
        }
        let open = self.open.as_mut().ok_or(AddWalletError::Locked)?;
        self.wallets.push(wallet.seal(&open.store, rng));
        open.wallets.push(wallet);
        Ok(())
    }

    /// Forgets a wallet, the file first; says whether it was here.
    ///
    /// # Errors
    /// The system's; the wallet is still there then.
    pub fn remove_wallet(
        &mut self,
        fingerprint: WalletFingerprint,
        disk: &mut dyn Disk,
    ) -> io::Result<bool> {
        let kept: Vec<SealedSeed> = self
            .wallets
            .iter()
            .filter(|it| it.fingerprint() != fingerprint)
            .cloned()
            .collect();
        if kept.len() == self.wallets.len() {
            return Ok(false);
        }
        let sealed = file::Sealed {
            wallets: &kept,
            ..self.to_write()
        };
        file::write(&self.name, &self.header, &sealed, disk)?;
        self.wallets = kept;
        if let Some(open) = &mut self.open {
            open.wallets.retain(|it| it.fingerprint() != fingerprint);
        }
        Ok(true)
    }

    /// An open wallet; none named means the oldest.
    #[must_use]
    pub fn wallet(&self, which: Option<WalletFingerprint>) -> Option<&Wallet> {
        let open = self.open.as_ref()?;
        let is_meant = |it: &&Wallet| which.is_none_or(|which| it.fingerprint() == which);
        open.wallets.iter().find(is_meant)
    }

    /// The wallet that derives this very key for an identity; none where no wallet here does, or
    /// all is locked.
    #[must_use]
    pub fn wallet_of(&self, key: &KeyId, identity: &Identity) -> Option<&Wallet> {
        let open = self.open.as_ref()?;
        open.wallets
            .iter()
            .find(|wallet| derived_entry(wallet, identity).is_ok_and(|entry| entry.id == *key))
    }

    /// Opens them all.
    pub(super) fn open_wallets(
        &self,
        store: &keystead_vault::StoreKey,
    ) -> Result<Vec<Wallet>, UnlockError> {
        let open = |sealed: &SealedSeed| {
            let fingerprint = sealed.fingerprint();
            let opened = sealed.open(store);
            opened.map_err(|source| UnlockError::Wallet {
                fingerprint,
                source,
            })
        };
        self.wallets.iter().map(open).collect()
    }
}

/// What is told of a derived key: its name is the beginning of its identity.
///
/// # Errors
/// [`WalletError`].
pub fn derived_entry(wallet: &Wallet, identity: &Identity) -> Result<KeyEntry, WalletError> {
    let public = wallet.public_key(identity)?;
    let public_key = public.to_blob();
    let name = Name::of_text(identity.uri().as_bytes());
    Ok(KeyEntry {
        id: key_id(&public_key),
        algorithm: public.algorithm().as_str().to_owned(),
        public_key,
        name: name.ok_or(WalletError::Broken)?,
        purposes: purposes_of(identity),
    })
}

/// What the key of an identity is for; for the wallet's own identity nothing that is ever done.
fn purposes_of(identity: &Identity) -> Purposes {
    match (identity.protocol(), identity.algorithm().agrees()) {
        (Protocol::Ssh, _) => vec![Purpose::SshLogin, Purpose::SshSig, Purpose::GitCommit],
        (Protocol::Gpg, false) => vec![Purpose::OpenPgp],
        (Protocol::Gpg, true) => vec![Purpose::OpenPgpDecrypt],
        (Protocol::Age, _) => vec![Purpose::AgeUnwrap],
        (Protocol::Signify, _) => vec![Purpose::Signify],
        (Protocol::Keystead, _) => vec![Purpose::Opaque],
    }
}

/// Whether a stored key may be made for these purposes: those of SSH, or one of the others, so
/// that what one program has signed is never of use to another.
#[must_use]
pub fn may_be_for(algorithm: Algorithm, purposes: &[Purpose]) -> bool {
    match purposes {
        [] => algorithm.is_ssh(),
        [Purpose::OpenPgp] => matches!(
            algorithm,
            Algorithm::Ed25519 | Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 | Algorithm::Rsa
        ),
        [Purpose::OpenPgpDecrypt] => algorithm.agrees(),
        [Purpose::AgeUnwrap] => algorithm == Algorithm::X25519,
        [Purpose::Signify] => algorithm == Algorithm::Ed25519,
        all => algorithm.is_ssh() && all.iter().all(|it| super::SSH_PURPOSES.contains(it)),
    }
}

/// Why there is no new wallet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddWalletError {
    /// The same words, and the same words' passphrase.
    #[error("wallet {fingerprint} is here already")]
    Known {
        /// Which.
        fingerprint: WalletFingerprint,
    },
    /// [`WALLETS_MAX`] are there.
    #[error("there are {WALLETS_MAX} wallets already")]
    Full,
    /// The store is locked.
    #[error("the authenticator is locked")]
    Locked,
    /// It could not be written.
    #[error("the wallet could not be written")]
    Disk(#[source] io::Error),
}

impl AddWalletError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Known { .. } => "use it; another words' passphrase is another wallet",
            Self::Full => "keystead-authenticator wallet remove FINGERPRINT makes room",
            Self::Locked => "keystead-authenticator unlock",
            Self::Disk(_) => "check the state folder's free space and permissions",
        }
    }
}

/// 8 wallets: as many as fit a me response (`spec/pairing.md` section 5.1).
pub const WALLETS_MAX: usize = 8;
