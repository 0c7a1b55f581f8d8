//! `audit …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::ServerReading;
use super::moment::Moment;

#[derive(Subcommand)]
pub(crate) enum Audit {
    Verify(Verify),
    Show(Show),
    Export(Export),
    Head(Head),
}

/// Check this machine's log and the receipts that keepers signed; with --server the log that a
/// key server keeps of the account.
#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) reading: ServerReading,
}

/// Show what a key server has logged of the account.
#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) reading: ServerReading,
    /// How many entries, the newest last; 0 for all.
    #[arg(long, short = 'n', value_name = "N", default_value_t = ENTRIES_SHOWN)]
    pub(crate) last: usize,
    /// Of this key or secret alone: its id, the beginning of it, or a name that the server may
    /// know; may be given again.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<String>,
    /// Which entries: those of the account itself, those of keys and secrets, or all.
    #[arg(long, value_enum, default_value_t, conflicts_with = "key")]
    pub(crate) of: AuditOf,
    /// None before this moment, in UTC: 2026-11-22, or 2026-11-22T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) after: Option<Moment>,
    /// None from this moment on.
    #[arg(long, value_name = "TIME")]
    pub(crate) before: Option<Moment>,
}

/// Which entries of an account's log are shown.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditOf {
    /// Logins, sessions, lists, the operator's acts.
    Account,
    /// Uses of keys and secrets.
    Keys,
    /// Both.
    #[default]
    All,
}

/// Write the account's log with all its proofs, for an auditor: no key and no program of ours is
/// needed to check it (`spec/audit.md`).
#[derive(Args)]
pub(crate) struct Export {
    /// The file; `-` is standard output.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) which: super::Which,
}

/// Print the signed head of a key server's log, to be compared with what others were told.
#[derive(Args)]
pub(crate) struct Head {
    #[command(flatten)]
    pub(crate) reading: ServerReading,
}

/// Entries that `audit show` shows unless told otherwise. Why: a screenful.
const ENTRIES_SHOWN: usize = 20;
