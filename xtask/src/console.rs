//! What the person reads: one sentence a step, and that something goes on.

use std::io::{IsTerminal, Write};

/// A heading: a step begins.
pub(crate) fn step(sentence: &str) {
    let (on, off) = if colour() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    line(&format!("\n{on}==> {sentence}{off}"));
}

/// A sentence of its own.
pub(crate) fn say(sentence: &str) {
    line(sentence);
}

/// Asks a question of yes or no; no terminal means no.
pub(crate) fn confirm(question: &str) -> bool {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return false;
    }
    eprint!("{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    input.read_line(&mut answer).is_ok()
        && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

fn line(text: &str) {
    // The talk is on standard output, in order with what the steps print; a
    // reader that has gone away is no reason to stop half-way.
    let mut output = std::io::stdout().lock();
    let _ = writeln!(output, "{text}");
    let _ = output.flush();
}

/// https://no-color.org
fn colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::io::stdout().is_terminal()
}
