//! What the documents say of the tests is so: every `$` line is played by
//! `scripts/readme.script` in the order in which they stand, and each test that
//! `spec/requirements.md` names is there.

use std::path::{Path, PathBuf};

use keystead_tests::{About, Failure, Result};

#[test]
fn every_command_of_the_readme_is_played() -> Result<()> {
    let script = text("tests/scripts/readme.script")?;
    let mut rest = script.lines();
    let mut count = 0;
    for command in commands(&text("README.md")?) {
        if RUN_BY_XTASK.contains(&command.as_str()) {
            continue;
        }
        let played = PLAYED_AS
            .iter()
            .fold(command.clone(), |line, (from, to)| line.replace(from, to));
        if !rest.any(|line| line.trim_start_matches("at-terminal ").starts_with(&played)) {
            return Err(Failure::new(format!(
                "readme.script does not play: {played}"
            )));
        }
        count += 1;
    }
    (count > 5)
        .then_some(())
        .ok_or_else(|| Failure::new("the README has lost its commands"))
}

/// A requirement without its test would be a promise alone.
#[test]
fn every_test_that_shows_a_requirement_is_there() -> Result<()> {
    let document = text("spec/requirements.md")?;
    let mut sources = String::new();
    for folder in ["crates", "tests/tests"] {
        read_tree(&root().join(folder), &mut sources)?;
    }
    let mut count = 0;
    for name in names_of_tests(&document) {
        let is_there = if name.ends_with(".script") {
            root().join("tests/scripts").join(name).exists()
        } else {
            sources.contains(&format!("fn {name}("))
        };
        if !is_there {
            return Err(Failure::new(format!("no test is called {name}")));
        }
        count += 1;
    }
    (count > 100)
        .then_some(())
        .ok_or_else(|| Failure::new("the requirements have lost their tests"))
}

/// What stands between backquotes in a table, and reads as the name of a test.
fn names_of_tests(document: &str) -> Vec<&str> {
    let rows = document.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|name| {
            let is_function = name.matches('_').count() >= 2
                && name
                    .chars()
                    .all(|it| it == '_' || it.is_ascii_alphanumeric());
            is_function || name.ends_with(".script")
        })
        .collect()
}

/// Appends every Rust source under `folder`.
fn read_tree(folder: &Path, sources: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder).about(folder.display())? {
        let path = entry.about(folder.display())?.path();
        if path.is_dir() {
            read_tree(&path, sources)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).about(path.display())?);
        }
    }
    Ok(())
}

/// Lines of `console` blocks that start with `$ `.
fn commands(document: &str) -> Vec<String> {
    let mut is_console = false;
    let mut commands = Vec::new();
    for line in document.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            is_console = kind == "console";
        } else if is_console && let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        }
    }
    commands
}

fn text(name: &str) -> Result<String> {
    let path = root().join(name);
    std::fs::read_to_string(&path).about(path.display())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// They are the project's own commands: the first is played by CI, the second
/// is what runs this test.
const RUN_BY_XTASK: &[&str] = &["cargo xtask try", "cargo xtask test"];

/// Names of the document, and what stands for them where it is played.
const PLAYED_AS: &[(&str, &str)] = &[
    ("https://relay.example.org", "http://$RELAY_ADDRESS"),
    (
        "ln -s \"$(command -v keystead)\" ~/bin/ssh-agent",
        "sh -c 'ln -s ",
    ),
    ("alex@db1", "sshd"),
    ("hosts db1", "hosts sshd"),
    ("register LINK", "register $INVITATION"),
    ("~/", "$HOME/"),
    ("127.0.0.1:7440", "127.0.0.1:0"),
    ("\"", "'"),
    (
        "ln -s '$(command -v keystead)' $HOME/bin/ssh-agent",
        "sh -c 'ln -s \"$(command -v keystead)\" ~/bin/ssh-agent'",
    ),
];
