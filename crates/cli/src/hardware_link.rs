//! What is said to the agent of hardware wallets, and what the person is asked for them.
//!
//! **Invariant:** a PIN's places and a passphrase go from the terminal, or the descriptor that is
//! named, to the agent alone; ^C takes back what was asked, on the device too.

use keystead_agent::control::Reply as AgentReply;
use keystead_agent::hardware::control::{Answer, Command, Opened, Reply, What};
use keystead_core::SecretBytes;

use crate::agent_link::{AgentLink, of_agent, unexpected};
use crate::commands::server::agrees;
use crate::failure::{Failure, Status};
use crate::passphrase;
use crate::terminal::{can_ask, harmless, say};

/// Where answers come from; the terminal where nothing is named.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sources {
    /// The PIN's places, a line.
    pub(crate) pin_fd: Option<u32>,
    /// The passphrase, a line.
    pub(crate) passphrase_fd: Option<u32>,
    /// A wallet that is found is the one that is meant.
    pub(crate) yes: bool,
}

/// Says a command and answers what it asks, until it is over; none where there is nothing to
/// tell.
pub(crate) async fn converse(
    command: &Command,
    sources: Sources,
) -> Result<Option<Opened>, Failure> {
    let mut link = AgentLink::open().await?;
    link.send_with(command, &[]).await?;
    loop {
        match next(&mut link).await? {
            Reply::Notice { text } => say(harmless(&text)),
            Reply::Question {
                question,
                keeper,
                what,
            } => {
                let (answer, behind) = ask(keeper, what, sources).await?;
                let answer = Command::DeviceAnswer { question, answer };
                let behind: Vec<&[u8]> = behind.iter().map(SecretBytes::expose).collect();
                link.send_with(&answer, &behind).await?;
            }
            Reply::Found { question, opened } => {
                show(&opened);
                // Hanging up is a no.
                agree(opened, sources).await?;
                let answer = Answer::Agree;
                let answer = Command::DeviceAnswer { question, answer };
                link.send_with(&answer, &[]).await?;
            }
            Reply::Opened(opened) => return Ok(Some(opened)),
            Reply::Done {} => return Ok(None),
            Reply::Failed(failure) => return Err(of_agent(failure)),
            _ => return Err(unexpected()),
        }
    }
}

async fn next(link: &mut AgentLink) -> Result<Reply, Failure> {
    let line = link.next_line().await?;
    match serde_json::from_slice(&line) {
        Ok(reply) => Ok(reply),
        // What it does not understand at all it answers as any other command.
        Err(_) => match serde_json::from_slice(&line) {
            Ok(AgentReply::Failed(failure)) => Err(of_agent(failure)),
            _ => Err(unexpected()),
        },
    }
}

/// Asks whether this wallet is meant. Where nobody can be asked it is: who starts a program
/// without a terminal has said what is wanted, and `keeper unpair` takes it back.
async fn agree(opened: Opened, sources: Sources) -> Result<(), Failure> {
    if sources.yes || !can_ask() {
        return Ok(());
    }
    let question = format!("Add wallet {}?", harmless(&opened.wallet));
    let asked = tokio::task::spawn_blocking(move || agrees(&question));
    let agreed = asked.await.map_err(|_| not_asked())??;
    if agreed {
        return Ok(());
    }
    Err(Failure::new("nothing was added")
        .hint("another passphrase opens another wallet: add it again, and type that one")
        .status(Status::Refused))
}

/// What is open, so that another wallet is noticed.
pub(crate) fn show(opened: &Opened) {
    let label = match harmless(&opened.label) {
        label if label.is_empty() => String::new(),
        label => format!(" \"{label}\""),
    };
    let passphrase = if opened.has_passphrase {
        ", behind a passphrase"
    } else {
        ""
    };
    say(format_args!(
        "{}: Trezor {}{label}, firmware {}, wallet {}{passphrase}",
        harmless(&opened.keeper),
        harmless(&opened.model),
        opened.version,
        opened.wallet,
    ));
}

/// Asks the person, in a thread of its own: typing waits.
async fn ask(
    keeper: String,
    what: What,
    sources: Sources,
) -> Result<(Answer, Option<SecretBytes>), Failure> {
    let asked = tokio::task::spawn_blocking(move || match what {
        What::Pin { is_again } => {
            if is_again {
                if sources.pin_fd.is_some() {
                    return Err(Failure::new("the PIN was wrong"));
                }
                say("that PIN was wrong");
            }
            if sources.pin_fd.is_none() {
                say(format_args!("{} {MATRIX}", harmless(&keeper)));
            }
            passphrase::read_or_empty(sources.pin_fd, "PIN: ")
        }
        What::Passphrase { can_be_on_device } => {
            if sources.passphrase_fd.is_none() {
                let other = if can_be_on_device { AT_THE_WALLET } else { "" };
                say(format_args!("{PASSPHRASE}{other}"));
            }
            let question = format!("passphrase of {}: ", harmless(&keeper));
            passphrase::read_or_empty(sources.passphrase_fd, &question)
        }
    });
    let text = asked.await.map_err(|_| not_asked())??;
    Ok((Answer::Bytes(text.len()), Some(text)))
}

fn not_asked() -> Failure {
    Failure::new("the question was not asked").status(Status::Error)
}

/// Behind the device's name. Lines of 60 columns, whatever it is called.
const MATRIX: &str = "shows the digits 1 to 9, mixed.\n\
                      For each digit of your PIN type the key at its place:\n    \
                      7 8 9\n    4 5 6\n    1 2 3";

const PASSPHRASE: &str =
    "each passphrase opens a wallet of its own;\nan empty line the one without";

const AT_THE_WALLET: &str =
    "\nto type it on the device: `keystead keeper add trezor --passphrase-on-device`";
