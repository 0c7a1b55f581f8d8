//! Blind mailboxes: whose they are, and how frames become items in them.
//!
//! **Invariant**: a mailbox's tokens follow from a secret that the relay never
//! sees, and from a day, so two days' mailboxes of one pairing cannot be told
//! to belong together. What a relay repeats, reorders or withholds changes
//! when a frame arrives, never which frame or in which order
//! (`spec/pairing.md` section 3.2).

mod conn;
mod conns;
mod item;
mod tokens;

pub use conn::{Gap, ItemConn};
pub use conns::{Conns, Dropped, Received};
pub use item::{ConnId, Item, ItemError};
pub use tokens::{Mailbox, MailboxDirection, MailboxId, day_of, days_to_read};

/// 16 items ahead of a gap are kept: a relay's reordering, not a sender's storm.
pub const AHEAD_MAX: u32 = 16;

/// 5 s: a gap that old means the item is lost; the client shakes hands anew.
pub const GAP_MS: u64 = 5_000;

/// 16 half-open connections a mailbox, the oldest dropped: a relay that forges
/// first frames costs no more than that.
pub const HALF_OPEN_MAX: usize = 16;

/// 65,600 bytes: what a relay takes, and the longest item (12 + 65,537) fits.
pub const ITEM_BYTES_MAX: usize = 65_600;

/// 65,600 bytes are kept ahead for a connection that has not proved itself
/// yet: one item of the longest, or a Vouch and a usual request. So a relay
/// that forges half-open connections fills 1 MiB a mailbox at most.
pub const AHEAD_HALF_OPEN_BYTES_MAX: usize = ITEM_BYTES_MAX;
