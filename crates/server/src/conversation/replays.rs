//! Frames 30 that came on this connection (`spec/session.md` section 7).
//!
//! **Invariant**: a proof is over both hellos, so this connection is the only place where
//! it is worth anything, and here it is taken once: whoever ends its TLS cannot send it
//! again under another handle, to close the session or to make it look stolen. What proves
//! nothing is not remembered, so that strangers fill no memory.

use std::collections::{BTreeMap, BTreeSet};

use keystead_channel::session::{Handle, Status};

/// Proofs that were taken.
#[derive(Default)]
pub(super) struct Replays {
    taken: BTreeSet<Proof>,
    /// Those that are being judged.
    tried: BTreeMap<Handle, Proof>,
}

/// The first half of a proof tells it from every other.
type Proof = [u8; 16];

impl Replays {
    /// Whether the proof is new here; then it is not any more.
    pub(super) fn take(&mut self, handle: Handle, proof: &[u8; 32]) -> bool {
        let proof: Proof = proof.first_chunk().copied().unwrap_or_default();
        let is_new = self.taken.insert(proof);
        if is_new {
            self.tried.insert(handle, proof);
        }
        is_new
    }

    /// The session of `handle` is open: its proof stays taken.
    pub(super) fn was_good(&mut self, handle: Handle) {
        self.tried.remove(&handle);
    }

    /// It came to nothing. A proof that was none is forgotten; one that the server was only
    /// too busy for could be good later, in other hands.
    pub(super) fn was_refused(&mut self, handle: Handle, status: Status) {
        let Some(proof) = self.tried.remove(&handle) else {
            return;
        };
        if status == Status::LoginRequired {
            self.taken.remove(&proof);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_taken_once_and_one_that_is_none_is_forgotten() {
        let mut replays = Replays::default();
        assert!(replays.take(Handle(1), &[1; 32]));
        assert!(!replays.take(Handle(2), &[1; 32]), "while it is judged");
        replays.was_good(Handle(1));
        assert!(!replays.take(Handle(3), &[1; 32]), "afterwards");
        assert!(replays.take(Handle(4), &[2; 32]));
        replays.was_refused(Handle(4), Status::Unavailable);
        assert!(!replays.take(Handle(5), &[2; 32]), "it may be good");
        assert!(replays.take(Handle(6), &[3; 32]));
        replays.was_refused(Handle(6), Status::LoginRequired);
        assert_eq!((replays.taken.len(), replays.tried.len()), (2, 0));
    }
}
