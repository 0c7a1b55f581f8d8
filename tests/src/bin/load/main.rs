//! Our programs under load, in turns with other ones: `cargo xtask bench agent` and `bench wallet`
//! run it and read its lines `figure NAME VALUE UNIT at-most|at-least|no-limit TARGET`.
//!
//! Invariant: ours and the other one get the same work in turns, so that a busy machine is busy
//! for both.

use keystead_tests::Result;

mod agents;
mod client;
mod local;
mod stored;
mod tap;
mod times;
mod wallet;

fn main() -> Result<()> {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|it| it == name);
    if is_wanted("local") {
        local::measure()?;
    }
    if is_wanted("stored") {
        stored::measure()?;
    }
    if is_wanted("wallet") {
        wallet::measure()?;
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
    let bound = match bound {
        Bound::AtMost(target) => format!("at-most {target}"),
        Bound::AtLeast(target) => format!("at-least {target}"),
        Bound::None => "no-limit 0".to_owned(),
    };
    say(&format!("figure {name} {value:.4} {unit} {bound}"));
}

/// What was promised of a figure.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Nothing: it is shown.
    None,
}
