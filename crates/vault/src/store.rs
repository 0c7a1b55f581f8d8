//! The key of a store: random, sealed under a passphrase.
//!
//! **Invariant:** a passphrase opens nothing but the store key, so changing it
//! touches one small header and no key.
//!
//! Header, 148 bytes, integers big-endian:
//! `"keystead-store-1" ‖ memory_kib u32 ‖ passes u32 ‖ lanes u32 ‖ salt(16) ‖
//! nonce(24) ‖ sealed store key (32 + 16) ‖ checksum(32)`, where the box is
//! XChaCha20-Poly1305 under Argon2id(passphrase, salt) with all that stands
//! before the nonce associated, and checksum =
//! `H("keystead-store-checksum", all before it)`.
//!
//! The checksum is no protection: it tells a file damaged by accident from a
//! wrong passphrase, which a box that does not open cannot. Who damages a file
//! on purpose can make it say "wrong passphrase", nothing more.
//!
//! ```compile_fail
//! fn needs<T: Clone>() {}
//! needs::<keystead_vault::StoreKey>();
//! ```
//! ```compile_fail
//! fn needs<T: std::fmt::Debug>() {}
//! needs::<keystead_vault::StoreKey>();
//! ```

use keystead_core::{Secret, SecretBytes, labelled_hash};
use keystead_sodium::{memory, xchacha};
use rand_core::CryptoRngCore;

use crate::passphrase::{COST_BYTES, Cost, CostRefused, SALT_BYTES, passphrase_key};

/// An unlocked store: what its keys are sealed under. Locking is dropping it,
/// and the keys that it opened.
pub struct StoreKey(Secret<KEY_BYTES>);

impl StoreKey {
    /// Makes a new store: its key, and the header to be kept beside its keys.
    ///
    /// # Errors
    /// [`StoreError::Cost`] when the system cannot meet the cost.
    pub fn create(
        passphrase: &SecretBytes,
        cost: Cost,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, Vec<u8>), StoreError> {
        let store = Self(Secret::fill(|bytes| rng.fill_bytes(bytes)));
        let header = store.header(passphrase, cost, rng)?;
        Ok((store, header))
    }

    /// The header for another passphrase; keys stay as they are.
    ///
    /// # Errors
    /// [`StoreError::Cost`] when the system cannot meet the cost.
    pub fn header(
        &self,
        passphrase: &SecretBytes,
        cost: Cost,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Vec<u8>, StoreError> {
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let mut nonce = [0; xchacha::NONCE_BYTES];
        rng.fill_bytes(&mut nonce);

        let key = passphrase_key(passphrase, &salt, cost).map_err(StoreError::Cost)?;
        let head = [&LABEL[..], &cost.to_bytes(), &salt].concat();
        let sealed = memory::with_wiped_stack(|| {
            xchacha::seal(key.expose(), &nonce, &head, self.0.expose())
        });
        let mut header = [head, nonce.to_vec(), sealed].concat();
        header.extend(labelled_hash(CHECKSUM_LABEL, &header));
        Ok(header)
    }

    /// Opens a store.
    ///
    /// # Errors
    /// [`StoreError`] says what a person can do: type another passphrase, or
    /// bring the file back from a copy.
    pub fn open(passphrase: &SecretBytes, header: &[u8]) -> Result<Self, StoreError> {
        let Header {
            head,
            cost,
            salt,
            nonce,
            sealed,
        } = Header::parse(header)?;
        let key = passphrase_key(passphrase, salt, cost).map_err(StoreError::Cost)?;
        let opened = memory::with_wiped_stack(|| xchacha::open(key.expose(), nonce, head, sealed))
            .map_err(|_| StoreError::WrongPassphrase)?;
        let bytes: &[u8; KEY_BYTES] = opened
            .as_slice()
            .try_into()
            .map_err(|_| StoreError::Damaged)?;
        Ok(Self(Secret::fill(|key| key.copy_from_slice(bytes))))
    }

    /// The key that this crate's boxes are sealed under.
    pub(crate) fn key(&self) -> &Secret<KEY_BYTES> {
        &self.0
    }
}

/// Why a store's header does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Not as it was written.
    #[error("key store is damaged")]
    Damaged,
    /// Whole, but of a version that this program does not know.
    #[error("key store is of another version")]
    OtherVersion,
    /// A cost outside of the limits.
    #[error("key store asks for too much")]
    Cost(#[source] CostRefused),
    /// Whole, but not of this passphrase.
    #[error("wrong passphrase")]
    WrongPassphrase,
}

impl StoreError {
    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Damaged | Self::Cost(_) => "bring the file back from a copy",
            Self::OtherVersion => "use the version of keystead-authenticator that wrote it",
            Self::WrongPassphrase => "try again; there is no way around a forgotten passphrase",
        }
    }
}

/// A header taken apart.
struct Header<'a> {
    head: &'a [u8],
    cost: Cost,
    salt: &'a [u8; SALT_BYTES],
    nonce: &'a [u8; xchacha::NONCE_BYTES],
    sealed: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(header: &'a [u8]) -> Result<Self, StoreError> {
        let (whole, checksum) = header
            .split_last_chunk::<CHECKSUM_BYTES>()
            .ok_or(StoreError::Damaged)?;
        if labelled_hash(CHECKSUM_LABEL, whole) != *checksum {
            return Err(StoreError::Damaged);
        }
        let rest = whole.strip_prefix(LABEL).ok_or(StoreError::OtherVersion)?;
        let (head, rest) = whole
            .split_at_checked(whole.len() - rest.len() + COST_BYTES + SALT_BYTES)
            .ok_or(StoreError::Damaged)?;
        let (cost, salt) = head
            .split_last_chunk::<SALT_BYTES>()
            .and_then(|(head, salt)| Some((head.last_chunk::<COST_BYTES>()?, salt)))
            .ok_or(StoreError::Damaged)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or(StoreError::Damaged)?;
        if sealed.len() != KEY_BYTES + xchacha::TAG_BYTES {
            return Err(StoreError::Damaged);
        }
        let cost = Cost::from_bytes(cost).map_err(StoreError::Cost)?;
        Ok(Self {
            head,
            cost,
            salt,
            nonce,
            sealed,
        })
    }
}

const LABEL: &[u8; 16] = b"keystead-store-1";

const CHECKSUM_LABEL: &str = "keystead-store-checksum";

const CHECKSUM_BYTES: usize = 32;

const KEY_BYTES: usize = xchacha::KEY_BYTES;

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn secret(text: &str) -> SecretBytes {
        SecretBytes::take(&mut text.as_bytes().to_vec())
    }

    fn made() -> (StoreKey, Vec<u8>) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        StoreKey::create(&secret("correct horse"), Cost::LEAST, &mut rng).unwrap()
    }

    #[track_caller]
    fn check(passphrase: &str, header: &[u8], expected: Result<(), StoreError>) {
        let opened = StoreKey::open(&secret(passphrase), header);
        assert_eq!(opened.map(|_| ()), expected);
    }

    /// Puts the right checksum behind bytes that somebody altered on purpose.
    fn checked_again(header: &[u8]) -> Vec<u8> {
        let whole = &header[..header.len() - CHECKSUM_BYTES];
        [whole, &labelled_hash(CHECKSUM_LABEL, whole)].concat()
    }

    #[test]
    fn opens_by_its_passphrase_alone() {
        let (store, header) = made();
        let opened = StoreKey::open(&secret("correct horse"), &header).unwrap();
        assert!(opened.0.ct_eq(&store.0));
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            check(wrong, &header, Err(StoreError::WrongPassphrase));
        }
    }

    #[test]
    fn another_passphrase_keeps_the_key() {
        let (store, _) = made();
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let header = store
            .header(&secret("battery"), Cost::LEAST, &mut rng)
            .unwrap();
        let opened = StoreKey::open(&secret("battery"), &header).unwrap();
        assert!(opened.0.ct_eq(&store.0));
        check("correct horse", &header, Err(StoreError::WrongPassphrase));
    }

    #[test]
    fn every_prefix_and_every_byte_more_is_damage() {
        let (_, header) = made();
        assert_eq!(header.len(), 148);
        for len in 0..header.len() {
            check("correct horse", &header[..len], Err(StoreError::Damaged));
        }
        let longer = [&header[..], &[0]].concat();
        check("correct horse", &longer, Err(StoreError::Damaged));
    }

    #[test]
    fn every_flipped_bit_is_damage_not_a_wrong_passphrase() {
        let (_, header) = made();
        for bit in 0..header.len() * 8 {
            let mut altered = header.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            check("correct horse", &altered, Err(StoreError::Damaged));
        }
    }

    #[test]
    fn what_is_altered_on_purpose_never_opens() {
        let (_, header) = made();
        for at in 0..header.len() - CHECKSUM_BYTES {
            let mut altered = header.clone();
            altered[at] ^= 1;
            // In a label, a version; in a cost, another cost or one out of
            // limits; elsewhere a box that does not open.
            let opened = StoreKey::open(&secret("correct horse"), &checked_again(&altered));
            assert!(opened.is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_hostile_cost_is_refused_before_it_is_paid() {
        let (_, mut header) = made();
        header[LABEL.len()..LABEL.len() + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        let refused = CostRefused {
            memory_kib: u32::MAX,
            passes: 1,
            lanes: 1,
        };
        check("", &checked_again(&header), Err(StoreError::Cost(refused)));
    }

    #[test]
    fn a_later_version_is_named_as_such() {
        let (_, mut header) = made();
        header[LABEL.len() - 1] = b'2';
        check(
            "correct horse",
            &checked_again(&header),
            Err(StoreError::OtherVersion),
        );
    }

    /// Golden: a header written by this version must open in every later one.
    #[test]
    fn the_first_version_stays_readable() {
        let (_, header) = made();
        let hex: String = header.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
    }

    const GOLDEN: &str = "6b657973746561642d73746f72652d31000000080000000100000001000efec87c5749ec1157912e\
        0e171f60de9e5341348819a2de99f140c59a424c79b11434a5fdc770ab5a8a77e2c71a0a9aa1a033\
        2ff8558f073563959ec7c8e4294cbb5886a3ee607d514672d3e0b954885a98c22de718da3c8d14dd\
        0ee1d9d66feedeb55b17fc5c6d26328793a3ed9caa3b2bdf558a54fa";
}
