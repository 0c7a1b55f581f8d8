//! Requests that wait for approvers (`spec/session.md` section 8).
//!
//! **Invariant**: one nonce, one act. What waits is in memory only, belongs to one session
//! and dies with it; it is granted once, when as many different approvers as its quorum
//! wants have signed its text, each checked against the key that the account names for it.
//! Whether it is too late, the database's clock judges, in the transaction that logs the
//! approval.
//!
//! An approver's signature is taken in three steps, so that none counts without its entry:
//! [`Approvals::reserve`] checks it and keeps its place, the entry is written, and
//! [`Approvals::settle`] lets it count, or gives the place back.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use keystead_channel::session::requests::Approve;
use keystead_channel::session::{ApproverId, approval_hash};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// The requests of one session that wait.
#[derive(Default)]
pub struct Approvals {
    waiting: Mutex<BTreeMap<u64, Waiting>>,
}

/// Who can approve a request, and how many of them must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Their ids and keys.
    pub approvers: Vec<(ApproverId, [u8; 32])>,
    /// At least 1.
    pub count: usize,
}

impl Approvals {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the request `sub` wait for signatures over `text`; what comes back is told when
    /// there are enough.
    ///
    /// # Errors
    /// [`Full`]: `waiting_max` wait already.
    pub fn begin(
        &self,
        sub: u64,
        text: Vec<u8>,
        quorum: Quorum,
        expires_unix_ms: u64,
        waiting_max: u32,
    ) -> Result<oneshot::Receiver<Granted>, Full> {
        let mut waiting = self.lock();
        if is_full(&waiting, waiting_max) {
            return Err(Full);
        }
        let (told, tells) = oneshot::channel();
        waiting.insert(
            sub,
            Waiting {
                text,
                quorum,
                expires_unix_ms,
                given: Vec::new(),
                told,
            },
        );
        Ok(tells)
    }

    /// Whether there is room for one more.
    #[must_use]
    pub fn has_room(&self, waiting_max: u32) -> bool {
        !is_full(&self.lock(), waiting_max)
    }

    /// Checks an approver's signature and keeps its place.
    ///
    /// # Errors
    /// [`NotApproved`]: nothing waits there, it is no approver of this request, it has
    /// approved already, or the signature is not its own over the whole text.
    pub fn reserve(&self, approve: &Approve) -> Result<Reserved, NotApproved> {
        let mut waiting = self.lock();
        let it = waiting.get_mut(&approve.sub).ok_or(NotApproved)?;
        let known = it.quorum.approvers.iter();
        let (_, public_key) = known
            .clone()
            .find(|(id, _)| *id == approve.approver)
            .ok_or(NotApproved)?;
        if it
            .given
            .iter()
            .any(|given| given.approver == approve.approver)
        {
            return Err(NotApproved);
        }
        let key = UnparsedPublicKey::new(&ED25519, public_key);
        key.verify(&it.text, &approve.signature)
            .map_err(|_| NotApproved)?;
        it.given.push(Given {
            approver: approve.approver,
            signature: approve.signature,
            is_logged: false,
        });
        Ok(Reserved {
            sub: approve.sub,
            approver: approve.approver,
            expires_unix_ms: it.expires_unix_ms,
            hash: approval_hash(&it.text, &[approve.signature]),
        })
    }

    /// Lets a reserved signature count, if its entry is `logged`; else it was never given.
    /// With the last one that is wanted the request is granted, and waits no more.
    pub fn settle(&self, reserved: &Reserved, logged: Logged) {
        let mut waiting = self.lock();
        let Some(it) = waiting.get_mut(&reserved.sub) else {
            return;
        };
        match logged {
            Logged::No => it.given.retain(|it| it.approver != reserved.approver),
            Logged::Yes => {
                let ours = |it: &&mut Given| it.approver == reserved.approver;
                if let Some(given) = it.given.iter_mut().find(ours) {
                    given.is_logged = true;
                }
            }
        }
        let counted = it.given.iter().filter(|it| it.is_logged);
        if counted.clone().count() < it.quorum.count {
            return;
        }
        let signatures: Vec<[u8; 64]> = counted.map(|it| it.signature).collect();
        if let Some(it) = waiting.remove(&reserved.sub) {
            let hash = approval_hash(&it.text, &signatures);
            // Nobody waits any more when the session ends between the two.
            let _ = it.told.send(Granted { hash });
        }
    }

    /// Forgets a request whose time is over, or that was answered otherwise.
    pub fn forget(&self, sub: u64) {
        self.lock().remove(&sub);
    }

    /// What is behind the lock is whole at every await, so a panic elsewhere leaves it so.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits.
struct Waiting {
    text: Vec<u8>,
    quorum: Quorum,
    expires_unix_ms: u64,
    given: Vec<Given>,
    told: oneshot::Sender<Granted>,
}

/// A signature that was checked.
struct Given {
    approver: ApproverId,
    signature: [u8; 64],
    is_logged: bool,
}

/// The place of a signature that was checked, until its entry is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    sub: u64,
    approver: ApproverId,
    /// From then on it is too late.
    pub expires_unix_ms: u64,
    /// H(text ‖ signature), for the entry.
    pub hash: [u8; 32],
}

/// Whether the entry of an approval is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logged {
    /// It is, and says that it was in time.
    Yes,
    /// It is not, or says otherwise.
    No,
}

/// Enough have approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// H(text ‖ signatures, in the order in which they came), for the entry.
    pub hash: [u8; 32],
}

/// As many requests wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests wait for an approval")]
pub struct Full;

/// The approval does not count; all that can be wrong with one is one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the approval does not count")]
pub struct NotApproved;

/// Room for the texts that wait for approvers, of all sessions: a permit for each KiB.
#[must_use]
pub fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(WAITING_KIB_MAX))
}

/// The permits that a text takes while it waits.
///
/// # Errors
/// [`Full`].
pub fn take_room(room: &Arc<Semaphore>, text: &[u8]) -> Result<OwnedSemaphorePermit, Full> {
    let kib = u32::try_from(text.len().div_ceil(KIB)).map_err(|_| Full)?;
    Arc::clone(room)
        .try_acquire_many_owned(kib)
        .map_err(|_| Full)
}

/// 64 MiB: 65,536 of usual length, which nobody waits for, or 680 of the longest, which one
/// account alone could bring by its sessions.
const WAITING_KIB_MAX: usize = 65_536;

const KIB: usize = 1_024;

fn is_full(waiting: &BTreeMap<u64, Waiting>, waiting_max: u32) -> bool {
    u32::try_from(waiting.len()).unwrap_or(u32::MAX) >= waiting_max
}
