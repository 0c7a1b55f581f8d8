//! The decoders of `keystead_channel::log`.

use keystead_channel::log::export::Line;
use keystead_channel::log::{Checkpoint, Detail, Leaf};
use keystead_channel::session::ServerId;

/// A note that is read says what its text says, and nobody has signed it for a key of zeros.
pub(crate) fn checkpoint(bytes: &[u8]) {
    if let Ok(checkpoint) = Checkpoint::read(bytes) {
        assert!(bytes.starts_with(checkpoint.text().as_bytes()));
        assert!(Checkpoint::open(bytes, &checkpoint.server, &[0; 32]).is_err());
        assert!(Checkpoint::open(bytes, &ServerId([0xff; 16]), &[0; 32]).is_err());
    }
}

/// What is read is written back, the detail too where this version knows it.
pub(crate) fn leaf(bytes: &[u8]) {
    if let Ok(leaf) = Leaf::decode(bytes) {
        assert_eq!(leaf.encode(), bytes);
        if let Ok(detail) = leaf.detail() {
            assert_eq!(detail.encode(), leaf.detail);
        }
    }
    if let Ok(detail) = Detail::decode(bytes) {
        assert_eq!(detail.encode(), bytes);
    }
}

/// Every line that is read is written back.
pub(crate) fn export(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for line in text.split('\n') {
        if let Some(read) = Line::read(line) {
            assert_eq!(read.write(), format!("{line}\n"));
        }
    }
}
