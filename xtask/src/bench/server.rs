//! The key server under load, on each database: its example `load` starts the built server
//! and prints `figure NAME VALUE UNIT at-most|at-least TARGET`.

use std::path::Path;

use super::figure::Figure;
use super::from_output;
use crate::console::step;
use crate::failure::{Failure, Result};
use crate::run::Program;
use crate::workspace;

/// The words behind `bench server`: one of the databases (else both), `--full`, and a folder
/// in which the loaded databases stay for the next time; with `--load` they are only loaded.
pub(super) fn measure(root: &Path, words: &[&str], figures: &mut Vec<Figure>) -> Result<()> {
    let asked = Asked::parse(words)?;
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
    for database in asked.databases {
        step(&format!("The key server under load, on {database}."));
        let mut load = Program::new(built.join("examples").join("load"))
            .arg(built.join("keystead-server"))
            .args(asked.size);
        if *database == "postgres" {
            load = load.arg("--postgres");
        }
        if let Some(keep) = asked.keep {
            std::fs::create_dir_all(keep)
                .map_err(|error| Failure::new(format!("{}: {error}", keep.display())))?;
            load = load.arg("--keep").arg(keep.join(database));
        }
        if asked.loads_only {
            load.arg("--load").must()?;
        } else {
            from_output(&load, figures)?;
        }
    }
    Ok(())
}

/// What is asked.
struct Asked<'w> {
    databases: &'static [&'static str],
    /// The generator's words for how much is in them.
    size: &'static [&'static str],
    keep: Option<&'w Path>,
    loads_only: bool,
}

impl<'w> Asked<'w> {
    fn parse(words: &[&'w str]) -> Result<Self> {
        let (databases, rest): (&[&str], _) = match words {
            ["sqlite", rest @ ..] => (&["sqlite"], rest),
            ["postgres", rest @ ..] => (&["postgres"], rest),
            rest => (&["sqlite", "postgres"], rest),
        };
        let (size, rest): (&[&str], _) = match rest {
            ["--full", rest @ ..] => (FULL, rest),
            rest => (&[], rest),
        };
        let (keep, loads_only) = match rest {
            [] => (None, false),
            ["--keep", folder] => (Some(Path::new(*folder)), false),
            ["--keep", folder, "--load"] => (Some(Path::new(*folder)), true),
            _ => return Err(Failure::new(USAGE)),
        };
        Ok(Self {
            databases,
            size,
            keep,
            loads_only,
        })
    }
}

const USAGE: &str = "usage: cargo xtask bench server [sqlite|postgres] [--full] \
    [--keep FOLDER [--load]]";

/// A million users and ten million secrets: some minutes, and 4 GB of disk (PostgreSQL: more).
const FULL: &[&str] = &["--users", "1000000", "--secrets", "10000000"];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(usize, bool, Option<&str>, bool)>) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let asked = Asked::parse(&words).ok();
        let seen = asked.map(|it| {
            let keep = it.keep.and_then(Path::to_str);
            (it.databases.len(), !it.size.is_empty(), keep, it.loads_only)
        });
        assert_eq!(seen, expected, "{line}");
    }

    #[test]
    fn words_choose_databases_size_and_folder() {
        check("", Some((2, false, None, false)));
        check("--full", Some((2, true, None, false)));
        check("sqlite", Some((1, false, None, false)));
        check("postgres --full", Some((1, true, None, false)));
        check(
            "sqlite --keep there",
            Some((1, false, Some("there"), false)),
        );
        let both = Some((2, true, Some("there"), true));
        check("--full --keep there --load", both);
        check("oracle", None);
        check("sqlite postgres", None);
        check("--keep", None);
        check("--load", None);
        check("--keep there --full", None);
    }
}
