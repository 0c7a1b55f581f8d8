//! `server …` and `approver …`

use clap::{Args, Subcommand};
use keystead_core::Name;

use super::custody::approver::Recover;
use super::custody::{DeleteAccount, Login, Password, RecoveryCode, Register, Unlock};

#[derive(Subcommand)]
pub(crate) enum Server {
    Register(Register),
    Login(Login),
    /// Show the servers that this machine knows, their sessions, and what is kept.
    Status(ServerReading),
    Logout(Logout),
    Sessions(Sessions),
    Password(Password),
    RecoveryCode(RecoveryCode),
    Unlock(Unlock),
    Accept(Accept),
    Forget(Forget),
    DeleteAccount(DeleteAccount),
}

/// What every command that reads from a server takes.
#[derive(Args)]
pub(crate) struct ServerReading {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which server.
#[derive(Args)]
pub(crate) struct Which {
    /// The server's name on this machine; needed when there are several.
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
}

/// End the session that the agent has.
#[derive(Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    pub(crate) which: Which,
    /// End all sessions of the account, on every machine.
    #[arg(long)]
    pub(crate) everywhere: bool,
}

/// List the open sessions of the account, or close one.
#[derive(Args)]
pub(crate) struct Sessions {
    #[command(flatten)]
    pub(crate) reading: ServerReading,
    /// Close this one, as it is listed.
    #[arg(long, value_name = "ID", conflicts_with = "json")]
    pub(crate) close: Option<String>,
}

/// Go on with a server whose log is not the one that was seen before, as after a restoration.
///
/// Both heads of the log stay in this machine's files.
#[derive(Args)]
pub(crate) struct Accept {
    /// The server's name on this machine.
    pub(crate) name: String,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Forget a server on this machine. The account there stays as it is.
#[derive(Args)]
pub(crate) struct Forget {
    /// The server's name on this machine.
    pub(crate) name: String,
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Subcommand)]
pub(crate) enum Approver {
    Add(AddApprover),
    /// List them.
    List(ServerReading),
    Remove(RemoveApprover),
    Recover(Recover),
    /// Call off a recovery that somebody began with the recovery code; an approver must say so.
    Cancel(Which),
}

/// Let a paired authenticator approve: it makes a key for this server, and its holder is asked.
///
/// A key's policy says whose approval it wants: `keystead policy set --server`.
#[derive(Args)]
pub(crate) struct AddApprover {
    /// The authenticator; needed when there are several.
    #[arg(value_name = "AUTHENTICATOR")]
    pub(crate) keeper: Option<Name>,
    /// What to call the approver at the server [default: the authenticator's name].
    #[arg(long)]
    pub(crate) name: Option<Name>,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Read the password from this descriptor instead of the terminal: one line.
    #[arg(long, value_name = "N")]
    pub(crate) password_fd: Option<u32>,
}

/// Let one approve no longer.
#[derive(Args)]
pub(crate) struct RemoveApprover {
    /// Its name or id, as it is listed.
    pub(crate) approver: String,
    #[command(flatten)]
    pub(crate) which: Which,
    /// Read the password from this descriptor instead of the terminal: one line.
    #[arg(long, value_name = "N")]
    pub(crate) password_fd: Option<u32>,
}
