//! Frame 22 with a good KE3: the session exists when its row and *login* are durable.
//!
//! **Invariant**: one transaction clears the counter, writes the entry and the row; it
//! holds only if the account is the one whose password was tried, and open.

use std::sync::Arc;

use keystead_channel::session::requests::Open;
use keystead_channel::session::{
    BindingKind, Draft, ErrorBody, Limits, Opening, ServerSession, SessionId, SessionKind, Status,
};
use keystead_core::Secret;
use keystead_daemon::SystemRng;
use rand_core::RngCore;

use super::start::entry;
use super::{opened, pass, status_of};
use crate::approval::Approvals;
use crate::ledger::{Act, Action, Decided, NewEntry, actor};
use crate::rows::{AccountNo, AccountState, NameTag, Pass, RowFault, Rows, Session};
use crate::server::Server;
use crate::session::{Attempt, Caller, Whose};
use crate::settings::Guesses;
use crate::store::{Now, Wanted};

/// Opens a session; what is sent for it.
///
/// # Errors
/// What the error frame says.
pub(crate) async fn finish(
    server: &Arc<Server>,
    attempt: Attempt,
    opening: Opening,
) -> Result<(ServerSession, Caller, Vec<u8>), ErrorBody> {
    let whose = attempt.whose.ok_or(Status::Refused)?;
    let Opening {
        open,
        kind,
        draft,
        session,
    } = opening;
    if kind != SessionKind::Request {
        return Err(Status::Refused.into());
    }
    let rules = &server.settings.guesses;
    let wants_pass = open.pass_wanted && rules.passes_max > 0;
    let pass = wants_pass.then(|| Secret::<32>::fill(|bytes| SystemRng.fill_bytes(bytes)));
    let id = draft.id();
    let known = open.known;
    let committed = server
        .ledger
        .commit(LogIn {
            whose,
            tag: attempt.tag,
            pass: attempt.pass,
            binding: attempt.binding,
            draft,
            open,
            new_pass: pass.as_ref().map(pass::hash),
            limits: server.settings.limits(),
            rules: *rules,
        })
        .await
        .map_err(|error| status_of(&error))?;
    let logged_in = committed.answer.clone()?;
    server.live.close(&logged_in.closed, Status::LoginRequired);
    let caller = Caller {
        account: whose.no,
        user: whose.user,
        session: id,
        mark: session.mark(),
        login_ms: logged_in.login_ms,
        is_resumed: false,
        binding: attempt.binding,
        approvals: Arc::new(Approvals::new()),
        changing: Arc::default(),
    };
    let mut result = opened::result(server, &caller, known, &committed).await?;
    result.pass = pass;
    result.failed_logins = Some(logged_in.failed);
    let (session, frame) = session.opened(&result).map_err(|_| Status::Refused)?;
    Ok((session, caller, frame))
}

/// The transaction.
struct LogIn {
    whose: Whose,
    tag: NameTag,
    /// That the try was counted with.
    pass: Option<[u8; 32]>,
    binding: BindingKind,
    draft: Draft,
    open: Open,
    /// That is given out.
    new_pass: Option<[u8; 32]>,
    limits: Limits,
    rules: Guesses,
}

/// What it gave.
#[derive(Clone)]
struct LoggedIn {
    login_ms: u64,
    /// Tries since the last login that came to nothing.
    failed: u32,
    /// Sessions that made room.
    closed: Vec<SessionId>,
}

impl Act for LogIn {
    type Answer = Result<LoggedIn, Status>;

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.account(self.whose.no).sessions_of(self.whose.no);
        // A chain that was put back would be built on, and would hide what it forgot.
        wanted.checked_chain(self.whose.no);
        wanted.guess(self.tag).chain(AccountNo::SYSTEM);
        if let Some(hash) = self.pass {
            wanted.pass(hash);
        }
        if self.new_pass.is_some() {
            wanted.passes_of(self.whose.no);
        }
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer> {
        let (tag, binding) = (self.tag, self.binding);
        let whose = self.whose;
        let id = self.draft.id();
        let refused = match self.refusal(rows) {
            Ok(None) => self.log_in(now, rows).map_err(|_| Status::Corrupt),
            Ok(Some(status)) => Err(status),
            Err(_) => Err(Status::Corrupt),
        };
        match refused {
            Ok((mut entries, answer)) => {
                let mut login = entry(Some(whose), tag, Action::Login, Status::Done, binding);
                login.actor = actor(&id);
                // The last one, so that it is the head of the account's chain.
                entries.push(login);
                Decided {
                    entries,
                    answer: Ok(answer),
                }
            }
            Err(status) => {
                let whose = Some(whose).filter(|it| matches!(rows.chain(it.no), Ok(Some(_))));
                Decided {
                    entries: vec![entry(whose, tag, Action::LoginFailed, status, binding)],
                    answer: Err(status),
                }
            }
        }
    }
}

impl LogIn {
    /// Why the password opens nothing, good as it was.
    fn refusal(&self, rows: &Rows<'_>) -> Result<Option<Status>, RowFault> {
        let epoch = rows.chain(self.whose.no)?.map(|it| it.epoch);
        let Some(account) = rows.account(self.whose.no)? else {
            return Ok(Some(Status::Refused));
        };
        Ok(match account.state {
            AccountState::Active if epoch == Some(self.whose.epoch) => None,
            // Said only to who knows the password.
            AccountState::Locked => Some(Status::Locked),
            // Its password was changed meanwhile.
            AccountState::Active | AccountState::Pending => Some(Status::Refused),
        })
    }

    fn log_in(self, now: Now, rows: &mut Rows<'_>) -> Result<(Vec<NewEntry>, LoggedIn), RowFault> {
        // Read all that can fail before anything is changed.
        let sessions = self.sessions(now, rows)?;
        let passes = self.passes(now, rows)?;
        let failed = self.clear_guesses(now, rows)?;
        let (entries, closed) = self.make_room(sessions, rows);
        if let Some(hash) = self.new_pass {
            self.keep_pass(hash, passes, now, rows);
        }
        rows.put_session(Session {
            row: self.draft.row(now.ms),
            account: self.whose.no,
            user: self.whose.user,
            epoch: self.whose.epoch,
            device: self.open.device.0,
            binding: self.binding,
        });
        let logged_in = LoggedIn {
            login_ms: now.ms,
            failed,
            closed,
        };
        Ok((entries, logged_in))
    }

    /// The account's other sessions: when each was last used, and whether it is over.
    fn sessions(&self, now: Now, rows: &Rows<'_>) -> Result<Vec<(u64, SessionId, bool)>, RowFault> {
        let sessions = rows.sessions_of(self.whose.no)?.into_iter();
        let listed = sessions.map(|it| {
            let is_over = it.epoch != self.whose.epoch || it.row.is_over(now.ms, &self.limits);
            (it.row.last_ms, it.row.id, is_over)
        });
        Ok(listed.collect())
    }

    /// Those that are over are forgotten, and the longest idle ones are closed.
    fn make_room(
        &self,
        sessions: Vec<(u64, SessionId, bool)>,
        rows: &mut Rows<'_>,
    ) -> (Vec<NewEntry>, Vec<SessionId>) {
        let (over, mut live): (Vec<_>, Vec<_>) = sessions.into_iter().partition(|it| it.2);
        for (_, id, _) in over {
            rows.delete_session(id);
        }
        live.sort_unstable();
        let most = usize::try_from(self.limits.sessions_max).unwrap_or(usize::MAX);
        let surplus = (live.len() + 1).saturating_sub(most);
        let closed: Vec<_> = live.into_iter().take(surplus).map(|it| it.1).collect();
        let mut entries = Vec::new();
        for id in &closed {
            rows.delete_session(*id);
            let closed = Action::Closed;
            let whose = Some(self.whose);
            let mut entry = entry(whose, self.tag, closed, Status::Done, self.binding);
            entry.detail.binding = None;
            entry.detail.session = Some(*id);
            entries.push(entry);
        }
        (entries, closed)
    }

    /// The tries since the last login that came to nothing; then there were none.
    fn clear_guesses(&self, now: Now, rows: &mut Rows<'_>) -> Result<u32, RowFault> {
        let pass = match self.pass {
            Some(hash) => rows.pass(hash)?.cloned(),
            None => None,
        };
        let Some(mut guess) = rows.guess(self.tag)?.cloned() else {
            return Ok(0);
        };
        // This try was counted among them.
        let failed = guess.failed.saturating_sub(1);
        guess.failed = 0;
        if self.pass.is_none() {
            guess.count = 0;
            guess.last_ms = now.ms;
        }
        if let Some(mut pass) = pass {
            pass.count = 0;
            rows.put_pass(pass);
        }
        let was_lifted = guess.lifted_unix_s > 0 || rows.head().restored_ms > 0;
        if guess.count == 0 && guess.refused == 0 && !was_lifted {
            rows.delete_guess(self.tag);
        } else {
            rows.put_guess(guess);
        }
        Ok(failed)
    }

    /// The account's passes, if one more is to be kept.
    fn passes(&self, now: Now, rows: &Rows<'_>) -> Result<Vec<(bool, u64, [u8; 32])>, RowFault> {
        if self.new_pass.is_none() {
            return Ok(Vec::new());
        }
        let passes = rows.passes_of(self.whose.no)?.into_iter();
        let listed = passes.map(|it| (pass::is_good(it, now.ms, &self.rules), it.made_ms, it.hash));
        Ok(listed.collect())
    }

    /// A pass more: of those there are, void ones go first, then the oldest.
    fn keep_pass(
        &self,
        hash: [u8; 32],
        mut passes: Vec<(bool, u64, [u8; 32])>,
        now: Now,
        rows: &mut Rows<'_>,
    ) {
        passes.sort_unstable();
        let most = usize::try_from(self.rules.passes_max).unwrap_or(usize::MAX);
        let surplus = (passes.len() + 1).saturating_sub(most);
        for (_, _, old) in passes.into_iter().take(surplus) {
            rows.delete_pass(old);
        }
        rows.put_pass(Pass {
            hash,
            account: self.whose.no,
            made_ms: now.ms,
            count: 0,
            tag: self.tag,
        });
    }
}
