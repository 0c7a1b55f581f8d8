//! A person's terminal in a mode of the program's own.
//!
//! **Invariant:** the terminal is given back as it was, when the guard goes and when a signal ends
//! the program before: nobody is left with a shell that does not show what is typed.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::termios::{self, OptionalActions, Termios};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::hang_up::HangUp;

/// A terminal that is given back.
#[derive(Debug)]
pub struct Restored {
    id: u64,
}

impl Restored {
    /// Sets a mode, as tcsetattr(3) does, until the guard goes; `after` is how it is given back
    /// then. After a signal, what was typed and not read is thrown away.
    ///
    /// # Errors
    /// The system's; the mode is as it was then.
    pub fn make(
        terminal: &File,
        mode: &Termios,
        when: OptionalActions,
        after: OptionalActions,
    ) -> io::Result<Self> {
        watch_signals()?;
        let held = Held {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            terminal: terminal.try_clone()?,
            before: termios::tcgetattr(terminal)?,
            after,
            last_words: NEW_LINE,
            is_waited_for: false,
        };
        let guard = Self { id: held.id };
        all().push(held);
        // Where this fails, the guard takes the terminal off the list again.
        termios::tcsetattr(terminal, when, mode)?;
        Ok(guard)
    }

    /// The program waits for what is typed there and does nothing else meanwhile: a signal ends it
    /// at once, even where it would end itself.
    #[must_use]
    pub fn waited_for(self) -> Self {
        self.change(|it| it.is_waited_for = true);
        self
    }

    /// What a signal that ends the program leaves on the terminal, [`NEW_LINE`] at first.
    pub fn say_last(&self, last_words: &'static str) {
        self.change(|it| it.last_words = last_words);
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        if let Some(held) = all().iter_mut().find(|it| it.id == self.id) {
            change(held);
        }
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let mut all = all();
        if let Some(at) = all.iter().position(|it| it.id == self.id) {
            // Under the lock: what a signal gives back at this moment it gives back whole.
            let held = all.remove(at);
            held.give_back(held.after);
        }
    }
}

/// A terminal, and how it was.
struct Held {
    id: u64,
    terminal: File,
    before: Termios,
    after: OptionalActions,
    last_words: &'static str,
    is_waited_for: bool,
}

impl Held {
    fn give_back(&self, when: OptionalActions) {
        // Nothing is left to do when the terminal is gone.
        let _ = termios::tcsetattr(&self.terminal, when, &self.before);
    }
}

/// From the first terminal on the signals that end a program are caught, for as long as it runs.
fn watch_signals() -> io::Result<()> {
    let mut is_watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if *is_watched {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let entered = runtime.enter();
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hang_up: HangUp::catch()?,
        quit: signal(SignalKind::quit())?,
    };
    drop(entered);
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            loop {
                let kind = runtime.block_on(signals.next());
                let all = all();
                let is_waited_for = all.iter().any(|it| it.is_waited_for);
                if is_waited_for || !ends_itself_by(kind) {
                    end(&all, kind);
                }
            }
        })?;
    *is_watched = true;
    Ok(())
}

/// Ends the program as the signal would have.
///
/// The list is held to the end: no terminal changes any more.
fn end(all: &[Held], kind: SignalKind) -> ! {
    // The last one first: what it changed is how the one before left it.
    for held in all.iter().rev() {
        let _ = (&held.terminal).write_all(held.last_words.as_bytes());
        held.give_back(OptionalActions::Flush);
    }
    // As shells have it.
    std::process::exit(128_i32.saturating_add(kind.as_raw_value()));
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: HangUp,
    quit: Signal,
}

impl Signals {
    /// The next one.
    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            () = self.hang_up.recv() => SignalKind::hangup(),
            _ = self.quit.recv() => SignalKind::quit(),
        }
    }
}

fn all() -> MutexGuard<'static, Vec<Held>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A shell's prompt begins on a line of its own.
pub const NEW_LINE: &str = "\r\n";

/// From now on the program ends itself when a signal asks it to, and drops its guards.
pub(crate) fn ends_itself() {
    ENDS_ITSELF.store(true, Ordering::Release);
}

/// The same for SIGINT alone.
pub(crate) fn ends_itself_when_interrupted() {
    INTERRUPTS_ITSELF.store(true, Ordering::Release);
}

/// SIGQUIT is caught here alone.
fn ends_itself_by(kind: SignalKind) -> bool {
    let is_interrupt = kind == SignalKind::interrupt();
    (ENDS_ITSELF.load(Ordering::Acquire) && kind != SignalKind::quit())
        || (INTERRUPTS_ITSELF.load(Ordering::Acquire) && is_interrupt)
}

static ALL: Mutex<Vec<Held>> = Mutex::new(Vec::new());
static WATCHED: Mutex<bool> = Mutex::new(false);
static NEXT: AtomicU64 = AtomicU64::new(0);
static ENDS_ITSELF: AtomicBool = AtomicBool::new(false);
static INTERRUPTS_ITSELF: AtomicBool = AtomicBool::new(false);
