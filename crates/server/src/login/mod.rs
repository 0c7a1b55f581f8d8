//! From a stranger's first frame to an open session: registration, login, resumption
//! (`spec/session.md` sections 5 and 7).
//!
//! **Invariant**: a guess is durable before what it tells leaves; a name with an account
//! and one without cost the same and get the same; a session exists only as its row, and
//! every request's transaction asks that row ([`admit`]).
//!
//! | module | subject |
//! |---|---|
//! | [`guess`] | how many tries a name has, and when |
//! | [`start`] | frame 20: the try is counted, then KE2 is made |
//! | [`lift`] | what lifts a lock |
//! | [`success`], [`failure`] | frame 22 |
//! | [`registration`] | frames 10, 12, 22 and `complete` |
//! | [`resumption`] | frame 30 |
//! | [`admission`] | whether a session's request is served |
//! | [`sweep`] | what is over is forgotten |

mod admission;
pub(crate) mod failure;
pub mod guess;
mod lift;
mod opened;
mod pass;
pub(crate) mod registration;
pub(crate) mod resumption;
pub(crate) mod start;
pub(crate) mod success;
mod sweep;
mod trouble;

pub use admission::{admit, log_of, wants};
pub use registration::invitation_hash;
pub use sweep::sweep;
pub use trouble::{status_of, status_of_reading};
