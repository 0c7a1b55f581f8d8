//! The end of a pairing, from either side.
//!
//! Invariant: from the moment a person ends a pairing nothing is asked over it
//! but that end; keys are wiped once the other side knows, or after 30 days.

use keystead_channel::curve::CloseCode;
use keystead_core::RequestBody;

use super::{Keeper, OWN_WAIT_S, Purpose, SAVE_AGAIN_MS};
use crate::record::file_of;
use crate::step::Step;
use crate::{KeeperError, Notice};

impl Keeper {
    /// The person ends the pairing. From now on it is only told so.
    pub(crate) fn unpair(&mut self, step: &mut Step<'_, '_>) {
        if self.is_unpairing() {
            return;
        }
        self.record.unpaired_unix_s = Some(step.now.unix_s);
        self.unpair_ms = Some(step.now_ms());
        self.fail_all(step, |_| KeeperError::NoSuchKeeper);
        self.save(step);
        self.tick(step);
    }

    pub(super) fn asks_unpair(&self) -> bool {
        self.questions
            .values()
            .any(|it| it.purpose == Purpose::Unpair && !it.is_over)
    }

    /// Tells the authenticator that the pairing has ended here, until it knows or 30 days are over.
    pub(super) fn tell_unpair(&mut self, step: &mut Step<'_, '_>) {
        let (Some(since_unix_s), Some(at_ms)) = (self.record.unpaired_unix_s, self.unpair_ms)
        else {
            return;
        };
        if step.now.unix_s.saturating_sub(since_unix_s) >= UNPAIR_S_MAX {
            self.end(step);
        } else if step.now_ms() >= at_ms && !self.asks_unpair() {
            self.unpair_ms = Some(step.now_ms().saturating_add(UNPAIR_AGAIN_MS));
            // It has no payload, so it is never too long.
            let _ = self.open(Purpose::Unpair, RequestBody::Unpair, OWN_WAIT_S, step);
        }
    }

    /// The authenticator has ended the pairing, or knows that we have.
    pub(super) fn unpaired(&mut self, step: &mut Step<'_, '_>) {
        if !self.is_unpairing() {
            step.notice(Notice::Unpaired {
                pairing: self.id,
                name: self.record.name.clone(),
            });
        }
        self.fail_all(step, |keeper| KeeperError::Unpaired { keeper });
        self.end(step);
    }

    /// Both sides know: keys are wiped, mailboxes deleted.
    pub(super) fn end(&mut self, step: &mut Step<'_, '_>) {
        self.is_ended = true;
        for route in &mut self.routes {
            route.close(CloseCode::Done, step);
        }
        self.inbox.delete(step);
        self.save_ms = None;
        // Long ago: nobody is to be told any more, so a restart removes the file at once.
        self.record.unpaired_unix_s = Some(0);
        self.remove_file(step);
    }

    /// The file goes. One that stays says at least that its pairing has ended, so that it is
    /// none after a restart, and is tried again.
    pub(super) fn remove_file(&mut self, step: &mut Step<'_, '_>) {
        let file = file_of(self.id);
        let Err(error) = step.io.disk.remove(&file) else {
            self.remove_ms = None;
            return;
        };
        if self.remove_ms.is_none() {
            let reason = error.to_string();
            step.notice(Notice::NotSaved { file, reason });
            self.save(step);
            self.save_ms = None;
        }
        self.remove_ms = Some(step.now_ms().saturating_add(SAVE_AGAIN_MS));
    }
}

/// An authenticator that was away when its pairing ended is tried again. Why: it costs a
/// handshake, and nobody waits for it.
const UNPAIR_AGAIN_MS: u64 = 60 * 60 * 1_000;

/// 30 days (`spec/pairing.md` section 2.6).
const UNPAIR_S_MAX: u64 = 30 * 86_400;
