//! Foreign text on its way to a terminal.
//!
//! **Invariant**: what leaves here moves no cursor, turns no reading direction
//! and starts no escape sequence, and two different texts never look the same
//! for want of a mark: every character that is not shown as itself is shown
//! as `\u{…}`, and the backslash as `\\`.

use std::fmt;

use keystead_core::is_unsafe_to_show;

/// Foreign text, shown with everything unsafe in it escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safe<'a>(pub &'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                it if is_unsafe_to_show(it) => write!(f, "\\u{{{:x}}}", u32::from(it))?,
                it => fmt::Write::write_char(f, it)?,
            }
        }
        Ok(())
    }
}

/// Foreign bytes as text: UTF-8 as itself, any other byte as `\x…`, all of it safe.
#[must_use]
pub fn safe_bytes(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(&Safe(chunk.valid()).to_string());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Cuts safe text to `chars_max` characters, the last of them `…` when something was cut.
#[must_use]
pub fn clip(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(foreign: &str, shown: &str) {
        assert_eq!(Safe(foreign).to_string(), shown);
        assert_eq!(safe_bytes(foreign.as_bytes()), shown);
    }

    #[test]
    fn plain_text_is_itself() {
        check("alex@db1.test", "alex@db1.test");
        check("Ålex 📱", "Ålex 📱");
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        check("a\x1b[2Jb", "a\\u{1b}[2Jb");
        check("a\nb\rc\td", "a\\u{a}b\\u{d}c\\u{9}d");
        check("evil\u{202e}txt", "evil\\u{202e}txt");
        check("\u{9b}31m", "\\u{9b}31m");
        check("\\u{1b}", "\\\\u{1b}");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_hex() {
        assert_eq!(safe_bytes(b"a\xff\xfeb"), "a\\xff\\xfeb");
    }

    #[test]
    fn clipping_counts_characters() {
        assert_eq!(clip("abcdef", 6), "abcdef");
        assert_eq!(clip("éééé", 3), "éé…");
    }
}
