//! Keys that programs brought (`ssh-add`) and that the local authenticator holds: what a list
//! needs of them, so that no list has to ask it.
//!
//! **Invariant:** a key is here only while its holder has it: its lifetime ends here by the same
//! clock, at the same moment or earlier; nothing of a private key is ever here.

use crate::frame::Frame;
use keystead_core::KeyId;
use keystead_formats::ssh::constraint::{Destinations, Path};

/// The keys, in the order they came.
#[derive(Default)]
pub(crate) struct Added {
    keys: Vec<AddedKey>,
}

/// A key that was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddedKey {
    /// What lists show, perhaps a certificate.
    pub(crate) blob: Vec<u8>,
    /// Of the blob.
    pub(crate) id: KeyId,
    /// `SHA256:…`, for the log.
    pub(crate) fingerprint: String,
    pub(crate) limits: Limits,
}

/// What came with a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Free text, whatever its bytes are.
    pub(crate) comment: Vec<u8>,
    /// Gone at this moment of the steady clock.
    pub(crate) ends_at_ms: Option<u64>,
    /// Where it may be used, where that is limited.
    pub(crate) destinations: Option<Destinations>,
    /// The token that it is in, as `ssh-add -s` named it.
    pub(crate) token: Option<Vec<u8>>,
}

impl Added {
    /// A key that is there already takes the new limits and keeps its place.
    pub(crate) fn put(&mut self, key: AddedKey) {
        match self.keys.iter_mut().find(|it| it.blob == key.blob) {
            Some(old) => *old = key,
            None => self.keys.push(key),
        }
    }

    /// The key of this blob, if it is still there.
    pub(crate) fn find(&self, blob: &[u8], now_ms: u64) -> Option<&AddedKey> {
        self.keys
            .iter()
            .find(|it| it.blob == blob && it.is_there(now_ms))
    }

    /// Those that a connection may see.
    pub(crate) fn seen(&self, path: Path<'_>, now: keystead_daemon::Now) -> Vec<&AddedKey> {
        let keys = self.keys.iter();
        keys.filter(|it| it.is_there(now.mono_ms) && it.may_be_seen(path, now.unix_s))
            .collect()
    }

    /// Those of a token.
    pub(crate) fn of_token(&self, token: &[u8]) -> Vec<KeyId> {
        let keys = self.keys.iter();
        keys.filter(|it| it.limits.token.as_deref() == Some(token))
            .map(|it| it.id)
            .collect()
    }

    pub(crate) fn forget(&mut self, ids: &[KeyId]) {
        self.keys.retain(|it| !ids.contains(&it.id));
    }

    pub(crate) fn forget_all(&mut self) {
        self.keys.clear();
    }

    /// Lifetimes end.
    pub(crate) fn tick(&mut self, now_ms: u64) {
        self.keys.retain(|it| it.is_there(now_ms));
    }

    pub(crate) fn next_wake_ms(&self) -> Option<u64> {
        self.keys.iter().filter_map(|it| it.limits.ends_at_ms).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl AddedKey {
    fn is_there(&self, now_ms: u64) -> bool {
        self.limits.ends_at_ms.is_none_or(|end| now_ms < end)
    }

    /// As OpenSSH's agent: who may not see a key may not remove it either.
    pub(crate) fn may_be_seen(&self, path: Path<'_>, now_unix_s: u64) -> bool {
        let destinations = self.limits.destinations.as_ref();
        destinations.is_none_or(|it| it.may_list(path, now_unix_s).is_ok())
    }
}

/// A key on its way to who will hold it.
pub(crate) struct Bringing {
    pub(crate) limits: Limits,
}

/// A change to what was brought.
pub(crate) enum Change {
    /// These keys of the local authenticator go.
    Forget(Vec<KeyId>),
    /// All of them go, and the message goes on to the agent that was there before.
    ForgetAll(Frame),
    /// A key goes that was brought into custody.
    LeaveCustody(Vec<u8>),
    /// The message goes on, whatever became of it.
    Lock(Frame),
}

#[cfg(test)]
mod tests {
    use keystead_daemon::Now;

    use super::*;

    const NOW: Now = Now {
        mono_ms: 1_000,
        unix_s: 1_700_000_000,
    };

    fn key(byte: u8, limits: Limits) -> AddedKey {
        AddedKey {
            blob: vec![byte],
            id: KeyId([byte; 32]),
            fingerprint: String::new(),
            limits,
        }
    }

    fn comment(text: &str) -> Limits {
        Limits {
            comment: text.as_bytes().to_vec(),
            ..Limits::default()
        }
    }

    fn seen(added: &Added, now: Now) -> Vec<&[u8]> {
        let keys = added.seen(Path::default(), now).into_iter();
        keys.map(|it| &it.limits.comment[..]).collect()
    }

    #[test]
    fn the_same_key_again_keeps_its_place_and_takes_new_limits() {
        let mut added = Added::default();
        added.put(key(1, comment("one")));
        added.put(key(2, comment("two")));
        added.put(key(1, comment("again")));
        assert_eq!(seen(&added, NOW), [&b"again"[..], b"two"]);
    }

    #[test]
    fn a_lifetime_ends_whether_or_not_anybody_looks() {
        let mut added = Added::default();
        let short = Limits {
            ends_at_ms: Some(2_000),
            ..comment("short")
        };
        added.put(key(1, short));
        added.put(key(2, comment("long")));
        assert_eq!(added.next_wake_ms(), Some(2_000));
        let later = |mono_ms| Now { mono_ms, ..NOW };
        assert_eq!(seen(&added, later(1_999)).len(), 2);
        assert_eq!(seen(&added, later(2_000)), [b"long"]);
        assert!(added.find(&[1], 2_000).is_none());
        added.tick(2_000);
        assert_eq!(added.next_wake_ms(), None);
    }

    #[test]
    fn a_token_is_forgotten_whole() {
        let mut added = Added::default();
        let of_token = Limits {
            token: Some(b"/lib/x".to_vec()),
            ..comment("card")
        };
        added.put(key(1, of_token.clone()));
        added.put(key(2, of_token));
        added.put(key(3, comment("file")));
        let ids = added.of_token(b"/lib/x");
        assert_eq!(ids, [KeyId([1; 32]), KeyId([2; 32])]);
        added.forget(&ids);
        assert_eq!(seen(&added, NOW), [b"file"]);
        assert!(added.of_token(b"/lib/y").is_empty());
    }
}
