//! What an approver signs to lift the lock of an account (`spec/session.md` section 5.2),
//! for all who make or read it.
//!
//! **Invariant**: a text has one encoding, which begins as no other text that an approver
//! signs does: a map of CBOR, as the text of a request is, has no ASCII letter at its front.

use super::ids::{ServerId, sha256};
use super::name::AccountName;
use crate::wire::Fault;

/// "keystead/1 unlock" ‖ server_id ‖ name ‖ time u64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlockText {
    /// Where the account is.
    pub server: ServerId,
    /// Whose lock.
    pub account: AccountName,
    /// When, by the clock of who asks.
    pub unix_s: u64,
}

impl UnlockText {
    /// 300 s: how far the clocks of who signs and of the server may lie apart, so for how long
    /// at most a signature counts.
    pub const LIFE_S: u64 = 300;

    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let name = self.account.as_str().as_bytes();
        [TAG, &self.server.0, name, &self.unix_s.to_be_bytes()].concat()
    }

    /// Whether these bytes are meant as such a text.
    #[must_use]
    pub fn is_meant(text: &[u8]) -> bool {
        text.starts_with(TAG)
    }

    /// Reads it whole.
    ///
    /// # Errors
    /// [`Fault::Truncated`], or [`Fault::Text`] where the name is none in its one spelling.
    pub fn read(text: &[u8]) -> Result<Self, Fault> {
        let rest = text.strip_prefix(TAG).ok_or(Fault::Text)?;
        let (server, rest) = rest.split_first_chunk().ok_or(Fault::Truncated)?;
        let (name, unix_s) = rest.split_last_chunk().ok_or(Fault::Truncated)?;
        let name = std::str::from_utf8(name).map_err(|_| Fault::Text)?;
        Ok(Self {
            server: ServerId(*server),
            account: AccountName::parse(name).map_err(|_| Fault::Text)?,
            unix_s: u64::from_be_bytes(*unix_s),
        })
    }

    /// One time, one act: H(text), cut. It stands where the text of a request has a nonce.
    #[must_use]
    pub fn nonce(&self) -> [u8; 16] {
        let hash = sha256(&[&self.encode()]);
        hash.first_chunk().copied().unwrap_or_default()
    }

    /// Whether the time is near enough to `now_s`, for an approver as for the server.
    #[must_use]
    pub const fn is_now(&self, now_s: u64) -> bool {
        is_unlock_now(self.unix_s, now_s)
    }
}

/// Whether an unlock of this time counts at `now_s`.
#[must_use]
pub const fn is_unlock_now(unix_s: u64, now_s: u64) -> bool {
    unix_s.abs_diff(now_s) <= UnlockText::LIFE_S
}

const TAG: &[u8] = b"keystead/1 unlock";

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> UnlockText {
        UnlockText {
            server: ServerId([0x11; 16]),
            account: AccountName::parse("kim").unwrap(),
            unix_s: 0x0102_0304_0506_0708,
        }
    }

    #[test]
    fn its_bytes_are_those_of_the_specification() {
        let expected = [
            b"keystead/1 unlock".as_slice(),
            &[0x11; 16],
            b"kim",
            &[1, 2, 3, 4, 5, 6, 7, 8],
        ]
        .concat();
        assert_eq!(text().encode(), expected);
        assert_eq!(UnlockText::read(&expected), Ok(text()));
        assert!(UnlockText::is_meant(&expected));
    }

    #[test]
    fn a_prefix_is_no_text_or_another_one() {
        let whole = text().encode();
        for len in 0..whole.len() {
            let read = UnlockText::read(&whole[..len]);
            assert_ne!(read, Ok(text()));
            if let Ok(read) = read {
                assert_eq!(read.encode(), whole[..len]);
            }
        }
        assert_eq!(UnlockText::read(&whole[..16]), Err(Fault::Text));
        assert_eq!(UnlockText::read(&whole[..33]), Err(Fault::Truncated));
        // Nothing is left for a name.
        assert_eq!(UnlockText::read(&whole[..41]), Err(Fault::Text));
    }

    #[test]
    fn a_name_in_another_spelling_is_none() {
        for name in ["Kim", "ki\u{0}m", "ki m\n", ""] {
            let head = &text().encode()[..33];
            let read = UnlockText::read(&[head, name.as_bytes(), &[0; 8]].concat());
            assert_eq!(read, Err(Fault::Text), "{name:?}");
        }
        let not_utf8 = [&text().encode()[..33], &[0xff], &[0; 8]].concat();
        assert_eq!(UnlockText::read(&not_utf8), Err(Fault::Text));
    }

    #[test]
    fn a_time_counts_for_five_minutes_on_both_sides() {
        let at = |unix_s| UnlockText { unix_s, ..text() };
        for (unix_s, expected) in [(700, true), (699, false), (1_300, true), (1_301, false)] {
            assert_eq!(at(unix_s).is_now(1_000), expected, "{unix_s}");
        }
    }
}
