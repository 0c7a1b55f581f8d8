//! Frames 10, 12 and 22 of a registration, and `complete` (`spec/session.md` section 5).
//!
//! **Invariant**: a pending account reserves no name and opens nothing; whether a name is
//! free is decided in the transaction that makes it active, and of two that race the first
//! to complete has it. Registering a taken name evaluates under a credential id of its
//! own, so it tells nothing about that name's password.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use keystead_channel::session::requests::{Answer, Complete, OpenedResult, Request};
use keystead_channel::session::{
    AccountName, AwaitFinish, AwaitUpload, BindingKind, ErrorBody, Incoming, Opening,
    PENDING_MS_MAX, RegisterStart, Registration, ServerSession, SessionId, SessionKind, Status,
    Uploaded, UserId, request_hash,
};
use keystead_core::Secret;
use keystead_daemon::SystemRng;
use rand_core::RngCore;

use super::start::wait;
use super::status_of;
use crate::ledger::{Act, Action, Decided, Detail, Log, NO_KEY, NewEntry, actor};
use crate::rows::{Account, AccountNo, AccountState, Invitation, NameTag, RowFault, Rows};
use crate::server::Server;
use crate::session::{Begun, Invited, Pending, Served, Then};
use crate::store::{Now, Wanted};

/// What an invitation is found by.
#[must_use]
pub fn invitation_hash(token: &Secret<16>) -> [u8; 32] {
    let hash = digest(&SHA256, token.expose());
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// Frame 10: evaluates the password for who may register.
///
/// # Errors
/// What the error frame says.
pub(crate) async fn start(
    server: &Arc<Server>,
    begun: Begun,
    start: &RegisterStart,
) -> Result<(AwaitUpload, Invited, Vec<u8>), ErrorBody> {
    let binding = begun.place.binding(BindingKind::Exporter);
    binding.map_err(|error| error.status())?;
    let allowed = server.guesses.take(begun.source, begun.now_ms);
    allowed.map_err(wait)?;
    let invited = match (server.settings.registration(), &start.invitation) {
        (Registration::Closed, _) | (Registration::Invitation, None) => {
            return Err(Status::Refused.into());
        }
        (Registration::Invitation | Registration::Open, Some(token)) => {
            let hash = invitation_hash(token);
            is_invited(server, hash, &start.name).await?;
            Invited(Some(hash))
        }
        (Registration::Open, None) => {
            let allowed = server.registrations.take(begun.source, begun.now_ms);
            allowed.map_err(wait)?;
            Invited(None)
        }
    };
    let permit = server.evaluations.acquire().await;
    let now_ms = begun.now_ms;
    let started = AwaitUpload::start(&server.opaque, begun.place, start, now_ms, &mut SystemRng);
    drop(permit);
    let (state, frame) = started.map_err(|error| error.status())?;
    Ok((state, invited, frame))
}

/// Whether an invitation is good for `name`, and the name free; asked again at the end.
async fn is_invited(server: &Server, hash: [u8; 32], name: &AccountName) -> Result<(), Status> {
    let tag = NameTag(name.tag(&server.names.k_name));
    let mut wanted = Wanted::new();
    wanted.invitation(hash).tag(tag);
    let loaded = server.store.read(wanted).await;
    let loaded = loaded.map_err(|error| status_of(&error))?;
    let rows = Rows::new(loaded, &server.sealing);
    let days = server.settings.registrations.invitation_days;
    let invitation = rows.invitation(hash).map_err(|_| Status::Corrupt)?;
    // Whatever is wrong with it, and whatever the name, the answer is one.
    let invitation = invitation.filter(|it| is_good(it, rows.now.ms, days));
    if invitation.is_none_or(|it| it.name != *name) {
        return Err(Status::Refused);
    }
    match rows.account_by_tag(tag) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(Status::NameTaken),
        Err(_) => Err(Status::Corrupt),
    }
}

fn is_good(invitation: &Invitation, now_ms: u64, days: u32) -> bool {
    let life_ms = u64::from(days).saturating_mul(DAY_MS);
    !invitation.used && is_young(invitation.made_ms, now_ms, life_ms)
}

/// Whether `life_ms` have not passed; what was made in the future is of before the clock
/// went back.
fn is_young(made_ms: u64, now_ms: u64, life_ms: u64) -> bool {
    let is_past = made_ms <= now_ms.saturating_add(BACK_MS_MAX);
    is_past && now_ms.saturating_sub(made_ms) < life_ms
}

/// Frame 12: stores the record as pending, then answers the login against it.
///
/// # Errors
/// What the error frame says.
pub(crate) async fn store(
    server: &Arc<Server>,
    uploaded: Uploaded,
    invited: Invited,
    now_ms: u64,
) -> Result<(AwaitFinish, Pending, Vec<u8>), ErrorBody> {
    let tag = NameTag(uploaded.name.tag(&server.names.k_name));
    let (no, user) = pend(server, &uploaded, tag).await?;
    let pending = Pending {
        no,
        user,
        tag,
        invitation: invited.0,
    };
    let permit = server.evaluations.acquire().await;
    let answered = uploaded.answer(&server.opaque, now_ms, &mut SystemRng);
    drop(permit);
    match answered {
        Ok((state, frame)) => Ok((state, pending, frame)),
        Err(error) => {
            abandon(server, pending).await;
            Err(error.status().into())
        }
    }
}

/// Draws a `user_id` that is unused.
async fn pend(
    server: &Arc<Server>,
    uploaded: &Uploaded,
    tag: NameTag,
) -> Result<(AccountNo, UserId), Status> {
    for _ in 0..DRAWS_MAX {
        let mut user = UserId([0; 32]);
        SystemRng.fill_bytes(&mut user.0);
        let pend = Pend {
            user,
            tag,
            name: uploaded.name.clone(),
            credentials: (uploaded.record, uploaded.seed, uploaded.profile),
        };
        let committed = server.ledger.commit(pend).await;
        let committed = committed.map_err(|error| status_of(&error))?;
        match committed.answer {
            Ok(Some(no)) => return Ok((no, user)),
            Ok(None) => {}
            Err(RowFault::Corrupt(_) | RowFault::NotWanted(_)) => return Err(Status::Corrupt),
        }
    }
    Err(Status::Unavailable)
}

/// Frame 22: the client has the password that it registered.
///
/// # Errors
/// What the error frame says.
pub(crate) fn opened(
    server: &Server,
    opening: Opening,
    pending: &Pending,
) -> Result<(ServerSession, Vec<u8>), ErrorBody> {
    if opening.kind != SessionKind::Registration {
        return Err(Status::Refused.into());
    }
    let result = OpenedResult {
        user: pending.user,
        checkpoint: None,
        consistency: None,
        chain_head: None,
        limits: server.settings.limits(),
        pass: None,
        failed_logins: None,
    };
    let opened = opening.session.opened(&result);
    opened.map_err(|_| Status::Refused.into())
}

/// Forgets an account that nobody completes.
pub(crate) async fn abandon(server: &Arc<Server>, pending: Pending) {
    let forget = Forget(pending.no);
    // What this misses the sweeper finds.
    if let Err(error) = server.ledger.commit(forget).await {
        tracing::debug!(%error, "a pending account waits for the sweeper");
    }
}

/// The one request of a registration session; its answer closes it.
pub(crate) async fn complete(
    server: &Arc<Server>,
    pending: Pending,
    session: SessionId,
    incoming: &Incoming,
) -> Served {
    let asked = match &incoming.request {
        Ok((_, Request::Complete(complete))) => Ok(complete),
        Ok(_) => Err(Status::Method),
        Err(status) => Err(*status),
    };
    let complete = match asked {
        Ok(complete) => complete,
        Err(status) => {
            abandon(server, pending).await;
            return closing(Answer::of(status));
        }
    };
    let hash = request_hash(&pending.user, incoming.method, incoming.body());
    let activate = Activate {
        pending,
        session,
        complete: complete.clone(),
        hash,
        invitation_days: server.settings.registrations.invitation_days,
    };
    closing(match server.ledger.commit(activate).await {
        Ok(committed) => Answer {
            receipt: committed.receipt().filter(|_| committed.answer.is_ok()),
            ..Answer::of(committed.answer.err().unwrap_or(Status::Done))
        },
        Err(error) => Answer::of(status_of(&error)),
    })
}

/// The session has closed itself with its answer.
fn closing(answer: Answer) -> Served {
    Served {
        answer,
        then: Then::Close,
        later: None,
    }
}

/// Stores a pending account.
struct Pend {
    user: UserId,
    tag: NameTag,
    name: AccountName,
    credentials: (
        [u8; keystead_channel::session::RECORD_BYTES],
        [u8; 32],
        keystead_channel::session::Profile,
    ),
}

impl Act for Pend {
    /// Its number; none where the id is used.
    type Answer = Result<Option<AccountNo>, RowFault>;

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.user(self.user);
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer> {
        let is_used = rows.account_by_user(self.user).map(|it| it.is_some());
        let answer = is_used.map(|is_used| {
            if is_used {
                return None;
            }
            let Self {
                user,
                tag,
                name,
                credentials,
            } = self;
            let no = rows.new_account_no();
            rows.put_account(Account::pending(no, user, tag, name, credentials, now.ms));
            Some(no)
        });
        Decided {
            entries: Vec::new(),
            answer,
        }
    }
}

/// Forgets a pending account.
struct Forget(AccountNo);

impl Act for Forget {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.account(self.0);
    }

    fn decide(self, _: Now, rows: &mut Rows<'_>) -> Decided<()> {
        let state = rows.account(self.0).map(|it| it.map(|it| it.state));
        if state == Ok(Some(AccountState::Pending)) {
            rows.delete_account(self.0);
        }
        Decided {
            entries: Vec::new(),
            answer: (),
        }
    }
}

/// Makes a pending account active.
struct Activate {
    pending: Pending,
    session: SessionId,
    complete: Complete,
    hash: [u8; 32],
    invitation_days: u32,
}

impl Act for Activate {
    type Answer = Result<(), Status>;

    fn wanted(&self, wanted: &mut Wanted) {
        let Pending {
            no,
            tag,
            invitation,
            ..
        } = &self.pending;
        wanted.account(*no).tag(*tag).guess(*tag);
        wanted.chain(AccountNo::SYSTEM);
        if let Some(hash) = invitation {
            wanted.invitation(*hash);
        }
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer> {
        let activated = match self.refusal(now, rows) {
            Ok(None) => self.activate(rows).map_err(|_| Status::Corrupt),
            Ok(Some(status)) => Err(status),
            Err(_) => Err(Status::Corrupt),
        };
        let Pending { no, user, tag, .. } = self.pending;
        if activated.is_err() {
            rows.delete_account(no);
        }
        let entry = NewEntry {
            log: match activated {
                Ok(()) => Log::Of(no, user),
                Err(_) => Log::System,
            },
            action: Action::Registered,
            outcome: activated.err().unwrap_or(Status::Done),
            actor: actor(&self.session),
            key: NO_KEY,
            request_hash: self.hash,
            detail: Detail {
                tag: activated.is_err().then_some(tag.0),
                ..Detail::NONE
            },
        };
        Decided {
            entries: vec![entry],
            answer: activated,
        }
    }
}

impl Activate {
    fn refusal(&self, now: Now, rows: &Rows<'_>) -> Result<Option<Status>, RowFault> {
        let account = rows.account(self.pending.no)?;
        let is_pending = account.is_some_and(|it| {
            it.state == AccountState::Pending && is_young(it.made_ms, now.ms, PENDING_MS_MAX)
        });
        if !is_pending || self.complete.user != self.pending.user {
            return Ok(Some(Status::Refused));
        }
        if let Some(hash) = self.pending.invitation {
            let invitation = rows.invitation(hash)?;
            if !invitation.is_some_and(|it| is_good(it, now.ms, self.invitation_days)) {
                return Ok(Some(Status::Refused));
            }
        }
        let taken = rows.account_by_tag(self.pending.tag)?;
        Ok(taken.map(|_| Status::NameTaken))
    }

    fn activate(&self, rows: &mut Rows<'_>) -> Result<(), RowFault> {
        let Pending {
            no,
            tag,
            invitation,
            ..
        } = &self.pending;
        let invitation = match invitation {
            Some(hash) => rows.invitation(*hash)?.cloned(),
            None => None,
        };
        // Guesses at a name without an account were at no password.
        rows.guess(*tag)?;
        if let Some(account) = rows.account_mut(*no)? {
            account.state = AccountState::Active;
            account.storage_key = Some(self.complete.storage_key);
            account.recovery = Some(self.complete.recovery_hash);
        }
        rows.new_chain(*no);
        rows.delete_guess(*tag);
        if let Some(mut invitation) = invitation {
            invitation.used = true;
            rows.put_invitation(invitation);
        }
        Ok(())
    }
}

/// 4 draws of 256 bits: the second is never needed.
const DRAWS_MAX: u32 = 4;

const DAY_MS: u64 = 86_400_000;

/// 60,000 ms: what clocks are set by without a jump.
const BACK_MS_MAX: u64 = 60_000;

#[cfg(test)]
mod tests {
    use keystead_channel::session::Profile;

    use super::*;

    #[test]
    fn an_invitation_lives_seven_days_and_once() {
        let made_ms = 1_800_000_000_000;
        let check = |used, now_ms, expected| {
            let invitation = Invitation {
                hash: [1; 32],
                made_ms,
                used,
                name: AccountName::parse("alex").unwrap(),
            };
            assert_eq!(is_good(&invitation, now_ms, 7), expected, "{used} {now_ms}");
        };
        check(false, made_ms, true);
        check(true, made_ms, false);
        check(false, made_ms + 7 * DAY_MS - 1, true);
        check(false, made_ms + 7 * DAY_MS, false);
        check(false, made_ms - BACK_MS_MAX, true);
        check(false, made_ms - BACK_MS_MAX - 1, false);
    }

    /// [`pend`] draws again then.
    #[tokio::test]
    async fn an_id_that_is_used_is_given_to_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let server = crate::server::tests::server(folder.path()).await;
        let pend = |user: u8, name: &str| Pend {
            user: UserId([user; 32]),
            tag: NameTag([user; 16]),
            name: AccountName::parse(name).unwrap(),
            credentials: ([3; 192], [4; 32], Profile::Standard),
        };
        for (user, name, is_stored) in [
            (1, "alex", true),
            (1, "kim", false),
            (1, "alex", false),
            (2, "alex", true),
        ] {
            let committed = server.ledger.commit(pend(user, name)).await.unwrap();
            assert_eq!(
                committed.answer.unwrap().is_some(),
                is_stored,
                "{user} {name}"
            );
        }
    }
}
