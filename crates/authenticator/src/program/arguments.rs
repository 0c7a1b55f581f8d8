//! What can be typed: the text here is the help, the completions and the man pages.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

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
    /// Make or list keys.
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
        /// Accept direct connections here as well; port 0 takes a free one.
        #[arg(long, value_name = "ADDR:PORT")]
        listen: Option<SocketAddr>,
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
        /// Its type: ed25519 or p256.
        #[arg(long = "type", value_name = "TYPE")]
        algorithm: String,
    },
    /// List the keys.
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
            "completions bash",
            "man folder",
        ] {
            let words = std::iter::once("keystead-authenticator").chain(line.split(' '));
            assert!(Arguments::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
