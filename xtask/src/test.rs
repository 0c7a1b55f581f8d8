//! `cargo xtask test`: every test, one after the other, and the counts.
//!
//! Invariant: a step that fails never hides those after it, and the command
//! fails if any did.

use std::path::Path;

use crate::binaries;
use crate::console::{say, step};
use crate::failure::{Failure, Result};
use crate::run::Program;
use crate::setup::{self, For, Tools, is_root};
use crate::{fuzz, tidy, workspace};

mod count;
mod leftover;

use count::Count;

/// The command: `test [--yes]`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let yes = match arguments {
        [] => false,
        [one] if one == "--yes" => true,
        _ => return Err(Failure::new("usage: cargo xtask test [--yes]")),
    };
    let root = workspace::root()?;
    let tools = setup::run(For::Test, yes)?;
    let mut count = Count::default();
    checks(&root, &mut count)?;
    match binaries::build_with_tests(&root) {
        Ok(folder) => {
            count.one("build", true);
            tests(&root, &tools, &folder, &mut count)?;
            tokens(&root, &tools, &folder, &mut count)?;
        }
        Err(failure) => {
            say(&failure.to_string());
            count.one("build", false);
        }
    }
    doc_tests(&root, &mut count)?;
    fuzz_all(&root, &mut count)?;
    finish(&count)
}

/// What needs no test to be run.
fn checks(root: &Path, count: &mut Count) -> Result<()> {
    step("Is everything formatted? (cargo fmt)");
    count.one("fmt", tidy::formatted(root)?);
    step("What does clippy say? (It compiles all of it first.)");
    let clippy = Program::cargo(root)
        .args(["clippy", "--workspace", "--all-targets", "--locked"])
        .args(["--", "--deny", "warnings"]);
    count.one("clippy", clippy.shown()?);
    step("Are the house's rules kept? (cargo xtask tidy, then its self-test)");
    for result in [tidy::check(root), tidy::check_itself(root)] {
        if let Err(failure) = &result {
            say(&failure.to_string());
        }
        count.one("tidy", result.is_ok());
    }
    Ok(())
}

/// Unit tests, vectors, stored corpora, acceptance scripts, the documents' commands.
fn tests(root: &Path, tools: &Tools, binaries: &Path, count: &mut Count) -> Result<()> {
    step("Running the tests.");
    let mut nextest = Program::cargo(root)
        // Without the examples: what a test starts of them is built by now.
        .args(["nextest", "run", "--workspace", "--locked", "--tests"])
        .args(["--no-fail-fast", "--filterset", count::NO_PARTS]);
    if is_root() {
        nextest = nextest.args(["--run-ignored", "all"]);
    }
    let before = leftover::running(binaries);
    counted(root, in_place(nextest, tools, binaries)?, count)?;
    for (pid, line) in leftover::running(binaries) {
        if !before.contains_key(&pid) {
            count.one(&format!("process {pid} outlives the tests: {line}"), false);
        }
    }
    if !is_root() {
        // Compiled by now: nobody waits for this without a word.
        for name in count::ignored(root)? {
            count.left_out(format!("{name} (needs root)"));
        }
    }
    Ok(())
}

/// What is behind the feature `pkcs11`, which is off by default: the local
/// authenticator built with it, and `ssh-add -s` with a token of SoftHSM.
fn tokens(root: &Path, tools: &Tools, binaries: &Path, count: &mut Count) -> Result<()> {
    step("Keys of tokens, with the feature pkcs11. (Cargo compiles it first.)");
    let nextest = Program::cargo(root)
        .args(["nextest", "run", "--workspace", "--locked"])
        .args(["--lib", "--test", "local", "--no-fail-fast"])
        .args(["--features", "keystead-authenticator/pkcs11"])
        .args([
            "--filterset",
            "package(keystead-authenticator) & test(token)",
        ]);
    counted(root, in_place(nextest, tools, binaries)?, count)?;
    // Its program was built with the tests, the authenticator with these tests.
    let play = Program::new(binaries.join("play"))
        .args(["tokens"])
        .folder(root);
    let is_played = in_place(play, tools, binaries)?.shown()?;
    count.one("the play of tokens", is_played);
    Ok(())
}

/// With the programs that were built, and those that were found or unpacked.
fn in_place(program: Program, tools: &Tools, binaries: &Path) -> Result<Program> {
    let program = program
        .variable("KEYSTEAD_BIN_DIR", binaries)
        .variable("PATH", tools.path(binaries)?);
    Ok(match tools.libraries() {
        Some(libraries) => program
            .variable("LD_LIBRARY_PATH", libraries)
            .variable("PYTHONPATH", libraries.join("../python3/dist-packages"))
            .variable("KEYSTEAD_UNPACKED", libraries),
        None => program,
    })
}

/// Runs nextest and counts by its report.
fn counted(root: &Path, nextest: Program, count: &mut Count) -> Result<()> {
    let report = workspace::target(root).join("nextest/default/junit.xml");
    // A report of an earlier run must not be counted.
    let _ = std::fs::remove_file(&report);
    let ended_well = nextest.shown()?;
    let run = std::fs::read_to_string(&report)
        .ok()
        .and_then(|report| count::report(&report));
    match run {
        Some((passed, failed)) => count.many(passed, failed),
        None => count.one("nextest", false),
    }
    // Cargo may fail before or after the tests themselves.
    if !ended_well && run.is_some_and(|(_, failed)| failed == 0) {
        count.one("nextest", false);
    }
    Ok(())
}

fn doc_tests(root: &Path, count: &mut Count) -> Result<()> {
    step("Running the examples in the documentation. (cargo test --doc)");
    let mut failed_in_all = 0;
    let ended_well = Program::cargo(root)
        .args(["test", "--doc", "--workspace", "--locked", "--no-fail-fast"])
        .watched(&mut |line| {
            say(line);
            if let Some((passed, failed)) = count::doc_result(line) {
                count.many(passed, failed);
                failed_in_all += failed;
            }
        })?;
    if !ended_well && failed_in_all == 0 {
        count.one("documentation", false);
    }
    Ok(())
}

fn fuzz_all(root: &Path, count: &mut Count) -> Result<()> {
    let names = fuzz::names(root)?;
    if !fuzz::has_nightly() {
        for name in names {
            count.left_out(format!("libFuzzer on {name} (needs nightly)"));
        }
        return Ok(());
    }
    let seconds = FUZZ_S
        .checked_div(u64::try_from(names.len()).unwrap_or(1))
        .unwrap_or(1);
    step(&format!(
        "Fuzzing {} decoders, {seconds} s each. (It compiles them first.)",
        names.len()
    ));
    match fuzz::run_all(root, &names, seconds.max(1)) {
        Ok(wells) => {
            for (name, is_well) in names.iter().zip(wells) {
                count.one(&format!("fuzz {name}"), is_well);
            }
        }
        Err(failure) => {
            say(&failure.to_string());
            count.one("libFuzzer", false);
        }
    }
    Ok(())
}

fn finish(count: &Count) -> Result<()> {
    step("Done.");
    for name in &count.left_out {
        say(&format!("left out: {name}"));
    }
    for name in &count.failed_steps {
        say(&format!("failed: {name}"));
    }
    say(&count.line());
    if count.failed == 0 {
        Ok(())
    } else {
        Err(Failure::new("tests failed"))
    }
}

/// For all decoders together, in one run of all tests.
const FUZZ_S: u64 = 120;
