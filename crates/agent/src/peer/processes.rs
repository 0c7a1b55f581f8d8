//! Processes as the system shows them: proc_pid_stat(5), proc_pid_cmdline(5).
//!
//! **Invariant:** reads alone, bounded; what cannot be read is missing.

use std::path::{Path, PathBuf};

use super::short::read_short;

/// The folder where the system shows its processes.
pub(super) struct Processes {
    folder: PathBuf,
}

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// The process that began its session, mostly a shell.
    pub(super) session: i32,
    /// The controlling terminal's number, 0 without one.
    pub(super) terminal: u64,
    /// Ticks since the system's start: with the pid it names a process for ever.
    pub(super) started: u64,
    /// Its program.
    pub(super) path: Option<String>,
    pub(super) arguments: Vec<String>,
}

impl Processes {
    pub(super) fn of_system() -> Self {
        Self::at("/proc")
    }

    pub(super) fn at(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { folder }
    }

    pub(super) fn read(&self, pid: i32) -> Option<Process> {
        let mut process = self.stat(pid)?;
        process.path = self.link(pid, "exe");
        process.arguments = self.arguments(pid);
        Some(process)
    }

    /// Without program and command line.
    pub(super) fn stat(&self, pid: i32) -> Option<Process> {
        let stat = read_short(&self.path(pid, "stat"), STAT_BYTES_MAX)?;
        let stat = String::from_utf8_lossy(&stat);
        // The program's name stands in parentheses and may hold any character.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace().skip(1);
        // 4 ppid, 5 pgrp, 6 session, 7 tty_nr, … 22 starttime.
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        let terminal = fields.next()?.parse().unwrap_or(0);
        let started = fields.nth(14)?.parse().ok()?;
        Some(Process {
            pid,
            parent,
            session,
            terminal,
            started,
            path: None,
            arguments: Vec::new(),
        })
    }

    /// The processes that it comes from, the nearest first, without the system's first one. Of
    /// their command lines those of `git` alone are read: most say nothing.
    pub(super) fn ancestors(&self, process: &Process) -> Vec<Process> {
        let mut found: Vec<Process> = Vec::new();
        let mut parent = process.parent;
        // A parent that began later than its child is another process with its number.
        let mut started = process.started;
        while parent > 1 && found.len() < ANCESTORS_MAX {
            let next = self.stat(parent);
            let Some(mut next) = next.filter(|it| it.started <= started) else {
                break;
            };
            next.path = self.link(parent, "exe");
            if next.name() == "git" {
                next.arguments = self.arguments(parent);
            }
            parent = next.parent;
            started = next.started;
            found.push(next);
        }
        found
    }

    /// Where a link of the process leads: `exe`, `cwd`, `fd/2`.
    pub(super) fn link(&self, pid: i32, name: &str) -> Option<String> {
        let path = std::fs::read_link(self.path(pid, name)).ok()?;
        path.into_os_string().into_string().ok()
    }

    /// A file that the process names, seen from its folder.
    pub(super) fn file(&self, pid: i32, file: &str) -> Option<PathBuf> {
        let path = Path::new(file);
        if path.is_absolute() {
            return Some(path.to_owned());
        }
        Some(Path::new(&self.link(pid, "cwd")?).join(path))
    }

    /// A variable of the environment that it was started with.
    pub(super) fn variable(&self, pid: i32, name: &str) -> Option<String> {
        let all = read_short(&self.path(pid, "environ"), ENVIRONMENT_BYTES_MAX)?;
        let all = String::from_utf8_lossy(&all);
        let value = all
            .split('\0')
            .find_map(|it| it.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.to_owned())
    }

    pub(super) fn arguments(&self, pid: i32) -> Vec<String> {
        let Some(line) = read_short(&self.path(pid, "cmdline"), COMMAND_LINE_BYTES_MAX) else {
            return Vec::new();
        };
        let line = String::from_utf8_lossy(&line);
        line.split_terminator('\0').map(str::to_owned).collect()
    }

    fn path(&self, pid: i32, name: &str) -> PathBuf {
        self.folder.join(pid.to_string()).join(name)
    }
}

impl Process {
    /// The last part of its program's path; of the command line where that is not to be read.
    pub(super) fn name(&self) -> &str {
        let path = self
            .path
            .as_deref()
            .or(self.arguments.first().map(String::as_str));
        let name = path
            .and_then(|it| it.rsplit('/').next())
            .unwrap_or_default();
        // So the system marks a program that was replaced while it runs.
        name.strip_suffix(" (deleted)").unwrap_or(name)
    }

    pub(super) fn words(&self) -> Vec<&str> {
        self.arguments.iter().map(String::as_str).collect()
    }
}

/// Some 52 numbers.
const STAT_BYTES_MAX: usize = 4 * 1024;

/// `ARG_MAX` allows 2 MiB; an `ssh` command line is short.
const COMMAND_LINE_BYTES_MAX: usize = 64 * 1024;

/// As for the command line.
const ENVIRONMENT_BYTES_MAX: usize = 256 * 1024;

/// From `ssh-keygen` by way of git, make, shells and a terminal to a desktop's session.
const ANCESTORS_MAX: usize = 32;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder like `/proc` in which tests put processes.
    pub(in super::super) struct Fake {
        folder: PathBuf,
    }

    impl Fake {
        pub(in super::super) fn new(name: &str) -> Self {
            let folder =
                std::env::temp_dir().join(format!("keystead-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            Self { folder }
        }

        /// `line` is its command line; of a program in `/usr/bin` unless it has a path.
        pub(in super::super) fn put(
            &self,
            pid: i32,
            parent: i32,
            session: i32,
            tty: u64,
            line: &str,
        ) {
            let own = self.folder.join(pid.to_string());
            std::fs::create_dir_all(&own).unwrap();
            let name = line.split(' ').next().unwrap();
            let program = if name.starts_with('/') {
                name.to_owned()
            } else {
                format!("/usr/bin/{name}")
            };
            std::os::unix::fs::symlink(program, own.join("exe")).unwrap();
            let zeros = "0 ".repeat(14);
            let stat = format!(
                "{pid} (a) b) S {parent} {pid} {session} {tty} {zeros}{} 0",
                pid * 10
            );
            std::fs::write(own.join("stat"), stat).unwrap();
            std::fs::write(
                own.join("cmdline"),
                format!("{}\0", line.replace(' ', "\0")),
            )
            .unwrap();
        }

        pub(in super::super) fn link(&self, pid: i32, name: &str, target: &Path) {
            let path = self.folder.join(pid.to_string()).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
        }

        pub(in super::super) fn write(&self, pid: i32, name: &str, text: &str) {
            std::fs::write(self.folder.join(pid.to_string()).join(name), text).unwrap();
        }

        pub(in super::super) fn folder(&self, name: &str) -> PathBuf {
            let folder = self.folder.join(name);
            std::fs::create_dir_all(&folder).unwrap();
            folder
        }

        pub(in super::super) fn processes(&self) -> Processes {
            Processes::at(&self.folder)
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn a_process_and_where_it_comes_from() {
        let fake = Fake::new("tree");
        fake.put(1, 0, 1, 0, "init");
        fake.put(20, 1, 20, 34_817, "bash");
        fake.put(30, 20, 20, 34_817, "git rebase");
        fake.put(31, 30, 20, 34_817, "ssh-keygen -Y sign");
        let processes = fake.processes();
        let process = processes.read(31).unwrap();
        assert_eq!(process.arguments, ["ssh-keygen", "-Y", "sign"]);
        assert_eq!(
            (process.session, process.terminal, process.started),
            (20, 34_817, 310)
        );
        assert_eq!(process.name(), "ssh-keygen");
        let names: Vec<String> = processes
            .ancestors(&process)
            .iter()
            .map(|it| it.name().to_owned())
            .collect();
        assert_eq!(names, ["git", "bash"]);
        assert_eq!(processes.read(99), None);
    }

    #[test]
    fn a_parent_that_is_younger_is_another_process() {
        let fake = Fake::new("reused");
        fake.put(40, 1, 40, 0, "other");
        fake.put(30, 40, 30, 0, "ssh");
        let processes = fake.processes();
        assert_eq!(processes.ancestors(&processes.read(30).unwrap()), []);
    }
}
