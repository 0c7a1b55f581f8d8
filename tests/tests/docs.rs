//! Every `$` line of the documents is run: `scripts/readme.script` plays them,
//! and this test sees that it plays each, in the order in which they stand.

use std::path::PathBuf;

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
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(name);
    std::fs::read_to_string(&path).about(path.display())
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
    ("~/", "$HOME/"),
    ("127.0.0.1:7440", "127.0.0.1:0"),
    ("\"", "'"),
    (
        "ln -s '$(command -v keystead)' $HOME/bin/ssh-agent",
        "sh -c 'ln -s \"$(command -v keystead)\" ~/bin/ssh-agent'",
    ),
];
