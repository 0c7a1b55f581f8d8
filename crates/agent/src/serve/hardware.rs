//! Carries what was decided about hardware wallets: cables, and the programs that ask for PIN and
//! passphrase.
//!
//! **Invariant:** a cable that was closed says nothing more; a program's answer goes from its
//! pipe into locked memory.

use std::collections::HashMap;
use std::io::Read;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};

use keystead_core::SecretBytes;
use keystead_daemon::askpass::{self, Environment, LINE_BYTES_MAX, Prompt};
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
        let Some(mut child) = Environment::read().start(Prompt::Secret, &prompt) else {
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

/// The first line that a program says; none where it cannot be heard.
fn read_line(said: impl Read) -> Option<SecretBytes> {
    let mut line = SecretBytes::fill(LINE_BYTES_MAX, |_| {});
    let len = askpass::read_line(said, line.expose_mut()).ok()?;
    line.truncate(len);
    Some(line)
}

/// 64 reports that nobody has read yet: a message of 4 KiB, more than a device has.
const REPORTS_MAX: usize = 64;
