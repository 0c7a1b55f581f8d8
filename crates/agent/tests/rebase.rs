//! What is seen at a real `git` that signs one commit after the other.
//!
//! In the place of `ssh-keygen` stands a script that says its process number, waits until the test
//! has looked at it, and writes something for a signature.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that does not work fails the test"
)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keystead_agent::evidence::{Look, Seen};
use keystead_agent::peer::look;

/// A repository with commits, and the pipes to the script.
struct Repository {
    folder: PathBuf,
}

impl Repository {
    fn new(name: &str, commits: usize) -> Self {
        let folder = std::env::temp_dir().join(format!("ks-git-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("work")).unwrap();
        let it = Self { folder };
        for pipe in ["asked", "looked"] {
            let made = Command::new("mkfifo").arg(it.path(pipe)).status().unwrap();
            assert!(made.success());
        }
        let script = format!(
            "#!/bin/sh\necho $$ > '{}'\nread answer < '{}'\nfor file; do :; done\n\
             echo signed > \"$file.sig\"\n",
            it.path("asked").display(),
            it.path("looked").display()
        );
        std::fs::write(it.path("signer"), script).unwrap();
        std::fs::set_permissions(it.path("signer"), PermissionsExt::from_mode(0o700)).unwrap();
        it.run(&["init", "-q", "-b", "main"]);
        for at in 0..=commits {
            let text = at.to_string();
            std::fs::write(it.path("work").join(format!("f{at}")), &text).unwrap();
            it.run(&["add", "."]);
            it.run(&["commit", "-q", "--no-gpg-sign", "-m", &text]);
        }
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn git(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        let signer = format!("gpg.ssh.program={}", self.path("signer").display());
        command
            .current_dir(self.path("work"))
            .env("HOME", &self.folder)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_EDITOR", "true")
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@test",
                "-c",
                &signer,
            ])
            .args(["-c", "gpg.format=ssh", "-c", "user.signingkey=/k.pub"])
            .args(["-c", "commit.gpgsign=true"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) {
        assert!(
            self.git(arguments).status().unwrap().success(),
            "{arguments:?}"
        );
    }

    /// What is seen at each of `count` signatures of one command.
    fn seen(&self, arguments: &[&str], count: usize) -> Vec<Seen> {
        let mut git = Running(self.git(arguments).spawn().unwrap());
        let seen = (0..count).map(|_| self.next()).collect();
        assert!(git.0.wait().unwrap().success(), "{arguments:?}");
        seen
    }

    fn next(&self) -> Seen {
        // Opening waits for the script.
        let asked = std::fs::File::open(self.path("asked")).unwrap();
        let mut line = String::new();
        BufReader::new(asked).read_line(&mut line).unwrap();
        let seen = look(line.trim().parse().unwrap(), Look::Files, None);
        let looked = std::fs::OpenOptions::new()
            .write(true)
            .open(self.path("looked"));
        looked.unwrap().write_all(b"go\n").unwrap();
        seen
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The counts that `arguments` show, all under one id and the same words.
#[track_caller]
fn check(repository: &Repository, arguments: &[&str], what: &str, expected: &[Option<u32>]) {
    let seen = repository.seen(arguments, expected.len());
    let intents: Vec<_> = seen.iter().map(|it| it.intent.as_ref().unwrap()).collect();
    let counts: Vec<Option<u32>> = intents.iter().map(|it| it.count).collect();
    assert_eq!(counts, expected, "{arguments:?}");
    let id = intents.first().map(|it| it.id);
    assert!(
        intents
            .iter()
            .all(|it| it.what == what && Some(it.id) == id)
    );
    assert!(
        seen.iter()
            .all(|it| it.parents.iter().any(|path| path.ends_with("/git")))
    );
}

fn down_from(count: u32) -> Vec<Option<u32>> {
    (1..=count).rev().map(Some).collect()
}

#[test]
fn a_rebase_of_fourteen_commits_counts_down() {
    let repository = Repository::new("rebase", 14);
    let rebase = ["rebase", "-q", "--force-rebase", "HEAD~14"];
    check(&repository, &rebase, "git rebase", &down_from(14));
    let apply = ["rebase", "-q", "--apply", "--force-rebase", "HEAD~3"];
    check(&repository, &apply, "git rebase", &down_from(3));
}

#[test]
fn steps_that_sign_twice_and_those_that_sign_nothing() {
    let repository = Repository::new("steps", 6);
    let edit = "sequence.editor=sed -i -e 2s/pick/reword/ -e 3s/pick/squash/ -e 5s/pick/drop/";
    let rebase = ["-c", edit, "rebase", "-q", "-i", "--force-rebase", "HEAD~6"];
    check(&repository, &rebase, "git rebase", &down_from(6));
}

#[test]
fn a_row_of_picked_commits_counts_down_and_a_single_one_has_no_count() {
    let repository = Repository::new("picks", 4);
    repository.run(&["branch", "old"]);
    repository.run(&["checkout", "-q", "--detach", "HEAD~3"]);
    let picks = ["cherry-pick", "old~3..old"];
    check(&repository, &picks, "git cherry-pick", &down_from(3));
    let reverts = ["revert", "--no-edit", "HEAD~2..HEAD"];
    check(&repository, &reverts, "git revert", &down_from(2));
    let commit = ["commit", "-q", "--allow-empty", "-m", "more"];
    check(&repository, &commit, "git commit", &[None]);
}

#[test]
fn the_commit_is_read_from_the_file_that_git_names() {
    let repository = Repository::new("buffer", 1);
    let seen = repository.seen(&["commit", "-q", "--allow-empty", "-m", "subject"], 1);
    let [seen] = &seen[..] else {
        unreachable!("one was asked for");
    };
    // A script's own path stands in its command line too, before what git passed to it.
    let text = String::from_utf8(seen.buffers.last().unwrap().clone()).unwrap();
    assert!(
        text.starts_with("tree ") && text.ends_with("\n\nsubject\n"),
        "{text}"
    );
    let file = Path::new(seen.files.last().unwrap());
    assert!(file.is_absolute() && !file.exists());
}
