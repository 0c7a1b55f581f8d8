//! What can be typed behind `keystead-custody`; `keystead` passes the same words on.

pub(crate) mod approver;
mod ends;
mod secret;
mod server;

use clap::{Args, Parser, Subcommand};

pub(crate) use approver::Approver;
pub(crate) use ends::{Answers, Input, Output};
pub(crate) use secret::{
    Delete, Export, Form, Generate, Import, List, LocalStore, Rename, Retrieve, Secret, Show,
    Store, Use, What,
};
pub(crate) use server::{
    DeleteAccount, ImportKey, Key, Login, Password, RecoveryCode, Register, Stretch, Unlock,
};

/// Passwords, secrets and key encodings that a person handles here.
///
/// Run by `keystead` for the length of one command.
#[derive(Parser)]
#[command(
    name = "keystead-custody",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 done, 1 error, 2 usage, 3 refused by the holder, 4 server not \
                  reached or no answer, 5 forbidden by policy, 130 ended by ^C."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Register(Register),
    Login(Login),
    Unlock(Unlock),
    Password(Password),
    RecoveryCode(RecoveryCode),
    DeleteAccount(DeleteAccount),
    /// Secrets: made, brought and given out here.
    #[command(subcommand)]
    Secret(Secret),
    /// Who approves what a key server does.
    #[command(subcommand)]
    Approver(Approver),
    /// Keys that a key server holds and signs with.
    #[command(subcommand)]
    Key(Key),
}

/// Which server, and how it is told who asks.
#[derive(Args)]
pub(crate) struct At {
    /// The server's name on this machine; needed when there are several.
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) answers: Answers,
}
