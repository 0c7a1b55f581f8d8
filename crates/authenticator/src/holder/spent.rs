//! Texts of key servers that wait for the holder, and the nonces that are spent.
//!
//! **Invariant**: what was approved once is known as spent after a restart, too, from the log.

use std::collections::VecDeque;

use keystead_core::{Outcome, hex};

use crate::entry::Entry;

/// A text that waits for the holder.
pub(super) struct ToApprove {
    pub(super) server_id: [u8; 16],
    pub(super) nonce: [u8; 16],
    pub(super) text: Vec<u8>,
}

impl ToApprove {
    /// What the log says of it: so a restart knows what is spent.
    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.approved_nonce = Some(hex::encode(&self.mark()));
        entry.content_sha256 = Some(hex::encode(
            &keystead_formats::ssh::key::key_id(&self.text).0,
        ));
    }

    pub(super) fn mark(&self) -> Mark {
        let mut mark = [0; MARK_BYTES];
        let bytes = self.server_id.iter().chain(&self.nonce);
        mark.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        mark
    }
}

/// A server's id and a nonce of it.
pub(super) type Mark = [u8; MARK_BYTES];

/// Nonces whose act was approved, the oldest first.
#[derive(Default)]
pub(super) struct Spent(VecDeque<Mark>);

impl Spent {
    pub(super) fn contains(&self, mark: &Mark) -> bool {
        self.0.contains(mark)
    }

    pub(super) fn add(&mut self, mark: Mark) {
        if self.0.len() >= SPENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(mark);
    }

    /// Takes in what an earlier run logged.
    pub(super) fn recall(&mut self, entry: &Entry) {
        let bytes = entry.approved_nonce.as_deref().and_then(hex::decode);
        let mark = bytes.and_then(|it| Mark::try_from(it).ok());
        let is_given = entry.decision == Outcome::Approve.as_str();
        if let Some(mark) = mark.filter(|_| is_given) {
            self.add(mark);
        }
    }
}

/// Server id and nonce.
const MARK_BYTES: usize = 32;

/// 4,096 approvals: a server takes none that is older than a minute, and nobody approves so many
/// in one.
const SPENT_MAX: usize = 4_096;
