//! Which key was last approved where.

use std::collections::VecDeque;

/// Which key was last approved at which host: it stands first there, so that a server that counts
/// tries sees it in time. Nothing depends on it.
#[derive(Default)]
pub(crate) struct Habits {
    /// Host key and key; the latest last.
    seen: VecDeque<(Vec<u8>, Vec<u8>)>,
}

impl Habits {
    pub(crate) fn note(&mut self, host_key: &[u8], key: &[u8]) {
        self.seen.retain(|(host, _)| host != host_key);
        if self.seen.len() >= HABITS_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back((host_key.to_vec(), key.to_vec()));
    }

    pub(crate) fn knows_any(&self) -> bool {
        !self.seen.is_empty()
    }

    pub(crate) fn key_for(&self, host_key: &[u8]) -> Option<&[u8]> {
        let found = self.seen.iter().find(|(host, _)| host == host_key);
        found.map(|(_, key)| &key[..])
    }
}

/// The hosts of a busy day.
const HABITS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_habit_counts_and_the_oldest_goes() {
        let mut habits = Habits::default();
        assert_eq!(habits.key_for(b"host"), None);
        habits.note(b"host", b"one");
        habits.note(b"host", b"two");
        assert_eq!(habits.key_for(b"host"), Some(&b"two"[..]));
        for number in 0..HABITS_MAX {
            habits.note(&number.to_be_bytes(), b"x");
        }
        assert_eq!(habits.key_for(b"host"), None);
    }
}
