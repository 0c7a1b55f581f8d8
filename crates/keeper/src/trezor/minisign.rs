//! What minisign signs, as it stands in a sign request (`spec/pairing.md`, form 3): a map of
//! 1: bool, prehashed; 2: bytes, the file or its BLAKE2b-512; 3: text, the trusted comment.
//!
//! **Invariant:** every byte is read: what is signed is all that was given.

use minicbor::Decoder;

/// What two signatures are made over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    content: Vec<u8>,
    comment: String,
}

impl Signed {
    /// What the first signature is over.
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// What the second one is over: the first and the comment.
    pub(super) fn global(&self, signature: &[u8]) -> Vec<u8> {
        [signature, self.comment.as_bytes()].concat()
    }

    /// The longer of both.
    pub(super) fn bytes_max(&self) -> usize {
        let global = 64_usize.saturating_add(self.comment.len());
        self.content.len().max(global)
    }
}

/// Reads it; none if it is anything else, or a digest of another length.
pub(super) fn read(content: &[u8]) -> Option<Signed> {
    let mut decoder = Decoder::new(content);
    if decoder.map().ok()? != Some(3) || decoder.u8().ok()? != 1 {
        return None;
    }
    let is_prehashed = decoder.bool().ok()?;
    if decoder.u8().ok()? != 2 {
        return None;
    }
    let signed = decoder.bytes().ok()?.to_vec();
    if decoder.u8().ok()? != 3 {
        return None;
    }
    let comment = decoder.str().ok()?.to_owned();
    let is_whole = decoder.position() == content.len();
    let has_its_length = !is_prehashed || signed.len() == HASH_BYTES;
    (is_whole && has_its_length).then_some(Signed {
        content: signed,
        comment,
    })
}

/// 64 bytes of BLAKE2b-512.
const HASH_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_read_whole_or_not_at_all() {
        let whole = b"\xa3\x01\xf4\x02\x43abc\x03\x65hello";
        let read_whole = read(whole).unwrap();
        assert_eq!(read_whole.content(), b"abc");
        assert_eq!(
            read_whole.global(&[7; 64]),
            [[7; 64].as_slice(), b"hello"].concat()
        );
        assert_eq!(read_whole.bytes_max(), 69);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
        assert_eq!(read(&[whole.as_slice(), &[0]].concat()), None);
        assert_eq!(
            read(b"\xa3\x02\x43abc\x01\xf4\x03\x65hello"),
            None,
            "another order"
        );
        assert_eq!(read(b"\xa3\x01\xf5\x02\x43abc\x03\x60"), None, "no digest");
        let hashed = [
            b"\xa3\x01\xf5\x02\x58\x40".as_slice(),
            &[9; 64],
            b"\x03\x60",
        ]
        .concat();
        assert_eq!(read(&hashed).unwrap().bytes_max(), 64);
    }
}
