//! The binary messages of the WebSocket (`spec/pairing.md` §2).

use super::Refusal;
use super::mailbox::ITEM_BYTES_MAX;
use super::token::{MailboxId, ReadToken, WriteToken};

/// A message to the relay, understood.
pub(super) struct Message<'a> {
    pub(super) mailbox: MailboxId,
    pub(super) order: Order<'a>,
}

/// What it asks.
pub(super) enum Order<'a> {
    /// 1: items after this cursor, now and as they come; what is up to it goes.
    Subscribe { token: ReadToken, after: u64 },
    /// 2
    Post { token: WriteToken, item: &'a [u8] },
    /// 3
    Delete { token: ReadToken },
}

/// Understands a message whole, or not at all; what can be said of the mailbox
/// then is for the answer, zeros when it named none.
pub(super) fn parse(message: &[u8]) -> Result<Message<'_>, (MailboxId, Refusal)> {
    let unnamed = MailboxId::new([0; MailboxId::BYTES]);
    let Some((opcode, rest)) = message.split_first() else {
        return Err((unnamed, Refusal::Malformed));
    };
    let Some((id, rest)) = rest.split_first_chunk() else {
        return Err((unnamed, Refusal::Malformed));
    };
    let mailbox = MailboxId::new(*id);
    let Some((token, rest)) = rest.split_first_chunk() else {
        return Err((mailbox, Refusal::Malformed));
    };
    let order = match (*opcode, rest) {
        (SUBSCRIBE, after) => after.try_into().ok().map(|after| Order::Subscribe {
            token: ReadToken::new(*token),
            after: u64::from_be_bytes(after),
        }),
        (POST, item) => Some(Order::Post {
            token: WriteToken::new(*token),
            item,
        }),
        (DELETE, []) => Some(Order::Delete {
            token: ReadToken::new(*token),
        }),
        _ => None,
    };
    match order {
        Some(order) => Ok(Message { mailbox, order }),
        None => Err((mailbox, Refusal::Malformed)),
    }
}

/// 0x81 ‖ id ‖ cursor u64 ‖ item.
pub(super) fn item(mailbox: &MailboxId, cursor: u64, item: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(1 + MailboxId::BYTES + CURSOR_BYTES + item.len());
    frame.push(ITEM);
    frame.extend_from_slice(mailbox.as_bytes());
    frame.extend_from_slice(&cursor.to_be_bytes());
    frame.extend_from_slice(item);
    frame
}

/// 0x82 ‖ id.
pub(super) fn done(mailbox: &MailboxId) -> Vec<u8> {
    [&[DONE], mailbox.as_bytes().as_slice()].concat()
}

/// 0x8f ‖ id ‖ status u16.
pub(super) fn refused(mailbox: &MailboxId, refusal: Refusal) -> Vec<u8> {
    let status = refusal.status().to_be_bytes();
    [&[REFUSED], mailbox.as_bytes().as_slice(), &status].concat()
}

const SUBSCRIBE: u8 = 1;
const POST: u8 = 2;
const DELETE: u8 = 3;
const ITEM: u8 = 0x81;
const DONE: u8 = 0x82;
const REFUSED: u8 = 0x8f;
const CURSOR_BYTES: usize = 8;

/// Longest message that is read whole: somewhat more than the longest post, so
/// that an item too long by a little is answered by 413 and not by hanging up.
pub const MESSAGE_BYTES_MAX: usize = ITEM_BYTES_MAX + 4_096;
