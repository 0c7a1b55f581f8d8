//! The key of the copies on this machine: random, opened without any server.
//!
//! **Invariant:** a passphrase or an authenticator opens nothing but this key, each by a file of
//! its own, so that one may come, change or go without the copies being touched.
//!
//! `"keystead-local-1" ‖ way u8 ‖ …`, where way 1 is `memory_kib u32 ‖ passes u32 ‖ lanes u32 ‖
//! salt(16)` (Argon2id), way 2 is `string keeper ‖ salt(32)` (`spec/pairing.md`, kind 15); then
//! `nonce(24) ‖ sealed key (32 + 16) ‖ checksum(32)`. The box is associated with all before its
//! nonce; checksum = H("keystead-local-checksum", all before it) tells damage from a wrong
//! passphrase, as in a store's header.
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::client::LocalKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::client::LocalKey>();
//! ```

use keystead_core::{Secret, SecretBytes, labelled_hash};
use rand_core::CryptoRngCore;

use super::seal::{self, NotOpened, length};
use crate::passphrase::{COST_BYTES, Cost, CostRefused, SALT_BYTES, passphrase_key};
use crate::wire::{Malformed, Reader};

/// What copies on this machine are sealed under.
pub struct LocalKey(Secret<32>);

impl LocalKey {
    /// Draws a new one.
    #[must_use]
    pub fn draw(rng: &mut dyn CryptoRngCore) -> Self {
        Self(Secret::fill(|bytes| rng.fill_bytes(bytes)))
    }

    pub(super) const fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// The file by which this passphrase opens it.
    ///
    /// # Errors
    /// [`LocalError::Cost`] when the system cannot meet the cost.
    pub fn seal_by_passphrase(
        &self,
        passphrase: &SecretBytes,
        cost: Cost,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Vec<u8>, LocalError> {
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let key = passphrase_key(passphrase, &salt, cost).map_err(LocalError::Cost)?;
        let head = [LABEL.as_slice(), &[BY_PASSPHRASE], &cost.to_bytes(), &salt].concat();
        Ok(self.file(&key, head, rng))
    }

    /// Opens it by a passphrase.
    ///
    /// # Errors
    /// [`LocalError`].
    pub fn open_by_passphrase(passphrase: &SecretBytes, file: &[u8]) -> Result<Self, LocalError> {
        let (head, way, mut reader) = parse(file)?;
        if way != BY_PASSPHRASE {
            return Err(LocalError::Damaged);
        }
        let cost: [u8; COST_BYTES] = reader.array()?;
        let cost = Cost::from_bytes(&cost).map_err(LocalError::Cost)?;
        let salt = reader.array()?;
        let sealed: [u8; SEALED_BYTES] = reader.array()?;
        reader.finish()?;
        let head = head.get(..HEAD_BYTES + COST_BYTES + SALT_BYTES);
        let key = passphrase_key(passphrase, &salt, cost).map_err(LocalError::Cost)?;
        let opened = seal::open_exact(&key, &[head.unwrap_or_default()], &sealed);
        opened.map(Self).map_err(|NotOpened| LocalError::WrongKey)
    }

    fn file(&self, key: &Secret<32>, head: Vec<u8>, rng: &mut dyn CryptoRngCore) -> Vec<u8> {
        let sealed = seal::seal(key, &[&head], self.0.expose(), rng);
        let mut file = [head, sealed].concat();
        file.extend(labelled_hash(CHECKSUM_LABEL, &file));
        file
    }
}

/// How a paired authenticator opens the key: it derives one from this salt, when its holder
/// says yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatorSlot {
    /// Which one, as the agent knows it: 1 to 64 bytes.
    pub keeper: String,
    /// What it derives from.
    pub salt: [u8; 32],
}

impl AuthenticatorSlot {
    /// Draws a salt.
    #[must_use]
    pub fn draw(keeper: String, rng: &mut dyn CryptoRngCore) -> Self {
        let mut salt = [0; 32];
        rng.fill_bytes(&mut salt);
        Self { keeper, salt }
    }

    /// The file by which `derived`, the authenticator's answer to this salt, opens `local`.
    #[must_use]
    pub fn seal(
        &self,
        local: &LocalKey,
        derived: &Secret<32>,
        rng: &mut dyn CryptoRngCore,
    ) -> Vec<u8> {
        local.file(derived, self.head(), rng)
    }

    /// Whom to ask, and with which salt.
    ///
    /// # Errors
    /// [`LocalError`].
    pub fn of_file(file: &[u8]) -> Result<Self, LocalError> {
        Self::parse(file).map(|(slot, _)| slot)
    }

    /// Opens the key by what the authenticator derived.
    ///
    /// # Errors
    /// [`LocalError`].
    pub fn open(file: &[u8], derived: &Secret<32>) -> Result<LocalKey, LocalError> {
        let (slot, sealed) = Self::parse(file)?;
        let opened = seal::open_exact(derived, &[&slot.head()], &sealed);
        opened
            .map(LocalKey)
            .map_err(|NotOpened| LocalError::WrongKey)
    }

    fn parse(file: &[u8]) -> Result<(Self, [u8; SEALED_BYTES]), LocalError> {
        let (_, way, mut reader) = parse(file)?;
        if way != BY_AUTHENTICATOR {
            return Err(LocalError::Damaged);
        }
        let slot = Self {
            keeper: reader.text()?.to_owned(),
            salt: reader.array()?,
        };
        let sealed = reader.array()?;
        reader.finish()?;
        Ok((slot, sealed))
    }

    fn head(&self) -> Vec<u8> {
        let keeper = self.keeper.as_bytes();
        let length = length(keeper);
        [
            LABEL.as_slice(),
            &[BY_AUTHENTICATOR],
            &length,
            keeper,
            &self.salt,
        ]
        .concat()
    }
}

/// Why the key of the copies here does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// Not as it was written.
    #[error("the local store is damaged")]
    Damaged,
    /// A cost outside of the limits.
    #[error("the local store asks for too much")]
    Cost(#[source] CostRefused),
    /// Whole, but not of this passphrase or authenticator.
    #[error("wrong passphrase, or another authenticator")]
    WrongKey,
}

impl From<Malformed> for LocalError {
    fn from(_: Malformed) -> Self {
        Self::Damaged
    }
}

/// All before the checksum, the way, and what stands behind it.
fn parse(file: &[u8]) -> Result<(&[u8], u8, Reader<'_>), LocalError> {
    let (content, checksum) = file
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or(LocalError::Damaged)?;
    if labelled_hash(CHECKSUM_LABEL, content) != *checksum {
        return Err(LocalError::Damaged);
    }
    let rest = content.strip_prefix(LABEL).ok_or(LocalError::Damaged)?;
    let mut reader = Reader::new(rest);
    let way = reader.u8()?;
    Ok((content, way, reader))
}

const LABEL: &[u8; 16] = b"keystead-local-1";
const BY_PASSPHRASE: u8 = 1;
const BY_AUTHENTICATOR: u8 = 2;

/// Label and way.
const HEAD_BYTES: usize = LABEL.len() + 1;

/// Nonce, key, tag.
const SEALED_BYTES: usize = 24 + 32 + 16;

const CHECKSUM_LABEL: &str = "keystead-local-checksum";
const CHECKSUM_BYTES: usize = 32;
