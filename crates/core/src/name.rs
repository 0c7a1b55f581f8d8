//! Names that people give: shown on the other machine, so nothing in them may play tricks there.

use std::fmt;

/// A name of a machine, an authenticator or a key.
///
/// 1 to 64 bytes of UTF-8 without control or bidirectional-format characters
/// (`spec/pairing.md`, Encoding), so it can be shown as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

/// Why a text is no [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No byte at all.
    #[error("a name cannot be empty")]
    Empty,
    /// More than [`Name::BYTES_MAX`] bytes.
    #[error("a name has at most {max} bytes, this one has {bytes}", max = Name::BYTES_MAX)]
    TooLong {
        /// How many it has.
        bytes: usize,
    },
    /// Not UTF-8.
    #[error("a name is UTF-8 text")]
    NotUtf8,
    /// A control or bidirectional-format character.
    #[error("a name holds no control or direction characters, this one has U+{0:04X}")]
    Unsafe(u32),
}

impl Name {
    /// 64 bytes: a name fits one line of an 80-column screen with what is said of it.
    pub const BYTES_MAX: usize = 64;

    /// Checks the text.
    ///
    /// # Errors
    /// [`NameError`] names the first rule that the text breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(NameError::TooLong { bytes: text.len() });
        }
        match text.chars().find(|c| is_unsafe_to_show(*c)) {
            Some(character) => Err(NameError::Unsafe(u32::from(character))),
            None => Ok(Self(text)),
        }
    }

    /// As [`Name::new`], of bytes from the wire.
    ///
    /// # Errors
    /// [`NameError`] names the first rule that the bytes break.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NameError> {
        Self::new(std::str::from_utf8(bytes).map_err(|_| NameError::NotUtf8)?)
    }

    /// What can be a name of a text that somebody else wrote (a key's comment): characters that are
    /// unsafe to show and white space at its ends are left out, the rest is cut to fit.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let mut name = String::new();
        for character in text.chars().filter(|it| !is_unsafe_to_show(*it)) {
            if name.len() + character.len_utf8() > Self::BYTES_MAX {
                break;
            }
            name.push(character);
        }
        Self::new(name.trim()).ok()
    }

    /// This name, or the first of `NAME 2`, `NAME 3`, … that is free, cut to fit.
    ///
    /// Two things of one name on one screen cannot be told apart.
    #[must_use]
    pub fn numbered(&self, is_free: impl Fn(&Self) -> bool) -> Self {
        let numbered = (2..u32::MAX).filter_map(|number| {
            let end = format!(" {number}");
            let mut text = self.0.clone();
            while text.len() + end.len() > Self::BYTES_MAX {
                text.pop();
            }
            Self::new(text + &end).ok()
        });
        std::iter::once(self.clone())
            .chain(numbered)
            .find(is_free)
            .unwrap_or_else(|| self.clone())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

/// Whether a character could move the cursor or turn the reading direction:
/// control characters (C0, DEL, C1), line and paragraph separators, and the
/// format characters of the Unicode Bidirectional Algorithm (UAX #9, table 4)
/// with those that show nothing and so make two names look alike
/// (`Default_Ignorable_Code_Point` of UAX #44). The joiners U+200C and U+200D
/// stay, and the variants U+FE0E and U+FE0F: Persian, Hindi and emoji are
/// written with them.
#[must_use]
pub fn is_unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00AD}'
                | '\u{034F}'
                | '\u{061C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'
                | '\u{200E}'..='\u{200F}'
                | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0D}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF0}'..='\u{FFFB}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_texts_become_names() {
        let check = |text: &[u8], expected: Option<&str>| {
            let name = Name::of_text(text);
            assert_eq!(name.as_ref().map(Name::as_str), expected);
        };
        check(b"alex@laptop", Some("alex@laptop"));
        check(b" my key\n", Some("my key"));
        check(b"\x1b[31mred", Some("[31mred"));
        check(b"", None);
        check(b" \x00 ", None);
        check(&[b'a'; 100], Some(&"a".repeat(64)));
        check("ü".repeat(40).as_bytes(), Some(&"ü".repeat(32)));
        check(b"\xff", Some("\u{fffd}"));
    }

    fn check(text: &str, expected: Result<(), NameError>) {
        assert_eq!(Name::new(text).map(|_| ()), expected, "{text:?}");
    }

    #[test]
    fn names() {
        check("laptop", Ok(()));
        check("Ålex’s téléphone 📱", Ok(()));
        check(&"x".repeat(64), Ok(()));
        check("", Err(NameError::Empty));
        check(&"x".repeat(65), Err(NameError::TooLong { bytes: 65 }));
        check(&"é".repeat(33), Err(NameError::TooLong { bytes: 66 }));
        check("a\nb", Err(NameError::Unsafe(0x0a)));
        check("a\u{1b}[2J", Err(NameError::Unsafe(0x1b)));
        check("a\u{7f}", Err(NameError::Unsafe(0x7f)));
        check("a\u{9b}31m", Err(NameError::Unsafe(0x9b)));
        check("evil\u{202e}txt", Err(NameError::Unsafe(0x202e)));
        check("a\u{2066}b", Err(NameError::Unsafe(0x2066)));
        check("a\u{200b}b", Err(NameError::Unsafe(0x200b)));
        check("a\u{ad}b", Err(NameError::Unsafe(0xad)));
        check("a\u{3164}", Err(NameError::Unsafe(0x3164)));
        check("a\u{180b}", Err(NameError::Unsafe(0x180b)));
        check("a\u{fe00}", Err(NameError::Unsafe(0xfe00)));
        check("a\u{fff8}", Err(NameError::Unsafe(0xfff8)));
        check("a\u{1d173}", Err(NameError::Unsafe(0x1d173)));
        check("a\u{e0100}", Err(NameError::Unsafe(0xe0100)));
        check("♥\u{fe0f}", Ok(()));
        check("👩\u{200d}💻", Ok(()));
    }

    #[test]
    fn a_taken_name_is_numbered() {
        let taken = [
            "vm".to_owned(),
            "vm 2".to_owned(),
            "é".repeat(32),
            "x".repeat(64),
        ];
        let is_free = |name: &Name| !taken.iter().any(|it| it == name.as_str());
        for (wanted, expected) in [
            ("laptop", "laptop".to_owned()),
            ("vm", "vm 3".to_owned()),
            (&taken[2], format!("{} 2", "é".repeat(31))),
            (&taken[3], format!("{} 2", "x".repeat(62))),
        ] {
            let name = Name::new(wanted).unwrap().numbered(is_free);
            assert_eq!(name.as_str(), expected);
        }
    }

    #[test]
    fn bytes_that_are_not_utf8() {
        assert_eq!(Name::from_bytes(&[0xff]), Err(NameError::NotUtf8));
    }
}
