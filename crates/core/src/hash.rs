//! The one hash of Keystead's own formats: BLAKE2b-256, always behind a label.

use keystead_sodium::hash::{Blake2b, blake2b};

/// `H(label, x)` of `spec/pairing.md`: BLAKE2b-256(label ‖ x), 32 bytes.
#[must_use]
pub fn labelled_hash(label: &str, content: &[u8]) -> [u8; 32] {
    blake2b::<32>(&[], &[label.as_bytes(), content])
}

/// BLAKE2b-256 of the parts, one behind the other, without a label (mailboxes, files).
#[must_use]
pub fn hash(parts: &[&[u8]]) -> [u8; 32] {
    blake2b::<32>(&[], parts)
}

/// `H(label, x)` of an x that comes in pieces.
pub struct Hasher(Blake2b<32>);

impl Hasher {
    /// Starts with the label.
    #[must_use]
    pub fn new(label: &str) -> Self {
        let mut state = Blake2b::new(&[]);
        state.update(label.as_bytes());
        Self(state)
    }

    /// Takes in the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash, 32 bytes.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finish()
    }
}
