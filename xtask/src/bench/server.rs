//! The key server under load, on each database: its example `load` starts the built server
//! and prints `figure NAME VALUE UNIT at-most|at-least TARGET`.

use std::path::Path;

use super::figure::Figure;
use super::from_output;
use crate::console::step;
use crate::failure::{Failure, Result};
use crate::run::Program;
use crate::workspace;

/// The words behind `bench server`: one of the databases (else both), and `--full`.
pub(super) fn measure(root: &Path, words: &[&str], figures: &mut Vec<Figure>) -> Result<()> {
    let (databases, size) = parse(words)?;
    step("Building the key server and what loads it.");
    Program::cargo(root)
        .args(["build", "--locked", "--release"])
        .args([
            "--package",
            "keystead-server",
            "--bins",
            "--example",
            "load",
        ])
        .must()?;
    let built = workspace::target(root).join("release");
    for database in databases {
        step(&format!("The key server under load, on {database}."));
        let mut load = Program::new(built.join("examples").join("load"))
            .arg(built.join("keystead-server"))
            .args(size);
        if *database == "postgres" {
            load = load.arg("--postgres");
        }
        from_output(&load, figures)?;
    }
    Ok(())
}

/// Which databases, and the generator's words for how much is in them.
type Asked = (&'static [&'static str], &'static [&'static str]);

fn parse(words: &[&str]) -> Result<Asked> {
    let (databases, rest): (&[&str], _) = match words {
        ["sqlite", rest @ ..] => (&["sqlite"], rest),
        ["postgres", rest @ ..] => (&["postgres"], rest),
        rest => (&["sqlite", "postgres"], rest),
    };
    match rest {
        [] => Ok((databases, &[])),
        ["--full"] => Ok((databases, FULL)),
        _ => Err(Failure::new(
            "usage: cargo xtask bench server [sqlite|postgres] [--full]",
        )),
    }
}

/// A million users and ten million secrets: hours, and some 5 GB of disk.
const FULL: &[&str] = &["--users", "1000000", "--secrets", "10000000"];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(usize, bool)>) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let parsed = parse(&words).ok();
        let seen = parsed.map(|(databases, size)| (databases.len(), !size.is_empty()));
        assert_eq!(seen, expected, "{line}");
    }

    #[test]
    fn words_choose_databases_and_size() {
        check("", Some((2, false)));
        check("--full", Some((2, true)));
        check("sqlite", Some((1, false)));
        check("postgres --full", Some((1, true)));
        check("oracle", None);
        check("sqlite postgres", None);
    }
}
