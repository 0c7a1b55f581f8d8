//! `key …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keystead_core::{KeyType, Name};

use super::Reading;

#[derive(Subcommand)]
pub(crate) enum Key {
    New(NewKey),
    Import(Import),
    /// List them.
    List(Reading),
    Show(ShowKey),
}

/// Have a keeper make a key; its holder is asked.
#[derive(Args)]
pub(crate) struct NewKey {
    /// What to call it.
    #[arg(long)]
    pub(crate) name: Name,
    /// Which kind: ed25519, p256, p384, rsa3072, rsa4096; ed25519-sk and p256-sk, whose
    /// signatures state that the holder said yes to each one.
    #[arg(long = "type", value_name = "TYPE", default_value = "ed25519")]
    pub(crate) key_type: KeyType,
    /// Which keeper; needed when there are several.
    #[arg(long)]
    pub(crate) keeper: Option<Name>,
}

/// Give a private key into the custody of a keeper; its holder is asked.
///
/// The file is an OpenSSH or PKCS#8 private key. It is read here as bytes alone, and stays where
/// it is: remove it once the keeper has the key.
#[derive(Args)]
pub(crate) struct Import {
    /// The file; `-` is standard input.
    pub(crate) file: PathBuf,
    /// What to call it there [default: the key's comment, as the keeper finds it].
    #[arg(long)]
    pub(crate) name: Option<Name>,
    /// Which keeper; needed when there are several.
    #[arg(long)]
    pub(crate) keeper: Option<Name>,
    /// Read the file's passphrase from this descriptor instead of the terminal: one line.
    #[arg(long, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    /// The keeper forgets the key after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) lifetime_s: Option<u32>,
    /// The holder is asked before each use: no grant applies.
    #[arg(long)]
    pub(crate) confirm: bool,
}

/// Print one as a line for authorized_keys.
#[derive(Args)]
pub(crate) struct ShowKey {
    /// Its name or fingerprint.
    pub(crate) key: String,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}
