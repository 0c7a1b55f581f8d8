//! The seeds' portable form of a secret: `len u32 ‖ key ‖ len_ad u32 ‖ ad`.
//!
//! **Invariant:** read whole or not at all; `ad` names what the secret was sealed with
//! (user_id ‖ key_id ‖ context), and is not believed, only shown.

use keystead_core::SecretBytes;

use super::seal::{joined, length};
use crate::held::ARBITRARY_BYTES_MAX;
use crate::wire::{Malformed, Reader};

/// A secret with the data that it was sealed with.
pub struct Portable {
    /// The secret.
    pub key: SecretBytes,
    /// What it was associated with.
    pub associated: Vec<u8>,
}

impl Portable {
    /// Writes it.
    #[must_use]
    pub fn write(key: &SecretBytes, associated: &[u8]) -> SecretBytes {
        let key = key.expose();
        joined(&[&length(key), key, &length(associated), associated])
    }

    /// Reads it; `None` for anything else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Self::parse(bytes).ok()
    }

    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let key = reader.string()?;
        let associated = reader.string()?;
        reader.finish()?;
        if key.len() > ARBITRARY_BYTES_MAX || associated.len() > ASSOCIATED_BYTES_MAX {
            return Err(Malformed);
        }
        Ok(Self {
            key: joined(&[key]),
            associated: associated.to_vec(),
        })
    }
}

/// 128 bytes: user_id, key_id and the longest context have 64.
const ASSOCIATED_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand after seed 002 ("export"): both lengths, both strings.
    const GOLDEN: &[u8] = b"\x00\x00\x00\x03key\x00\x00\x00\x02ad";

    #[test]
    fn written_and_read_as_the_seeds_have_it() {
        let key = joined(&[b"key"]);
        assert_eq!(Portable::write(&key, b"ad").expose(), GOLDEN);
        let read = Portable::read(GOLDEN).unwrap();
        assert_eq!(read.key.expose(), b"key");
        assert_eq!(read.associated, b"ad");
    }

    #[test]
    fn every_prefix_and_every_byte_more_is_refused() {
        for len in 0..GOLDEN.len() {
            assert!(Portable::read(&GOLDEN[..len]).is_none(), "{len}");
        }
        assert!(Portable::read(&[GOLDEN, &[0]].concat()).is_none());
        let long = joined(&[&vec![0; ARBITRARY_BYTES_MAX + 1]]);
        assert!(Portable::read(Portable::write(&long, b"").expose()).is_none());
        let long = vec![0; ASSOCIATED_BYTES_MAX + 1];
        let key = joined(&[b"k"]);
        assert!(Portable::read(Portable::write(&key, &long).expose()).is_none());
    }
}
