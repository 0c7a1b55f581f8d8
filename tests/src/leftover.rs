//! Programs that outlive a play: they are named, ended, and a failure.
//!
//! What programs leave behind becomes this process's child (prctl(2),
//! `PR_SET_CHILD_SUBREAPER`). Only nextest gives each test a process of its
//! own; elsewhere another test's programs are children too, and nothing is said.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::Deadline;
use crate::failure::{Failure, Result};

/// Sees that none of ours goes on.
pub(crate) fn none() -> Result<()> {
    if std::env::var_os("NEXTEST").is_none() {
        return Ok(());
    }
    let deadline = Deadline::after(GOODBYE);
    loop {
        let left = ours();
        if left.is_empty() {
            return Ok(());
        }
        if deadline.is_past() {
            for pid in left.iter().filter_map(|(pid, _)| Pid::from_raw(*pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            let words: Vec<String> = left.into_iter().map(|(_, words)| words).collect();
            return Err(Failure::new(format!("left running: {}", words.join("; "))));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Children of this process that are programs of this project.
fn ours() -> Vec<(i32, String)> {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let children: String = tasks
        .map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default())
        .collect();
    children
        .split_whitespace()
        .filter_map(|pid| {
            // Empty for a process that has ended (proc_pid_cmdline(5)).
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            let words: Vec<&str> = line.split('\0').collect();
            let name = Path::new(words.first()?).file_name()?.to_string_lossy();
            let is_ours = name.starts_with("keystead") && !name.starts_with("keystead_");
            is_ours.then(|| Some((pid.parse().ok()?, words.join(" "))))?
        })
        .collect()
}

/// A program that has been told to end is given this long.
const GOODBYE: Duration = Duration::from_secs(5);

/// Nothing tells of the end of another's child.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
