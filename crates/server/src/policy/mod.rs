//! When a server-held key may be used (`spec/session.md` section 8).
//!
//! **Invariant**: pure. A condition that is there is asked of every signature whose
//! purpose has the field that it is about: users, host keys and unproved destinations of
//! SSH logins, namespaces of SSHSIG, hours and counts of all. A key without a policy has
//! the empty one, which refuses logins whose destination is not proved.
//!
//! A retrieval is no signature: of a key with a quorum it needs the approval, and no
//! other condition is asked.

mod hours;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use keystead_channel::session::requests::{
    Policy, Quorum, SignFields, SshLogin, UnprovedDestination,
};
use keystead_channel::session::{ApproverId, Status};

pub use hours::hour_of;

/// A condition, by its number in the policy's map: what a refusal's entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// The login's user.
    Users,
    /// The login's host key.
    HostKeys,
    /// The namespace of an SSHSIG.
    Namespaces,
    /// A login without a host key.
    UnprovedDestination,
    /// The hour of the week.
    Hours,
    /// Signatures of this hour.
    HourlyMax,
    /// Approvers.
    Quorum,
}

impl Condition {
    /// Its number in the policy's map.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Users => 1,
            Self::HostKeys => 2,
            Self::Namespaces => 3,
            Self::UnprovedDestination => 4,
            Self::Hours => 5,
            Self::HourlyMax => 6,
            Self::Quorum => 7,
        }
    }
}

/// Whether the fields of a signature meet the conditions that are about them.
///
/// # Errors
/// The first condition, by its number, that does not hold.
pub fn check_fields(policy: Option<&Policy>, fields: &SignFields) -> Result<(), Condition> {
    match fields {
        SignFields::SshLogin(login) => check_login(policy, login),
        SignFields::SshSig(sig) => {
            let listed = policy.and_then(|policy| policy.namespaces.as_ref());
            match listed {
                Some(listed) if !listed.0.contains(&sig.namespace) => Err(Condition::Namespaces),
                Some(_) | None => Ok(()),
            }
        }
        SignFields::OpenPgp(_) | SignFields::Message(..) | SignFields::Digest(_) => Ok(()),
    }
}

/// Whether a signature may be made now, as one more of `hour_count` in this hour.
///
/// # Errors
/// The first condition, by its number, that does not hold.
pub fn check_time(
    policy: Option<&Policy>,
    now_unix_ms: u64,
    hour_count: u32,
) -> Result<(), Condition> {
    let Some(policy) = policy else {
        return Ok(());
    };
    if let Some(hours) = &policy.hours
        && !hours::holds(hours, now_unix_ms)
    {
        return Err(Condition::Hours);
    }
    match policy.hourly_max {
        Some(max) if hour_count >= max => Err(Condition::HourlyMax),
        Some(_) | None => Ok(()),
    }
}

/// Whether `policy` is one that can be kept, for an account with these approvers.
///
/// # Errors
/// [`Status::Malformed`]: hours that are none, or a quorum that nobody can be; each
/// approver of it must be one of the account's, and stand once.
pub fn check(policy: &Policy, approvers: &[ApproverId]) -> Result<(), Status> {
    let hours_fit = policy.hours.as_ref().is_none_or(hours::fits);
    let quorum_fits = policy.quorum.as_ref().is_none_or(|it| fits(it, approvers));
    if hours_fit && quorum_fits {
        Ok(())
    } else {
        Err(Status::Malformed)
    }
}

fn check_login(policy: Option<&Policy>, login: &SshLogin) -> Result<(), Condition> {
    if let Some(users) = policy.and_then(|policy| policy.users.as_ref())
        && !users.0.contains(&login.user)
    {
        return Err(Condition::Users);
    }
    let listed = policy.and_then(|policy| policy.host_keys.as_ref());
    let unproved = policy.and_then(|policy| policy.unproved_destination);
    match (listed, &login.host_key) {
        (Some(_), None) => Err(Condition::HostKeys),
        (Some(listed), Some(blob)) => {
            let hash = digest(&SHA256, &blob.0);
            let is_listed = listed.0.iter().any(|it| it.as_slice() == hash.as_ref());
            is_listed.then_some(()).ok_or(Condition::HostKeys)
        }
        (None, None) if unproved != Some(UnprovedDestination::Allow) => {
            Err(Condition::UnprovedDestination)
        }
        (None, _) => Ok(()),
    }
}

fn fits(quorum: &Quorum, approvers: &[ApproverId]) -> bool {
    let named: BTreeSet<_> = quorum.approvers.0.iter().collect();
    let is_reachable = usize::try_from(quorum.count)
        .is_ok_and(|count| (1..=quorum.approvers.0.len()).contains(&count));
    let stand_once = named.len() == quorum.approvers.0.len();
    is_reachable && stand_once && named.iter().all(|it| approvers.contains(it))
}
