//! What lifts the lock of a name: its recovery code, or an approver (`spec/session.md`
//! section 5.2). The operator does it by a command.
//!
//! **Invariant**: each lifts one lock; nothing of it opens a session, for a password is
//! still wanted. All comparisons take the same time whatever they find.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use keystead_channel::session::{ApproverId, ServerId, Unlock, UnlockText, is_unlock_now};
use keystead_sodium::memory;

use crate::rows::Account;

/// What a login brings to lift a lock.
pub(super) struct Lifts {
    /// H(recovery code).
    pub(super) code: Option<[u8; 32]>,
    pub(super) unlock: Option<Unlock>,
}

/// What lifted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifted {
    /// The code, which is used up.
    Code,
    /// An approver, who signed at this time.
    Approver(u64),
}

impl Lifts {
    /// Whether a login brings anything.
    pub(super) fn is_empty(&self) -> bool {
        self.code.is_none() && self.unlock.is_none()
    }

    /// What of it lifts a lock of `account`, at `now_s`; signatures not after `last_s`
    /// were used already.
    pub(super) fn judge(
        &self,
        account: &Account,
        server: &ServerId,
        now_s: u64,
        last_s: u64,
    ) -> Option<Lifted> {
        if let (Some(code), Some(expected)) = (&self.code, &account.recovery)
            && memory::equal(code, expected)
        {
            return Some(Lifted::Code);
        }
        let unlock = self.unlock.as_ref()?;
        let is_now = is_unlock_now(unlock.unix_s, now_s) && unlock.unix_s > last_s;
        let key = account
            .approvers
            .iter()
            .find(|it| ApproverId::of(&it.key) == unlock.approver)
            .filter(|_| is_now)?;
        let text = UnlockText {
            server: *server,
            account: account.name.clone(),
            unix_s: unlock.unix_s,
        };
        let text = text.encode();
        let verified = UnparsedPublicKey::new(&ED25519, key.key).verify(&text, &unlock.signature);
        verified.ok().map(|()| Lifted::Approver(unlock.unix_s))
    }
}
