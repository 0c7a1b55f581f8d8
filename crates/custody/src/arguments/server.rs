//! `register`, `login`, `unlock`, `password`, `recovery-code`, `delete-account`, `key …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Answers, At, Input, What};

/// Open an account at a key server.
///
/// The password never leaves this machine. A forgotten one loses what was sealed under it: the
/// recovery code, which is shown once, lifts a lock and opens nothing.
#[derive(Args)]
pub(crate) struct Register {
    /// An invitation link, or the server's address.
    #[arg(value_name = "LINK|URL")]
    pub(crate) address: String,
    /// The name of the account; an invitation may bring it.
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,
    /// What to call the server here [default: its host].
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Certificates (PEM) that may vouch for the server; remembered.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The invitation, if the address does not bring it.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) invite: Option<String>,
    #[command(flatten)]
    pub(crate) stretch: Stretch,
    #[command(flatten)]
    pub(crate) answers: Answers,
    /// Ask nothing: the recovery code goes to standard output, unchecked.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What one guess of the password costs who has stolen the server's database and master key.
#[derive(Args)]
pub(crate) struct Stretch {
    /// Memory that stretching the password takes at each login, in MiB: 64, 256 or 2048.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = memory_mib)]
    pub(crate) memory_mib: u16,
}

/// Log in; the agent keeps the session, in memory alone.
///
/// On a machine that does not know the server yet, name its address and the account.
#[derive(Args)]
pub(crate) struct Login {
    /// The server's name here; or its address, where this machine does not know it yet.
    #[arg(value_name = "NAME|URL")]
    pub(crate) address: Option<String>,
    /// The name of the account there.
    #[arg(long, value_name = "NAME", requires = "address")]
    pub(crate) account: Option<String>,
    /// Certificates (PEM) that may vouch for it; remembered.
    #[arg(long, value_name = "FILE", requires = "address")]
    pub(crate) ca: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) at: At,
    /// The agent keeps the master key too, in locked memory, for as long as the session lives:
    /// your own secrets then open without the password.
    #[arg(long)]
    pub(crate) keep: bool,
    /// What the server's list of sessions calls this machine [default: its host name].
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Option<String>,
    /// Neither ask for a device pass nor use the one that is kept here.
    #[arg(long)]
    pub(crate) no_pass: bool,
}

/// Lift the lock of an account, and log in: by its recovery code, or by an approver's word.
///
/// For an account that too many wrong passwords have locked. What the operator locked the operator
/// alone can unlock.
#[derive(Args)]
pub(crate) struct Unlock {
    #[command(flatten)]
    pub(crate) login: Login,
    /// A paired authenticator that approves for the account: its holder is asked, and no code.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["recovery_code_fd", "yes", "account"])]
    pub(crate) approver: Option<String>,
    /// Read the recovery code from this descriptor, behind the password: one line.
    #[arg(long, value_name = "N")]
    pub(crate) recovery_code_fd: Option<u32>,
    /// Ask nothing: the new recovery code goes to standard output, unchecked.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Change the password.
///
/// Secrets stay as they are. All other sessions of the account end.
#[derive(Args)]
pub(crate) struct Password {
    #[command(flatten)]
    pub(crate) at: At,
    /// Read the new password from this descriptor, behind the old one: one line.
    #[arg(long, value_name = "N")]
    pub(crate) new_password_fd: Option<u32>,
    #[command(flatten)]
    pub(crate) stretch: Stretch,
}

/// Replace the recovery code; the old one is void.
#[derive(Args)]
pub(crate) struct RecoveryCode {
    #[command(flatten)]
    pub(crate) at: At,
    /// Ask nothing: the recovery code goes to standard output, unchecked.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Delete the account at a key server, with every secret and key in it, for good.
///
/// What this machine keeps of it goes, too. The server's backups lose it when they expire.
#[derive(Args)]
pub(crate) struct DeleteAccount {
    #[command(flatten)]
    pub(crate) at: At,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Subcommand)]
pub(crate) enum Key {
    Import(ImportKey),
}

/// Give a private key into the custody of a key server: from then on the server can use it.
#[derive(Args)]
pub(crate) struct ImportKey {
    /// What to call it there.
    #[arg(long)]
    pub(crate) name: String,
    /// Which server.
    #[arg(long, value_name = "SERVER")]
    pub(crate) keeper: String,
    #[command(flatten)]
    pub(crate) input: Input,
    #[command(flatten)]
    pub(crate) answers: Answers,
    /// What it may sign: ssh (logins and SSHSIG), ssh-login, sshsig, openpgp, message, digest.
    #[arg(
        long,
        value_name = "PURPOSE",
        value_delimiter = ',',
        default_value = "ssh"
    )]
    pub(crate) purpose: Vec<String>,
    /// It replaces this key there, by name or id.
    #[arg(long, value_name = "KEY")]
    pub(crate) replaces: Option<String>,
    /// Which kind, for 32 bytes without an encoding: ed25519, p256, secp256k1.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<What>,
}

fn memory_mib(text: &str) -> Result<u16, &'static str> {
    match text.parse() {
        Ok(mib @ (64 | 256 | 2048)) => Ok(mib),
        _ => Err("64, 256 or 2048"),
    }
}
