//! One machine: its clocks, its disk, its randomness, and whether it sleeps.
//!
//! **Invariant:** a program on it sees the time by [`Machine::now`] alone, and
//! what it wrote by [`Machine::disk`] alone.

use keystead_daemon::{MemoryDisk, Now};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Site {
    Workstation(usize),
    Authenticator(usize),
}

pub(crate) struct Machine {
    pub(crate) disk: MemoryDisk,
    pub(crate) rng: ChaCha20Rng,
    /// Counts the program's starts: what was meant for an earlier one is lost.
    pub(crate) run: u64,
    /// Cut off from every network.
    pub(crate) is_online: bool,
    pub(crate) asleep_until_ms: u64,
    /// What the wall clock is ahead of the true time.
    pub(crate) ahead_s: i64,
    booted_ms: u64,
}

/// How a program ends without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The process alone: the system closes its connections.
    Process,
    /// The power: what was not synced is gone, and nobody is told.
    Power,
}

impl Machine {
    pub(crate) fn new(seed: u64, disk: MemoryDisk) -> Self {
        Self {
            disk,
            rng: ChaCha20Rng::seed_from_u64(seed),
            run: 0,
            is_online: true,
            asleep_until_ms: 0,
            ahead_s: 0,
            booted_ms: 0,
        }
    }

    pub(crate) fn now(&self, world_ms: u64) -> Now {
        let unix_s = START_UNIX_S.saturating_add(world_ms / 1_000);
        Now {
            mono_ms: world_ms - self.booted_ms + BOOT_MS,
            unix_s: unix_s.saturating_add_signed(self.ahead_s),
        }
    }

    /// When its steady clock will show `mono_ms`.
    pub(crate) fn world_ms(&self, mono_ms: u64) -> u64 {
        mono_ms.saturating_sub(BOOT_MS) + self.booted_ms
    }

    pub(crate) fn is_awake(&self, world_ms: u64) -> bool {
        world_ms >= self.asleep_until_ms
    }

    pub(crate) fn die(&mut self, death: Death, world_ms: u64) {
        self.run += 1;
        if death == Death::Power {
            self.disk.crash();
            self.booted_ms = world_ms;
            self.asleep_until_ms = 0;
        }
    }
}

/// 23:50 by UTC on 14 November 2023: every longer run meets midnight, when
/// mailboxes change.
const START_UNIX_S: u64 = 1_700_005_800;

/// A machine is up for this long when its first program starts.
const BOOT_MS: u64 = 5_000;
