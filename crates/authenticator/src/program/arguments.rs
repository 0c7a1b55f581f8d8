//! What can be typed: the text here is the help, the completions and the man pages.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use keystead_core::Purpose;
use keystead_transport::Address;

use crate::holder::Decide;

/// Holds your keys on this machine and asks you before it signs with them.
#[derive(Debug, Parser)]
#[command(
    name = "keystead-authenticator",
    version,
    disable_help_subcommand = true
)]
#[command(after_help = "Start: init, then pair with a workstation, then run.\n\
    KEYSTEAD_HOME=DIR puts all files under DIR. NO_COLOR is honoured.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Read the passphrase from this file descriptor, one line (0 is standard input).
    #[arg(long, global = true, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make this machine an authenticator: with a first key `main`, or with a wallet.
    Init {
        /// What workstations call it.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        words: WordsOptions,
    },
    /// A wallet: one seed, written down as words, and a key of its own for every identity.
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// Make, import, list or remove keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Pair with the workstation that shows LINK (keystead pair --link); - reads it from standard input.
    Pair {
        /// The link, or - for standard input.
        link: String,
        /// Take the code as compared: for scripts that hold both ends.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        network: Network,
    },
    /// End the pairing with a workstation.
    Unpair {
        /// Its name, or the pairing's id.
        workstation: String,
    },
    /// Answer requests until ^C; says `ready ADDRESS` on standard output.
    Run {
        /// Who decides.
        #[arg(long, value_enum, default_value_t = Decider::Ask)]
        decide: Decider,
        /// Accept direct connections here as well: ADDR:PORT, where port 0 takes a free one, or
        /// unix:PATH for a workstation that is this machine. May be given several times.
        #[arg(long, value_name = "ADDRESS")]
        listen: Vec<Address<SocketAddr>>,
        #[command(flatten)]
        network: Network,
    },
    /// Wipe the keys from the memory of the running authenticator.
    Lock,
    /// Open the keys of the running authenticator.
    Unlock,
    /// Show the authenticator, its pairings and what waits.
    Status {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// The hosts whose keys are pinned.
    #[command(subcommand)]
    Host(HostCommand),
    /// What you approved or blocked in advance, at a question.
    #[command(subcommand)]
    Grant(GrantCommand),
    /// What was asked and decided.
    Log {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the shell's completions.
    Completions {
        /// For which shell.
        shell: Shell,
    },
    /// Hold keys that are added on this machine, for the agent at standard input.
    #[command(hide = true)]
    Local(crate::local::Options),
    /// Write the man pages.
    #[command(hide = true)]
    Man {
        /// Where to.
        folder: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key; prints its public line.
    New {
        /// Its name.
        #[arg(long)]
        name: String,
        /// Its type: ed25519, p256, p384, rsa3072, rsa4096, ed25519-sk or p256-sk. Those with -sk
        /// state in each signature that you agreed to it.
        #[arg(long = "type", value_name = "TYPE", default_value = "ed25519")]
        algorithm: String,
        /// What it is for: ssh, openpgp, openpgp-decrypt, age or signify; one of them. x25519
        /// decrypts (age, openpgp-decrypt), ecdh-p256 and ecdh-secp256k1 too (openpgp-decrypt).
        #[arg(long = "for", value_name = "USE", default_value = "ssh")]
        purpose: KeyPurpose,
    },
    /// Take a key that you have into custody: a file of ssh-keygen or openssl; prints its public line.
    Import {
        /// The private key's file, or - for standard input.
        file: PathBuf,
        /// Its name here; without, the file's comment.
        #[arg(long)]
        name: Option<String>,
        /// Read the file's passphrase from this file descriptor, one line.
        #[arg(long, value_name = "N")]
        file_passphrase_fd: Option<u32>,
    },
    /// Forget a key; asks first, for there is no way back.
    Remove {
        /// Its name.
        name: String,
        /// NAME is a key server: forget the key that approves for it.
        #[arg(long)]
        approval: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// List the keys, and those that approve for key servers.
    List {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WalletCommand {
    /// Add a wallet to this authenticator.
    Add {
        #[command(flatten)]
        words: WordsOptions,
    },
    /// Show the wallets by their fingerprints, and the identities that they were used for.
    Show {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Forget a wallet; asks first. Its words bring it back.
    Remove {
        /// Its fingerprint, as it is shown.
        fingerprint: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Write the record of the identities used, to be kept beside the words; they open it anywhere.
    Export {
        /// Where to, or - for standard output.
        file: PathBuf,
        /// Of which wallet, where there are several.
        #[arg(long, value_name = "FINGERPRINT")]
        wallet: Option<String>,
    },
    /// Take such a record in, on the machine where the wallet was restored.
    Import {
        /// The file, or - for standard input.
        file: PathBuf,
    },
    /// Find identities without a record: derive the keys of these hosts, user ids and names, and
    /// print those that stand in a file of public keys (without --keys, all of them).
    Find {
        /// HOST or USER@HOST, as it was typed then; "Name <mail>" for GnuPG; age://NAME,
        /// signify://NAME. May be left away where the file says it: what trezor-agent or gpg
        /// exported, an identity file of age.
        #[arg(required_unless_present = "keys", value_name = "NAME")]
        names: Vec<String>,
        /// Try this account too; may be given several times.
        #[arg(long = "user", value_name = "NAME")]
        users: Vec<String>,
        /// The keys to look for: an authorized_keys or .pub file, what `gpg --export` wrote, age
        /// recipients, or minisign's .pub. What is found goes into the record.
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
        /// Try the indexes from 0 to this one.
        #[arg(long, value_name = "N", default_value_t = 0)]
        index: u32,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Where a wallet comes from.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WordsOptions {
    /// Make a wallet of so many new words (12, 15, 18, 21 or 24), and show them once.
    #[arg(long, value_name = "N", conflicts_with = "words_fd")]
    pub(crate) words: Option<usize>,
    /// Take the wallet of words that you have: one line of this file descriptor (0 at a terminal
    /// asks for them).
    #[arg(long, value_name = "N")]
    pub(crate) words_fd: Option<u32>,
    /// Read the words' passphrase from this file descriptor, one line (0 at a terminal asks). It
    /// is not the passphrase of this store: each one makes another wallet of the same words.
    #[arg(long, value_name = "N")]
    pub(crate) words_passphrase_fd: Option<u32>,
}

/// What a new key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyPurpose {
    /// Logins, and signatures in a namespace.
    Ssh,
    /// OpenPGP signatures.
    Openpgp,
    /// What is encrypted to an OpenPGP key.
    OpenpgpDecrypt,
    /// age files.
    Age,
    /// minisign signatures.
    Signify,
}

impl KeyPurpose {
    /// None for SSH, which is what a key is for that says nothing.
    pub(crate) const fn purpose(self) -> Option<Purpose> {
        match self {
            Self::Ssh => None,
            Self::Openpgp => Some(Purpose::OpenPgp),
            Self::OpenpgpDecrypt => Some(Purpose::OpenPgpDecrypt),
            Self::Age => Some(Purpose::AgeUnwrap),
            Self::Signify => Some(Purpose::Signify),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// List the pinned host keys.
    List {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Pin a host's new key in place of its old one.
    Accept {
        /// The host's name, as it was shown.
        name: String,
        /// The new key's fingerprint, as it was shown.
        fingerprint: String,
    },
    /// Forget a host's key: the next login there is shown as new.
    Forget {
        /// The host's name, as it is listed.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// List grants and blocks, with how often they were used.
    List {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// End a grant or a block.
    Revoke {
        /// Its number, as it is listed.
        #[arg(required_unless_present = "all")]
        id: Option<u64>,
        /// End all of them.
        #[arg(long, conflicts_with = "id")]
        all: bool,
        /// Print what ended as one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// How the network is reached.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Network {
    /// Trust these certificate authorities (PEM) for https:// relays, in place of the system's.
    #[arg(long = "ca", visible_alias = "ca-file", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Decider {
    /// You, at this terminal.
    Ask,
    /// Everything that can be shown is approved.
    Approve,
    /// Everything is refused.
    Refuse,
}

impl From<Decider> for Decide {
    fn from(decider: Decider) -> Self {
        match decider {
            Decider::Ask => Self::Ask,
            Decider::Approve => Self::Approve,
            Decider::Refuse => Self::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_scripts_rely_on_parses() {
        for line in [
            "init --name phone --passphrase-fd 3",
            "key new --name b --type p256 --passphrase-fd 0",
            "key new --name c --type ed25519-sk",
            "key new --name d --type x25519 --for age",
            "init --name phone --words 24",
            "init --name phone --words-fd 0 --words-passphrase-fd 0 --passphrase-fd 0",
            "wallet add --words 12",
            "wallet add --words-fd 3 --words-passphrase-fd 4",
            "wallet show --json",
            "wallet remove 0a1b2c3d --yes",
            "wallet export - --wallet 0a1b2c3d",
            "wallet import file",
            "wallet find db1 root@db2 --user git --keys authorized_keys --index 3",
            "wallet find --keys exported.asc",
            "wallet find age://backup",
            "key import id_ed25519 --name d --file-passphrase-fd 3",
            "key import -",
            "key remove b --yes",
            "key list",
            "pair - --yes --passphrase-fd 3",
            "unpair laptop",
            "run --decide approve --listen 127.0.0.1:0 --passphrase-fd 3",
            "run",
            "lock",
            "unlock",
            "log --json",
            "status --json",
            "host accept db1 SHA256:x",
            "host forget db1",
            "grant list --json",
            "grant revoke 3",
            "grant revoke --all --json",
            "completions bash",
            "man folder",
            "local --providers /usr/lib/*",
        ] {
            let words = std::iter::once("keystead-authenticator").chain(line.split(' '));
            assert!(Arguments::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
