//! Set-ups that wait for the client's next frame, all of a process in one place.
//!
//! **Invariant**: at most so many wait, of a connection and in all; the oldest makes
//! room, so who sends nothing cannot keep others out. What is dropped here is dropped
//! with its keys.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What waits, by when it came.
pub struct Shelf<T> {
    most: usize,
    waiting: Mutex<Waiting<T>>,
}

struct Waiting<T> {
    next: u64,
    all: BTreeMap<u64, T>,
}

/// A place among what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

impl<T> Shelf<T> {
    /// Room for `most`.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            waiting: Mutex::new(Waiting {
                next: 0,
                all: BTreeMap::new(),
            }),
        }
    }

    /// Keeps `it`; the oldest is given back if there is no room.
    pub fn put(&self, it: T) -> (Place, Option<T>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = match waiting.all.len() >= self.most {
            true => waiting.all.pop_first(),
            false => None,
        };
        let place = waiting.next;
        waiting.next = waiting.next.wrapping_add(1);
        waiting.all.insert(place, it);
        (Place(place), oldest.map(|(_, it)| it))
    }

    /// Takes it back, if it is still there.
    pub fn take(&self, place: Place) -> Option<T> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.all.remove(&place.0)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.all.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let shelf = Shelf::new(2);
        let (a, dropped) = shelf.put("a");
        assert_eq!(dropped, None);
        let (b, _) = shelf.put("b");
        let (c, dropped) = shelf.put("c");
        assert_eq!((shelf.len(), dropped), (2, Some("a")));
        let places = [a, b, c];
        assert_eq!(shelf.take(places[0]), None);
        assert_eq!(shelf.take(places[2]), Some("c"));
        assert_eq!(shelf.take(places[2]), None, "once");
        assert_eq!(shelf.take(places[1]), Some("b"));
        assert!(shelf.is_empty());
    }
}
