//! The project's own commands: `cargo xtask help` lists them.
//!
//! Invariant: no crates and nothing of ours, so that it is up in seconds on a
//! machine that has only Rust, and can check all the rest from outside.

use std::process::ExitCode;

use failure::{Failure, Result};

mod bench;
mod binaries;
mod console;
mod dist;
mod failure;
mod fuzz;
mod gpg_suite;
mod json;
mod main_job;
mod run;
mod setup;
mod simulate;
mod test;
mod tidy;
mod timing;
mod workspace;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn command(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        console::say(HELP);
        return Ok(());
    };
    match name.as_str() {
        "try" => main_job::command(rest),
        main_job::guard::COMMAND => main_job::guard::command(rest),
        "test" => test::command(rest),
        "bench" => bench::command(rest),
        "dist" => dist::command(rest),
        "fuzz" => fuzz::command(rest),
        "gpg-suite" => gpg_suite::command(rest),
        "simulate" => simulate::command(rest),
        "tidy" => tidy::command(rest),
        "timing" => timing::command(rest),
        "help" | "--help" | "-h" => {
            console::say(HELP);
            Ok(())
        }
        _ => Err(Failure::new(format!(
            "no command {name}; cargo xtask help lists them"
        ))),
    }
}

const HELP: &str = "\
cargo xtask try [--yes]          the main job, whole, in a throw-away folder
cargo xtask test                 every test
cargo xtask tidy [--self-test]   what a program can check of the house's rules
cargo xtask simulate [--requests N] [--seed S]   the seeded simulation alone
cargo xtask bench                the figures, side by side
cargo xtask timing [PAIRS]       whether the time of a login tells anything
cargo xtask fuzz NAME [SECONDS]  libFuzzer on one decoder; without NAME, lists them
cargo xtask gpg-suite [TEST…]    GnuPG's own OpenPGP tests, with keystead as gpg-agent
cargo xtask dist                 release binaries, man pages and completions

try and test install what they need first, asking unless you are root or say --yes.";
