//! Which handles a connection has had.
//!
//! **Invariant**: a handle is taken once; what is remembered stays small because
//! handles that follow each other are one range, and a client that scatters them
//! beyond [`RANGES_MAX`] gets no more.

use std::collections::BTreeMap;

use super::frame::Handle;

/// Handles that were taken, as ranges: first → last.
#[derive(Debug, Default)]
pub struct Handles(BTreeMap<u32, u32>);

impl Handles {
    /// Whether `handle` may be used now; then it may not again.
    pub fn take(&mut self, handle: Handle) -> bool {
        let Handle(number) = handle;
        if handle == Handle::CONNECTION {
            return false;
        }
        let before = self.0.range(..=number).next_back();
        let before = before.map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| number <= last) {
            return false;
        }
        let follows = before.filter(|(_, last)| last.checked_add(1) == Some(number));
        let after = number.checked_add(1).and_then(|it| self.0.remove(&it));
        let first = follows.map_or(number, |(first, _)| first);
        if follows.is_none() && after.is_none() && self.0.len() >= RANGES_MAX {
            return false;
        }
        self.0.insert(first, after.unwrap_or(number));
        true
    }
}

/// 1,024 ranges: more than any client needs that counts upwards.
const RANGES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(order: &[u32], expected_ranges: usize) {
        let mut handles = Handles::default();
        for number in order {
            assert!(handles.take(Handle(*number)), "{number} of {order:?}");
        }
        assert_eq!(handles.0.len(), expected_ranges, "{order:?}");
        for number in order {
            assert!(!handles.take(Handle(*number)), "{number} again");
        }
    }

    #[test]
    fn each_is_taken_once() {
        check(&[1, 2, 3], 1);
        check(&[3, 2, 1], 1);
        check(&[1, 3, 2], 1);
        check(&[5, 1, 9], 3);
        check(&[u32::MAX, u32::MAX - 1, 1], 2);
        assert!(!Handles::default().take(Handle::CONNECTION));
    }

    #[test]
    fn scattered_ones_end() {
        let mut handles = Handles::default();
        let mut scattered = (1..).step_by(2).map(Handle);
        let taken = scattered
            .by_ref()
            .take_while(|it| handles.take(*it))
            .count();
        assert_eq!(taken, RANGES_MAX);
        assert!(handles.take(Handle(2)), "what closes a gap needs no room");
    }
}
