//! Changes of a text file by whole lines, taken back exactly.
//!
//! **Invariant:** [`Hunk::take_back`] of what [`Hunk::between`] saw gives the first text again,
//! byte for byte; where other lines stand by now it gives nothing.

use serde::{Deserialize, Serialize};

/// Lines that became other lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hunk {
    /// How many lines stand before them.
    at: usize,
    /// The lines that were there, with their line breaks.
    was: String,
    /// The lines that are there.
    is: String,
}

impl Hunk {
    /// What changed; none when nothing did.
    pub(crate) fn between(before: &str, after: &str) -> Option<Self> {
        let old: Vec<&str> = before.split_inclusive('\n').collect();
        let new: Vec<&str> = after.split_inclusive('\n').collect();
        let same = |(one, other): &(&&str, &&str)| one == other;
        let at = old.iter().zip(&new).take_while(same).count();
        let (old, new) = (old.get(at..)?, new.get(at..)?);
        let behind = old
            .iter()
            .rev()
            .zip(new.iter().rev())
            .take_while(same)
            .count();
        let middle = |lines: &[&str]| {
            let len = lines.len().saturating_sub(behind);
            lines.iter().take(len).copied().collect::<String>()
        };
        let (was, is) = (middle(old), middle(new));
        (was != is).then_some(Self { at, was, is })
    }

    /// The text as it was before.
    pub(crate) fn take_back(&self, text: &str) -> Option<String> {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let before: String = lines.get(..self.at)?.concat();
        let rest: String = lines.get(self.at..)?.concat();
        let behind = rest.strip_prefix(self.is.as_str())?;
        Some([&before, self.was.as_str(), behind].concat())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_lines_that_differ_are_kept() {
        let hunk = Hunk::between("a\nb\nc\n", "a\nx\ny\nc\n").unwrap();
        let expected = Hunk {
            at: 1,
            was: "b\n".to_owned(),
            is: "x\ny\n".to_owned(),
        };
        assert_eq!(hunk, expected);
        // What somebody adds behind stays.
        assert_eq!(
            hunk.take_back("a\nx\ny\nc\nmore\n").as_deref(),
            Some("a\nb\nc\nmore\n")
        );
        // Other lines stand there.
        assert_eq!(hunk.take_back("a\nx\nz\nc\n"), None);
        assert_eq!(hunk.take_back(""), None);
        assert_eq!(Hunk::between("a\n", "a\n"), None);
    }

    proptest! {
        #[test]
        fn every_change_is_taken_back(before in "[ab\n]{0,12}", after in "[ab\n]{0,12}") {
            match Hunk::between(&before, &after) {
                Some(hunk) => prop_assert_eq!(hunk.take_back(&after), Some(before)),
                None => prop_assert_eq!(before, after),
            }
        }
    }
}
