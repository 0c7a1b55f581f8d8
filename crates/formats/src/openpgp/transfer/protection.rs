//! A passphrase around a private key, as gpg hands it over: `(protection …)`, with the numbers of
//! the key's own packet (RFC 4880 sections 3.7.1 and 5.5.3).
//!
//! **Invariant:** what comes out agrees with the sum that is encrypted with it, or nothing does.
//! An attacker can bend the older sum of 16 bits, and with it the key (Klíma and Rosa, 2001); what is bent
//! is no more the other half of the public key beside it, which its keeper looks at.

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, UnboundCipherKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA224, SHA256, SHA384, SHA512};
use aws_lc_rs::iv::FixedLength;
use keystead_core::SecretBytes;

use super::{Canonical, TransferError, shown};

/// How a passphrase opens a key.
pub(super) struct Protection {
    check: Check,
    cipher: &'static Algorithm,
    key_bytes: usize,
    iv: [u8; IV_BYTES],
    hash: &'static digest::Algorithm,
    salt: Vec<u8>,
    /// So many bytes of salt and passphrase are hashed, over and over; 0: once.
    count: usize,
}

/// What stands behind the numbers.
#[derive(Clone, Copy)]
enum Check {
    Sha1,
    /// Of keys that were exported before 2003, or by programs that go on so: the bytes, added up.
    Sum,
}

impl Check {
    const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sum => 2,
        }
    }

    fn fits(self, numbers: &[u8], found: &[u8]) -> bool {
        match self {
            Self::Sha1 => {
                let expected = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, numbers);
                verify_slices_are_equal(expected.as_ref(), found).is_ok()
            }
            Self::Sum => {
                let sum = numbers
                    .iter()
                    .fold(0_u16, |sum, it| sum.wrapping_add(u16::from(*it)));
                verify_slices_are_equal(&sum.to_be_bytes(), found).is_ok()
            }
        }
    }
}

impl Protection {
    /// The list's values: check, cipher, IV, specifier, hash, salt, count.
    pub(super) fn read(reader: &mut Canonical<'_>) -> Result<Self, TransferError> {
        let check = match reader.atom()? {
            b"sha1" => Check::Sha1,
            b"sum" => Check::Sum,
            _ => return Err(TransferError::Malformed),
        };
        let (cipher, key_bytes) = match reader.atom()? {
            b"AES" => (&AES_128, 16),
            b"AES192" => (&AES_192, 24),
            b"AES256" => (&AES_256, 32),
            cipher => return Err(TransferError::Protection(shown(cipher))),
        };
        let iv = reader.atom()?;
        let iv = iv.try_into().map_err(|_| TransferError::Malformed)?;
        let specifier = reader.atom()?;
        let hash = match reader.atom()? {
            b"SHA1" => &SHA1_FOR_LEGACY_USE_ONLY,
            b"SHA224" => &SHA224,
            b"SHA256" => &SHA256,
            b"SHA384" => &SHA384,
            b"SHA512" => &SHA512,
            hash => return Err(TransferError::Protection(shown(hash))),
        };
        let salt = reader.atom()?;
        if salt.len() != SALT_BYTES {
            return Err(TransferError::Malformed);
        }
        let count = decoded(reader.atom()?)?;
        let (salt, count) = match specifier {
            b"0" => (Vec::new(), 0),
            b"1" => (salt.to_vec(), 0),
            b"3" => (salt.to_vec(), count),
            // 1001 and 1002 of GnuPG: the key is not there, or on a card.
            _ => return Err(TransferError::Malformed),
        };
        Ok(Self {
            check,
            cipher,
            key_bytes,
            iv,
            hash,
            salt,
            count,
        })
    }

    /// The numbers that the passphrase opens.
    pub(super) fn open(
        &self,
        encrypted: &[u8],
        passphrase: &[u8],
    ) -> Result<SecretBytes, TransferError> {
        let key = self.key(passphrase);
        let mut opened = false;
        let mut content = SecretBytes::fill(encrypted.len(), |place| {
            place.copy_from_slice(encrypted);
            opened = self.decrypt(key.expose(), place).is_some();
        });
        let len = encrypted.len().checked_sub(self.check.len());
        let split = len.and_then(|len| content.expose().split_at_checked(len));
        let (numbers, sum) = split.ok_or(TransferError::Malformed)?;
        if !opened || !self.check.fits(numbers, sum) {
            return Err(TransferError::Passphrase);
        }
        let len = numbers.len();
        content.truncate(len);
        Ok(content)
    }

    fn decrypt(&self, key: &[u8], place: &mut [u8]) -> Option<()> {
        let key = UnboundCipherKey::new(self.cipher, key).ok()?;
        let key = DecryptingKey::cfb128(key).ok()?;
        let context = DecryptionContext::Iv128(FixedLength::from(self.iv));
        key.decrypt(place, context).ok().map(|_| ())
    }

    /// RFC 4880 section 3.7.1: hashes, each with one zero more before it, until the key is filled.
    fn key(&self, passphrase: &[u8]) -> SecretBytes {
        let once = self.salt.len() + passphrase.len();
        let repeats = HASHED_AT_ONCE_BYTES.div_ceil(once.max(1));
        let block = SecretBytes::fill(once * repeats, |place| {
            let bytes = self.salt.iter().chain(passphrase).cycle();
            for (place, byte) in place.iter_mut().zip(bytes) {
                *place = *byte;
            }
        });
        SecretBytes::fill(self.key_bytes, |place| {
            let parts = place.chunks_mut(self.hash.output_len());
            for (zeros, part) in parts.enumerate() {
                let mut context = digest::Context::new(self.hash);
                context.update(&vec![0; zeros]);
                let mut left = self.count.max(once);
                while left > 0 {
                    let now = block.expose();
                    let now = now.get(..left).unwrap_or(now);
                    context.update(now);
                    left = left.saturating_sub(now.len().max(1));
                }
                let hash = context.finish();
                for (place, byte) in part.iter_mut().zip(hash.as_ref()) {
                    *place = *byte;
                }
            }
        })
    }
}

/// RFC 4880 section 3.7.1.3: a byte that stands for 1,024 to 65,011,712.
fn decoded(digits: &[u8]) -> Result<usize, TransferError> {
    let text = std::str::from_utf8(digits).map_err(|_| TransferError::Malformed)?;
    let byte: u8 = text.parse().map_err(|_| TransferError::Malformed)?;
    Ok((16 + usize::from(byte & 15)) << (usize::from(byte >> 4) + 6))
}

/// A block of AES.
const IV_BYTES: usize = 16;
const SALT_BYTES: usize = 8;

/// 4 KiB: a passphrase of few bytes is not hashed in as few bytes at a time.
const HASHED_AT_ONCE_BYTES: usize = 4_096;
