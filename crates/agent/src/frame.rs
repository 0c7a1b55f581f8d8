//! What passes through whole, and may hold a key or a passphrase.
//!
//! **Invariant:** it is wiped when dropped, and nothing of it is shown.

use keystead_core::SecretBytes;

/// A frame's body; wiped when dropped, since keys and passphrases come this way.
pub type Frame = zeroize::Zeroizing<Vec<u8>>;

/// A message that shows nothing of itself: it may hold a key.
pub struct Message(pub Frame);

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({} bytes)", self.0.len())
    }
}

/// A passphrase or key out of a message that is wiped by whoever holds it.
pub(crate) fn secret(parts: &[&[u8]]) -> SecretBytes {
    let len = parts.iter().map(|it| it.len()).sum();
    SecretBytes::fill(len, |mut rest| {
        for part in parts {
            let Some((place, behind)) = rest.split_at_mut_checked(part.len()) else {
                return;
            };
            place.copy_from_slice(part);
            rest = behind;
        }
    })
}

/// As a frame that is wiped.
pub(crate) fn frame_of(bytes: &[u8]) -> Frame {
    Frame::new(bytes.to_vec())
}
