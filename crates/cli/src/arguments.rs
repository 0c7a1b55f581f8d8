//! What can be typed: the text here is the help, the completions and the man
//! pages.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use keystead_core::{Algorithm, Name};

/// Use keys that live elsewhere: on a phone, a spare machine, a key server.
///
/// Private keys never come to this machine. ssh and git ask the keystead
/// agent, the agent asks whoever holds the key, and that person says yes or no.
#[derive(Parser)]
#[command(
    name = "keystead",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 done, 1 error, 2 usage, 3 refused by the holder, 4 keeper not \
                  reached or no answer, 5 forbidden by policy, 130 ended by ^C."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Pair(Pair),
    /// Show the agent, its keepers and their keys.
    Status(Reading),
    Log(Log),
    /// Check that everything works, and say what to do where it does not.
    Doctor(Reading),
    /// Authenticators that are paired with this machine.
    #[command(subcommand)]
    Keeper(Keeper),
    /// Keys that live with a keeper.
    #[command(subcommand)]
    Key(Key),
    /// Make ssh ask the agent.
    #[command(subcommand)]
    Ssh(Ssh),
    /// The agent that ssh and git speak to.
    #[command(subcommand)]
    Agent(Agent),
    /// Proof of what was asked and answered.
    #[command(subcommand)]
    Audit(Audit),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write the man pages.
    #[command(hide = true)]
    Man {
        /// The folder to write them to.
        folder: PathBuf,
    },
}

/// Pair this machine with an authenticator, by a QR code or a link.
#[derive(Args)]
pub(crate) struct Pair {
    /// The relay to meet at; remembered for next time. Without one, only this machine's own
    /// addresses are offered.
    #[arg(long, value_name = "URL")]
    pub(crate) relay: Option<String>,
    /// What the authenticator will call this machine [default: its host name].
    #[arg(long)]
    pub(crate) name: Option<Name>,
    /// Print the link alone on the first line of standard output instead of a QR code.
    #[arg(long)]
    pub(crate) link: bool,
    /// Skip the question whether both ends show the same code. For scripts: who could alter the
    /// QR code or the link on its way is then not noticed.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Certificates (PEM) that may vouch for the relay; remembered in the agent's config.toml.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// What every command that reads takes.
#[derive(Args)]
pub(crate) struct Reading {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show what was asked and how it was decided.
#[derive(Args)]
pub(crate) struct Log {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// How many entries, the newest last; 0 for all.
    #[arg(long, short = 'n', value_name = "N", default_value_t = ENTRIES_SHOWN)]
    pub(crate) last: usize,
}

#[derive(Subcommand)]
pub(crate) enum Keeper {
    /// List them.
    List(Reading),
    /// Give one another name here.
    Rename {
        /// Its name now.
        name: Name,
        /// Its name from now on.
        to: Name,
    },
    /// End a pairing: its keys can no longer be used from here.
    Unpair {
        /// Its name.
        name: Name,
    },
}

#[derive(Subcommand)]
pub(crate) enum Key {
    /// Have a keeper make a key; its holder is asked.
    New {
        /// What to call it.
        #[arg(long)]
        name: Name,
        /// Which kind: ed25519 or p256.
        #[arg(long = "type", value_name = "TYPE", default_value = "ed25519")]
        algorithm: Algorithm,
        /// Which keeper; needed when there are several.
        #[arg(long)]
        keeper: Option<Name>,
    },
    /// List them.
    List(Reading),
    /// Print one as a line for authorized_keys.
    Show {
        /// Its name or fingerprint.
        key: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum Ssh {
    /// Put an IdentityAgent line into ssh's configuration, and print what is written.
    Setup(SshSetup),
}

#[derive(Args)]
pub(crate) struct SshSetup {
    /// Print the lines, write nothing.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) print: bool,
    /// Take the lines away again: the file is then as it was, byte for byte.
    #[arg(long)]
    pub(crate) undo: bool,
    /// The file [default: ~/.ssh/config].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The agent's socket, if it was started with one.
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Agent {
    /// Serve in the foreground; prints `ready SSH_AUTH_SOCK=PATH`.
    Run {
        /// Where ssh finds it.
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
        /// Leave the terminal and its session first.
        #[arg(long, hide = true)]
        detach: bool,
    },
    /// Start it in the background, if it does not run.
    Start,
    /// Stop it.
    Stop,
    /// Print the line that makes a shell use it: `eval "$(keystead agent print-env)"`.
    PrintEnv {
        /// For which shell [default: by $SHELL].
        #[arg(long)]
        shell: Option<EnvShell>,
    },
    /// Have systemd start it when it is first needed, and print what is written.
    Install {
        /// Print the units, write nothing.
        #[arg(long)]
        print: bool,
    },
    /// Take the systemd units away.
    Uninstall,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum EnvShell {
    /// Bourne shells: sh, bash, zsh.
    Sh,
    /// csh and tcsh.
    Csh,
    /// fish.
    Fish,
}

#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Check the agent's log and the receipts that keepers signed.
    Verify(Reading),
}

/// Entries that `log` shows unless told otherwise. Why: a screenful.
const ENTRIES_SHOWN: usize = 20;
