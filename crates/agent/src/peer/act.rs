//! The act of a person that a request is one part of, by the processes it comes from.
//!
//! **Invariant:** a guess to group requests by, and a count that is `git`'s own. What is more than
//! the count is asked for anew.

use std::path::{Path, PathBuf};

use keystead_core::{Intent, labelled_hash};
use keystead_formats::git::{signatures_of, signatures_of_step, verb};

use super::processes::{Process, Processes};
use super::short::read_text;

/// What the request of `process` is part of. Its id holds as long as the process that the person
/// started does; the count is of the signatures that are still to come, this one among them.
pub(super) fn intent(
    processes: &Processes,
    process: &Process,
    ancestors: &[Process],
) -> Option<Intent> {
    let root = root(process, ancestors);
    let nearest = ancestors.iter().position(|it| it.name() == "git");
    let around = ancestors.get(nearest.unwrap_or(ancestors.len())..);
    let count = around.and_then(|around| left(processes, around.first()?, around));
    Some(Intent {
        id: id(root)?,
        what: what(processes, root),
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
fn what(processes: &Processes, root: &Process) -> String {
    let name = root.name();
    let arguments = processes.arguments(root.pid);
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
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

#[cfg(test)]
mod tests {
    use super::super::processes::tests::Fake;
    use super::*;

    /// A terminal's shell (20), and one without a terminal (40) that a service started.
    fn tree() -> Fake {
        let fake = Fake::new("act");
        fake.put(1, 0, 1, 0, "init");
        fake.put(20, 1, 20, 34_817, "bash");
        fake.put(21, 20, 20, 34_817, "ssh db1");
        fake.put(22, 20, 20, 34_817, "bash ./deploy.sh all");
        fake.put(23, 22, 20, 34_817, "ssh db1");
        fake.put(24, 22, 20, 34_817, "ssh db2");
        fake.put(
            25,
            20,
            20,
            34_817,
            "/usr/bin/python3.13 /usr/bin/ansible-playbook site.yml",
        );
        fake.put(26, 25, 20, 34_817, "ssh db3");
        fake.put(30, 22, 20, 34_817, "git -C there pull --rebase");
        fake.put(31, 30, 20, 34_817, "/usr/libexec/git-core/git rebase -q");
        fake.put(32, 31, 20, 34_817, "ssh-keygen -Y sign");
        fake.put(33, 30, 20, 34_817, "ssh git@db1");
        fake.put(40, 1, 40, 0, "sh -c backup");
        fake.put(41, 40, 40, 0, "ssh db1");
        fake
    }

    fn seen(fake: &Fake, pid: i32) -> Intent {
        let processes = fake.processes();
        let process = processes.read(pid).unwrap();
        let ancestors = processes.ancestors(&process);
        intent(&processes, &process, &ancestors).unwrap()
    }

    #[test]
    fn what_a_request_is_part_of() {
        let fake = tree();
        let check = |pid, what| assert_eq!(seen(&fake, pid).what, what, "{pid}");
        check(21, "bash");
        check(23, "deploy.sh");
        check(26, "ansible-playbook");
        check(32, "git pull");
        check(33, "git pull");
        check(41, "sh");
    }

    #[test]
    fn one_act_has_one_id() {
        let fake = tree();
        let same = |a, b| seen(&fake, a).id == seen(&fake, b).id;
        assert!(same(23, 24) && same(32, 33));
        assert!(!same(23, 26) && !same(23, 33) && !same(21, 23) && !same(21, 41));
    }

    /// Counts as git's files have them, in a work tree that is linked or not.
    #[test]
    fn signatures_that_are_still_to_come() {
        let check = |git: &str, files: &[(&str, &str)], expected: Option<u32>| {
            for linked in [false, true] {
                let fake = Fake::new("left");
                let work = fake.folder("work/sub");
                let own = fake.folder(if linked {
                    "main/worktrees/a"
                } else {
                    "work/.git"
                });
                if linked {
                    let named = format!("gitdir: {}\n", own.display());
                    std::fs::write(fake.folder("work").join(".git"), named).unwrap();
                }
                for (name, text) in files {
                    let path = own.join(name);
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, text).unwrap();
                }
                fake.put(30, 1, 30, 0, git);
                fake.link(30, "cwd", &work);
                fake.put(31, 30, 30, 0, "ssh-keygen -Y sign");
                assert_eq!(seen(&fake, 31).count, expected, "{git}");
            }
        };
        let steps = (
            "rebase-merge/git-rebase-todo",
            "pick a\nexec make\nreword b\n",
        );
        check(
            "git rebase",
            &[steps, ("rebase-merge/done", "pick c\n")],
            Some(4),
        );
        check(
            "git rebase",
            &[steps, ("rebase-merge/done", "pick c\nreword d\n\n")],
            Some(5),
        );
        check("git rebase", &[steps], Some(4));
        check("git rebase", &[], None);
        // What a rebase that stopped left behind is no count of another command.
        check("git commit", &[steps], None);
        let patches = [("rebase-apply/next", "2\n"), ("rebase-apply/last", "5\n")];
        check("git am", &patches, Some(4));
        check("git commit", &patches, None);
        check(
            "git am",
            &[("rebase-apply/next", "6\n"), ("rebase-apply/last", "5\n")],
            None,
        );
        check(
            "git am",
            &[("rebase-apply/next", "x"), ("rebase-apply/last", "5")],
            None,
        );
        let picks = [("sequencer/todo", "pick a\npick b\n")];
        check("git cherry-pick a b", &picks, Some(2));
        check("git push", &picks, None);
    }
}
