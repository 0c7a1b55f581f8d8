//! Tokens and ids of mailboxes.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use keystead_core::Secret;
use keystead_sodium::hash::blake2b;

/// A mailbox: what it takes to read it, and what follows from that.
///
/// Who holds the read token can also write; who holds the write token can
/// only write; the id tells neither.
pub struct Mailbox {
    read_token: Secret<32>,
    write_token: Secret<32>,
    id: MailboxId,
}

/// What a relay knows a mailbox by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(pub [u8; 16]);

/// Who writes a mailbox and who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MailboxDirection {
    /// "c2s": the workstation writes, the authenticator reads.
    ClientToServer,
    /// "s2c": the authenticator writes, the workstation reads.
    ServerToClient,
}

impl Mailbox {
    /// The mailbox of an offer, from its one-time secret.
    #[must_use]
    pub fn of_offer(secret: &Secret<16>, direction: MailboxDirection) -> Self {
        let label = [b"keystead-offer-mailbox".as_slice(), direction.label()];
        Self::derive(secret.expose(), &label)
    }

    /// The mailbox of a pairing for one day ([`day_of`]).
    #[must_use]
    pub fn of_pairing(pair_key: &Secret<32>, direction: MailboxDirection, day: u64) -> Self {
        let day = day.to_be_bytes();
        let parts = [b"keystead-mailbox".as_slice(), direction.label(), &day];
        Self::derive(pair_key.expose(), &parts)
    }

    /// What reads, acknowledges and deletes.
    #[must_use]
    pub fn read_token(&self) -> &[u8; 32] {
        self.read_token.expose()
    }

    /// What writes.
    #[must_use]
    pub fn write_token(&self) -> &[u8; 32] {
        self.write_token.expose()
    }

    /// What names it.
    #[must_use]
    pub fn id(&self) -> MailboxId {
        self.id
    }

    fn derive(key: &[u8], parts: &[&[u8]]) -> Self {
        let read_token = Secret::fill(|token| *token = blake2b::<32>(key, parts));
        let write_token = Secret::fill(|token| {
            *token = sha256(b"keystead-mailbox-write", read_token.expose());
        });
        let mut id = MailboxId([0; 16]);
        let hash = sha256(b"keystead-mailbox-id", write_token.expose());
        id.0.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self {
            read_token,
            write_token,
            id,
        }
    }
}

impl MailboxDirection {
    /// The other way.
    #[must_use]
    pub fn reverse(self) -> Self {
        match self {
            Self::ClientToServer => Self::ServerToClient,
            Self::ServerToClient => Self::ClientToServer,
        }
    }

    fn label(self) -> &'static [u8] {
        match self {
            Self::ClientToServer => b"c2s",
            Self::ServerToClient => b"s2c",
        }
    }
}

impl fmt::Display for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MailboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxId({self})")
    }
}

/// The day that a writer writes in: whole days since 1970, by its own clock.
#[must_use]
pub fn day_of(unix_s: u64) -> u64 {
    unix_s / DAY_S
}

/// The days that a reader reads: clocks may differ by a day.
#[must_use]
pub fn days_to_read(unix_s: u64) -> [u64; 3] {
    let today = day_of(unix_s);
    [today.saturating_sub(1), today, today.saturating_add(1)]
}

fn sha256(label: &[u8], token: &[u8; 32]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(label);
    context.update(token);
    let mut hash = [0; 32];
    hash.iter_mut()
        .zip(context.finish().as_ref())
        .for_each(|(to, from)| *to = *from);
    hash
}

/// Seconds of a day.
const DAY_S: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn pair_key() -> Secret<32> {
        Secret::fill(|key| {
            for (i, byte) in (0x40..).zip(key.iter_mut()) {
                *byte = i;
            }
        })
    }

    #[test]
    fn check_values_of_section_7() {
        let secret = Secret::fill(|secret| {
            for (i, byte) in (0..).zip(secret.iter_mut()) {
                *byte = i;
            }
        });
        let offer = Mailbox::of_offer(&secret, MailboxDirection::ServerToClient);
        assert_eq!(offer.id().to_string(), "aa3f58284d8b14136f1065979a5b9acf");

        let paired = Mailbox::of_pairing(&pair_key(), MailboxDirection::ClientToServer, 19_700);
        assert_eq!(
            hex(paired.read_token()),
            "aeec841f39f3044f6f0ae88e3ebe24306fd0a8b25174f822779f076eb89e310d"
        );
        assert_eq!(paired.id().to_string(), "9560c9fd6fdbca6ff8a7da3e12d3dd9b");
    }

    #[test]
    fn direction_and_day_each_make_another_mailbox() {
        let ids: std::collections::BTreeSet<_> = [
            MailboxDirection::ClientToServer,
            MailboxDirection::ServerToClient,
        ]
        .into_iter()
        .flat_map(|direction| (0..4).map(move |day| (direction, day)))
        .map(|(direction, day)| Mailbox::of_pairing(&pair_key(), direction, day).id())
        .collect();
        assert_eq!(ids.len(), 8);
    }

    #[test]
    fn a_reader_finds_a_writer_whose_clock_is_a_day_off() {
        for now in [0, 86_399, 86_400, 1_702_080_000, 1_702_166_399] {
            for writer in [now, now + 86_400, u64::saturating_sub(now, 86_400)] {
                assert!(
                    days_to_read(now).contains(&day_of(writer)),
                    "{now} {writer}"
                );
            }
        }
    }
}
