//! Carries what was decided about hardware wallets: cables, and the programs that ask for PIN and
//! passphrase.
//!
//! **Invariant:** a cable that was closed says nothing more; a program's answer goes from its
//! pipe into locked memory.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use keystead_core::SecretBytes;
use keystead_keeper::trezor::{
    LinkEvent, LinkFault, SecretReport, TrezorDown, TrezorEvent, TrezorLink,
};
use tokio::sync::mpsc;

use crate::event::Event;
use crate::hardware::{Came, Do, LinkNumber};

/// All open cables and asking programs.
pub(super) struct HardwareTasks {
    events: mpsc::Sender<Event>,
    links: HashMap<LinkNumber, TrezorLink>,
    asking: HashMap<u64, Asking>,
}

impl HardwareTasks {
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        Self {
            events,
            links: HashMap::new(),
            asking: HashMap::new(),
        }
    }

    /// Does one thing. Never waits; what comes of it is told as events.
    pub(super) fn act(&mut self, act: Do) {
        match act {
            Do::Open { link, path } => {
                let (told, came) = mpsc::channel(REPORTS_MAX);
                self.links.insert(link, TrezorLink::open(path, told));
                tokio::spawn(pass_on(link, came, self.events.clone()));
            }
            Do::Send { link, reports } => {
                if let Some(cable) = self.links.get(&link) {
                    for report in reports.iter().filter_map(|it| it.first_chunk()) {
                        cable.send(report);
                    }
                }
            }
            Do::Close(link) => {
                self.links.remove(&link);
            }
            Do::AskPass { question, prompt } => self.ask(question, prompt),
            Do::AskPassOver(question) => {
                if let Some(mut child) = self.asking.remove(&question).and_then(|it| take(&it)) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        }
    }

    fn ask(&mut self, question: u64, prompt: String) {
        let Some(mut child) = Environment::read().start(&prompt) else {
            return;
        };
        let Some(said) = child.stdout.take() else {
            return;
        };
        let asking = Arc::new(Mutex::new(Some(child)));
        self.asking.insert(question, Arc::clone(&asking));
        let events = self.events.clone();
        tokio::task::spawn_blocking(move || {
            let line = read_line(said);
            // One that was ended from here has answered nothing.
            if let Some(mut child) = take(&asking) {
                let is_well = child.wait().is_ok_and(|it| it.success());
                let answer = line.filter(|_| is_well);
                let came = Came::AskPass { question, answer };
                let _ = events.blocking_send(Event::Device(came));
            }
        });
    }
}

/// A program that asks, until it is known how it ended.
type Asking = Arc<Mutex<Option<Child>>>;

fn take(asking: &Asking) -> Option<Child> {
    asking.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What a cable says, until it is down.
async fn pass_on(
    link: LinkNumber,
    mut came: mpsc::Receiver<TrezorEvent>,
    events: mpsc::Sender<Event>,
) {
    while let Some(event) = came.recv().await {
        let event = match event {
            TrezorEvent::Up => LinkEvent::Up,
            TrezorEvent::Report(mut report) => {
                LinkEvent::Report(SecretReport(SecretBytes::take(&mut report)))
            }
            TrezorEvent::Down(down) => LinkEvent::Down(match down {
                TrezorDown::Away(why) => LinkFault::Away(why),
                TrezorDown::Busy => LinkFault::Busy,
                TrezorDown::Forbidden(why) => LinkFault::Forbidden(why),
            }),
        };
        let event = Event::Device(Came::Link { link, event });
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// The first line that a program says.
fn read_line(mut said: impl Read) -> Option<SecretBytes> {
    let mut line = SecretBytes::fill(LINE_BYTES_MAX, |_| {});
    let mut length = 0;
    while let Some(rest) = line
        .expose_mut()
        .get_mut(length..)
        .filter(|it| !it.is_empty())
    {
        match said.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    line.truncate(length);
    let end = line.expose().iter().position(|it| b"\r\n".contains(it));
    line.truncate(end.unwrap_or(length));
    Some(line)
}

/// The environment as far as it decides which program asks (ssh-add(1), `SSH_ASKPASS`).
struct Environment {
    program: Option<OsString>,
    require: Option<OsString>,
    has_display: bool,
}

impl Environment {
    fn read() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|it| !it.is_empty());
        Self {
            program: std::env::var_os("SSH_ASKPASS"),
            require: std::env::var_os("SSH_ASKPASS_REQUIRE"),
            has_display: is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"),
        }
    }

    /// The program, if one may be started.
    fn program(&self) -> Option<OsString> {
        let is = |word: &str| {
            let require = self.require.as_deref();
            require.is_some_and(|it| it.eq_ignore_ascii_case(word))
        };
        let may_ask = is("force") || (self.has_display && !is("never"));
        let program = self.program.clone().unwrap_or(DEFAULT_PROGRAM.into());
        (may_ask && !program.is_empty()).then_some(program)
    }

    fn start(&self, prompt: &str) -> Option<Child> {
        let mut command = Command::new(self.program()?);
        command
            .arg(prompt)
            .env_remove("SSH_ASKPASS_PROMPT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let started = command.spawn();
        if let Err(error) = &started {
            tracing::warn!(%error, "the program that asks cannot be started");
        }
        started.ok()
    }
}

/// As Debian's OpenSSH has it.
const DEFAULT_PROGRAM: &str = "/usr/bin/ssh-askpass";

/// 1,023 bytes of an answer, as OpenSSH takes.
const LINE_BYTES_MAX: usize = 1_023;

/// 64 reports that nobody has read yet: a message of 4 KiB, more than a device has.
const REPORTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_be_asked() {
        let check = |program: Option<&str>, require: Option<&str>, has_display, expected| {
            let environment = Environment {
                program: program.map(OsString::from),
                require: require.map(OsString::from),
                has_display,
            };
            let found = environment.program();
            let found = found.as_deref().and_then(|it| it.to_str());
            assert_eq!(found, expected, "{program:?} {require:?} {has_display}");
        };
        let default = Some(DEFAULT_PROGRAM);
        check(None, None, false, None);
        check(None, None, true, default);
        check(Some("ask"), None, true, Some("ask"));
        check(Some(""), None, true, None);
        check(Some("ask"), Some("force"), false, Some("ask"));
        check(Some("ask"), Some("never"), true, None);
    }
}
