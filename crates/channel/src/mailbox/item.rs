//! One item: `conn(8) ‖ seq u32 ‖ one whole frame` (`spec/pairing.md` section 3.2).

use std::fmt;

use rand_core::CryptoRngCore;

use super::ITEM_BYTES_MAX;

/// What one call of a relay carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Which connection it belongs to.
    pub conn: ConnId,
    /// Its number in this connection and direction, from 0.
    pub seq: u32,
    /// One whole frame: `len u16 ‖ type u8 ‖ body`.
    pub frame: &'a [u8],
}

/// Names a connection inside mailboxes; random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub [u8; 8]);

/// Bytes that are no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemError {
    /// Too short for conn, seq and a frame's header.
    #[error("the item is cut off")]
    Truncated,
    /// The frame's own length is another one.
    #[error("the item does not hold one whole frame")]
    Frame,
    /// More than [`ITEM_BYTES_MAX`].
    #[error("the item is too long: {0} bytes")]
    TooLong(usize),
}

impl<'a> Item<'a> {
    /// The item's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&self.conn.0, self.seq.to_be_bytes().as_slice(), self.frame].concat()
    }

    /// Reads an item, whole or not at all.
    ///
    /// # Errors
    /// [`ItemError`] with the first rule broken.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ItemError> {
        if bytes.len() > ITEM_BYTES_MAX {
            return Err(ItemError::TooLong(bytes.len()));
        }
        let (conn, rest) = bytes.split_first_chunk().ok_or(ItemError::Truncated)?;
        let (seq, frame) = rest.split_first_chunk().ok_or(ItemError::Truncated)?;
        let (len, body) = frame.split_first_chunk().ok_or(ItemError::Truncated)?;
        // A frame has a type at least (`spec/curve.md` section 3: `len` from 1).
        if body.is_empty() {
            return Err(ItemError::Truncated);
        }
        if usize::from(u16::from_be_bytes(*len)) != body.len() {
            return Err(ItemError::Frame);
        }
        Ok(Self {
            conn: ConnId(*conn),
            seq: u32::from_be_bytes(*seq),
            frame,
        })
    }

    /// The frame's type.
    #[must_use]
    pub fn frame_type(&self) -> Option<u8> {
        self.frame.get(2).copied()
    }
}

impl ConnId {
    /// A new one.
    #[must_use]
    pub fn draw(rng: &mut dyn CryptoRngCore) -> Self {
        let mut conn = [0; 8];
        rng.fill_bytes(&mut conn);
        Self(conn)
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnId({self})")
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// conn 01…08, seq 7, a frame of type 4 with two bytes.
    const GOLDEN: [u8; 17] = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 7, 0, 3, 4, 0xaa, 0xbb];

    fn check(bytes: &[u8], expected: Result<(), ItemError>) {
        assert_eq!(Item::decode(bytes).map(|_| ()), expected);
    }

    #[test]
    fn golden_bytes_there_and_back() {
        let item = Item::decode(&GOLDEN).unwrap();
        assert_eq!(item.conn, ConnId([1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!((item.seq, item.frame_type()), (7, Some(4)));
        assert_eq!(item.encode(), GOLDEN);
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        for len in 0..GOLDEN.len() {
            let expected = if len < 15 {
                ItemError::Truncated
            } else {
                ItemError::Frame
            };
            check(&GOLDEN[..len], Err(expected));
        }
    }

    #[test]
    fn other_items_are_refused() {
        check(&[GOLDEN.as_slice(), &[0]].concat(), Err(ItemError::Frame));
        let empty = [&GOLDEN[..12], &[0, 0]].concat();
        check(&empty, Err(ItemError::Truncated));
        check(
            &vec![0; ITEM_BYTES_MAX + 1],
            Err(ItemError::TooLong(65_601)),
        );
    }

    #[test]
    fn the_longest_frame_fits() {
        let mut frame = vec![0xff, 0xff];
        frame.resize(2 + 65_535, 4);
        let item = Item {
            conn: ConnId([0; 8]),
            seq: u32::MAX,
            frame: &frame,
        };
        check(&item.encode(), Ok(()));
    }
}
