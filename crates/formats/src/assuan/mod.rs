//! The line protocol between `gpg` and its agent (the Assuan manual, "Server responses" and
//! "Client requests").
//!
//! **Invariant:** a line is read whole, within its limit, or refused; what is written never
//! holds a line end that was not meant, whatever the text in it.

pub mod error;
pub mod line;

pub use error::ErrorCode;
pub use line::{ClientLine, LineBuffer, LineTooLong, ServerLine};
