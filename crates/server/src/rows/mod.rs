//! What the tables hold: one type a table, and its way into a row and out of it.
//!
//! **Invariant**: a type is made of a row only when the row's seal has opened under all of
//! its open columns; what was changed in the database is a [`RowFault::Corrupt`].

mod account;
mod guess;
mod head;
mod load;
mod log;
mod overlay;
mod plain;
mod record;
mod secret;
mod session;
mod slots;
mod system;
mod table;

pub use account::{Account, AccountState, Approver, Chain, DeletedAgain, Gone};
pub use guess::{Guess, Invitation, Pass};
pub use head::Head;
pub(crate) use head::{HEAD_ID, HeadRow};
pub use log::{LogBlock, LogIndex, LogTile};
pub use overlay::Rows;
pub use plain::{PlainReader, PlainWriter};
pub use record::{AccountNo, NameTag, Record};
pub use secret::{HeldSecret, SERVER_HELD};
pub use session::Session;
pub use system::System;
pub use table::{Cell, CellKind, Column, Key, Row, RowFault, Shape, Table};
