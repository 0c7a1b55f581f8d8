//! Methods 18 and 19: who is logged in, and the end of it.
//!
//! **Invariant**: a session that was ended has no row, or one of an epoch that is past:
//! no process serves it again.

use std::sync::Arc;

use keystead_channel::session::requests::{Answer, SessionEntry, SessionList};
use keystead_channel::session::{List, SessionId, Status, Text};

use super::act::{Asking, Did};
use super::closing;
use crate::ledger::Detail;
use crate::login::status_of;
use crate::rows::{AccountNo, RowFault, Rows};
use crate::server::Server;
use crate::session::Served;

/// All sessions that are not over.
pub(super) async fn list(server: &Arc<Server>, asking: Asking) -> Served {
    let no = asking.caller.account;
    let limits = asking.limits;
    let list = asking.act(
        move |wanted| {
            wanted.sessions_of(no);
        },
        move |now, rows, _| {
            let epoch = rows.chain(no).map_err(corrupt)?.map(|it| it.epoch);
            let sessions = rows.sessions_of(no).map_err(corrupt)?.into_iter();
            let live = sessions
                .filter(|it| Some(it.epoch) == epoch && !it.row.is_over(now.ms, &limits))
                .map(|it| SessionEntry {
                    session: it.row.id,
                    device: Text(it.device.clone()),
                    login_unix_ms: it.row.login_ms,
                    last_unix_ms: it.row.last_ms,
                });
            let live: Vec<_> = live.collect();
            let count = u64::try_from(live.len()).ok();
            Ok(Did {
                value: live,
                detail: Detail {
                    count,
                    ..Detail::NONE
                },
            })
        },
    );
    match server.ledger.commit(list).await {
        Ok(committed) => match committed.answer {
            Ok(live) => {
                let sessions = List(live);
                Served::answer(Answer::done(SessionList { sessions }.encode()))
            }
            Err(status) => Served::status(status),
        },
        Err(error) => Served::status(status_of(&error)),
    }
}

/// Ends one of the user's sessions, this one too.
pub(super) async fn close(server: &Arc<Server>, asking: Asking, session: SessionId) -> Served {
    let is_own = asking.caller.session == session;
    let close = asking.act(
        move |wanted| {
            wanted.session(session);
        },
        move |_, rows, caller| {
            let found = rows.session(session).map_err(corrupt)?;
            if found.is_none_or(|it| it.account != caller.account) {
                return Err(Status::NotFound);
            }
            rows.delete_session(session);
            Ok(Did {
                value: (),
                detail: Detail {
                    session: Some(session),
                    ..Detail::NONE
                },
            })
        },
    );
    let ended = match server.ledger.commit(close).await {
        Ok(committed) => committed.answer,
        Err(error) => Err(status_of(&error)),
    };
    match ended {
        Ok(()) if is_own => closing(Answer::of(Status::Done)),
        Ok(()) => {
            server.live.close(&[session], Status::LoginRequired);
            Served::status(Status::Done)
        }
        Err(status) => Served::status(status),
    }
}

/// Ends this session, or all of the user's.
pub(super) async fn log_out(server: &Arc<Server>, asking: Asking, everywhere: bool) -> Served {
    let (no, own) = (asking.caller.account, asking.caller.session);
    let log_out = asking.act(
        move |wanted| {
            if everywhere {
                wanted.sessions_of(no);
            }
        },
        move |_, rows, _| {
            if everywhere {
                end_all(rows, no, None).map_err(corrupt)?;
            } else {
                rows.delete_session(own);
            }
            Ok(Did::plain(()))
        },
    );
    let ended = match server.ledger.commit(log_out).await {
        Ok(committed) => committed.answer,
        Err(error) => Err(status_of(&error)),
    };
    match ended {
        Ok(()) => {
            if everywhere {
                let status = Status::LoginRequired;
                server.live.close_account(no, Some(own), status);
            }
            closing(Answer::of(Status::Done))
        }
        Err(status) => Served::status(status),
    }
}

/// Ends every session of an account by its epoch, but for `except`, which goes over to
/// the new one. The account's sessions must have been wanted. A row that does not open
/// keeps none alive: it is of an epoch that is past.
///
/// # Errors
/// [`RowFault`]; nothing is changed then.
pub fn end_all(
    rows: &mut Rows<'_>,
    no: AccountNo,
    except: Option<SessionId>,
) -> Result<(), RowFault> {
    let sessions = match rows.sessions_of(no) {
        Ok(sessions) => sessions.into_iter().map(|it| it.row.id).collect(),
        Err(RowFault::Corrupt(_)) => Vec::new(),
        Err(fault @ RowFault::NotWanted(_)) => return Err(fault),
    };
    if let Some(own) = except {
        rows.session(own)?;
    }
    let mut epoch = 0;
    if let Some(chain) = rows.chain_mut(no)? {
        chain.epoch = chain.epoch.saturating_add(1);
        epoch = chain.epoch;
    }
    for id in sessions {
        if Some(id) != except {
            rows.delete_session(id);
        }
    }
    if let Some(own) = except
        && let Some(session) = rows.session_mut(own)?
    {
        session.epoch = epoch;
    }
    Ok(())
}

fn corrupt(_: RowFault) -> Status {
    Status::Corrupt
}
