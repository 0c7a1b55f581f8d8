//! What a local authenticator may send to its parent.

use std::collections::BTreeSet;

use keystead_core::{
    Constraints, Evidence, ImportRequest, KeyForm, KeyId, RequestBody, SecretBytes, SignForm,
    SignRequest,
};
use keystead_daemon::Now;
use keystead_keeper::local::{Local, Turn};
use keystead_keeper::{AskId, Progress};

use crate::random::Counter;

/// Whatever comes, in whatever pieces: each ask ends at most once, and all of them by the end
/// of the socket.
pub(crate) fn link(bytes: &[u8]) {
    let mut local = Local::default();
    let mut open = BTreeSet::new();
    let rng = &mut Counter(7);
    for (ask, body) in (0..).map(AskId).zip(bodies()) {
        open.insert(ask);
        take(&local.ask(NOW, ask, body, WAIT_S, rng), &mut open);
    }
    for chunk in bytes.chunks(97) {
        take(&local.bytes(NOW, chunk), &mut open);
    }
    take(&local.ended(), &mut open);
    assert_eq!(open.len(), 0);
    assert_eq!(local.next_wake_ms(), None);
}

fn take(turn: &Turn, open: &mut BTreeSet<AskId>) {
    for (ask, progress) in &turn.progress {
        assert!(open.contains(ask));
        if matches!(progress, Progress::Done(_)) {
            open.remove(ask);
        }
    }
}

fn bodies() -> [RequestBody; 4] {
    let opaque = || SecretBytes::fill(8, |bytes| bytes.fill(3));
    [
        RequestBody::Me { nonce_c: None },
        RequestBody::Sign(SignRequest {
            key: KeyId([1; 32]),
            form: SignForm::Ssh,
            content: b"blob".to_vec(),
            flags: 0,
            evidence: Evidence::default(),
        }),
        RequestBody::Import(ImportRequest {
            form: KeyForm::Agent,
            key: opaque(),
            passphrase: None,
            name: None,
            constraints: Constraints::default(),
        }),
        RequestBody::Remove { keys: Vec::new() },
    ]
}

const NOW: Now = Now {
    mono_ms: 1_000,
    unix_s: 1_700_000_000,
};

const WAIT_S: u16 = 60;
