//! What can be typed: the text here is the help, the completions and the man pages.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
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
    /// Make this machine an authenticator, with a first key `main`.
    Init {
        /// What workstations call it.
        #[arg(long)]
        name: String,
    },
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
