//! From a passphrase to a key: Argon2id (RFC 9106).
//!
//! **Invariant:** the cost that a file asks for is checked before a byte is
//! allocated, so a hostile file cannot ask for all memory or all time.

use argon2::{Argon2, Block, Params, Version};
use keystead_core::{Secret, SecretBytes};
use keystead_sodium::memory;
use zeroize::Zeroize;

/// What guessing one passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// For every store that a person makes: RFC 9106 section 4, the second
    /// recommended choice (64 MiB, 3 passes), with one lane because this
    /// implementation computes lanes one after the other. About 0.1 s.
    pub const STANDARD: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 1,
    };

    /// The least that Argon2 allows. For tests, and for stores whose
    /// passphrase is itself a random key: guessing it costs nothing.
    pub const LEAST: Self = Self {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    /// A cost within the limits.
    ///
    /// # Errors
    /// [`CostRefused`] outside of them.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, CostRefused> {
        let refused = CostRefused {
            memory_kib,
            passes,
            lanes,
        };
        if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
            return Err(refused);
        }
        // The lower limits are Argon2's own.
        Params::new(memory_kib, passes, lanes, None).map_err(|_| refused)?;
        Ok(Self {
            memory_kib,
            passes,
            lanes,
        })
    }

    /// Memory in KiB, passes, lanes: big-endian, as they stand in a header.
    pub(crate) fn to_bytes(self) -> [u8; COST_BYTES] {
        let [a, b, c, d] = self.memory_kib.to_be_bytes();
        let [e, f, g, h] = self.passes.to_be_bytes();
        let [i, j, k, l] = self.lanes.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    pub(crate) fn from_bytes(bytes: &[u8; COST_BYTES]) -> Result<Self, CostRefused> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        Self::new(
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
            u32::from_be_bytes([i, j, k, l]),
        )
    }
}

/// A cost that no store of ours has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Argon2id with {memory_kib} KiB, {passes} passes and {lanes} lanes is out of limits")]
pub struct CostRefused {
    /// Memory that was asked for.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// The key of a passphrase.
///
/// # Errors
/// [`CostRefused`] when the library refuses a cost or a length: passphrases
/// above 4 GiB.
pub(crate) fn passphrase_key(
    passphrase: &SecretBytes,
    salt: &[u8; SALT_BYTES],
    cost: Cost,
) -> Result<Secret<32>, CostRefused> {
    let Cost {
        memory_kib,
        passes,
        lanes,
    } = cost;
    let refused = CostRefused {
        memory_kib,
        passes,
        lanes,
    };
    Secret::try_fill(|key| {
        memory::with_wiped_stack(|| {
            let params = Params::new(memory_kib, passes, lanes, Some(key.len()));
            let params = params.map_err(|_| refused)?;
            let mut blocks = vec![Block::new(); params.block_count()];
            Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into_with_memory(passphrase.expose(), salt, key, &mut blocks)
                .map_err(|_| refused)?;
            // The last block gives the key away.
            blocks.iter_mut().for_each(Zeroize::zeroize);
            Ok(())
        })
    })
}

/// Length of a salt: as RFC 9106 section 3.1 recommends.
pub(crate) const SALT_BYTES: usize = 16;

/// Length of a cost in a header.
pub(crate) const COST_BYTES: usize = 12;

/// Most memory a header may ask for: 1 GiB. Why: the most that RFC 9106's
/// choices below 2 GiB leave room for on a small machine.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;

/// Most passes a header may ask for. Why: with the most memory it ends within
/// a minute or so, not never.
const PASSES_MAX: u32 = 16;

/// Most lanes a header may ask for. Why: RFC 9106's choices have 4.
const LANES_MAX: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretBytes {
        SecretBytes::take(&mut text.as_bytes().to_vec())
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The expected bytes are those of libsodium's `crypto_pwhash`, an
    /// implementation of its own.
    #[test]
    fn argon2id_as_libsodium_computes_it() {
        let cost = Cost::new(64 * 1024, 2, 1).unwrap();
        let key = passphrase_key(&secret("password"), b"somesaltsomesalt", cost).unwrap();
        assert_eq!(hex(key.expose()), OF_LIBSODIUM);
    }

    #[test]
    fn everything_changes_the_key() {
        let key = |text: &str, salt: &[u8; 16], passes| {
            let cost = Cost::new(8, passes, 1).unwrap();
            hex(passphrase_key(&secret(text), salt, cost).unwrap().expose())
        };
        let base = key("a", b"0123456789abcdef", 1);
        assert_eq!(base, key("a", b"0123456789abcdef", 1));
        assert_ne!(base, key("b", b"0123456789abcdef", 1));
        assert_ne!(base, key("", b"0123456789abcdef", 1));
        assert_ne!(base, key("a", b"0123456789abcdeF", 1));
        assert_ne!(base, key("a", b"0123456789abcdef", 2));
    }

    #[track_caller]
    fn check(memory_kib: u32, passes: u32, lanes: u32, allowed: bool) {
        let made = Cost::new(memory_kib, passes, lanes);
        assert_eq!(made.is_ok(), allowed, "{made:?}");
        if let Ok(cost) = made {
            assert_eq!(Cost::from_bytes(&cost.to_bytes()), Ok(cost));
        }
    }

    #[test]
    fn a_file_cannot_ask_for_everything() {
        check(8, 1, 1, true);
        check(32, 1, 4, true);
        check(1024 * 1024, 16, 4, true);
        check(7, 1, 1, false);
        check(31, 1, 4, false);
        check(8, 0, 1, false);
        check(8, 1, 0, false);
        check(1024 * 1024 + 1, 1, 1, false);
        check(u32::MAX, 1, 1, false);
        check(8, 17, 1, false);
        check(8, u32::MAX, 1, false);
        check(1024, 1, 5, false);
        check(u32::MAX, u32::MAX, u32::MAX, false);
    }

    #[test]
    fn the_named_costs_are_within_the_limits() {
        for Cost {
            memory_kib,
            passes,
            lanes,
        } in [Cost::STANDARD, Cost::LEAST]
        {
            check(memory_kib, passes, lanes, true);
        }
    }

    const OF_LIBSODIUM: &str = "fc33b78139231d34b71626bd6245c1d72efa190ad605c3d8166a72adcedfa2c2";
}
