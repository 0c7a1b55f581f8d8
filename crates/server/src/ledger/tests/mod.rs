//! The ledger on a real database, checked with the client's own checks.

mod exports;
mod mutations;
mod place;
mod reading;
mod writing;
