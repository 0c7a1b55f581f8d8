//! Reads by key that come while another is under way go out together.
//!
//! **Invariant**: each gets what it asked for and no row of another, out of one snapshot
//! that was begun after it asked. What a row holds is looked at by who asked for it, so a
//! bad one is its owner's alone.
//!
//! A read alone is four statements and a round trip for one small row. When many sessions
//! are resumed or sign at once, the server and its database would do little else.

use std::sync::Mutex;

use tokio::sync::oneshot;

use crate::rows::Table;

use super::super::shared::lock;
use super::super::{Loaded, StoreError, Wanted};
use super::Postgres;

/// Reads that wait.
#[derive(Default)]
pub(super) struct Gather(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<Asked>,
    /// Somebody reads for those that wait.
    is_read: bool,
}

struct Asked {
    wanted: Wanted,
    to: oneshot::Sender<Result<Loaded, StoreError>>,
}

impl Gather {
    /// Puts a read, and says whether somebody must be found who reads.
    fn put(&self, asked: Asked) -> bool {
        let mut state = lock(&self.0);
        state.waiting.push(asked);
        !std::mem::replace(&mut state.is_read, true)
    }

    /// The next that go together; when there are none, nobody reads any more.
    fn take(&self) -> Vec<Asked> {
        let mut state = lock(&self.0);
        let count = state.waiting.len().min(TOGETHER_MAX);
        state.is_read = count > 0;
        state.waiting.drain(..count).collect()
    }
}

impl Postgres {
    /// Reads by key, with others that do so now.
    pub(super) async fn read_together(&self, wanted: Wanted) -> Result<Loaded, StoreError> {
        let (to, answer) = oneshot::channel();
        if self.gather().put(Asked { wanted, to }) {
            // Whoever asked may go away; those that it would read for must not.
            let this = self.clone();
            tokio::spawn(async move { this.read_all().await });
        }
        let given_up = |_| Err(StoreError::Unavailable("a read was given up".to_owned()));
        answer.await.unwrap_or_else(given_up)
    }

    async fn read_all(&self) {
        loop {
            let some = self.gather().take();
            if some.is_empty() {
                return;
            }
            self.read_some(some).await;
        }
    }

    async fn read_some(&self, some: Vec<Asked>) {
        let mut all = Wanted::new();
        for asked in &some {
            all.keys.extend(asked.wanted.keys.iter().cloned());
        }
        match self.read_alone(all).await {
            Ok(loaded) => {
                for Asked { wanted, to } in some {
                    // Who went away asks for nothing.
                    let _ = to.send(Ok(part(&loaded, wanted)));
                }
            }
            Err(error) => {
                for Asked { to, .. } in some {
                    let _ = to.send(Err(error.clone()));
                }
            }
        }
    }
}

/// What one of them asked for.
fn part(all: &Loaded, wanted: Wanted) -> Loaded {
    let rows = wanted.keys.iter().filter_map(|key| {
        let row = all.rows.get(key)?;
        Some((key.clone(), row.clone()))
    });
    let rows = rows.collect();
    let also = all.also.iter().filter(|(_, key)| {
        // Of the accounts that it asked for.
        wanted.keys.contains(&(Table::Account, key.clone()))
    });
    Loaded {
        now: all.now,
        head: all.head.clone(),
        rows,
        also: also.cloned().collect(),
        next_account: all.next_account,
        wanted,
        ..Loaded::default()
    }
}

/// 64 rows of at most 64 KiB: 4 MiB.
const TOGETHER_MAX: usize = 64;
