//! Key servers as keepers (`spec/session.md`): connections, sessions, what is known of
//! their logs.
//!
//! **Invariant**: a session is one that both ends have proved; an answer is given out
//! when its receipt has been checked against what was seen of the server's log before,
//! and a server that is not the pinned one, or whose log went back, is asked nothing.
//! What is decided (`channel::session`, [`seen`], [`plan`]) is pure; [`Remote`],
//! [`Session`] and [`Lasting`] carry it over tokio, and are all of this crate that does.
//!
//! | type | is |
//! |---|---|
//! | [`Endpoint`] | where a server is, whom to believe that it is it, what is pinned |
//! | [`Remote`] | one connection: registers, logs in, resumes; many sessions share it |
//! | [`Session`] | one open session: asks, at most 32 at once |
//! | [`Lasting`] | a session that goes on by itself when its connection broke |
//! | [`Book`], [`Page`] | what is kept of servers on this machine's disk: no secret but a device pass |
//! | [`Watch`] | what was seen of one account's log at one server |

mod book;
pub mod control;
mod endpoint;
mod error;
mod lasting;
mod line;
mod name;
mod page;
pub mod plan;
mod remote;
pub mod seen;
mod session;
mod watch;

pub use book::{Book, BookError};
pub use endpoint::{Binds, Endpoint};
pub use error::{ServerError, said as refusal};
pub use lasting::{Lasting, Waiting};
pub use name::{ServerName, ServerNameError};
pub use page::{Authority, Page};
pub use remote::{LoggedIn, Login, NotResumed, Register, Registered, Registering, Remote};
pub use session::{Asked, Session};
pub use watch::Watch;

/// The protocol's own types, for who asks, and the log's, for who reads it.
pub use keystead_channel::{log, session as protocol};

pub use keystead_transport::{Authorities, CertificateFault, SecureError, Trust, TrustError};
