//! Frame 30: a session goes on here, whatever process it was on before.
//!
//! **Invariant**: the row and its entry are durable before frame 31 leaves, and the row
//! is judged again under the lock: of two that resume at once, the rules of section 7
//! decide in the order of their transactions. A proof that is none changes nothing and
//! costs the same whether or not there is a row.

use std::sync::Arc;

use keystead_channel::session::{
    BindingKind, ErrorBody, Limits, Place, Resume, ServerSession, SessionId, SessionRow, Status,
    Turn, Turned, UserId, Verdict,
};
use keystead_daemon::SystemRng;

use super::{opened, status_of};
use crate::approval::Approvals;
use crate::ledger::{Act, Action, Decided, Detail, Log, NO_KEY, NO_REQUEST, NewEntry, actor};
use crate::rows::{AccountNo, RowFault, Rows, Session};
use crate::server::Server;
use crate::session::{Begun, Caller};
use crate::store::{Loaded, Now, Wanted};

/// Goes on with a session; what is sent for it.
///
/// # Errors
/// What the error frame says.
pub(crate) async fn resume(
    server: &Arc<Server>,
    begun: Begun,
    resume: Resume,
) -> Result<(ServerSession, Caller, Vec<u8>), ErrorBody> {
    let id = resume.claim.session;
    let known = resume.claim.known;
    let limits = server.settings.limits();
    let mut wanted = Wanted::new();
    wanted.session(id);
    let loaded = server.store.read(wanted).await;
    let loaded = loaded.map_err(|error| status_of(&error))?;
    let (whose, verdict) = judge(server, loaded, &resume, &begun.place)?;
    let (account, user) = whose.ok_or(Status::LoginRequired)?;
    let resumption = match verdict {
        Verdict::Resume(resumption) => resumption,
        Verdict::Theft => {
            let theft = Theft {
                id,
                account,
                user,
                resume,
                place: begun.place,
                limits,
            };
            let committed = server.ledger.commit(theft).await;
            committed.map_err(|error| status_of(&error))?;
            server.live.close(&[id], Status::LoginRequired);
            return Err(Status::LoginRequired.into());
        }
        Verdict::Refuse(status) => return Err(status.into()),
    };
    let (turn, unopened) = resumption
        .draw(&mut SystemRng)
        .map_err(|error| error.status())?;
    let binding = turn.binding().kind();
    let resumed = Resumed {
        id,
        account,
        user,
        turn,
        limits,
    };
    let committed = server.ledger.commit(resumed).await;
    let committed = committed.map_err(|error| status_of(&error))?;
    let login_ms = match committed.answer {
        Ok(login_ms) => login_ms,
        Err(status) => {
            if status == Status::LoginRequired {
                server.live.close(&[id], status);
            }
            return Err(status.into());
        }
    };
    let caller = Caller {
        account,
        user,
        session: id,
        mark: unopened.mark(),
        login_ms,
        is_resumed: true,
        binding,
        approvals: Arc::new(Approvals::new()),
        changing: Arc::default(),
    };
    let result = opened::result(server, &caller, known, &committed).await?;
    let (session, frame) = unopened.opened(&result).map_err(|_| Status::Refused)?;
    Ok((session, caller, frame))
}

/// Judges before it is worth a transaction, with or without a row.
fn judge(
    server: &Server,
    loaded: Loaded,
    resume: &Resume,
    place: &Place,
) -> Result<(Option<(AccountNo, UserId)>, Verdict), Status> {
    let limits = server.settings.limits();
    let rows = Rows::new(loaded, &server.sealing);
    let now_ms = rows.now.ms;
    match rows.session(resume.claim.session) {
        Ok(Some(session)) => {
            let verdict = session.row.judge(resume, place, now_ms, &limits);
            Ok((Some((session.account, session.user)), verdict))
        }
        Ok(None) => Ok((None, SessionRow::judge_none(resume, place, now_ms, &limits))),
        Err(_) => Err(Status::Corrupt),
    }
}

/// The transaction of a session that goes on.
struct Resumed {
    id: SessionId,
    account: AccountNo,
    user: UserId,
    turn: Turn,
    limits: Limits,
}

impl Act for Resumed {
    /// When it logged in.
    type Answer = Result<u64, Status>;

    fn wanted(&self, wanted: &mut Wanted) {
        // A chain that was put back in an older form is not built on.
        wanted.session(self.id).checked_chain(self.account);
        wanted.chain(AccountNo::SYSTEM);
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<Self::Answer> {
        let Self {
            id,
            account,
            user,
            turn,
            limits,
        } = self;
        let binding = turn.binding().kind();
        let turned = on(rows, id, account, |session| {
            let turned = turn.apply(&mut session.row, now.ms, &limits);
            if turned == Turned::On {
                session.binding = binding;
            }
            (turned, session.row.login_ms)
        });
        let about = About { id, account, user };
        match turned {
            Ok(Some((Turned::On, login_ms))) => Decided {
                entries: vec![about.entry(Action::Resumed, Status::Done, Some(binding))],
                answer: Ok(login_ms),
            },
            Ok(Some((Turned::Theft, _))) => Decided {
                entries: vec![about.theft(rows)],
                answer: Err(Status::LoginRequired),
            },
            // An invalid proof changes nothing, and is not logged: strangers would write.
            Ok(Some((Turned::Refuse(status), _))) => refused(status),
            Ok(None) => refused(Status::LoginRequired),
            Err(_) => refused(Status::Corrupt),
        }
    }
}

/// The transaction of a proof that should not exist any more.
struct Theft {
    id: SessionId,
    account: AccountNo,
    user: UserId,
    resume: Resume,
    place: Place,
    limits: Limits,
}

impl Act for Theft {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.session(self.id).chain(self.account);
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<()> {
        let about = About {
            id: self.id,
            account: self.account,
            user: self.user,
        };
        let is_theft = on(rows, self.id, self.account, |session| {
            let verdict = session
                .row
                .judge(&self.resume, &self.place, now.ms, &self.limits);
            matches!(verdict, Verdict::Theft)
        });
        let entries = match is_theft {
            Ok(Some(true)) => vec![about.theft(rows)],
            // Another transaction was first.
            Ok(Some(false) | None) | Err(_) => Vec::new(),
        };
        Decided {
            entries,
            answer: (),
        }
    }
}

/// The session whose entry is written.
struct About {
    id: SessionId,
    account: AccountNo,
    user: UserId,
}

impl About {
    /// Ends the session.
    fn theft(&self, rows: &mut Rows<'_>) -> NewEntry {
        rows.delete_session(self.id);
        let mut entry = self.entry(Action::TicketReused, Status::LoginRequired, None);
        entry.detail.session = Some(self.id);
        entry
    }

    fn entry(&self, action: Action, outcome: Status, binding: Option<BindingKind>) -> NewEntry {
        NewEntry {
            log: Log::Of(self.account, self.user),
            action,
            outcome,
            actor: actor(&self.id),
            key: NO_KEY,
            request_hash: NO_REQUEST,
            detail: Detail {
                binding,
                ..Detail::NONE
            },
        }
    }
}

/// The session, if it is still of its account as that is now.
fn on<T>(
    rows: &mut Rows<'_>,
    id: SessionId,
    account: AccountNo,
    work: impl FnOnce(&mut Session) -> T,
) -> Result<Option<T>, RowFault> {
    let epoch = rows.chain(account)?.map(|it| it.epoch);
    let session = rows.session_mut(id)?;
    let session = session.filter(|it| it.account == account && Some(it.epoch) == epoch);
    Ok(session.map(work))
}

fn refused<T>(status: Status) -> Decided<Result<T, Status>> {
    Decided {
        entries: Vec::new(),
        answer: Err(status),
    }
}
