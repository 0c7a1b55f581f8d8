//! `cargo xtask simulate`: whole Keystead in one seeded process, as many
//! requests as are asked for, or one seed whose events are shown.

use crate::console::step;
use crate::failure::{Failure, Result};
use crate::run::Program;
use crate::workspace;

/// The command: `simulate [--requests N] [--seed S]`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let usage = || Failure::new("usage: cargo xtask simulate [--requests N] [--seed S]");
    let root = workspace::root()?;
    let mut simulation = Program::cargo(&root)
        .args(["test", "--quiet", "--locked", "--package", "keystead-tests"])
        .args(["--test", "simulation", "requests::", "--", "--nocapture"]);
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let number: u64 = words
            .next()
            .and_then(|number| number.parse().ok())
            .ok_or_else(usage)?;
        let variable = match word {
            "--requests" => "KEYSTEAD_REQUESTS",
            "--seed" => "KEYSTEAD_SEED",
            _ => return Err(usage()),
        };
        simulation = simulation.variable(variable, number.to_string());
    }
    step("Agents, authenticators and a relay in one process. (It compiles first.)");
    simulation.must()
}
