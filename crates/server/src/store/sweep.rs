//! What has expired: by which times rows go, and what deletes them.
//!
//! **Invariant**: 0 is no time: a time that was not set deletes nothing.

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
