//! `pair`: answers an offer and has the holder compare the code.

use std::io::{BufRead, IsTerminal, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keystead_daemon::home::Folders;
use keystead_daemon::process::Termination;
use keystead_transport::NetOptions;

use super::{converse, say_done};
use crate::control::{Command, Reply};
use crate::program::conversation::Conversation;
use crate::program::failure::Failure;
use crate::program::print;
use crate::program::terminal::yes_or_no;
use crate::show::Safe;

/// `pair LINK`
pub(crate) fn pair(
    folders: &Folders,
    link: &str,
    yes: bool,
    net: NetOptions,
) -> Result<(), Failure> {
    let link = if link == "-" {
        read_link()?
    } else {
        link.to_owned()
    };
    let reply = converse(folders, Some(net), async |talk: &mut Conversation| {
        let mut termination = Termination::catch()?;
        tokio::select! {
            reply = answer_offer(talk, link, yes) => reply,
            signal = termination.wait() => {
                Err(Failure::given_up(signal))
            }
        }
    })?;
    say_done(reply)
}

async fn answer_offer(talk: &mut Conversation, link: String, yes: bool) -> Result<Reply, Failure> {
    talk.say(Command::Pair { link, yes }, None).await?;
    let mut refused = false;
    loop {
        match talk.next().await? {
            Reply::Say { line } => print::talk(line),
            Reply::Code {
                code,
                workstation,
                expires_in_s,
            } => {
                let same = compare(talk, &code, &workstation, expires_in_s).await?;
                refused = !same;
                talk.say(Command::PairDecide { same }, None).await?;
            }
            Reply::Failed { message, .. } if refused => return Err(Failure::refused(message)),
            Reply::Failed { message, hint } => return Err(Failure::new(message, hint)),
            last @ (Reply::Status(_)
            | Reply::Grants(_)
            | Reply::Key(_)
            | Reply::Wallets(_)
            | Reply::Identities { .. }
            | Reply::Done { .. }) => {
                return Ok(last);
            }
        }
    }
}

/// Asks whether both screens show the same; the pairing may end meanwhile.
async fn compare(
    talk: &mut Conversation,
    code: &str,
    workstation: &str,
    left_s: u64,
) -> Result<bool, Failure> {
    let over = Over::default();
    let is_over = Arc::clone(&over.0);
    let workstation = Safe(workstation).to_string();
    print::talk(format_args!("\n    {code}\n"));
    let question = format!("Does {workstation} show the same code?");
    let asked = tokio::task::spawn_blocking(move || yes_or_no(&question, left_s, &is_over));
    tokio::select! {
        answer = asked => match answer {
            Ok(Ok(answer)) => Ok(answer.unwrap_or(false)),
            Ok(Err(error)) => Err(Failure::new(
                format!("nobody can be asked to compare the code: {error}"),
                "run it in a terminal, or give --yes where both ends are yours",
            )),
            Err(_) => Err(Failure::new("the question broke off", "")),
        },
        ended = talk.next() => match ended? {
            Reply::Failed { message, hint } => Err(Failure::new(message, hint)),
            Reply::Say { .. }
            | Reply::Code { .. }
            | Reply::Status(_)
            | Reply::Grants(_)
            | Reply::Key(_)
            | Reply::Wallets(_)
            | Reply::Identities { .. }
            | Reply::Done { .. } => Err(super::strange()),
        },
    }
}

/// Ends the question on the terminal when it is dropped, so that the terminal is put back.
#[derive(Default)]
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        // The thread looks five times a second.
        std::thread::sleep(std::time::Duration::from_millis(250));
    }
}

/// The link from standard input: so it need not stand where others see it. The first line is
/// all of it: at a terminal nobody has to end the input.
fn read_link() -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        print::talk("Paste the link:");
    }
    let mut link = String::new();
    std::io::stdin()
        .lock()
        .take(LINK_BYTES_MAX)
        .read_line(&mut link)
        .map_err(|error| {
            Failure::new(
                format!("standard input holds no link: {error}"),
                "keystead pair --link prints it",
            )
        })?;
    Ok(link.trim().to_owned())
}

/// 16 KiB: far more than any link.
const LINK_BYTES_MAX: u64 = 16_384;
