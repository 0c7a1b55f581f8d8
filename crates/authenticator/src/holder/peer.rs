//! One workstation: its pairing, its ids, its receipts, its mailbox connections.

use std::collections::VecDeque;

use keystead_channel::link::answers::Answers;
use keystead_channel::mailbox::Conns;
use keystead_core::{ReceiptChain, RequestId};
use keystead_daemon::Now;

use super::opening::Opening;
use crate::entry::Entry;
use crate::pairing_file::StoredPairing;

/// A workstation, paired, being paired, or revoked.
pub(super) struct Peer {
    pub(super) stored: StoredPairing,
    pub(super) receipts: ReceiptChain,
    pub(super) answers: Answers,
    /// Its connections in mailboxes.
    pub(super) conns: Conns,
    /// Requests that were taken back before they came: another way was faster.
    withdrawn_ahead: VecDeque<RequestId>,
    /// Whether the person was told that the clocks differ.
    pub(super) skew_is_told: bool,
    /// The encrypted key files that it had opened.
    pub(super) opening: Opening,
    /// Until when the person has been told that no more ids of it are kept.
    pub(super) full_is_told_until_ms: u64,
}

/// What may be asked over a pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Only what makes the pairing.
    Forming,
    /// Everything.
    Paired,
    /// Nothing.
    Revoked,
}

impl Peer {
    pub(super) fn new(stored: StoredPairing) -> Self {
        Self {
            stored,
            receipts: ReceiptChain::default(),
            answers: Answers::default(),
            conns: Conns::default(),
            withdrawn_ahead: VecDeque::new(),
            skew_is_told: false,
            opening: Opening::default(),
            full_is_told_until_ms: 0,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match (&self.stored.pair_key, self.stored.revoked_unix_s) {
            (_, Some(_)) => Stage::Revoked,
            (Some(_), None) => Stage::Paired,
            (None, None) => Stage::Forming,
        }
    }

    /// A request is withdrawn that has not come.
    pub(super) fn withdraw_ahead(&mut self, id: RequestId) {
        if self.withdrawn_ahead.len() >= WITHDRAWN_AHEAD_MAX {
            self.withdrawn_ahead.pop_front();
        }
        self.withdrawn_ahead.push_back(id);
    }

    /// Whether a request that comes now was withdrawn before.
    pub(super) fn is_withdrawn_ahead(&mut self, id: &RequestId) -> bool {
        let known = self.withdrawn_ahead.len();
        self.withdrawn_ahead.retain(|it| it != id);
        self.withdrawn_ahead.len() < known
    }

    /// Takes in what an earlier run logged: the receipts' chain goes on, and
    /// its ids are answered.
    pub(super) fn recall(&mut self, entry: &Entry, now: Now) {
        if let Some((seq, receipt)) = entry.receipt() {
            self.receipts = ReceiptChain::after(seq, &receipt);
        }
        let Some((id, hash)) = entry.request() else {
            return;
        };
        // A clock that was set back makes an entry young, never forgotten too soon.
        let age_ms = now
            .unix_s
            .saturating_sub(entry.unix_s)
            .saturating_mul(1_000);
        self.answers.restore(now.mono_ms, id, hash, age_ms);
    }
}

/// 64 cancels whose request is still on another way: as many as can be pending.
const WITHDRAWN_AHEAD_MAX: usize = 64;
