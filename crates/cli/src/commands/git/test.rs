//! `git test`: does a signed commit come out, and does git find its signature good?

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use keystead_agent::log::{self, Entry};
use rustix::process::Signal;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::config::{git, no_git};
use crate::arguments::GitTest;
use crate::commands;
use crate::failure::{Failure, Status};
use crate::terminal::{harmless, print, print_json};

/// `git test [--json]`
pub(crate) fn run(test: &GitTest) -> Result<(), Failure> {
    // git gets ^C too, and ends; the folder is still to be removed then.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let _caught = signal(SignalKind::interrupt())?;
    let folder = tempfile::Builder::new().prefix("keystead-git-").tempdir()?;
    let repository = folder.path();
    succeed(in_repository(repository).args(["init", "--quiet", "--template="]))?;
    let key = setting(repository, "user.signingKey")?;
    let format = setting(repository, "gpg.format")?;
    let (Some(key), Some("ssh")) = (key, format.as_deref()) else {
        return Err(Failure::new("git does not sign with an SSH key")
            .hint("`keystead git setup` makes it so"));
    };
    commit(repository)?;
    let verified = in_repository(repository)
        .args(["verify-commit", "HEAD"])
        .output()
        .map_err(|error| no_git(&error))?;
    let said = harmless(String::from_utf8_lossy(&verified.stderr).trim());
    if !verified.status.success() {
        let said = said.lines().last().unwrap_or("no reason given").to_owned();
        return Err(Failure::new(format!(
            "the commit is signed, and git does not trust it: {said}"
        ))
        .hint("`keystead git setup` adds your key to the allowed signers"));
    }
    if test.json {
        return print_json(&json!({
            "version": 1,
            "tests": [{ "name": "commit", "signing_key": key, "message": said }],
        }));
    }
    print(said)
}

/// Makes the commit. git and whoever holds the key speak to the person themselves.
fn commit(repository: &Path) -> Result<(), Failure> {
    let before = entries()?.len();
    let mut command = in_repository(repository);
    for (name, value) in [
        // Nobody's hooks.
        ("core.hooksPath", "/dev/null"),
        ("gc.auto", "0"),
    ] {
        command.args(["-c", &format!("{name}={value}")]);
    }
    for (name, value) in [
        ("user.name", "keystead git test"),
        ("user.email", "test@keystead.invalid"),
    ] {
        if setting(repository, name)?.is_none() {
            command.args(["-c", &format!("{name}={value}")]);
        }
    }
    let status = command
        .args(["commit", "--quiet", "--allow-empty", "-S", "-m"])
        .arg("Made by keystead git test")
        .status()
        .map_err(|error| no_git(&error))?;
    if status.success() {
        return Ok(());
    }
    if status.signal() == Some(Signal::INT.as_raw()) {
        let words = "ended by ^C; what was asked is withdrawn";
        return Err(Failure::new(words).status(Status::Interrupted));
    }
    let entries = entries()?;
    Err(reason(entries.get(before..).and_then(<[Entry]>::last)))
}

/// Why there is no signature, as the log has it.
fn reason(entry: Option<&Entry>) -> Failure {
    let failure = |why: &str| Failure::new(format!("git could not sign: {why}"));
    let why = entry.and_then(|it| it.reason.as_deref());
    match entry.map(|it| it.decision.as_str()) {
        Some("refuse" | "blocked") => failure("refused by the holder").status(Status::Refused),
        Some("refused-here") => failure(why.unwrap_or("a rule of this machine is against it"))
            .hint("`keystead policy show` shows the rules")
            .status(Status::Forbidden),
        Some("expired" | "no-answer") => failure("nobody answered")
            .hint("`keystead status` shows whether the keeper is connected")
            .status(Status::NotReached),
        _ => failure("git says why above").hint("`keystead doctor` looks for the reason"),
    }
}

fn entries() -> Result<Vec<Entry>, Failure> {
    Ok(log::entries(&commands::log::read()?).0)
}

/// A setting as git sees it in the repository.
fn setting(repository: &Path, name: &str) -> Result<Option<String>, Failure> {
    let output = in_repository(repository)
        .args(["config", "--get", name])
        .output()
        .map_err(|error| no_git(&error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(output
        .status
        .success()
        .then(|| text.trim_end_matches('\n').to_owned()))
}

fn in_repository(folder: &Path) -> Command {
    let mut command = git();
    command.arg("-C").arg(folder);
    command
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let output = command.output().map_err(|error| no_git(&error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = harmless(said.trim().lines().last().unwrap_or_default());
    Err(Failure::new(format!("git: {said}")))
}
