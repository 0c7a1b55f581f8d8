//! `cargo xtask tidy`: what a program can check of the house's rules.

use std::path::Path;

use crate::console::say;
use crate::failure::{Failure, Result};
use crate::run::Program;
use crate::workspace;

mod circles;
mod citations;
mod edges;
pub(crate) mod graph;
mod keys;
mod lexer;
mod licences;
mod names;
mod self_test;
mod shape;
pub(crate) mod source;
mod tree;

pub(crate) use self_test::check_itself;

/// What is wrong, a sentence each.
#[derive(Default)]
pub(crate) struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, finding: String) {
        self.0.push(finding);
    }

    pub(crate) fn texts(&self) -> &[String] {
        &self.0
    }
}

/// The command: `tidy`, or `tidy --self-test`.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let root = workspace::root()?;
    match arguments {
        [] => {
            // Both are said, whichever fails.
            let is_formatted = formatted(&root)?;
            check(&root)?;
            if is_formatted {
                Ok(())
            } else {
                Err(Failure::new("tidy: not formatted: cargo fmt --all"))
            }
        }
        [one] if one == "--self-test" => check_itself(&root),
        _ => Err(Failure::new("usage: cargo xtask tidy [--self-test]")),
    }
}

/// Whether `cargo fmt` would change nothing; it shows what it would.
pub(crate) fn formatted(root: &Path) -> Result<bool> {
    Program::cargo(root)
        .args(["fmt", "--all", "--check"])
        .shown()
}

/// All rules but the formatting.
pub(crate) fn check(root: &Path) -> Result<()> {
    report(&run(root)?)
}

/// What is wrong with the workspace at `root`.
fn run(root: &Path) -> Result<Findings> {
    let mut findings = Findings::default();
    let graph = load(root)?;
    let sources = source::reached(root, &graph)?;
    let files = workspace::files(root)?;
    edges::check(root, &graph, &mut findings)?;
    keys::check(root, &graph, &sources, &mut findings)?;
    licences::check(root, &graph, &mut findings)?;
    for source in &sources {
        shape::check(source, &mut findings);
        shape::path_name(&source.path, &mut findings);
    }
    circles::check(&sources, &mut findings);
    citations::check(root, &files, &mut findings)?;
    tree::check(root, &files, &sources, &mut findings)?;
    tests_are_enough(&sources, &mut findings);
    findings.0.sort();
    findings.0.dedup();
    Ok(findings)
}

/// Fetches what is missing and no more: the checks themselves ask nobody.
fn load(root: &Path) -> Result<graph::Graph> {
    match graph::Graph::load(root) {
        Ok(graph) => Ok(graph),
        Err(_) => {
            say("Fetching the sources of the packages that Cargo.lock names.");
            Program::cargo(root).args(["fetch", "--locked"]).must()?;
            graph::Graph::load(root)
        }
    }
}

fn report(findings: &Findings) -> Result<()> {
    for finding in findings.texts() {
        say(finding);
    }
    match findings.texts().len() {
        0 => {
            say("tidy: nothing found.");
            Ok(())
        }
        count => Err(Failure::new(format!("tidy: {count} found"))),
    }
}

/// Tests are at least half as many lines as the code they test. The project's
/// own commands are counted on neither side.
fn tests_are_enough(sources: &[source::Source], findings: &mut Findings) {
    let counted = || sources.iter().filter(|s| !s.path.starts_with("xtask"));
    let code: usize = counted().map(|source| source.count(false)).sum();
    let tests: usize = counted().map(|source| source.count(true)).sum();
    if tests * 2 < code {
        findings.add(format!(
            "tests: {tests} lines of tests for {code} lines of code, at least half are wanted"
        ));
    }
}
