//! The box of a wallet's record: which identities it was used for (`spec/identity.md`
//! section 1).
//!
//! **Invariant**: the words open it anywhere, and nothing else does; it opens no key.
//!
//! `"keystead-record-1" ‖ fingerprint(4) ‖ nonce(24) ‖ box`: XChaCha20-Poly1305 under
//! HKDF-SHA-512 of the seed, with all that stands before the nonce associated.

use aws_lc_rs::hkdf;
use keystead_core::{Secret, WalletFingerprint};
use keystead_sodium::{memory, xchacha};
use rand_core::CryptoRngCore;

use super::Seed;
use crate::wire::Reader;

/// What a wallet's record is sealed under.
pub struct RecordKey {
    key: Secret<{ xchacha::KEY_BYTES }>,
    fingerprint: WalletFingerprint,
}

impl RecordKey {
    pub(super) fn of(seed: &Seed, fingerprint: WalletFingerprint) -> Option<Self> {
        let key = memory::with_wiped_stack(|| {
            let extracted = hkdf::Salt::new(hkdf::HKDF_SHA512, &[]).extract(seed.expose());
            Secret::try_fill(|key| {
                let expanded = extracted.expand(&[INFO], KeyLength);
                expanded.and_then(|it| it.fill(key)).map_err(|_| ())
            })
        });
        Some(Self {
            key: key.ok()?,
            fingerprint,
        })
    }

    #[cfg(test)]
    pub(super) fn key(&self) -> &[u8; 32] {
        self.key.expose()
    }

    /// Seals a record.
    #[must_use]
    pub fn seal(&self, record: &[u8], rng: &mut dyn CryptoRngCore) -> Vec<u8> {
        let mut nonce = [0; xchacha::NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let head = head(self.fingerprint);
        let sealed = xchacha::seal(self.key.expose(), &nonce, &head, record);
        [head, nonce.to_vec(), sealed].concat()
    }

    /// Opens a record.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, RecordError> {
        let mut reader = Reader::new(sealed);
        let label = reader.array().map_err(|_| RecordError::Damaged)?;
        if label != *LABEL {
            return Err(RecordError::NoRecord);
        }
        let theirs = WalletFingerprint(reader.array().map_err(|_| RecordError::Damaged)?);
        if theirs != self.fingerprint {
            return Err(RecordError::OtherWallet {
                theirs,
                own: self.fingerprint,
            });
        }
        let nonce = reader.array().map_err(|_| RecordError::Damaged)?;
        let head = head(self.fingerprint);
        let opened = xchacha::open(self.key.expose(), &nonce, &head, reader.rest());
        match opened {
            Ok(opened) => Ok(opened.as_slice().to_vec()),
            Err(_) => Err(RecordError::Damaged),
        }
    }
}

/// Why a record does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Other bytes altogether, or a later version.
    #[error("not a wallet's record, or one of a later version")]
    NoRecord,
    /// Of other words, or another words' passphrase.
    #[error("the record is of wallet {theirs}, this is {own}")]
    OtherWallet {
        /// Whose record it is.
        theirs: WalletFingerprint,
        /// The wallet here.
        own: WalletFingerprint,
    },
    /// Cut off or altered.
    #[error("the record is damaged")]
    Damaged,
}

fn head(fingerprint: WalletFingerprint) -> Vec<u8> {
    [&LABEL[..], &fingerprint.0].concat()
}

/// How much is drawn from HKDF.
struct KeyLength;

impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        xchacha::KEY_BYTES
    }
}

const LABEL: &[u8; 17] = b"keystead-record-1";

/// `spec/identity.md` section 1.
const INFO: &[u8] = b"keystead/1 wallet record";
