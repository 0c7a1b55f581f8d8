//! The controlling terminal: keys without Enter, and its old state back at the end.
//!
//! **Invariant**: a [`Terminal`] that is dropped leaves the terminal as it was, and so does a
//! signal that ends the program before.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use keystead_daemon::terminal::{NEW_LINE, Restored};
use keystead_daemon::{Clock, SystemClock};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::termios::{self, LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex};

use crate::screen::{Colour, Look};

/// The person's terminal, in a mode of ours.
pub(crate) struct Terminal {
    tty: File,
    restored: Restored,
}

/// What the terminal does with keys meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Each at once, not echoed; ^C is a signal.
    Single,
    /// As [`Keys::Single`], but ^C is a key too: nobody may be thrown out
    /// while the terminal does not echo.
    Secret,
}

impl Terminal {
    /// Takes the controlling terminal over.
    ///
    /// # Errors
    /// There is none, or this process is in its background.
    pub(crate) fn open(keys: Keys) -> io::Result<Self> {
        let tty = OpenOptions::new().read(true).write(true).open(TTY)?;
        // Who changes a terminal from the background is stopped by the system.
        if termios::tcgetpgrp(&tty)? != rustix::process::getpgrp() {
            return Err(io::Error::other(
                "this process is in the background of its terminal",
            ));
        }
        let mut mode = termios::tcgetattr(&tty)?;
        mode.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        if keys == Keys::Secret {
            mode.local_modes.remove(LocalModes::ISIG);
        }
        mode.special_codes[SpecialCodeIndex::VMIN] = 1;
        mode.special_codes[SpecialCodeIndex::VTIME] = 0;
        let mut restored =
            Restored::make(&tty, &mode, OptionalActions::Flush, OptionalActions::Flush)?;
        if keys == Keys::Secret {
            restored = restored.waited_for();
        }
        Ok(Self { tty, restored })
    }

    /// Another handle for a thread that reads keys.
    pub(crate) fn reader(&self) -> io::Result<File> {
        self.tty.try_clone()
    }

    /// Writes text. A terminal that went away is no failure: nobody reads it.
    pub(crate) fn write(&mut self, text: &str) {
        let _ = self.tty.write_all(text.as_bytes());
    }

    /// Goes to a screen of its own; a signal that ends the program leaves it, too.
    pub(crate) fn enter_other_screen(&mut self) {
        self.restored.say_last(OWN_SCREEN);
        self.write(OTHER_SCREEN);
    }

    /// Leaves it, and nothing of it.
    pub(crate) fn leave_other_screen(&mut self) {
        self.write(OWN_SCREEN);
        self.restored.say_last(NEW_LINE);
    }

    /// One byte as it is typed; none at the end.
    pub(crate) fn key(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let read = self.tty.read(&mut byte)?;
        let [key] = byte;
        Ok((read > 0).then_some(key))
    }

    /// Waits a moment for a key.
    fn has_key(&self) -> io::Result<KeyThere> {
        let mut fds = [PollFd::new(&self.tty, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&POLL)) {
            Ok(0) | Err(Errno::INTR) => Ok(KeyThere::NotYet),
            Ok(_) => Ok(KeyThere::Yes),
            Err(error) => Err(error.into()),
        }
    }

    /// Throws away what was typed and not read yet.
    pub(crate) fn flush_input(&self) {
        let _ = termios::tcflush(&self.tty, QueueSelector::IFlush);
    }

    /// Its size, and whether colours are wanted.
    pub(crate) fn look(&self) -> Look {
        let (columns, rows) = match termios::tcgetwinsize(&self.tty) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (usize::from(size.ws_col), usize::from(size.ws_row))
            }
            Ok(_) | Err(_) => SIZE_UNKNOWN,
        };
        Look {
            columns,
            rows,
            colour: colour(),
        }
    }
}

/// Asks until `y` or `n`, with the time left; none when `is_over` or the time is up.
pub(crate) fn yes_or_no(
    question: &str,
    left_s: u64,
    is_over: &AtomicBool,
) -> io::Result<Option<bool>> {
    let mut terminal = Terminal::open(Keys::Single)?;
    let ends_ms = SystemClock
        .now()
        .mono_ms
        .saturating_add(left_s.saturating_mul(1_000));
    terminal.flush_input();
    loop {
        let left_ms = ends_ms.saturating_sub(SystemClock.now().mono_ms);
        terminal.write(&format!(
            "\r\x1b[K{question} y/n  {} s left ",
            left_ms.div_ceil(1_000)
        ));
        let key = match terminal.has_key()? {
            KeyThere::Yes => terminal.key()?,
            KeyThere::NotYet if left_ms == 0 || is_over.load(Ordering::Relaxed) => {
                terminal.write("\n");
                return Ok(None);
            }
            KeyThere::NotYet => continue,
        };
        let answer = match key {
            Some(b'y' | b'Y') => true,
            Some(b'n' | b'N') | None => false,
            Some(_) => continue,
        };
        terminal.write(if answer { " yes\n" } else { " no\n" });
        return Ok(Some(answer));
    }
}

/// Whether a key can be read without waiting.
enum KeyThere {
    Yes,
    NotYet,
}

/// <https://no-color.org>: set and not empty means none.
fn colour() -> Colour {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if is_set("NO_COLOR") || is_dumb {
        Colour::Avoid
    } else {
        Colour::Use
    }
}

/// The controlling terminal, wherever standard input comes from.
const TTY: &str = "/dev/tty";

/// xterm's alternate screen, cleared: what was on it is in no scrollback.
const OTHER_SCREEN: &str = "\x1b[?1049h\x1b[2J\x1b[H";

/// Back to the usual one.
const OWN_SCREEN: &str = "\x1b[2J\x1b[?1049l";

/// Columns and rows where nobody says.
const SIZE_UNKNOWN: (usize, usize) = (80, 24);

/// 200 ms: the seconds left are shown in time, and ^C elsewhere ends the question.
const POLL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};
