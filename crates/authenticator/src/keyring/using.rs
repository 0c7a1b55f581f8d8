//! What the keys do: sign, and agree.
//!
//! **Invariant**: a key that is derived is there for one use and wiped behind it. Which key may
//! do what was judged before; what a key cannot do it refuses by its kind.

use keystead_core::{Identity, KeyEntry, KeyId, SecretBytes, WalletFingerprint};
use keystead_daemon::Disk;
use keystead_formats::minisign::ToSign;
use keystead_formats::openpgp::HashAlgorithm;
use keystead_formats::openpgp::digest::Digest;
use keystead_vault::wallet::{SigningLeaf, WalletError};
use keystead_vault::{
    AgreementError, AgreementKey, DigestHash, Presence, RawSignature, SignOptions, SigningError,
    SigningKey, StoredKey,
};

use super::wallets::derived_entry;
use super::{Keyring, SignError, signature_blob};

/// Which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// One that lies here.
    Stored(KeyId),
    /// One that a wallet derives.
    Derived {
        /// Which wallet.
        wallet: WalletFingerprint,
        /// From what.
        identity: Identity,
    },
}

/// What a signature depends on beside key and message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct How {
    /// The flags of the request (RFC 9987 section 3.6.1).
    pub flags: u32,
    /// What a key with presence states, [`Presence::USER`]: stands only after a
    /// person's yes. Other keys pass it over.
    pub presence: Option<u8>,
}

/// A key that signs, for as long as one signature takes.
enum Signer<'a> {
    Stored(&'a SigningKey),
    Derived(SigningLeaf),
}

impl Keyring {
    /// The key that a request names, and what is told of it; none where it is not here.
    ///
    /// # Errors
    /// [`SignError::Locked`]: what a wallet derives cannot be told then.
    pub fn choose(
        &self,
        key: &KeyId,
        identity: Option<&Identity>,
    ) -> Result<Option<(Chosen, KeyEntry)>, SignError> {
        let Some(identity) = identity else {
            let entry = self.entry(key).cloned();
            return Ok(entry.map(|entry| (Chosen::Stored(*key), entry)));
        };
        if self.wallets.is_empty() {
            return Ok(None);
        }
        if self.is_locked() {
            return Err(SignError::Locked);
        }
        let Some(wallet) = self.wallet_of(key, identity) else {
            return Ok(None);
        };
        let chosen = Chosen::Derived {
            wallet: wallet.fingerprint(),
            identity: identity.clone(),
        };
        let entry = derived_entry(wallet, identity)?;
        Ok(Some((chosen, entry)))
    }

    /// Signs as SSH does (form 1); the signature as SSH has it on the wire.
    ///
    /// The number that a statement of presence needs is on the disk before
    /// this returns.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(
        &mut self,
        key: &Chosen,
        message: &[u8],
        how: How,
        disk: &mut dyn Disk,
    ) -> Result<Vec<u8>, SignError> {
        let has_presence = match self.signer(key)? {
            Signer::Stored(key) => key.algorithm().has_presence(),
            Signer::Derived(_) => false,
        };
        let mut options = SignOptions::from_flags(how.flags);
        if has_presence {
            let flags = how.presence.ok_or(SigningError::NoPresence)?;
            let counter = self.counter.next(disk).map_err(SignError::Disk)?;
            options = options.with_presence(Presence { flags, counter });
        }
        let raw = match self.signer(key)? {
            Signer::Stored(key) => key.sign(message, options)?,
            Signer::Derived(leaf) => leaf.sign(message)?,
        };
        signature_blob(&raw).ok_or(SignError::Signing(SigningError::Broken))
    }

    /// Signs as OpenPGP does (form 2).
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_openpgp(&self, key: &Chosen, digest: &Digest) -> Result<Vec<u8>, SignError> {
        let hash = match digest.algorithm() {
            HashAlgorithm::Sha256 => DigestHash::Sha256,
            HashAlgorithm::Sha384 => DigestHash::Sha384,
            HashAlgorithm::Sha512 => DigestHash::Sha512,
            HashAlgorithm::Sha1 | HashAlgorithm::Sha224 => {
                return Err(SignError::Signing(SigningError::Unfit));
            }
        };
        match self.signer(key)? {
            Signer::Stored(key) => Ok(key.sign_digest(hash, digest.bytes())?),
            Signer::Derived(leaf) => Ok(leaf.sign_digest(digest.bytes())?.to_vec()),
        }
    }

    /// Signs as minisign does (form 3): the data, and that signature with the comment.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_minisign(&self, key: &Chosen, to_sign: &ToSign) -> Result<Vec<u8>, SignError> {
        let signer = self.signer(key)?;
        let signature = signer.ed25519(to_sign.signed())?;
        let global = signer.ed25519(&to_sign.global(&signature))?;
        Ok([signature, global].concat())
    }

    /// The point that is shared with `peer` (form 1 of a decrypt request).
    ///
    /// # Errors
    /// [`SignError`].
    pub fn agree(&self, key: &Chosen, peer: &[u8]) -> Result<SecretBytes, SignError> {
        self.with_agreement(key, |key| key.agree(peer))
    }

    /// The file key of an age stanza (form 2 of a decrypt request): ephemeral share, wrapped key.
    ///
    /// # Errors
    /// [`SignError`]; [`AgreementError::Foreign`] in it when it is for another recipient.
    pub fn unwrap_age(&self, key: &Chosen, stanza: &[u8]) -> Result<SecretBytes, SignError> {
        let parts = stanza.split_first_chunk().and_then(|(ephemeral, wrapped)| {
            Some((ephemeral, <&[u8; 32]>::try_from(wrapped).ok()?))
        });
        let (ephemeral, wrapped) = parts.ok_or(AgreementError::Peer)?;
        self.with_agreement(key, |key| key.unwrap_age(ephemeral, wrapped))
    }

    fn with_agreement(
        &self,
        key: &Chosen,
        work: impl FnOnce(&AgreementKey) -> Result<SecretBytes, AgreementError>,
    ) -> Result<SecretBytes, SignError> {
        let agreed = match key {
            Chosen::Stored(id) => match self.stored(id)? {
                StoredKey::Agree(key) => work(key),
                StoredKey::Sign(_) => return Err(SignError::Signing(SigningError::Unfit)),
            },
            Chosen::Derived { wallet, identity } => {
                let wallet = self.wallet(Some(*wallet)).ok_or(SignError::Unknown)?;
                work(&wallet.agreement(identity)?)
            }
        };
        Ok(agreed?)
    }

    fn signer(&self, key: &Chosen) -> Result<Signer<'_>, SignError> {
        match key {
            Chosen::Stored(id) => match self.stored(id)? {
                StoredKey::Sign(key) => Ok(Signer::Stored(key)),
                StoredKey::Agree(_) => Err(SignError::Signing(SigningError::Unfit)),
            },
            Chosen::Derived { wallet, identity } => {
                if self.is_locked() {
                    return Err(SignError::Locked);
                }
                let wallet = self.wallet(Some(*wallet)).ok_or(SignError::Unknown)?;
                Ok(Signer::Derived(wallet.signer(identity)?))
            }
        }
    }

    fn stored(&self, id: &KeyId) -> Result<&StoredKey, SignError> {
        let open = self.open.as_ref().ok_or(SignError::Locked)?;
        let key = open.keys.iter().find(|(own, _)| own == id);
        key.map(|(_, key)| key).ok_or(SignError::Unknown)
    }
}

impl Signer<'_> {
    /// A signature over the message itself.
    fn ed25519(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let raw = match self {
            Self::Stored(key) => key.sign(message, SignOptions::default())?,
            Self::Derived(leaf) => leaf.sign(message)?,
        };
        let RawSignature::Ed25519(signature) = raw else {
            return Err(SignError::Signing(SigningError::Unfit));
        };
        Ok(signature)
    }
}

impl From<WalletError> for SignError {
    fn from(error: WalletError) -> Self {
        match error {
            WalletError::Use => Self::Signing(SigningError::Unfit),
            WalletError::Broken | _ => Self::Signing(SigningError::Broken),
        }
    }
}
