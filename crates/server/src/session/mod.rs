//! What is held of a session, or of what becomes one, between two frames of its client: the
//! seam between a conversation and those who do its work.
//!
//! **Invariant**: values alone: nothing here knows the server, so that all that serve a session
//! may know these.
//!
//! | module | subject |
//! |---|---|
//! | [`caller`] | who asks inside a session, what is asked, what comes of it |
//! | [`changing`] | a change of password that has begun |
//! | [`live`] | sessions that are open on a connection of this process |
//! | [`set_up`] | a registration or login that waits for its next frame, and whose session it opens |
//! | [`shelf`] | where those wait |

pub(crate) mod caller;
pub(crate) mod changing;
pub(crate) mod live;
pub(crate) mod set_up;
pub(crate) mod shelf;

pub use caller::{Asked, Caller, Served, Then};
pub use changing::Changing;
pub use live::{Listening, Live};
pub use set_up::HalfOpen;
pub(crate) use set_up::{Attempt, Begun, Invited, Next, Pending, Waiting, Who, Whose};
