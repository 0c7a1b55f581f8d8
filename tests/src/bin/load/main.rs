//! The agent under load, in turns with another one: `cargo xtask bench agent`
//! runs it and reads its lines `figure NAME VALUE UNIT at-most|at-least TARGET`.
//!
//! Invariant: both agents get the same bytes from the same threads, in turns,
//! so that a busy machine is busy for both.

use keystead_tests::Result;

mod agents;
mod client;
mod local;
mod stored;
mod tap;
mod times;

fn main() -> Result<()> {
    let only = std::env::args().nth(1);
    let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if is_wanted("local") {
        local::measure()?;
    }
    if is_wanted("stored") {
        stored::measure()?;
    }
    Ok(())
}

/// One line for a person.
#[expect(clippy::print_stdout, reason = "this program's answer")]
fn say(line: &str) {
    println!("{line}");
}

/// One line for the table.
fn figure(name: &str, value: f64, unit: &str, bound: Bound) {
    let (word, target) = match bound {
        Bound::AtMost(target) => ("at-most", target),
        Bound::AtLeast(target) => ("at-least", target),
    };
    say(&format!("figure {name} {value:.4} {unit} {word} {target}"));
}

/// What was promised of a figure.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}
