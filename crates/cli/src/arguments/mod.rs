//! What can be typed: the text here is the help, the completions and the man
//! pages.

mod age;
mod agent;
mod audit;
// One source for both programs: help, completions and man pages cannot differ from what
// `keystead-custody` takes.
#[path = "../../../custody/src/arguments/mod.rs"]
#[expect(unused_imports, reason = "what only the other program calls by name")]
mod custody;
mod git;
mod gpg;
mod hardware;
mod key;
mod moment;
mod policy;
mod server;
mod signify;
mod ssh;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use keystead_core::Name;

pub(crate) use age::{Age, AgeKey};
pub(crate) use agent::{Agent, DropIn, EnvShell};
pub(crate) use audit::{Audit, AuditOf, Export, Show as ShowAudit, Verify};
pub(crate) use git::{Git, GitSetup, GitTest, SignatureFormat, Signer};
pub(crate) use gpg::{Compat, Gpg, GpgCustody, GpgInit, GpgSubkey, SubkeyUse};
pub(crate) use hardware::{Add, AddTrezor, Unlock};
pub(crate) use key::{
    DeleteKey, Import, Key, ListKeys, NewKey, RenameKey, RotateKey, ServerKeyNew, ShowKey,
    SignByKey,
};
pub(crate) use moment::Moment;
pub(crate) use policy::{Policy, Rule, ShowPolicy};
pub(crate) use server::{
    Accept, AddApprover, Approver, Forget, Logout, RemoveApprover, Server, ServerReading, Sessions,
    Which,
};
pub(crate) use signify::{Sign, Signify, SignifyKey};
pub(crate) use ssh::{
    Certificate, Connect, IdentityKey, IdentityOptions, ImportIdentities, Publish, PublishTo, Ssh,
    SshSetup,
};

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
                  reached or no answer, 5 forbidden by policy, 130 ended by ^C. `run` and `ssh \
                  connect` end with the status of what they run: 126 where it cannot be run, 127 \
                  where there is none."
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
    Doctor(Doctor),
    Run(Run),
    /// Authenticators that are paired with this machine, and hardware wallets.
    #[command(subcommand)]
    Keeper(Keeper),
    /// Keys that live with a keeper.
    #[command(subcommand)]
    Key(Key),
    /// Accounts at key servers.
    #[command(subcommand)]
    Server(Server),
    /// Authenticators whose approval a key server may want.
    #[command(subcommand)]
    Approver(Approver),
    /// Secrets that a key server keeps, sealed on this machine.
    #[command(subcommand)]
    Secret(custody::Secret),
    /// Make ssh ask the agent, and hosts know its keys.
    #[command(subcommand)]
    Ssh(Ssh),
    /// Make git sign commits and tags with a key that lives elsewhere.
    #[command(subcommand)]
    Git(Git),
    /// Use gpg with keys that live elsewhere.
    #[command(subcommand)]
    Gpg(Gpg),
    /// Keys that open files of age.
    #[command(subcommand)]
    Age(Age),
    /// Keys that sign files as minisign and signify do.
    #[command(subcommand)]
    Signify(Signify),
    /// Rules: what they forbid, no keeper is asked for. They never allow.
    ///
    /// Those of this machine, or with --server those that a key server keeps for a key.
    #[command(subcommand)]
    Policy(Policy),
    /// The agent that ssh and git speak to.
    ///
    /// By the name `ssh-agent` (a link to this program) it stands in for OpenSSH's: the same
    /// options, the same output, nothing paired, and a local authenticator for added keys.
    #[command(subcommand)]
    Agent(Agent),
    /// Proof of what was asked and answered: this machine's log, and those of key servers.
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
    /// Add a hardware wallet. An authenticator is paired: `keystead pair`.
    #[command(subcommand)]
    Add(Add),
    Unlock(Unlock),
    /// Have a hardware wallet, and the agent, forget PIN and passphrase.
    Lock {
        /// Its name; may be left out when there is one.
        name: Option<Name>,
    },
    /// Give one another name here.
    Rename {
        /// Its name now.
        name: Name,
        /// Its name from now on.
        to: Name,
    },
    /// End a pairing, or forget a hardware wallet: its keys can no longer be used from here.
    Unpair {
        /// Its name.
        name: Name,
    },
}

/// Check that everything works, and say what to do where it does not.
#[derive(Args)]
pub(crate) struct Doctor {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Look at ssh's configuration for this host [default: for hosts in general, and those that
    /// ~/.ssh/config names].
    #[arg(value_name = "HOST", value_parser = host)]
    pub(crate) host: Option<String>,
}

fn host(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("a host has a name"),
        // ssh would take it for an option.
        _ if text.starts_with('-') => Err("a host does not begin with a hyphen"),
        _ => Ok(text.to_owned()),
    }
}

/// Run a command that asks this agent, whatever SSH_AUTH_SOCK says here.
///
/// The agent is started if it does not run. The exit status is the command's.
#[derive(Args)]
pub(crate) struct Run {
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Entries that `log` shows unless told otherwise. Why: a screenful.
const ENTRIES_SHOWN: usize = 20;
