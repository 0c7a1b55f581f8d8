//! What can be typed: the text here is the help, the completions and the man pages.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::settings::{EXAMPLE, FILE_NAME};

/// A key server: password login that never shows the password, secrets, signing, audit.
#[derive(Debug, Parser)]
#[command(
    name = "keystead-server",
    version,
    disable_help_subcommand = true,
    max_term_width = 100
)]
#[command(
    after_help = "Start: init, then run, then invite NAME; the person registers with the link.\n\
    Exit status: 0 done, 1 error, 2 usage, 4 the server does not run or does not answer."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Where the server's files lie.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The server's folder: configuration, master key, certificates, database, control socket
    /// [default: server/state in KEYSTEAD_HOME, or keystead/server in XDG_STATE_HOME]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a server: configuration, master key, a private authority and its certificate
    Init(Init),
    /// Serve until SIGTERM or ^C; prints `ready https://ADDR:PORT` when it listens
    Run(Run),
    /// List, lock, unlock or delete users
    #[command(subcommand)]
    User(User),
    /// Print a link that one person registers with (keystead server register LINK)
    Invite {
        /// The account name that it is made for
        name: String,
        #[command(flatten)]
        form: Form,
    },
    /// Write a backup of the database, while the server runs; it holds no master key
    Backup {
        /// A file that is not there yet
        file: PathBuf,
    },
    /// Put a backup in place, while the server is stopped
    Restore(Restore),
    /// Draw a new master key and seal everything anew, while the server runs; every other server
    /// of the database then needs the new file
    RotateMasterKey,
    /// Export the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Sign a new certificate with the private authority; a running server takes it at once
    RenewCertificate {
        /// Host names and addresses instead of those in config.toml
        #[arg(long, value_name = "NAME")]
        host: Vec<String>,
    },
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual pages into a folder
    #[command(hide = true)]
    Man {
        /// The folder
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// A host name or address that clients connect to; may be given again [default: this
    /// machine's name and localhost]
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_long_help = format!("Settings in {FILE_NAME}:\n\n{EXAMPLE}"))]
pub(crate) struct Run {
    /// Where to listen; port 0 takes a free one [default: as configured, 127.0.0.1:7443]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where to tell health, readiness and metrics, in clear [default: as configured, nowhere]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) database: Database,
}

/// Which database.
#[derive(Debug, Args)]
pub(crate) struct Database {
    /// sqlite:FILE or postgres://USER@HOST/NAME; a password belongs in config.toml, where other
    /// users do not see it. Over a network TLS is spoken: `?sslrootcert=FILE` names who vouches
    /// for the database, `?sslmode=disable` does without [default: as configured,
    /// sqlite:keystead.db]
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
}

/// How it is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Form {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// List all accounts
    List {
        #[command(flatten)]
        form: Form,
    },
    /// End an account's sessions and refuse its logins until it is unlocked
    Lock {
        /// The account name
        name: String,
    },
    /// Lift a lock, also that of too many wrong passwords
    Unlock {
        /// The account name
        name: String,
    },
    /// Delete an account with everything in it
    Delete {
        /// The account name
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) database: Database,
    /// The file `tombstones` in the folder of another server of the same PostgreSQL database: what
    /// was deleted there since the backup is deleted again; may be given again
    #[arg(long, value_name = "FILE")]
    pub(crate) deleted: Vec<PathBuf>,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Print the log with its proofs, in the format of spec/audit.md
    Export {
        /// Only the entries of this account
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Into this file instead of standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}
