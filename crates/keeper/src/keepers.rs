//! All pairings, the running offer and the open asks.

use keystead_core::{KeyEntry, PairingId};
use keystead_daemon::{Io, Now};

use crate::{Action, Event, LoadError, Notice, PairingView};

/// All pairings of this workstation.
pub struct Keepers {}

impl Keepers {
    /// Loads the pairings. A damaged one is a [`Notice::Damaged`]; the others are there.
    ///
    /// # Errors
    /// The folder itself cannot be read.
    pub fn load(_now: Now, _io: &mut Io<'_>) -> Result<(Keepers, Vec<Notice>), LoadError> {
        Ok((Keepers {}, Vec::new()))
    }

    /// Takes one event.
    pub fn step(&mut self, _now: Now, _event: Event, _io: &mut Io<'_>) -> Vec<Action> {
        Vec::new()
    }

    /// When [`Event::Tick`] is due, by the monotonic clock of [`Now`].
    #[must_use]
    pub fn next_wake_ms(&self) -> Option<u64> {
        None
    }

    /// Every key of every pairing in use.
    pub fn keys(&self) -> impl Iterator<Item = (PairingId, &KeyEntry)> {
        std::iter::empty()
    }

    /// All pairings, by name.
    #[must_use]
    pub fn pairings(&self) -> Vec<PairingView> {
        Vec::new()
    }
}
