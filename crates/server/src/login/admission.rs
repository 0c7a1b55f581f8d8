//! Whether a request of a session is served: asked in the request's own transaction.
//!
//! **Invariant**: what ended a session, wherever it did, is seen by the first transaction
//! after it: log-out by the row, password change, lock and "everywhere" by the account's
//! epoch, a resumption elsewhere by the row's mark, time by the database's clock.

use keystead_channel::session::requests::Method;
use keystead_channel::session::{Limits, Status};

use crate::ledger::Log;
use crate::rows::{RowFault, Rows};
use crate::session::Caller;
use crate::store::{Now, Wanted};

/// The rows that [`admit`] looks at.
pub fn wants(wanted: &mut Wanted, caller: &Caller) {
    wanted.session(caller.session).chain(caller.account);
}

/// Lets a request in, counts it, and notes that its session's generation was used. What asks
/// for the log's head alone is not counted: a client needs it to go on at all, also where a
/// login serves one request.
///
/// # Errors
/// [`Status::LoginRequired`] when the session is over; [`Status::Corrupt`].
pub fn admit(
    rows: &mut Rows<'_>,
    now: Now,
    caller: &Caller,
    method: Method,
    confirms: bool,
    limits: &Limits,
) -> Result<(), Status> {
    let corrupt = |_: RowFault| Status::Corrupt;
    let chain = rows.chain(caller.account).map_err(corrupt)?;
    let epoch = chain.map(|it| it.epoch);
    let session = rows.session(caller.session).map_err(corrupt)?;
    let is_its_own = session.is_some_and(|it| {
        it.account == caller.account && Some(it.epoch) == epoch && caller.mark.is_of(&it.row)
    });
    if !is_its_own {
        return Err(Status::LoginRequired);
    }
    let session = rows.session_mut(caller.session).map_err(corrupt)?;
    let session = session.ok_or(Status::LoginRequired)?;
    if method == Method::Head {
        session.row.admit_uncounted(now.ms, limits)?;
    } else {
        session.row.admit(now.ms, limits)?;
    }
    if confirms {
        session.row.confirm();
    }
    Ok(())
}

/// Where a request's entry stands: in its account's log, and once that is gone in the
/// system's. The chains of both must have been wanted.
#[must_use]
pub fn log_of(rows: &Rows<'_>, caller: &Caller) -> Log {
    match rows.chain(caller.account) {
        Ok(Some(_)) => Log::Of(caller.account, caller.user),
        Ok(None) | Err(_) => Log::System,
    }
}
