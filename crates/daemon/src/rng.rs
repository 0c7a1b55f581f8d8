//! The system's randomness behind `rand_core`'s traits.
//!
//! **Invariant:** bytes come from the kernel each time: there is no state of
//! ours to leak, to fork or to restore from a snapshot.

use rand_core::{CryptoRng, Error, RngCore};

/// The kernel's generator (`getrandom(2)`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl RngCore for SystemRng {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, out: &mut [u8]) {
        if getrandom::getrandom(out).is_err() {
            // There is no answer to give without randomness, and the trait has
            // no error here: a key made of zeros would be worse than no program.
            tracing::error!("the system gives no randomness");
            std::process::abort();
        }
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        getrandom::getrandom(out).map_err(|error| Error::from(error.code()))
    }
}

impl CryptoRng for SystemRng {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ_and_fill_the_whole_slice() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        SystemRng.fill_bytes(&mut first);
        SystemRng.fill_bytes(&mut second);
        assert_ne!(first, second);
        assert!(first.iter().any(|byte| *byte != 0));
        assert_ne!(SystemRng.next_u64(), SystemRng.next_u64());
    }
}
