//! Standard output for what was asked for, standard error for talk.

use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use anstream::ColorChoice;
use keystead_daemon::{Clock, SystemClock};
use rustix::termios;
use serde::Serialize;

use crate::failure::Failure;

/// Prints a line that was asked for.
pub(crate) fn print(line: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Prints text as it is, without a line break behind it.
pub(crate) fn print_raw(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Prints one JSON object.
pub(crate) fn print_json(object: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(object).map_err(|error| Failure::of(&error))?;
    print(text)
}

/// Text that others chose, without what could move the cursor or turn the
/// reading direction: a login name, a host's name, an error of a peer.
pub(crate) fn harmless(text: &str) -> String {
    let shown = |character| {
        if keystead_core::is_unsafe_to_show(character) {
            character.escape_unicode().collect()
        } else {
            String::from(character)
        }
    };
    text.chars().map(shown).collect()
}

/// Says something to the person. Nobody listening is no failure.
pub(crate) fn say(line: impl std::fmt::Display) {
    drop(writeln!(anstream::stderr().lock(), "{line}"));
}

/// Says text as it is, without a line break behind it.
pub(crate) fn say_raw(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// Says something that is replaced when this is called again.
pub(crate) fn say_for_now(line: impl std::fmt::Display) {
    let mut err = io::stderr().lock();
    drop(write!(err, "\r{ERASE_LINE}{line}"));
    drop(err.flush());
}

/// Whether a person sees standard error, so that lines can be replaced.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether a person can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether standard error shows colours: a terminal, and no `NO_COLOR`.
pub(crate) fn has_colours() -> bool {
    let choice = anstream::AutoStream::choice(&io::stderr());
    io::stderr().is_terminal() && choice != ColorChoice::Never
}

/// Columns and rows of the terminal; 80 × 24 where nobody says.
pub(crate) fn size() -> (usize, usize) {
    match termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (80, 24),
    }
}

/// Forgets what was typed before a question was on the screen.
pub(crate) fn forget_typed() {
    // Not a terminal: nothing was typed.
    let _ = termios::tcflush(io::stdin(), termios::QueueSelector::IFlush);
}

/// Reads one line from standard input; blocks.
pub(crate) fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}

/// Columns as wide as what is in them, two spaces apart.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(harmless).to_vec());
    }

    /// Prints all rows.
    pub(crate) fn print(&self) -> Result<(), Failure> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths);
            let line: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            print(line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Says what is waited for and how much time is left, every second.
#[derive(Default)]
pub(crate) struct Countdown {
    running: Option<Running>,
}

struct Running {
    before: String,
    what: String,
    ends_at_ms: u64,
}

impl Countdown {
    /// Starts, on a line of its own.
    pub(crate) fn start(&mut self, what: impl Into<String>, left_ms: u64) {
        self.start_behind(String::new(), what, left_ms);
    }

    /// Starts behind `before`, which is written again with it.
    pub(crate) fn start_behind(&mut self, before: String, what: impl Into<String>, left_ms: u64) {
        let (what, ends_at_ms) = (what.into(), now_ms().saturating_add(left_ms));
        let running = Running {
            before,
            what,
            ends_at_ms,
        };
        if is_watched() {
            running.show();
        } else {
            say(&running);
        }
        self.running = Some(running);
    }

    /// Waits a second and shows the time that is left then. May be dropped and
    /// called again. Without end when nothing is waited for.
    pub(crate) async fn tick(&mut self) {
        match &self.running {
            Some(running) if is_watched() => {
                tokio::time::sleep(Duration::from_millis(running.until_next_ms())).await;
                running.show();
            }
            _ => std::future::pending().await,
        }
    }

    /// Says something in between, on a line of its own; what the time stood
    /// behind stays above it as it was.
    pub(crate) fn interrupt(&mut self, what: &str) {
        let Some(running) = self.running.as_mut().filter(|_| is_watched()) else {
            return say(harmless(what));
        };
        if running.before.is_empty() {
            say_for_now("");
        } else {
            say_for_now(format_args!("{}\n", running.before));
            running.before.clear();
        }
        say(harmless(what));
        running.show();
    }

    /// Ends it; the line stays as it was shown last.
    pub(crate) fn stop(&mut self) {
        if self.running.take().is_some() && is_watched() {
            say("");
        }
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Running {
    fn show(&self) {
        let gap = if self.before.is_empty() { "" } else { "  " };
        say_for_now(format_args!("{}{gap}{self}", self.before));
    }

    fn left_ms(&self) -> u64 {
        self.ends_at_ms.saturating_sub(now_ms())
    }

    /// Until the shown time changes.
    fn until_next_ms(&self) -> u64 {
        (self.left_ms() % 1000).max(20)
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} left", self.what, minutes(self.left_ms()))
    }
}

/// A time left, as `1:59`.
pub(crate) fn minutes(left_ms: u64) -> String {
    let seconds = left_ms.div_ceil(1000);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// The clock that waits are measured by.
pub(crate) fn now_ms() -> u64 {
    SystemClock.now().mono_ms
}

/// ECMA-48 EL: erase from the cursor to the end of the line.
const ERASE_LINE: &str = "\x1b[K";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_chose_does_not_reach_the_terminal_raw() {
        for (text, expected) in [
            ("alex@db1", "alex@db1"),
            ("é 文", "é 文"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb", "a\\u{a}b"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }
}
