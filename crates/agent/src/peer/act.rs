//! The act of a person that a request is one part of, by the processes it comes from.
//!
//! **Invariant:** a guess to group requests by, and a count that is `git`'s own. What is more than
//! the count is asked for anew.

use std::path::{Path, PathBuf};

use keystead_core::{Intent, labelled_hash};
use keystead_formats::git::{signatures_of, signatures_of_step, verb};

use super::files::read_text;
use super::processes::{Process, Processes};

/// What the request of `process` is part of. Its id holds as long as the process that the person
/// started does; the count is of the signatures that are still to come, this one among them.
pub(super) fn intent(
    processes: &Processes,
    process: &Process,
    ancestors: &[Process],
) -> Option<Intent> {
    let root = root(process, ancestors);
    let mut lines = ancestors
        .iter()
        .enumerate()
        .filter(|(_, it)| it.name() == "git");
    let nearest = lines.next();
    let count = nearest.and_then(|(at, nearest)| {
        let own = ancestors.get(at..).unwrap_or_default();
        left(processes, nearest, own)
    });
    Some(Intent {
        id: id(root)?,
        what: what(root),
        count,
    })
}

/// The outermost `git`; else the outermost program that its session's shell started; else that
/// shell, or the process itself.
fn root<'a>(process: &'a Process, ancestors: &'a [Process]) -> &'a Process {
    if let Some(git) = ancestors.iter().rev().find(|it| it.name() == "git") {
        return git;
    }
    let in_session = |it: &&Process| it.session == process.session;
    let below_shell = ancestors
        .iter()
        .take_while(in_session)
        .filter(|it| it.pid != it.session)
        .last();
    let shell = ancestors.first().filter(in_session);
    below_shell.or(shell).unwrap_or(process)
}

fn id(root: &Process) -> Option<[u8; 16]> {
    let name = format!("{} {}", root.pid, root.started);
    let hash = labelled_hash("keystead-intent", name.as_bytes());
    hash.first_chunk().copied()
}

/// `git rebase`, `ansible-playbook`, `deploy.sh`.
fn what(root: &Process) -> String {
    let name = root.name();
    let words = root.words();
    if name == "git" {
        return verb(&words).map_or_else(|| name.to_owned(), |verb| format!("git {verb}"));
    }
    let runs_scripts = INTERPRETERS.iter().any(|it| name.starts_with(it));
    let script = words
        .get(1)
        .filter(|word| runs_scripts && !word.starts_with('-'));
    let script = script.and_then(|it| it.rsplit('/').next());
    script.unwrap_or(name).to_owned()
}

/// How many commits the `git` that asks, and those around it, are still to sign.
fn left(processes: &Processes, nearest: &Process, around: &[Process]) -> Option<u32> {
    let folder = git_folder(processes, nearest)?;
    let around = || around.iter().filter(|it| it.name() == "git");
    let is_in = |wanted: &str| around().any(|it| verb(&it.words()) == Some(wanted));
    let read = |name: &str| read_text(&folder.join(name), STATE_BYTES_MAX);
    if let Some(steps) = read("rebase-merge/git-rebase-todo").filter(|_| around().any(rebases)) {
        let done = read("rebase-merge/done").unwrap_or_default();
        let step = done.lines().rfind(|line| !line.trim().is_empty());
        // The second commit of a `reword`, and what an `exec` starts, come from a `git` of their
        // own: it signs once.
        let now = match step.map(signatures_of_step) {
            Some(count) if rebases(nearest) => count.max(1),
            _ => 1,
        };
        return Some(now.saturating_add(signatures_of(&steps)));
    }
    if let (Some(next), Some(last), true) = (
        read("rebase-apply/next").and_then(|it| it.trim().parse::<u32>().ok()),
        read("rebase-apply/last").and_then(|it| it.trim().parse::<u32>().ok()),
        is_in("am"),
    ) {
        return Some(last.checked_sub(next)?.saturating_add(1));
    }
    let steps = read("sequencer/todo").filter(|_| is_in("cherry-pick") || is_in("revert"))?;
    Some(signatures_of(&steps)).filter(|count| *count > 0)
}

fn rebases(git: &Process) -> bool {
    verb(&git.words()) == Some("rebase")
}

/// The folder in which a `git` keeps what it is doing; of a linked work tree its own
/// (gitrepository-layout(5)).
fn git_folder(processes: &Processes, git: &Process) -> Option<PathBuf> {
    let cwd = processes.link(git.pid, "cwd")?;
    if let Some(named) = processes.variable(git.pid, "GIT_DIR") {
        return Some(Path::new(&cwd).join(named));
    }
    let found = Path::new(&cwd).ancestors().find_map(|folder| {
        let path = folder.join(".git");
        if path.is_dir() {
            return Some(path);
        }
        let text = read_text(&path, STATE_BYTES_MAX)?;
        let named = text.strip_prefix("gitdir:")?.trim();
        Some(folder.join(named))
    });
    // The work tree's folder is the repository itself where there is none.
    found.or_else(|| Some(PathBuf::from(cwd)))
}

/// Programs that are told what to do by the file behind their name.
const INTERPRETERS: [&str; 8] = [
    "bash", "sh", "dash", "zsh", "python", "perl", "ruby", "node",
];

/// A rebase of some ten thousand commits.
const STATE_BYTES_MAX: usize = 1024 * 1024;
