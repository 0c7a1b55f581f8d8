//! `agent …`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

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
    /// Have systemd start it when it is first needed, and lay the link by which age finds its
    /// plugin (`~/.local/bin/age-plugin-keystead`); prints what is written.
    Install {
        /// Print the units and the link, write nothing.
        #[arg(long)]
        print: bool,
    },
    /// Take the systemd units and the link away.
    Uninstall,
    #[command(hide = true)]
    DropIn(DropIn),
    /// The agent that `gpg-agent --daemon` starts.
    #[command(hide = true)]
    Gpg {
        /// It ends when this process does.
        #[arg(long)]
        parent: Option<i32>,
        /// As gpg-agent takes them.
        #[arg(last = true)]
        words: Vec<OsString>,
    },
    /// What becomes the ordinary gpg-agent.
    #[command(hide = true)]
    BehindGpg {
        /// It ends when this process does.
        #[arg(long)]
        parent: i32,
        sockets: Vec<PathBuf>,
        #[arg(last = true)]
        program: Vec<OsString>,
    },
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

/// The agent that `ssh-agent` starts: it serves the socket that is its standard input.
#[derive(Args)]
pub(crate) struct DropIn {
    #[arg(long)]
    pub(crate) socket: PathBuf,
    #[arg(long)]
    pub(crate) own_folder: Option<PathBuf>,
    #[arg(long)]
    pub(crate) lifetime_s: Option<u32>,
    #[arg(long)]
    pub(crate) md5: bool,
    #[arg(long)]
    pub(crate) providers: Option<String>,
    #[arg(long)]
    pub(crate) allow_remote_pkcs11: bool,
    #[arg(long)]
    pub(crate) no_restrict_websafe: bool,
    /// It ends when this process does.
    #[arg(long)]
    pub(crate) parent: Option<i32>,
}
