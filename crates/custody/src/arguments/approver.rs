//! `approver …`: what a server takes right after a login alone. `keystead approver` finds out the
//! key and the id.

use clap::{Args, Subcommand};

use super::At;

#[derive(Subcommand)]
pub(crate) enum Approver {
    Add(Add),
    Remove(Remove),
    Recover(Recover),
}

/// Let a key approve.
#[derive(Args)]
pub(crate) struct Add {
    /// Its Ed25519 public key: 64 hex digits.
    #[arg(long, value_name = "HEX")]
    pub(crate) public_key: String,
    /// What to call it at the server.
    #[arg(long, value_name = "NAME")]
    pub(crate) label: String,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Let a key approve no longer.
#[derive(Args)]
pub(crate) struct Remove {
    /// Its id: 32 hex digits.
    #[arg(long, value_name = "HEX")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Begin a recovery: approvers are lost, and the recovery code says so.
///
/// From 72 hours later on the server wants no approvals for 7 days. Any approver may call it off
/// until then (`keystead approver cancel`), and the log tells of it at once.
#[derive(Args)]
pub(crate) struct Recover {
    #[command(flatten)]
    pub(crate) at: At,
    /// Read the recovery code from this descriptor, behind the password: one line.
    #[arg(long, value_name = "N")]
    pub(crate) recovery_code_fd: Option<u32>,
}
