//! `signify …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keystead_core::Name;

#[derive(Subcommand)]
pub(crate) enum Signify {
    /// Print the public key, as a file that `minisign -V -p` and `signify -V -p` take.
    Pubkey(SignifyKey),
    Sign(Sign),
}

/// Which key.
#[derive(Args)]
pub(crate) struct SignifyKey {
    /// A stored key of this name; else the key that a wallet derives for signify://NAME. Without
    /// it, the only key for signify that there is.
    pub(crate) name: Option<String>,
    /// Whose key or wallet; of several wallets at one keeper, the wallet's fingerprint.
    #[arg(long)]
    pub(crate) keeper: Option<Name>,
    /// Which key that the wallet derives for NAME [default: 0].
    #[arg(long, value_name = "N", requires = "name")]
    pub(crate) index: Option<u32>,
}

/// Sign a file: the signature is one of minisign.
///
/// The holder is shown the trusted comment, and of a file that is sent whole its text.
#[derive(Args)]
pub(crate) struct Sign {
    /// The file; `-` is standard input, whose signature goes to standard output.
    pub(crate) file: PathBuf,
    /// A stored key of this name; else the key that a wallet derives for signify://NAME, once
    /// `signify pubkey NAME` has printed it. Without it, the only key for signify that there is.
    #[arg(long, value_name = "NAME")]
    pub(crate) key: Option<String>,
    /// Whose key or wallet; of several wallets at one keeper, the wallet's fingerprint.
    #[arg(long)]
    pub(crate) keeper: Option<Name>,
    /// Which key that the wallet derives for NAME [default: 0].
    #[arg(long, value_name = "N", requires = "key")]
    pub(crate) index: Option<u32>,
    /// Sign the file's BLAKE2b-512, as minisign does by itself. A file above 128 KiB needs it;
    /// OpenBSD's signify does not know it.
    #[arg(long)]
    pub(crate) prehash: bool,
    /// One line that is signed with the file [default: the time and the file's name].
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) trusted_comment: Option<String>,
    /// One line that is not signed.
    #[arg(long, short = 'c', value_name = "TEXT")]
    pub(crate) comment: Option<String>,
    /// Where the signature goes [default: FILE.minisig, of standard input standard output].
    #[arg(long, short = 'x', value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
}
