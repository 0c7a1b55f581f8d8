//! Foreign text on its way to a terminal.
//!
//! **Invariant**: what leaves here moves no cursor, turns no reading direction
//! and starts no escape sequence, and two different texts never look the same
//! for want of a mark: every character that is not shown as itself is shown
//! as `\u{…}`, and the backslash as `\\`. What takes no column of its own stands behind a
//! character that may carry it, and a few of them at the most: so nothing hides in a heap of
//! marks, and a joiner between letters that do not join is seen.

use std::fmt;

use keystead_core::is_unsafe_to_show;
use unicode_width::UnicodeWidthChar;

/// Foreign text, shown with everything unsafe in it escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Safe<'a>(pub &'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = None;
        let mut marks = 0;
        for character in self.0.chars() {
            let has_column = character.width() != Some(0);
            marks = if has_column {
                0
            } else {
                u8::saturating_add(marks, 1)
            };
            let is_carried = has_column || (marks <= MARKS_MAX && may_carry(before, character));
            match character {
                '\\' => f.write_str("\\\\")?,
                it if is_unsafe_to_show(it) || !is_carried => {
                    write!(f, "\\u{{{:x}}}", u32::from(it))?;
                }
                it => fmt::Write::write_char(f, it)?,
            }
            before = Some(character);
        }
        Ok(())
    }
}

/// Whether a character that takes no column changes what is seen behind another one: joiners in
/// the scripts that join (from Arabic to the Vedic signs) and in emoji, variants of symbols,
/// marks on whatever is no space.
fn may_carry(before: Option<char>, character: char) -> bool {
    let Some(before) = before.filter(|it| *it != ' ' && !is_unsafe_to_show(*it)) else {
        return false;
    };
    let is_symbol =
        matches!(before, '\u{2000}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '\u{fe0f}');
    match character {
        '\u{200c}' | '\u{200d}' => is_symbol || matches!(before, '\u{600}'..='\u{1cff}'),
        '\u{fe0e}' | '\u{fe0f}' => is_symbol,
        _ => true,
    }
}

/// 4 marks on one character: Thai, Tibetan, Hebrew and Vietnamese texts need up to three.
const MARKS_MAX: u8 = 4;

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
    fn what_takes_no_column_is_seen() {
        // A joiner between letters that do not join.
        check("al\u{200d}ex", "al\\u{200d}ex");
        check("1\u{fe0f}", "1\\u{fe0f}");
        check("аб\u{200c}в", "аб\\u{200c}в");
        // A mark that would stand on what is before the text.
        check("\u{301}x", "\\u{301}x");
        check("a \u{338}", "a \\u{338}");
        check("\u{200b}\u{338}", "\\u{200b}\\u{338}");
        // A heap of them.
        let heap = format!("a{}", "\u{301}".repeat(6));
        let shown = format!("a{}\\u{{301}}\\u{{301}}", "\u{301}".repeat(4));
        check(&heap, &shown);
        // What is written so.
        for text in [
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "👩\u{200d}💻",
            "♥\u{fe0f}",
            "❤\u{fe0f}\u{200d}🔥",
            "ế e\u{302}\u{301}",
            "ที่",
        ] {
            check(text, text);
        }
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
