//! `pair`: the offer on the screen, the question, the outcome.

use keystead_agent::control::{Command, Keeper, Reply};
use tokio::sync::oneshot;

use crate::agent_link::{AgentLink, block_on, unexpected};
use crate::arguments::Pair;
use crate::commands::authority;
use crate::failure::{Failure, Status};
use crate::qr::{self, Ink};
use crate::terminal::{self, Countdown, minutes, now_ms, say};

/// `pair [--relay URL] [--name NAME] [--link] [--yes] [--ca FILE]`
pub(crate) fn run(pair: &Pair) -> Result<(), Failure> {
    if !pair.yes && !terminal::can_ask() {
        return Err(
            Failure::new("a person has to compare two codes, and this is no terminal")
                .hint("run it in a terminal, or with --yes, which skips that")
                .status(Status::Usage),
        );
    }
    if let Some(file) = &pair.ca {
        authority::remember(file)?;
    }
    let keeper = block_on(converse(pair))?;
    say(format_args!(
        "paired with {}: {}",
        keeper.name,
        holdings(&keeper)
    ));
    say("next: `keystead ssh setup` makes ssh use it, `keystead key list` lists its keys");
    if !keeper.wallets.is_empty() {
        say(
            "`keystead ssh connect user@host` logs in with the key that its wallet has for that \
             host alone",
        );
    }
    Ok(())
}

/// What a keeper has.
fn holdings(keeper: &Keeper) -> String {
    let keys = match keeper.keys {
        1 => "1 key".to_owned(),
        keys => format!("{keys} keys"),
    };
    match (keeper.keys, keeper.wallets.as_slice()) {
        (_, []) => keys,
        (0, wallets) => format!("wallet {}", wallets.join(", ")),
        (_, wallets) => format!("{keys}, wallet {}", wallets.join(", ")),
    }
}

async fn converse(pair: &Pair) -> Result<Keeper, Failure> {
    let mut link = AgentLink::open().await?;
    let name = pair.name.as_ref().map(ToString::to_string);
    let relay = pair.relay.clone();
    link.send(&Command::Pair { name, relay }).await?;
    let mut screen = Screen::of(pair);
    let mut is_refused = false;
    loop {
        let same = tokio::select! {
            reply = link.next() => match screen.show(reply.map_err(|it| in_words(it, is_refused))?)? {
                Step::Wait => continue,
                Step::Confirm => true,
                Step::End(keeper) => return Ok(keeper),
            },
            () = screen.countdown.tick() => continue,
            same = screen.question.answered() => same,
        };
        is_refused = !same;
        link.send(&Command::Confirm { same }).await?;
    }
}

/// What the person sees of the pairing.
struct Screen<'a> {
    pair: &'a Pair,
    countdown: Countdown,
    question: Question,
    confirm_by_ms: u64,
}

/// What follows from a reply.
enum Step {
    Wait,
    Confirm,
    End(Keeper),
}

impl<'a> Screen<'a> {
    fn of(pair: &'a Pair) -> Self {
        Self {
            pair,
            countdown: Countdown::default(),
            question: Question::default(),
            confirm_by_ms: 0,
        }
    }

    fn show(&mut self, reply: Reply) -> Result<Step, Failure> {
        match reply {
            Reply::Offer {
                link,
                qr_text,
                expires_in_ms,
                relay,
                addresses,
            } => {
                say_routes(relay.as_deref(), &addresses);
                let beside = show_offer(self.pair, &link, qr_text.as_deref())?;
                self.countdown
                    .start_behind(beside, "waiting", expires_in_ms);
            }
            Reply::Notice { text } => {
                // Not into a question: what comes of it says enough.
                if !self.question.is_open() {
                    self.countdown.interrupt(&text);
                }
            }
            Reply::HelloSeen {} => {
                self.countdown.stop();
                say("an authenticator answers");
            }
            Reply::Code {
                code,
                authenticator,
                expires_in_ms,
            } => {
                self.confirm_by_ms = now_ms().saturating_add(expires_in_ms);
                self.countdown.stop();
                say(format_args!("\n    code   {code}\n"));
                if self.pair.yes {
                    say(format_args!(
                        "not compared with {authenticator}, because of --yes"
                    ));
                    return Ok(Step::Confirm);
                }
                let left = minutes(expires_in_ms);
                self.question.ask(&format!(
                    "does {authenticator} show the same code? [y/N, {left} left] "
                ));
            }
            Reply::WaitingForHolder {} => {
                let left_ms = self.confirm_by_ms.saturating_sub(now_ms());
                self.countdown
                    .start("confirm on the other machine too", left_ms);
            }
            Reply::Paired { keeper } => {
                self.countdown.stop();
                return Ok(Step::End(keeper));
            }
            Reply::Version { .. }
            | Reply::Status(_)
            | Reply::Reaching { .. }
            | Reply::Waiting { .. }
            | Reply::Key(_)
            | Reply::Done {}
            | Reply::Failed(_)
            | _ => return Err(unexpected()),
        }
        Ok(Step::Wait)
    }
}

/// The end of a pairing, in this person's words where it was this person's doing.
fn in_words(failure: Failure, is_refused: bool) -> Failure {
    if !is_refused {
        return failure;
    }
    Failure::new("nothing is paired: you said that the codes differ").hint(
        "if they did, somebody may stand between the two machines; \
         run `keystead pair` again, on another network",
    )
}

fn say_routes(relay: Option<&str>, addresses: &[String]) {
    match relay {
        Some(relay) => say(format_args!("meeting at {relay}")),
        None => say(format_args!(
            "no relay is known (`keystead pair --relay URL` meets at one), so the other machine\n\
             must reach this one at {},\n\
             and `keystead-authenticator run --listen ADDR:PORT` run there before it pairs",
            addresses.join(" or ")
        )),
    }
}

/// Shows the offer; returns the line that the time left is written behind.
fn show_offer(pair: &Pair, link: &str, qr_text: Option<&str>) -> Result<String, Failure> {
    if pair.link || !terminal::is_watched() {
        terminal::print(link)?;
        return Ok(String::new());
    }
    let ink = Ink::choose(
        terminal::has_colours(),
        std::env::var("COLORFGBG").ok().as_deref(),
    );
    let beside = BESIDE.map(str::to_owned);
    let drawn = qr_text.and_then(|text| qr::draw(text, &beside, ink, terminal::size()));
    say(link);
    let Some(mut lines) = drawn else {
        if qr_text.is_some() {
            say("(for a QR code this terminal is too small)");
        }
        return Ok(String::new());
    };
    // The last line stays open, so that the code is not scrolled away.
    let last = lines.pop().unwrap_or_default();
    for line in lines {
        say(line);
    }
    Ok(last)
}

/// A question to the person, asked beside the conversation with the agent.
#[derive(Default)]
struct Question(Option<oneshot::Receiver<bool>>);

impl Question {
    fn ask(&mut self, text: &str) {
        terminal::forget_typed();
        terminal::say_for_now(text);
        let (answer, answered) = oneshot::channel();
        self.0 = Some(answered);
        tokio::task::spawn_blocking(move || {
            let line = terminal::read_line().unwrap_or_default();
            let yes = matches!(line.trim().to_lowercase().as_str(), "y" | "yes");
            // Nobody waits when the agent ended it meanwhile.
            let _ = answer.send(yes);
        });
    }

    fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// The answer, once; never, when nothing was asked. May be dropped and called again.
    async fn answered(&mut self) -> bool {
        let Some(answered) = &mut self.0 else {
            return std::future::pending().await;
        };
        let same = answered.await.unwrap_or(false);
        self.0 = None;
        same
    }
}

impl Drop for Question {
    /// What comes next stands on a line of its own.
    fn drop(&mut self) {
        if self.is_open() {
            say("");
        }
    }
}

/// What stands beside the QR code, at most 28 characters a line.
const BESIDE: [&str; 14] = [
    "",
    "Scan this code with the",
    "authenticator,",
    "",
    "or type there:",
    "  keystead-authenticator \\",
    "    pair -",
    "and paste the link above.",
    "",
    "The link alone:",
    "  keystead pair --link",
    "",
    "^C takes the offer back.",
    "",
];
