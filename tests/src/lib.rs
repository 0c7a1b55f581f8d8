//! Acceptance scripts: `tests/scripts/*.script`, played with the real `ssh`,
//! `sshd` and `git` and the programs in `KEYSTEAD_BIN_DIR`.
//!
//! Invariants: a play touches nothing outside its throw-away folder; it ends
//! every process it started, by its id; it waits for events, never for time.

mod deadline;
mod failure;
mod leftover;
mod place;
mod play;
mod postgres;
mod program;
mod script;
mod sshd;
mod terminal;
mod words;

pub use failure::{About, Failure, Result};
pub use place::{Place, find, wait_until};
pub use play::{Play, play};
pub use postgres::Postgres;
pub use program::{Ended, Program, Run};
pub use sshd::Sshd;
pub use terminal::Terminal;
