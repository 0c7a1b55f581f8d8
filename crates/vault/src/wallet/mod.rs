//! A wallet: one seed, and a key for each identity (`spec/identity.md`).
//!
//! **Invariant**: only leaves sign and agree. The seed and the nodes on the way have no function
//! that does, a leaf has no children, and a leaf that signs is no leaf that agrees:
//! ```compile_fail
//! fn sign(wallet: &keystead_vault::wallet::Wallet) {
//!     wallet.sign(b"no such thing");
//! }
//! ```
//! ```compile_fail
//! fn agree(leaf: &keystead_vault::wallet::SigningLeaf, peer: &[u8]) {
//!     let _ = leaf.agree(peer);
//! }
//! ```
//!
//! | from | by | to |
//! |---|---|---|
//! | [`Words`] | BIP-39 | [`Seed`] |
//! | seed | SLIP-0010 | master node of each curve |
//! | identity | SLIP-0013, SLIP-0017 | path |
//! | node, path | SLIP-0010 | [`SigningLeaf`], [`AgreementKey`] |
//!
//! The same words, identity and index give the keys and signatures of a Trezor, byte for byte.

mod leaf;
mod node;
mod path;
mod record;
mod seed;
#[cfg(test)]
mod tests;
mod words;

use keystead_core::{Curve, Derivation, Identity, Secret, WalletFingerprint};
use keystead_sodium::memory;
use rand_core::CryptoRngCore;

use crate::{AgreementKey, PublicKey, StoreKey};
use node::Node;

pub use leaf::SigningLeaf;
pub use record::{RecordError, RecordKey};
pub use seed::{SealedSeed, Seed};
pub use words::{TYPED_BYTES_MAX, WordCount, Words, WordsError};

/// All keys that one seed derives.
pub struct Wallet {
    seed: Seed,
    fingerprint: WalletFingerprint,
}

impl Wallet {
    /// The wallet of a seed.
    ///
    /// # Errors
    /// [`WalletError::Broken`] when the library refuses the wallet's own key.
    pub fn new(seed: Seed) -> Result<Self, WalletError> {
        let fingerprint = memory::with_wiped_stack(|| fingerprint_of(&seed))?;
        Ok(Self { seed, fingerprint })
    }

    /// What tells it from other wallets (`spec/identity.md` section 1).
    #[must_use]
    pub const fn fingerprint(&self) -> WalletFingerprint {
        self.fingerprint
    }

    /// The public key of an identity, whatever it is for.
    ///
    /// # Errors
    /// [`WalletError::Broken`] when the library refuses the key.
    pub fn public_key(&self, identity: &Identity) -> Result<PublicKey, WalletError> {
        match identity.derivation() {
            Derivation::Sign => self.signer(identity).map(|it| it.public().clone()),
            Derivation::Agree => self.agreement(identity).map(|it| it.public().clone()),
        }
    }

    /// The key that signs for an identity.
    ///
    /// # Errors
    /// [`WalletError::Use`] for one that agrees.
    pub fn signer(&self, identity: &Identity) -> Result<SigningLeaf, WalletError> {
        match identity.derivation() {
            Derivation::Sign => memory::with_wiped_stack(|| {
                let key = self.derive(identity)?;
                SigningLeaf::new(identity.curve(), key).ok_or(WalletError::Broken)
            }),
            Derivation::Agree => Err(WalletError::Use),
        }
    }

    /// The key that agrees for an identity.
    ///
    /// # Errors
    /// [`WalletError::Use`] for one that signs.
    pub fn agreement(&self, identity: &Identity) -> Result<AgreementKey, WalletError> {
        match identity.derivation() {
            Derivation::Agree => memory::with_wiped_stack(|| {
                let key = self.derive(identity)?;
                let made = AgreementKey::from_private(identity.algorithm(), key);
                made.map_err(|_| WalletError::Broken)
            }),
            Derivation::Sign => Err(WalletError::Use),
        }
    }

    /// What the record of the identities used is sealed under.
    ///
    /// # Errors
    /// [`WalletError::Broken`] when the library gives no key.
    pub fn record_key(&self) -> Result<RecordKey, WalletError> {
        RecordKey::of(&self.seed, self.fingerprint).ok_or(WalletError::Broken)
    }

    /// The seed under the key of a store.
    #[must_use]
    pub fn seal(&self, store: &StoreKey, rng: &mut dyn CryptoRngCore) -> SealedSeed {
        SealedSeed::seal(store, &self.seed, self.fingerprint, rng)
    }

    fn derive(&self, identity: &Identity) -> Result<Secret<32>, WalletError> {
        let path = path::of(identity.uri(), identity.index(), identity.derivation());
        derive(&self.seed, identity.curve(), &path)
    }
}

/// Why a wallet gives no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// An identity of SLIP-0013 was to agree, or one of SLIP-0017 to sign.
    #[error("the identity's key is not for that")]
    Use,
    /// The library refused what should be right.
    #[error("the wallet gives no key")]
    Broken,
}

fn derive(seed: &Seed, curve: Curve, path: &[u32]) -> Result<Secret<32>, WalletError> {
    let master = Node::master(curve, seed.expose());
    let leaf = master.descendant(path).map_err(|_| WalletError::Broken)?;
    Ok(leaf.into_key())
}

/// SHA-256 of the compressed public key of `keystead://wallet`, cut.
fn fingerprint_of(seed: &Seed) -> Result<WalletFingerprint, WalletError> {
    let own = Identity::of_wallet();
    let path = path::of(own.uri(), own.index(), own.derivation());
    let key = derive(seed, own.curve(), &path)?;
    let point = crate::agreement::point::compressed(own.curve(), key.expose());
    let point = point.ok_or(WalletError::Broken)?;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &point);
    let first = hash.as_ref().first_chunk().ok_or(WalletError::Broken)?;
    Ok(WalletFingerprint(*first))
}
