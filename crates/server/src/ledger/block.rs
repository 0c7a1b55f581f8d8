//! Leaves as they lie in the database: without what the index and the tree say already.
//!
//! **Invariant**: a block reads back exactly the entries that were written, or not at
//! all; the log's id, the entry's number and the hash before it come from the account,
//! the index and the tree, and the leaf that they make must hash to its place there.

use keystead_channel::log::{DETAIL_BYTES_MAX, Hash, Leaf, LogId};

/// What is stored of a leaf; absent where it was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Whose log; 0 is the system's.
    pub(super) account: u64,
    pub(super) time_unix_ms: u64,
    pub(super) action: u16,
    pub(super) outcome: u16,
    pub(super) actor: [u8; 8],
    pub(super) key: [u8; 16],
    pub(super) request_hash: Hash,
    pub(super) detail: Vec<u8>,
}

impl Kept {
    /// The whole leaf, in its place.
    pub(super) fn leaf(&self, log: LogId, user_seq: u64, before: Hash) -> Leaf {
        Leaf {
            log,
            user_seq,
            before,
            time_unix_ms: self.time_unix_ms,
            action: self.action,
            outcome: self.outcome,
            actor: self.actor,
            key: self.key,
            request_hash: self.request_hash,
            detail: self.detail.clone(),
        }
    }
}

/// The bytes of some leaves, one behind the other.
pub(super) fn encode(leaves: &[Option<Kept>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(leaves.len().saturating_mul(ENTRY_BYTES_USUAL));
    let mut last_ms = 0;
    for leaf in leaves {
        let Some(kept) = leaf else {
            out.push(0);
            continue;
        };
        let is_there = [
            (kept.actor != [0; 8], ACTOR),
            (kept.key != [0; 16], KEY),
            (kept.request_hash != [0; 32], REQUEST),
            (kept.detail != NO_DETAIL, DETAIL),
        ];
        let flags = is_there
            .iter()
            .filter(|it| it.0)
            .fold(ENTRY, |all, it| all | it.1);
        out.push(flags);
        push_number(&mut out, kept.account);
        push_number(&mut out, zigzag(kept.time_unix_ms.wrapping_sub(last_ms)));
        last_ms = kept.time_unix_ms;
        push_number(&mut out, u64::from(kept.action));
        push_number(&mut out, u64::from(kept.outcome));
        let parts: [(&[u8], u8); 3] = [
            (&kept.actor, ACTOR),
            (&kept.key, KEY),
            (&kept.request_hash, REQUEST),
        ];
        for (part, flag) in parts {
            if flags & flag != 0 {
                out.extend_from_slice(part);
            }
        }
        if flags & DETAIL != 0 {
            push_number(
                &mut out,
                u64::try_from(kept.detail.len()).unwrap_or(u64::MAX),
            );
            out.extend_from_slice(&kept.detail);
        }
    }
    out
}

/// The `count` leaves that `bytes` hold; absent when they do not hold exactly these.
pub(super) fn decode(mut bytes: &[u8], count: usize) -> Option<Vec<Option<Kept>>> {
    let mut leaves = Vec::with_capacity(count.min(COUNT_MAX));
    let mut last_ms = 0_u64;
    for _ in 0..count {
        let [flags] = take(&mut bytes)?;
        if flags == 0 {
            leaves.push(None);
            continue;
        }
        if flags & ENTRY == 0 || flags & !ALL != 0 {
            return None;
        }
        let account = take_number(&mut bytes)?;
        last_ms = last_ms.wrapping_add(unzigzag(take_number(&mut bytes)?));
        let kept = Kept {
            account,
            time_unix_ms: last_ms,
            action: take_number(&mut bytes)?.try_into().ok()?,
            outcome: take_number(&mut bytes)?.try_into().ok()?,
            actor: take_if(&mut bytes, flags & ACTOR != 0)?,
            key: take_if(&mut bytes, flags & KEY != 0)?,
            request_hash: take_if(&mut bytes, flags & REQUEST != 0)?,
            detail: take_detail(&mut bytes, flags & DETAIL != 0)?,
        };
        leaves.push(Some(kept));
    }
    bytes.is_empty().then_some(leaves)
}

/// 7 bits a byte, the lowest first; the top bit says that more follow.
fn push_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let [byte] = take(bytes)?;
        let part = u64::from(byte & 0x7f);
        let placed = part.checked_shl(shift).filter(|it| it >> shift == part)?;
        number |= placed;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Small differences of either sign become small numbers.
fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ (difference >> 63).wrapping_neg()
}

fn unzigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn take_if<const N: usize>(bytes: &mut &[u8], is_there: bool) -> Option<[u8; N]> {
    if is_there { take(bytes) } else { Some([0; N]) }
}

fn take_detail(bytes: &mut &[u8], is_there: bool) -> Option<Vec<u8>> {
    if !is_there {
        return Some(NO_DETAIL.to_vec());
    }
    let length = usize::try_from(take_number(bytes)?).ok()?;
    let (detail, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    (length <= DETAIL_BYTES_MAX).then(|| detail.to_vec())
}

/// An entry stands here; without it the entry was erased.
const ENTRY: u8 = 0x01;
const ACTOR: u8 = 0x02;
const KEY: u8 = 0x04;
const REQUEST: u8 = 0x08;
const DETAIL: u8 = 0x10;
const ALL: u8 = ENTRY | ACTOR | KEY | REQUEST | DETAIL;

/// The empty map: the detail of most entries.
const NO_DETAIL: &[u8] = &[0xa0];

/// 80 bytes: a signature's entry has 68.
const ENTRY_BYTES_USUAL: usize = 80;

/// 256 leaves a block at the most.
const COUNT_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(time_unix_ms: u64) -> Kept {
        Kept {
            account: 700_000,
            time_unix_ms,
            action: 12,
            outcome: 0,
            actor: [0xaa; 8],
            key: [0xbb; 16],
            request_hash: [0xcc; 32],
            detail: vec![0xa1, 0x00, 0x01],
        }
    }

    fn bare(time_unix_ms: u64) -> Kept {
        Kept {
            account: 0,
            action: 0x010a,
            outcome: 22,
            actor: [0; 8],
            key: [0; 16],
            request_hash: [0; 32],
            detail: vec![0xa0],
            ..sign(time_unix_ms)
        }
    }

    fn some() -> Vec<Option<Kept>> {
        let now = 1_800_000_000_000;
        vec![
            Some(sign(now)),
            None,
            Some(bare(now + 3)),
            // Clocks go back.
            Some(sign(now - 90_000)),
            Some(bare(0)),
            Some(sign(u64::MAX)),
            Some(Kept {
                detail: vec![0; DETAIL_BYTES_MAX],
                ..sign(1)
            }),
        ]
    }

    #[test]
    fn a_block_reads_back() {
        let bytes = encode(&some());
        assert_eq!(decode(&bytes, some().len()), Some(some()));
        assert_eq!(decode(&[], 0), Some(Vec::new()));
    }

    #[test]
    fn a_signature_has_the_bytes_that_the_limit_of_space_counts_on() {
        let now = 1_800_000_000_000;
        let one = encode(&[Some(sign(now))]).len();
        let two = encode(&[Some(sign(now)), Some(sign(now + 9))]).len();
        assert_eq!(two - one, 67);
    }

    #[test]
    fn every_proper_prefix_and_another_count_are_refused() {
        let bytes = encode(&some());
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len], some().len()), None, "{len}");
        }
        assert_eq!(decode(&bytes, some().len() - 1), None);
        assert_eq!(decode(&bytes, some().len() + 1), None);
    }

    #[test]
    fn flags_that_mean_nothing_are_refused() {
        for flags in [0x02, 0x20, 0x80, 0xff] {
            let mut bytes = encode(&[Some(sign(5))]);
            bytes[0] = flags;
            assert_eq!(decode(&bytes, 1), None, "{flags:02x}");
        }
    }

    #[test]
    fn numbers_are_those_that_were_written() {
        for number in [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            assert_eq!(take_number(&mut bytes.as_slice()), Some(number));
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        let too_long = [0xff; 11];
        assert_eq!(take_number(&mut too_long.as_slice()), None);
        let too_great = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(take_number(&mut too_great.as_slice()), None);
    }
}
