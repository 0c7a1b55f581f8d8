//! Ranges of rows: pages for people, and what has expired.
//!
//! **Invariant**: a page is in the order of keys and says no more than was asked for; a
//! sweep deletes only what no act would let in any more.

use keystead_channel::session::KeyId;

use crate::rows::{
    Account, AccountNo, Cell, Gone, HeldSecret, Invitation, Key, Record, RowFault, Table,
};
use crate::sealing::Sealing;

use super::{Scan, Store, StoreError, Wanted, Writes};

impl Store {
    /// Secrets and keys of an account behind `after`, at most `limit`, by key id.
    ///
    /// # Errors
    /// [`StoreError`]; a row that does not open is an error of its own.
    pub async fn secrets(
        &self,
        sealing: &Sealing,
        account: AccountNo,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Result<HeldSecret, RowFault>>, StoreError> {
        let scan = Scan {
            table: Table::Secret,
            prefix: Key {
                cells: vec![Cell::Int(account.0)],
            },
            after: after.map(|key| Key {
                cells: HeldSecret::key_cells(&(account, key)),
            }),
            limit,
        };
        self.page(sealing, scan).await
    }

    /// Accounts behind `after`, at most `limit`, by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn accounts(
        &self,
        sealing: &Sealing,
        after: Option<AccountNo>,
        limit: usize,
    ) -> Result<Vec<Result<Account, RowFault>>, StoreError> {
        let after = after.map(|no| Key {
            cells: Account::key_cells(&no),
        });
        self.page(sealing, all(Table::Account, after, limit)).await
    }

    /// Invitations behind `after`, at most `limit`, by hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn invitations(
        &self,
        sealing: &Sealing,
        after: Option<[u8; 32]>,
        limit: usize,
    ) -> Result<Vec<Result<Invitation, RowFault>>, StoreError> {
        let after = after.map(|hash| Key {
            cells: Invitation::key_cells(&hash),
        });
        self.page(sealing, all(Table::Invitation, after, limit))
            .await
    }

    /// Accounts that were deleted behind `after`, at most `limit`, by number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gone(
        &self,
        sealing: &Sealing,
        after: Option<AccountNo>,
        limit: usize,
    ) -> Result<Vec<Result<Gone, RowFault>>, StoreError> {
        let after = after.map(|no| Key {
            cells: vec![Cell::Int(no.0)],
        });
        self.page(sealing, all(Table::Gone, after, limit)).await
    }

    /// Deletes what has expired, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep(&self, sweep: Sweep) -> Result<(), StoreError> {
        self.transact(Wanted::new(), move |_, _, _| {
            let writes = Writes {
                sweep: Some(sweep),
                ..Writes::default()
            };
            (writes, ())
        })
        .await
    }

    async fn page<R: Record>(
        &self,
        sealing: &Sealing,
        scan: Scan,
    ) -> Result<Vec<Result<R, RowFault>>, StoreError> {
        let rows = self.scan(scan).await?;
        let opened = rows.iter().map(|row| R::from_row(row, sealing));
        Ok(opened.collect())
    }
}

/// How long rows are of use to anybody, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lives {
    /// Sessions, after their login.
    pub session_ms: u64,
    /// Sessions, after their last frame.
    pub resumable_ms: u64,
    /// Accounts that nobody completed.
    pub pending_ms: u64,
    /// Device passes.
    pub pass_ms: u64,
    /// Invitations.
    pub invitation_ms: u64,
    /// Last batches of processes.
    pub writer_ms: u64,
}

impl Lives {
    /// What is over at `now_ms` and found by an index: the ordinary sweep.
    #[must_use]
    pub fn due(&self, now_ms: u64) -> Sweep {
        let before = |life_ms: u64| now_ms.saturating_sub(life_ms);
        Sweep {
            sessions_login_ms: before(self.session_ms),
            sessions_last_ms: 0,
            pending_ms: before(self.pending_ms),
            passes_ms: before(self.pass_ms),
            invitations_ms: before(self.invitation_ms),
            writers_ms: before(self.writer_ms),
        }
    }

    /// All that is over at `now_ms`: for a clock that goes back, after which it would look
    /// young again. Rows of processes stay; they settle a COMMIT.
    #[must_use]
    pub fn over(&self, now_ms: u64) -> Sweep {
        Sweep {
            sessions_last_ms: now_ms.saturating_sub(self.resumable_ms),
            writers_ms: 0,
            ..self.due(now_ms)
        }
    }
}

/// What has expired: everything older than these times, ms since 1970; 0: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// Sessions, by their login.
    pub sessions_login_ms: u64,
    /// Sessions, by their last frame.
    pub sessions_last_ms: u64,
    /// Pending accounts.
    pub pending_ms: u64,
    /// Device passes.
    pub passes_ms: u64,
    /// Invitations.
    pub invitations_ms: u64,
    /// Last batches of processes.
    pub writers_ms: u64,
}

impl Sweep {
    /// What deletes it, `parameter` being the time before which all goes.
    pub(super) fn statements(&self, parameter: &str) -> Vec<(String, u64)> {
        let all = [
            ("session", "login_ms", "true", self.sessions_login_ms),
            ("session", "last_ms", "true", self.sessions_last_ms),
            ("account", "made_ms", "state = 0", self.pending_ms),
            ("pass", "made_ms", "true", self.passes_ms),
            ("invitation", "made_ms", "true", self.invitations_ms),
            ("writer", "at_ms", "true", self.writers_ms),
        ];
        all.into_iter()
            .filter(|(_, _, _, before)| *before > 0)
            .map(|(table, column, is, before)| {
                let statement =
                    format!("DELETE FROM {table} WHERE {is} AND {column} < {parameter}");
                (statement, before)
            })
            .collect()
    }
}

fn all(table: Table, after: Option<Key>, limit: usize) -> Scan {
    Scan {
        after,
        ..Scan::all(table, limit)
    }
}
