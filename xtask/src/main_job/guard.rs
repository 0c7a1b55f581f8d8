//! Ends what a throw-away stage has started, however the command itself ends.
//!
//! The command starts this same program again as its guard, in a process group
//! of its own, so that ^C at the terminal does not reach it. The guard reads
//! process ids from a pipe. When the pipe closes (the command is done, or was
//! interrupted, or killed) it ends those processes and their descendants by
//! their ids, waits until they are gone, and removes the folder.
//!
//! Invariant: a process is ended only if it is the one that was named: an id
//! that has been given to another process since has another start time.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{About, Failure, Result};

/// The command's end of the pipe.
pub(crate) struct Guard {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts the guard of a folder, which need not exist yet.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let program = std::env::current_exe().about("this program")?;
        let mut child = Command::new(program)
            .arg(COMMAND)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .about("the guard")?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }

    /// Names a process to be ended.
    pub(crate) fn watch(&mut self, pid: u32) -> Result<()> {
        let pipe = self
            .pipe
            .as_mut()
            .ok_or_else(|| Failure::new("the guard has ended"))?;
        writeln!(pipe, "{pid}").about("the guard")
    }

    /// Ends everything now and waits until it is gone.
    pub(crate) fn end(&mut self) -> Result<()> {
        drop(self.pipe.take());
        self.child.wait().about("the guard").map(|_| ())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// The guard itself: `guard FOLDER`, not for a person to type.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let [folder] = arguments else {
        return Err(Failure::new("usage: cargo xtask guard FOLDER"));
    };
    let folder = PathBuf::from(folder);
    let mut watched = BTreeSet::new();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if let Some(process) = line.trim().parse().ok().and_then(Process::of) {
            watched.insert(process);
        }
    }
    end_all(watched);
    // Only what a stage has made: its mark is in it.
    if folder.join(MARK).exists() {
        std::fs::remove_dir_all(&folder).about(folder.display())?;
    }
    Ok(())
}

/// One process for certain: its id and when it started (proc_pid_stat(5),
/// field 22).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    pid: u32,
    start_ticks: u64,
}

impl Process {
    fn of(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        (!stat.has_ended).then_some(Self {
            pid,
            start_ticks: stat.start_ticks,
        })
    }

    fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

fn end_all(mut watched: BTreeSet<Process>) {
    for signal in ["TERM", "KILL"] {
        // sshd starts a process for each login, in a session of its own.
        watched.extend(descendants(&watched));
        let alive: Vec<Process> = watched.iter().copied().filter(|p| p.is_alive()).collect();
        if alive.is_empty() {
            return;
        }
        let pids = alive.iter().map(|process| process.pid.to_string());
        let _ = Command::new("sh")
            .args(["-c", "kill -\"$0\" \"$@\" 2>/dev/null", signal])
            .args(pids)
            .status();
        let deadline = Instant::now() + GRACE;
        while alive.iter().any(|process| process.is_alive()) && Instant::now() < deadline {
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

fn descendants(of: &BTreeSet<Process>) -> BTreeSet<Process> {
    let mut found: BTreeSet<Process> = of.iter().copied().filter(|p| p.is_alive()).collect();
    let pids = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let all: Vec<(u32, Stat)> = pids
        .filter_map(|pid| Some((pid, Stat::read(pid)?)))
        .collect();
    loop {
        let before = found.len();
        for (pid, stat) in &all {
            if found.iter().any(|parent| parent.pid == stat.parent) {
                found.insert(Process {
                    pid: *pid,
                    start_ticks: stat.start_ticks,
                });
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// What proc_pid_stat(5) tells of a process.
struct Stat {
    parent: u32,
    start_ticks: u64,
    /// A zombie: only its parent's to take note of.
    has_ended: bool,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, field 2, may hold blanks and brackets itself.
        let (_, after_name) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        Some(Self {
            has_ended: matches!(fields.first(), Some(&"Z" | &"X")),
            parent: fields.get(1)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }
}

/// The hidden command's name.
pub(crate) const COMMAND: &str = "guard";

/// A file that every stage's folder has.
pub(crate) const MARK: &str = ".keystead-throw-away";

/// To put the terminal right and end in order.
const GRACE: Duration = Duration::from_secs(2);

/// Nothing tells a process that is no parent of another's end.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_its_children_are_ended() {
        let mut parent = Command::new("sh")
            .args(["-c", "sleep 600 & echo started; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufReader::new(parent.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let parent_of_sleep = Process::of(parent.id()).unwrap();
        let all = descendants(&BTreeSet::from([parent_of_sleep]));
        assert_eq!(all.len(), 2, "{all:?}");
        end_all(BTreeSet::from([parent_of_sleep]));
        assert!(all.iter().all(|process| !process.is_alive()));
        parent.wait().unwrap();
    }

    #[test]
    fn another_process_with_the_same_id_is_spared() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        let earlier = Process {
            start_ticks: process.start_ticks - 1,
            ..process
        };
        end_all(BTreeSet::from([earlier]));
        assert!(process.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
    }
}
