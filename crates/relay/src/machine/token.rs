//! Mailbox names and the tokens that open them: checked by hashing, so nothing
//! is registered and a list of mailboxes opens none (`spec/pairing.md` §2).

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A mailbox's name: the first 16 bytes of SHA-256(label ‖ write token).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailboxId([u8; MailboxId::BYTES]);

impl MailboxId {
    /// Length in bytes.
    pub const BYTES: usize = 16;

    /// From its bytes.
    #[must_use]
    pub fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// From 32 digits of lower-case hex; nothing else is one.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != Self::BYTES * 2 {
            return None;
        }
        let mut id = [0; Self::BYTES];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Some(Self(id))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

/// Mailbox names stay out of the trace: who sees two relays' traces must not be
/// able to join them.
impl std::fmt::Debug for MailboxId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MailboxId(..)")
    }
}

/// Opens a mailbox for reading and deleting (R).
pub struct ReadToken([u8; ReadToken::BYTES]);

impl ReadToken {
    /// Length in bytes.
    pub const BYTES: usize = 32;

    /// From its bytes.
    #[must_use]
    pub fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// W = SHA-256("keystead-mailbox-write" ‖ R).
    #[must_use]
    pub fn write_token(&self) -> WriteToken {
        WriteToken(sha256(b"keystead-mailbox-write", &self.0))
    }

    /// Whether it is this mailbox's.
    #[must_use]
    pub fn fits(&self, id: &MailboxId) -> bool {
        self.write_token().fits(id)
    }
}

/// Opens a mailbox for writing alone (W).
pub struct WriteToken([u8; WriteToken::BYTES]);

impl WriteToken {
    /// Length in bytes.
    pub const BYTES: usize = 32;

    /// From its bytes.
    #[must_use]
    pub fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for who must send it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// id = first 16 bytes of SHA-256("keystead-mailbox-id" ‖ W).
    #[must_use]
    pub fn mailbox(&self) -> MailboxId {
        let hash = sha256(b"keystead-mailbox-id", &self.0);
        let mut id = [0; MailboxId::BYTES];
        for (byte, from) in id.iter_mut().zip(hash) {
            *byte = from;
        }
        MailboxId(id)
    }

    /// Whether it is this mailbox's, in constant time.
    #[must_use]
    pub fn fits(&self, id: &MailboxId) -> bool {
        self.mailbox().0.ct_eq(&id.0).into()
    }
}

fn sha256(label: &[u8], token: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(label)
        .chain_update(token)
        .finalize()
        .into()
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes32(hex: &str) -> [u8; 32] {
        let (first, second) = hex.split_at(32);
        let halves = [first, second].map(|half| MailboxId::from_hex(half).unwrap().0);
        halves.concat().try_into().unwrap()
    }

    /// `spec/pairing.md` section 7: day 19,700 c2s.
    #[test]
    fn the_check_value_of_the_specification() {
        let read = "aeec841f39f3044f6f0ae88e3ebe24306fd0a8b25174f822779f076eb89e310d";
        let read = ReadToken::new(bytes32(read));
        let id = MailboxId::from_hex("9560c9fd6fdbca6ff8a7da3e12d3dd9b").unwrap();
        assert!(read.fits(&id));
        assert!(read.write_token().fits(&id));
    }

    #[test]
    fn no_other_token_fits() {
        let id = ReadToken::new([7; 32]).write_token().mailbox();
        assert!(!ReadToken::new([8; 32]).fits(&id));
        // Who may write does not read by that, and the other way round.
        let write = ReadToken::new([7; 32]).write_token();
        assert!(!ReadToken::new(write.0).fits(&id));
        assert!(!WriteToken::new([7; 32]).fits(&id));
    }

    #[test]
    fn only_32_lower_case_digits_name_a_mailbox() {
        let good = "00112233445566778899aabbccddeeff";
        assert_eq!(MailboxId::from_hex(good).unwrap().0[15], 0xff);
        let bad = [
            "",
            "00112233445566778899AABBCCDDEEFF",
            "00112233445566778899aabbccddeef",
            "00112233445566778899aabbccddeeff0",
            "0x112233445566778899aabbccddeeff",
            "00112233445566778899aabbccddeég",
        ];
        for text in bad {
            assert!(MailboxId::from_hex(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_name_is_not_printed() {
        assert_eq!(format!("{:?}", MailboxId([1; 16])), "MailboxId(..)");
    }
}
