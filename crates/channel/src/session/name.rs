//! Account names and passwords: one spelling each.
//!
//! **Invariant**: an [`AccountName`] is NFKC(casefold(NFKC(x))) of itself, has 1 to
//! 254 bytes and holds no character that cannot be seen or is not yet assigned;
//! a password's bytes are NFC, so every keyboard types the same one.

use aws_lc_rs::hmac;
use caseless::Caseless;
use keystead_core::{Secret, SecretBytes};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::fields::Value;
use crate::wire::{Fault, Reader, Writer};

/// The name of an account, in its one spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);

impl AccountName {
    /// Brings what a person typed into the one spelling.
    ///
    /// # Errors
    /// Empty, too long, with a character that no name has, or a text whose folded form
    /// folds again.
    pub fn canonicalise(typed: &str) -> Result<Self, NameFault> {
        // An upper bound for what is worked on: no fold makes a text so much shorter.
        if typed.len() > TYPED_BYTES_MAX {
            return Err(NameFault::Length);
        }
        Self::parse(&folded(typed))
    }

    /// Takes a name that is in the one spelling already: what a server does.
    ///
    /// # Errors
    /// As above, or in another spelling.
    pub fn parse(name: &str) -> Result<Self, NameFault> {
        if name.len() > NAME_BYTES_MAX {
            return Err(NameFault::Length);
        }
        // What most names are is its own folding.
        let is_plain = |it: u8| it.is_ascii_graphic() && !it.is_ascii_uppercase();
        if !name.bytes().all(is_plain) && folded(name) != name {
            return Err(NameFault::Spelling);
        }
        Self::checked(name.to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a server's tables know it by: HMAC-SHA-256 under k_name, cut.
    #[must_use]
    pub fn tag(&self, k_name: &Secret<32>) -> [u8; 16] {
        let tag = hmac_sha256(k_name, &[self.0.as_bytes()]);
        tag.first_chunk().copied().unwrap_or_default()
    }

    /// The credential id of a name that no account has: HMAC-SHA-256 under k_fake.
    #[must_use]
    pub fn decoy_seed(&self, k_fake: &Secret<32>) -> [u8; 32] {
        hmac_sha256(k_fake, &[self.0.as_bytes()])
    }

    /// The number, below `shares`, that decides which profile a name without an account shows.
    #[must_use]
    pub fn decoy_share(&self, k_fake: &Secret<32>, shares: u32) -> u32 {
        let drawn = hmac_sha256(k_fake, &[b"keystead/1 profile", self.0.as_bytes()]);
        let drawn = drawn.first_chunk().copied().unwrap_or_default();
        let share = u64::from_be_bytes(drawn) % u64::from(shares.max(1));
        u32::try_from(share).unwrap_or_default()
    }

    fn checked(name: String) -> Result<Self, NameFault> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(NameFault::Length);
        }
        match name.chars().find(|it| !may_stand(*it)) {
            Some(character) => Err(NameFault::Character(character)),
            None => Ok(Self(name)),
        }
    }
}

impl Value for AccountName {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Self::parse(reader.text(NAME_BYTES_MAX)?).map_err(|_| Fault::Text)
    }

    fn write(&self, writer: &mut Writer) {
        writer.text(&self.0);
    }
}

/// A password as it is stretched: NFC, 1 to 1,024 bytes.
pub struct Password(SecretBytes);

impl Password {
    /// Takes what a person typed.
    ///
    /// # Errors
    /// Empty or too long.
    pub fn new(typed: &str) -> Result<Self, NameFault> {
        let mut used = 0;
        let mut fits = true;
        let mut bytes = SecretBytes::fill(PASSWORD_BYTES_MAX, |place| {
            for character in typed.nfc() {
                let end = used + character.len_utf8();
                match place.get_mut(used..end) {
                    Some(place) => {
                        character.encode_utf8(place);
                    }
                    None => {
                        fits = false;
                        return;
                    }
                }
                used = end;
            }
        });
        if used == 0 || !fits {
            return Err(NameFault::Length);
        }
        bytes.truncate(used);
        Ok(Self(bytes))
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// Why a text is no name or password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// Empty or too long.
    #[error("it is empty or too long")]
    Length,
    /// Not in the one spelling.
    #[error("it is not in its canonical spelling")]
    Spelling,
    /// A character that a name does not have.
    #[error("the character U+{:04X} may not stand in a name", u32::from(*.0))]
    Character(char),
}

/// NFKC(casefold(NFKC(x))) (Unicode, section 3.13, D145 without its NFD step).
fn folded(text: &str) -> String {
    text.nfkc().default_case_fold().nfkc().collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "letters, marks, numbers, punctuation and symbols of every kind may stand in a name"
)]
fn may_stand(character: char) -> bool {
    match character.general_category() {
        GeneralCategory::SpaceSeparator
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator
        | GeneralCategory::Control
        | GeneralCategory::Format
        | GeneralCategory::Surrogate
        | GeneralCategory::PrivateUse
        | GeneralCategory::Unassigned => false,
        _ => !character.is_whitespace(),
    }
}

pub(super) fn hmac_sha256(key: &Secret<32>, parts: &[&[u8]]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    let mut context = hmac::Context::with_key(&key);
    parts.iter().for_each(|part| context.update(part));
    let tag = context.sign();
    tag.as_ref().first_chunk().copied().unwrap_or_default()
}

/// 254 bytes: the longest mail address (RFC 5321 section 4.5.3.1.3 with its erratum 1690).
pub const NAME_BYTES_MAX: usize = 254;

/// 4,096 bytes: compatibility characters are up to several times as long as what they fold to.
const TYPED_BYTES_MAX: usize = 4_096;

/// 1,024 bytes: longer than any passphrase that is typed.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(typed: &str, expected: Result<&str, NameFault>) {
        let name = AccountName::canonicalise(typed);
        assert_eq!(
            name.as_ref().map(AccountName::as_str),
            expected.as_ref().copied(),
            "{typed:?}"
        );
        if let Ok(name) = name {
            assert_eq!(AccountName::parse(name.as_str()), Ok(name.clone()));
            if name.as_str() != typed {
                assert!(
                    AccountName::parse(typed).is_err(),
                    "{typed:?} is another spelling"
                );
            }
        }
    }

    #[test]
    fn names_have_one_spelling() {
        check("alex", Ok("alex"));
        check("Alex@Example.ORG", Ok("alex@example.org"));
        check("STRASSE", Ok("strasse"));
        check("Stra\u{df}e", Ok("strasse"));
        check("\u{fb01}nn", Ok("finn"));
        check("A\u{30a}ngstr\u{f6}m", Ok("\u{e5}ngstr\u{f6}m"));
        check("\u{212b}", Ok("\u{e5}"));
        check("\u{ff21}\u{ff22}", Ok("ab"));
        check("\u{3a3}\u{3c2}", Ok("\u{3c3}\u{3c3}"));
        check("\u{13a0}", Ok("\u{13a0}"));
        check("\u{ab70}", Ok("\u{13a0}"));
    }

    #[test]
    fn what_is_not_seen_is_refused() {
        assert_eq!(AccountName::parse("Alex"), Err(NameFault::Spelling));
        for character in [
            ' ', '\n', '\0', '\u{200b}', '\u{ad}', '\u{202e}', '\u{2028}', '\u{e000}', '\u{378}',
            '\u{fffe}', '\u{feff}',
        ] {
            let name = format!("a{character}b");
            check(&name, Err(NameFault::Character(character)));
        }
        check("a\u{a0}b", Err(NameFault::Character(' ')));
        check("a\u{3000}b", Err(NameFault::Character(' ')));
    }

    #[test]
    fn lengths_are_of_the_canonical_form() {
        check("", Err(NameFault::Length));
        check(&"a".repeat(254), Ok(&"a".repeat(254)));
        check(&"a".repeat(255), Err(NameFault::Length));
        // U+FDFA folds to 18 characters with white space between them.
        check("\u{fdfa}", Err(NameFault::Character(' ')));
        // 250 ligatures of three bytes are 500 letters.
        check(&"\u{fb01}".repeat(128), Err(NameFault::Length));
        check(&"\u{fb01}".repeat(127), Ok(&"fi".repeat(127)));
        let too_long = AccountName::parse(&"a".repeat(255));
        assert_eq!(too_long, Err(NameFault::Length));
    }

    #[test]
    fn passwords_are_nfc_and_limited() {
        let bytes = |typed: &str| Password::new(typed).map(|it| it.expose().to_vec());
        assert_eq!(bytes("e\u{301}"), Ok("\u{e9}".as_bytes().to_vec()));
        assert_eq!(bytes("two words "), Ok(b"two words ".to_vec()));
        assert_eq!(bytes(""), Err(NameFault::Length));
        assert_eq!(bytes(&"x".repeat(1_024)), Ok(vec![b'x'; 1_024]));
        assert_eq!(bytes(&"x".repeat(1_025)), Err(NameFault::Length));
    }

    #[test]
    fn tags_and_decoys_are_apart() {
        let key = |byte| Secret::fill(|bytes| *bytes = [byte; 32]);
        let name = |text: &str| AccountName::parse(text).unwrap();
        let (alex, sam) = (name("alex"), name("sam"));
        assert_eq!(alex.tag(&key(1)), alex.tag(&key(1)));
        assert_ne!(alex.tag(&key(1)), alex.tag(&key(2)));
        assert_ne!(alex.tag(&key(1)), sam.tag(&key(1)));
        assert_ne!(alex.decoy_seed(&key(1)), sam.decoy_seed(&key(1)));
        assert_eq!(alex.decoy_share(&key(1), 1), 0);
        assert_eq!(alex.decoy_share(&key(1), 0), 0);
        let drawn = (0..200).map(|it| name(&format!("n{it}")).decoy_share(&key(1), 10));
        assert_eq!(drawn.collect::<std::collections::BTreeSet<_>>().len(), 10);
    }
}
