//! Frame 20: the try is counted and logged, then the password is evaluated.
//!
//! **Invariant**: KE2 tells a client whether its password was right, so KE2 is the guess:
//! the counter and *login attempt* are durable before it is made, in one transaction that
//! compares and raises. A name without an account takes the same rows, entries, seals and
//! bytes as one with it.

use std::sync::Arc;

use keystead_channel::session::requests::recovery_hash;
use keystead_channel::session::{
    Account as Credentials, AccountName, AwaitFinish, BindingKind, ErrorBody, LoginStart, Profile,
    RECORD_BYTES, Status,
};
use keystead_daemon::SystemRng;
use keystead_sodium::memory;

use super::guess::{Gate, Moment, Tries};
use super::lift::{Lifted, Lifts};
use super::{pass, status_of};
use crate::ledger::{
    Act, Action, BEFORE_LOGIN, Decided, Detail, Log, NO_KEY, NO_REQUEST, NewEntry,
};
use crate::rows::{Account, AccountNo, Guess, NameTag, RowFault, Rows};
use crate::server::Server;
use crate::session::{Attempt, Begun, Whose};
use crate::store::{Now, Wanted};

/// Counts a try and makes frame 21.
///
/// # Errors
/// What the error frame says.
pub(crate) async fn attempt(
    server: &Arc<Server>,
    begun: Begun,
    start: &LoginStart,
) -> Result<(AwaitFinish, Attempt, Vec<u8>), ErrorBody> {
    let binding = begun.place.binding(start.binding);
    let binding = binding.map_err(|error| error.status())?.kind();
    let allowed = server.guesses.take(begun.source, begun.now_ms);
    allowed.map_err(wait)?;
    let tag = NameTag(start.name.tag(&server.names.k_name));
    let tried = Try {
        server: Arc::clone(server),
        tag,
        pass: start.pass.as_ref().map(pass::hash),
        lifts: Lifts {
            code: start.recovery_code.as_ref().map(recovery_hash),
            unlock: start.unlock.clone(),
        },
        binding,
    };
    let committed = server.ledger.commit(tried).await;
    let tried = committed.map_err(|error| status_of(&error))?.answer?;
    // Made for either, so that it costs either.
    let nobody = nobody(server, &start.name);
    let (whose, credentials) = match &tried.known {
        Some(known) => (Some(known.whose), known.credentials()),
        None => {
            server.decoy.open(&server.sealing);
            (None, nobody)
        }
    };
    let permit = server.evaluations.acquire().await;
    let place = begun.place;
    let now_ms = begun.now_ms;
    let answered = AwaitFinish::start(
        &server.opaque,
        place,
        start,
        &credentials,
        now_ms,
        &mut SystemRng,
    );
    drop(permit);
    let (state, frame) = answered.map_err(|error| error.status())?;
    let attempt = Attempt {
        whose,
        tag,
        pass: tried.pass,
        binding,
    };
    Ok((state, attempt, frame))
}

/// What a name without an account is measured against.
fn nobody(server: &Server, name: &AccountName) -> Credentials<'static> {
    let shares = server.settings.profile_shares;
    let all = shares.iter().fold(0_u32, |sum, it| sum.saturating_add(*it));
    let mut share = name.decoy_share(&server.names.k_fake, all);
    let mut profile = Profile::Standard;
    for (candidate, shares) in Profile::ALL.iter().zip(shares) {
        profile = *candidate;
        match share.checked_sub(shares) {
            Some(rest) => share = rest,
            None => break,
        }
    }
    Credentials::Unknown {
        seed: name.decoy_seed(&server.names.k_fake),
        profile,
    }
}

/// Told to wait.
pub(super) fn wait(wait_s: u32) -> ErrorBody {
    ErrorBody {
        code: Status::Wait,
        wait_s: Some(wait_s),
    }
}

/// The transaction.
struct Try {
    server: Arc<Server>,
    tag: NameTag,
    pass: Option<[u8; 32]>,
    lifts: Lifts,
    binding: BindingKind,
}

/// A try that may be evaluated.
struct Tried {
    known: Option<Box<Known>>,
    pass: Option<[u8; 32]>,
}

/// An account, as far as its password goes.
struct Known {
    whose: Whose,
    record: [u8; RECORD_BYTES],
    seed: [u8; 32],
    profile: Profile,
}

impl Act for Try {
    type Answer = Result<Tried, ErrorBody>;

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.tag(self.tag).guess(self.tag);
        wanted.chain(AccountNo::SYSTEM);
        if let Some(hash) = self.pass {
            wanted.pass(hash);
        }
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer> {
        self.judge(now, rows).unwrap_or_else(|_| Decided {
            entries: vec![self.entry(None, Action::LoginAttempt, Status::Corrupt)],
            answer: Err(Status::Corrupt.into()),
        })
    }
}

impl Try {
    fn judge(
        &self,
        now: Now,
        rows: &mut Rows<'_>,
    ) -> Result<Decided<Result<Tried, ErrorBody>>, RowFault> {
        let account = rows.account_by_tag(self.tag)?.cloned();
        let known = account.as_ref().map(|it| Known::of(it, rows)).transpose()?;
        let whose = known.as_ref().map(|it| it.whose);
        let guess = rows.guess(self.tag)?.cloned();
        let mut guess = guess.unwrap_or_else(|| untried(self.tag));
        guess.is_known = known.is_some();
        let mut pass = self.usable_pass(now, rows, whose)?;
        if let Some(pass) = &mut pass {
            pass.count = pass.count.saturating_add(1);
            rows.put_pass(pass.clone());
        } else if let Err(refused) = self.pass_gate(now, rows, &mut guess, account.as_ref())? {
            let entries = self.count_refused(now, &mut guess, whose);
            rows.put_guess(guess);
            return Ok(Decided {
                entries,
                answer: Err(refused),
            });
        }
        guess.failed = guess.failed.saturating_add(1);
        rows.put_guess(guess);
        Ok(Decided {
            entries: vec![self.entry(whose, Action::LoginAttempt, Status::Done)],
            answer: Ok(Tried {
                known: known.map(Box::new),
                pass: pass.map(|it| it.hash),
            }),
        })
    }

    /// The pass, if it is this account's and still good for something.
    fn usable_pass(
        &self,
        now: Now,
        rows: &Rows<'_>,
        whose: Option<Whose>,
    ) -> Result<Option<crate::rows::Pass>, RowFault> {
        let Some(hash) = self.pass else {
            return Ok(None);
        };
        let rules = &self.server.settings.guesses;
        let pass = rows.pass(hash)?.filter(|it| {
            let is_its_own = whose.is_some_and(|whose| whose.no == it.account);
            is_its_own && it.tag == self.tag && pass::is_good(it, now.ms, rules)
        });
        Ok(pass.cloned())
    }

    /// The name's own counter: raised, or what it says instead.
    fn pass_gate(
        &self,
        now: Now,
        rows: &mut Rows<'_>,
        guess: &mut Guess,
        account: Option<&Account>,
    ) -> Result<Result<(), ErrorBody>, RowFault> {
        let moment = Moment {
            now_ms: now.ms,
            anew_ms: now.anew_ms,
            restored_ms: rows.head().restored_ms,
        };
        let mut tries = Tries {
            count: guess.count,
            last_ms: guess.last_ms,
        };
        let gate = tries.gate(moment, &self.server.settings.guesses);
        let verdict = match gate {
            Gate::Open => Ok(()),
            Gate::Wait(wait_s) => Err(wait(wait_s)),
            Gate::Locked if self.lifts.is_empty() => Err(Status::Locked.into()),
            Gate::Locked => match self.lift(now, guess, account) {
                Some(lifted) => {
                    tries.count = 0;
                    use_up(lifted, guess, account, rows)?;
                    Ok(())
                }
                None => Err(Status::Refused.into()),
            },
        };
        if verdict.is_ok() {
            tries.count(now.ms);
        }
        guess.count = tries.count;
        guess.last_ms = tries.last_ms;
        Ok(verdict)
    }

    fn lift(&self, now: Now, guess: &Guess, account: Option<&Account>) -> Option<Lifted> {
        let server = &self.server.server_id;
        let last_s = guess.lifted_unix_s;
        self.lifts.judge(account?, server, now.ms / S_MS, last_s)
    }

    /// A login that is not looked at: one entry an hour counts them.
    fn count_refused(&self, now: Now, guess: &mut Guess, whose: Option<Whose>) -> Vec<NewEntry> {
        guess.refused = guess.refused.saturating_add(1);
        if now.ms.abs_diff(guess.waits_logged_ms) < HOUR_MS {
            return Vec::new();
        }
        let mut entry = self.entry(whose, Action::Waits, Status::Done);
        entry.detail.count = Some(u64::from(guess.refused));
        guess.refused = 0;
        guess.waits_logged_ms = now.ms;
        vec![entry]
    }

    fn entry(&self, whose: Option<Whose>, action: Action, outcome: Status) -> NewEntry {
        entry(whose, self.tag, action, outcome, self.binding)
    }
}

/// An entry about a login: in the account's log, or in the system's with the name's tag.
pub(super) fn entry(
    whose: Option<Whose>,
    tag: NameTag,
    action: Action,
    outcome: Status,
    binding: BindingKind,
) -> NewEntry {
    NewEntry {
        log: whose.map_or(Log::System, |it| Log::Of(it.no, it.user)),
        action,
        outcome,
        actor: BEFORE_LOGIN,
        key: NO_KEY,
        request_hash: NO_REQUEST,
        detail: Detail {
            binding: Some(binding),
            tag: whose.is_none().then_some(tag.0),
            ..Detail::NONE
        },
    }
}

impl Known {
    fn of(account: &Account, rows: &Rows<'_>) -> Result<Self, RowFault> {
        let epoch = rows.chain(account.no)?.map_or(0, |it| it.epoch);
        Ok(Self {
            whose: Whose {
                no: account.no,
                user: account.user,
                epoch,
            },
            record: account.record,
            seed: account.seed,
            profile: account.profile,
        })
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials::Known {
            record: &self.record,
            seed: &self.seed,
            profile: self.profile,
        }
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        // Who has these can guess at leisure.
        memory::wipe(&mut self.record);
        memory::wipe(&mut self.seed);
    }
}

/// A name that was never tried.
fn untried(tag: NameTag) -> Guess {
    Guess {
        tag,
        is_known: false,
        last_ms: 0,
        count: 0,
        failed: 0,
        refused: 0,
        waits_logged_ms: 0,
        lifted_unix_s: 0,
        version: 0,
    }
}

/// What lifted a lock lifts no other.
fn use_up(
    lifted: Lifted,
    guess: &mut Guess,
    account: Option<&Account>,
    rows: &mut Rows<'_>,
) -> Result<(), RowFault> {
    match (lifted, account) {
        (Lifted::Approver(unix_s), _) => guess.lifted_unix_s = unix_s,
        (Lifted::Code, Some(account)) => {
            if let Some(account) = rows.account_mut(account.no)? {
                account.recovery = None;
            }
        }
        (Lifted::Code, None) => {}
    }
    Ok(())
}

const S_MS: u64 = 1_000;

/// How often waits are logged.
const HOUR_MS: u64 = 3_600_000;
