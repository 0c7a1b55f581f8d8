//! What a server says unasked inside a session.
//!
//! **Invariant**: a notice has sub-session 0 and is never the first sealed frame.

use super::fields::{message, numbers};
use super::status::Status;

message! {
    /// What a server says unasked.
    #[derive(Clone, Debug, PartialEq, Eq)]
    Notice {
        /// What it is about.
        0 kind: NoticeKind,
        /// With [`NoticeKind::Closed`]: why.
        1 code: Option<Status>,
        /// With [`NoticeKind::LogKey`]: the key from now on.
        2 log_key: Option<[u8; 32]>,
        /// With it: of the old key, over "keystead/1 log key" ‖ server_id ‖ new key.
        3 signature: Option<[u8; 64]>,
    }
}

numbers! {
    /// What a notice is about.
    NoticeKind {
        /// The session is closed; nothing follows.
        Closed = 1,
        /// The log has another key.
        LogKey = 2,
    }
}

impl Notice {
    /// The session is closed.
    #[must_use]
    pub fn closed(code: Status) -> Self {
        Self {
            kind: NoticeKind::Closed,
            code: Some(code),
            log_key: None,
            signature: None,
        }
    }
}
