//! `age …`

use clap::{Args, Subcommand};
use keystead_core::Name;

#[derive(Subcommand)]
pub(crate) enum Age {
    /// Print the recipient: whoever has it can encrypt files to the key, with any age.
    Recipient(AgeKey),
    /// Print the identity: with it in a file, `age -d -i FILE` opens what was encrypted to the key.
    ///
    /// It names the key and holds nothing secret. age starts `age-plugin-keystead`, a link to this
    /// program.
    Identity(AgeKey),
}

/// Which key.
#[derive(Args)]
pub(crate) struct AgeKey {
    /// A stored key of this name; else the key that a wallet derives for age://NAME. Without it,
    /// the only key for age that there is.
    pub(crate) name: Option<String>,
    /// Whose key or wallet; of several wallets at one keeper, the wallet's fingerprint.
    #[arg(long)]
    pub(crate) keeper: Option<Name>,
    /// Which key that the wallet derives for NAME [default: 0].
    #[arg(long, value_name = "N", requires = "name")]
    pub(crate) index: Option<u32>,
}
