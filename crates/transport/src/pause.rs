//! Pauses between attempts that grow, with jitter, up to a bound.
//!
//! Invariant: the n-th pause in a row lies between half and one and a half of
//! `first · 2^n`, and none is above one and a half of `longest`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// How long to wait before the next attempt.
#[derive(Clone, Debug)]
pub(crate) struct Pauses {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Pauses {
    /// Starts with `first` and doubles up to `longest`.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// The pause after one more failure.
    pub(crate) fn grow(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(self.longest);
        pause / 2 + pause.mul_f64(jitter())
    }

    /// Back to the first pause, after a success.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// From 0 to 1. It only keeps clients of one relay apart, so the randomness that
/// the standard library seeds its hash tables with is good enough.
fn jitter() -> f64 {
    let bytes = RandomState::new().build_hasher().finish().to_le_bytes();
    let [low, high, ..] = bytes;
    f64::from(u16::from_le_bytes([low, high])) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_their_bounds_and_start_again() {
        let mut pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(30));
        for base_s in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0] {
            let pause_s = pauses.grow().as_secs_f64();
            assert!(
                (base_s / 2.0..=base_s * 1.5).contains(&pause_s),
                "{pause_s} for {base_s}"
            );
        }
        pauses.reset();
        assert!(pauses.grow() <= Duration::from_millis(1500));
    }

    #[test]
    fn two_clients_do_not_wait_alike() {
        let drawn: Vec<u64> = (0..8).map(|_| jitter().to_bits()).collect();
        assert!(drawn.iter().any(|one| *one != drawn[0]), "{drawn:?}");
    }
}
