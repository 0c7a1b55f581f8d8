//! The compare code and the commitment that keeps either side from choosing it.

use std::fmt;

use keystead_core::{Secret, labelled_hash};
use keystead_sodium::hash::blake2b;

use crate::curve::PublicKey;

/// Six digits that both screens show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(u32);

impl Code {
    /// `first 8 bytes, as u64, of BLAKE2b-256(key = secret, "keystead-pair-code"
    /// ‖ C ‖ S ‖ nonce_c ‖ nonce_s) mod 10^6` (`spec/pairing.md` section 2.4).
    #[must_use]
    pub(super) fn of(
        secret: &Secret<16>,
        client: &PublicKey,
        server: &PublicKey,
        nonce_c: &[u8; 16],
        nonce_s: &[u8; 32],
    ) -> Self {
        let parts = [
            b"keystead-pair-code".as_slice(),
            client.as_bytes(),
            server.as_bytes(),
            nonce_c,
            nonce_s,
        ];
        let hash = blake2b::<32>(secret.expose(), &parts);
        let first = hash.first_chunk().copied().unwrap_or_default();
        // Below 10^6, so the conversion always succeeds.
        Self(u32::try_from(u64::from_be_bytes(first) % 1_000_000).unwrap_or_default())
    }

    /// The number, 0 to 999,999.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Code {
    /// Two groups of three digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// `H("keystead-pair-commit", nonce_s)`.
pub(super) fn commitment(nonce_s: &[u8; 32]) -> [u8; 32] {
    labelled_hash("keystead-pair-commit", nonce_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_groups_keep_their_zeros() {
        for (number, text) in [(0, "000 000"), (7_042, "007 042"), (999_999, "999 999")] {
            assert_eq!(Code(number).to_string(), text);
        }
    }
}
