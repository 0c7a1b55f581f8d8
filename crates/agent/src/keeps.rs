//! Who keeps keys, as the agent sees it: the one seam behind which kinds of keeper stand.

use keystead_core::{KeyEntry, Name, PairingId};
use keystead_daemon::{Io, Now};
use keystead_keeper::{Action, Event, Keepers, PairingView};

/// Keepers that can be asked. Pure: what is to be done comes back as [`Action`]s.
pub trait Keeps: Send {
    /// Takes one event.
    fn step(&mut self, now: Now, event: Event, io: &mut Io<'_>) -> Vec<Action>;

    /// The process ends: channels are closed with a word, an offer and its mailbox end, and what
    /// is not written yet is written.
    fn shut_down(&mut self, now: Now, io: &mut Io<'_>) -> Vec<Action>;

    /// When [`Event::Tick`] is due, by the steady clock.
    fn next_wake_ms(&self) -> Option<u64>;

    /// Every key of every pairing in use, with its keeper's name.
    fn keys(&self) -> Vec<(PairingId, Name, KeyEntry)>;

    /// All pairings, by name.
    fn pairings(&self) -> Vec<PairingView>;
}

/// Nobody: of an agent in the place of `ssh-agent`.
pub struct NoKeepers;

impl Keeps for NoKeepers {
    fn step(&mut self, _: Now, _: Event, _: &mut Io<'_>) -> Vec<Action> {
        Vec::new()
    }

    fn shut_down(&mut self, _: Now, _: &mut Io<'_>) -> Vec<Action> {
        Vec::new()
    }

    fn next_wake_ms(&self) -> Option<u64> {
        None
    }

    fn keys(&self) -> Vec<(PairingId, Name, KeyEntry)> {
        Vec::new()
    }

    fn pairings(&self) -> Vec<PairingView> {
        Vec::new()
    }
}

impl Keeps for Keepers {
    fn step(&mut self, now: Now, event: Event, io: &mut Io<'_>) -> Vec<Action> {
        Self::step(self, now, event, io)
    }

    fn shut_down(&mut self, now: Now, io: &mut Io<'_>) -> Vec<Action> {
        Self::shut_down(self, now, io)
    }

    fn next_wake_ms(&self) -> Option<u64> {
        Self::next_wake_ms(self)
    }

    fn keys(&self) -> Vec<(PairingId, Name, KeyEntry)> {
        Self::keys(self)
            .map(|(pairing, keeper, key)| (pairing, keeper.clone(), key.clone()))
            .collect()
    }

    fn pairings(&self) -> Vec<PairingView> {
        Self::pairings(self)
    }
}
