//! `gpg …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use keystead_core::{Curve, Name};

#[derive(Subcommand)]
pub(crate) enum Gpg {
    Init(GpgInit),
    Subkey(GpgSubkey),
    Custody(GpgCustody),
}

/// Make an OpenPGP key that a keeper holds, and let gpg use it.
///
/// A wallet derives its parts, and the holder is asked once for all of them, three times with
/// --signing-subkey. Another authenticator makes and stores them, and its holder is asked for each
/// as well. A key server holds those that sign: it decrypts nothing.
///
/// gpg starts the agent that its gpg.conf names. `gpgconf --launch gpg-agent`, gpgsm and systemd's
/// unit start GnuPG's own by a built-in path, and it says "No secret key": where a login file needs
/// an agent, it may call the program of gpg.conf with --daemon --steal-socket. For all people of a
/// machine: `dpkg-divert --rename --add /usr/bin/gpg-agent`, and a link to keystead in its place.
#[derive(Args)]
pub(crate) struct GpgInit {
    /// "Name <mail>".
    #[arg(required_unless_present = "undo")]
    pub(crate) user_id: Option<String>,
    #[command(flatten)]
    pub(crate) derived: GpgDerived,
    /// Let the key end after so many days; gpg can change it later.
    #[arg(long, value_name = "DAYS")]
    pub(crate) expire: Option<u32>,
    /// Have a separate subkey sign, so that the primary only certifies by habit.
    #[arg(long, conflicts_with = "compat")]
    pub(crate) signing_subkey: bool,
    /// Which keeper holds the subkey that decrypts, where it is not the one of the others.
    #[arg(long, value_name = "NAME", conflicts_with = "compat")]
    pub(crate) encryption_keeper: Option<Name>,
    /// Without a subkey for logins; keys that are stored have one by `gpg subkey` alone.
    #[arg(long)]
    pub(crate) no_authentication: bool,
    /// Build byte for byte what another program builds of the same seed.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) compat: Option<Compat>,
    /// Give gpg.conf back as it was; keys stay where they are.
    #[arg(long, conflicts_with_all = ["user_id", "compat", "signing_subkey", "expire", "encryption_keeper"])]
    pub(crate) undo: bool,
}

/// Add a subkey that a keeper holds to a key that gpg has.
#[derive(Args)]
pub(crate) struct GpgSubkey {
    /// The key's fingerprint, or another name by which gpg knows it alone.
    pub(crate) key: String,
    /// What it is for.
    #[arg(long = "for", value_name = "USE")]
    pub(crate) usage: SubkeyUse,
    #[command(flatten)]
    pub(crate) derived: GpgDerived,
    /// Let it end after so many days.
    #[arg(long, value_name = "DAYS")]
    pub(crate) expire: Option<u32>,
}

/// Choose the keeper to which goes what gpg makes or imports; without a word, print it.
///
/// A private key then reaches that keeper and no other place: an authenticator's holder is asked for
/// each, a key server takes those that sign. Keys on Ed25519, Curve25519 and P-256 are taken.
#[derive(Args)]
pub(crate) struct GpgCustody {
    /// The keeper; `off`: the ordinary gpg-agent, as without this program.
    pub(crate) keeper: Option<String>,
    /// gpg's home folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) homedir: Option<PathBuf>,
}

/// Which keys a keeper derives or stores, and where gpg has its own.
#[derive(Args)]
pub(crate) struct GpgDerived {
    /// nist256p1, ed25519 or secp256k1 [default: of a wallet the setting, else nist256p1; of
    /// stored keys, and of a subkey that signs or authenticates, ed25519].
    #[arg(long)]
    pub(crate) curve: Option<Curve>,
    /// Which key of this user id; of a wallet alone.
    #[arg(long, value_name = "N")]
    pub(crate) index: Option<u32>,
    /// Derive the key from this text in the place of the user id, which may not be ASCII; of a
    /// wallet alone.
    #[arg(long, value_name = "TEXT")]
    pub(crate) identity: Option<String>,
    /// Which keeper: an authenticator, a hardware wallet or a key server; needed when there are
    /// several. Of several wallets at one keeper, the wallet's fingerprint.
    #[arg(long)]
    pub(crate) keeper: Option<Name>,
    /// The second of 1970 and later at which the key was made: another one is another key
    /// [default: now].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) time: Option<u32>,
    /// gpg's home folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) homedir: Option<PathBuf>,
}

/// Programs whose keys can be built.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compat {
    /// trezor-gpg.
    Trezor,
}

/// What a subkey is for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SubkeyUse {
    Sign,
    Encrypt,
    Authenticate,
}
