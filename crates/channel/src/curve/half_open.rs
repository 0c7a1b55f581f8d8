//! The half-open handshakes of one listener: who is dropped when too many
//! come (`spec/curve.md` section 8).
//!
//! **Invariant**: never more than [`HALF_OPEN_MAX`] in all, nor
//! [`HALF_OPEN_PER_SOURCE_MAX`] of one source; a newcomer is let in and the
//! oldest goes.

use std::collections::BTreeMap;

use super::limits::{HALF_OPEN_MAX, HALF_OPEN_PER_SOURCE_MAX};

/// The half-open handshakes, by the source they come from.
pub struct HalfOpen<S> {
    by_age: BTreeMap<Ticket, S>,
    by_source: BTreeMap<S, Vec<Ticket>>,
    next: u64,
}

/// One half-open handshake; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl<S: Ord + Clone> Default for HalfOpen<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Ord + Clone> HalfOpen<S> {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            by_age: BTreeMap::new(),
            by_source: BTreeMap::new(),
            next: 0,
        }
    }

    /// Lets one in; the second ticket is of the one that must be dropped for it.
    pub fn enter(&mut self, source: S) -> (Ticket, Option<Ticket>) {
        let of_source = self.by_source.get(&source);
        let oldest = match of_source {
            Some(tickets) if tickets.len() >= HALF_OPEN_PER_SOURCE_MAX => tickets.first().copied(),
            _ if self.by_age.len() >= HALF_OPEN_MAX => self.by_age.keys().next().copied(),
            _ => None,
        };
        if let Some(oldest) = oldest {
            self.leave(oldest);
        }
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.by_age.insert(ticket, source.clone());
        self.by_source.entry(source).or_default().push(ticket);
        (ticket, oldest)
    }

    /// Forgets one whose handshake is done, either way. False when it was
    /// dropped before.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        let Some(source) = self.by_age.remove(&ticket) else {
            return false;
        };
        if let Some(tickets) = self.by_source.get_mut(&source) {
            tickets.retain(|other| *other != ticket);
            if tickets.is_empty() {
                self.by_source.remove(&source);
            }
        }
        true
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_a_greedy_source_goes() {
        let mut half_open = HalfOpen::new();
        let (other, _) = half_open.enter("other");
        let first: Vec<_> = (0..HALF_OPEN_PER_SOURCE_MAX)
            .map(|_| half_open.enter("greedy"))
            .collect();
        assert!(first.iter().all(|(_, dropped)| dropped.is_none()));
        let (_, dropped) = half_open.enter("greedy");
        assert_eq!(dropped, Some(first[0].0));
        assert_eq!(half_open.len(), HALF_OPEN_PER_SOURCE_MAX + 1);
        assert!(!half_open.leave(first[0].0));
        assert!(half_open.leave(other));
        assert!(!half_open.leave(other));
    }

    #[test]
    fn the_oldest_of_all_goes_when_the_listener_is_full() {
        let mut half_open = HalfOpen::new();
        let tickets: Vec<_> = (0..HALF_OPEN_MAX)
            .map(|source| half_open.enter(source).0)
            .collect();
        let (_, dropped) = half_open.enter(HALF_OPEN_MAX);
        assert_eq!(dropped, Some(tickets[0]));
        assert_eq!(half_open.len(), HALF_OPEN_MAX);
        for ticket in tickets {
            half_open.leave(ticket);
        }
        assert_eq!(half_open.len(), 1);
        assert_eq!(half_open.by_source.len(), 1);
    }
}
