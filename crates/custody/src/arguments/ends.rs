//! Where passwords and secrets come from, and where secrets go.
//!
//! **Invariant:** no secret is an argument: what is typed here names files and descriptors.

use std::path::PathBuf;

use clap::Args;

/// Descriptors that answer instead of the person at the terminal: one line each. Two that name
/// one descriptor are read in the order that stands here.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct Answers {
    /// Read the password from this descriptor instead of the terminal: one line.
    #[arg(long, value_name = "N")]
    pub(crate) password_fd: Option<u32>,
    /// Read a passphrase (of the local store, or of a key file) from this descriptor: one line.
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

/// Where a secret comes from: a file, a descriptor, else the terminal, where it is not shown.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct Input {
    /// Read it from this file, whole.
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    /// Read it from this descriptor, to its end.
    #[arg(long, value_name = "N")]
    pub(crate) from_fd: Option<u32>,
}

/// Where a secret goes; without a word standard output, if that is no terminal.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct Output {
    /// Into a new file, which only you may read.
    #[arg(long, value_name = "FILE")]
    pub(crate) to_file: Option<PathBuf>,
    /// To this descriptor.
    #[arg(long, value_name = "N")]
    pub(crate) to_fd: Option<u32>,
    /// To the clipboard, which is cleared after so many seconds (or by ^C) if it still holds it.
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        default_missing_value = CLIPBOARD_S,
        value_parser = clap::value_parser!(u16).range(1..=CLIPBOARD_S_MAX)
    )]
    pub(crate) to_clipboard: Option<u16>,
    /// To the terminal, in plain sight.
    #[arg(long)]
    pub(crate) to_terminal: bool,
}

/// 45 seconds: time to paste, and no more.
const CLIPBOARD_S: &str = "45";

/// 10 minutes: the command stays for as long.
const CLIPBOARD_S_MAX: i64 = 600;
