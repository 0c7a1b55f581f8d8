//! Where agents in the place of `ssh-agent` keep their logs: a folder for each, `SECONDS-PID`, in
//! one folder of the state.
//!
//! **Invariant:** the log of a living agent is never removed; of those that have ended the latest
//! [`KEPT`] stay.

use std::fs;
use std::path::{Path, PathBuf};

use keystead_daemon::home::FolderError;
use keystead_daemon::{FolderDisk, Now};

/// Makes a folder for this process. Where the state folder cannot be (no home), it is made beside
/// the socket.
///
/// # Errors
/// [`FolderError`]: neither can be made.
pub(super) fn open(
    state: &Path,
    beside: &Path,
    now: Now,
) -> Result<(PathBuf, FolderDisk), FolderError> {
    let pid = std::process::id();
    let name = format!("{}-{pid}", now.unix_s);
    let all = state.join(FOLDER);
    let own = all.join(&name);
    match FolderDisk::open(&own) {
        Ok(disk) => {
            remove_old(&all);
            Ok((own, disk))
        }
        Err(error) => {
            tracing::warn!(%error, "the log goes beside the socket");
            let own = beside.join(format!("{FOLDER}-{name}"));
            let disk = FolderDisk::open(&own)?;
            Ok((own, disk))
        }
    }
}

/// An agent that nobody used leaves nothing.
pub(super) fn close(own: &Path) {
    // Fails where a log is in it, as it should.
    let _ = fs::remove_dir(own);
}

/// Best effort: what cannot be removed today is tried by the next agent.
fn remove_old(all: &Path) {
    let Ok(entries) = fs::read_dir(all) else {
        return;
    };
    let names = entries.filter_map(|it| it.ok()?.file_name().into_string().ok());
    let mut ended: Vec<(u64, String)> = names
        .filter_map(|name| {
            let (seconds, pid) = name.split_once('-')?;
            let is_alive = Path::new("/proc").join(pid).exists();
            let seconds = seconds.parse().ok()?;
            (!is_alive).then_some((seconds, name))
        })
        .collect();
    ended.sort_unstable();
    let too_many = ended.len().saturating_sub(KEPT);
    for (_, name) in ended.into_iter().take(too_many) {
        let _ = fs::remove_dir_all(all.join(name));
    }
}

/// In the state folder.
const FOLDER: &str = "ssh-agent";

/// A test suite may start hundreds of agents in a minute; a person some in a day.
const KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use keystead_daemon::Disk;

    use super::*;

    const NOW: Now = Now {
        mono_ms: 0,
        unix_s: 1_700_000_000,
    };

    fn place(name: &str) -> PathBuf {
        let place = std::env::temp_dir().join(format!("keystead-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir(&place).unwrap();
        place
    }

    #[test]
    fn old_logs_of_agents_that_ended_go() {
        let state = place("logs");
        let all = state.join(FOLDER);
        for seconds in 0..KEPT + 3 {
            // No process has this number (`pid_max` is at most 2^22).
            fs::create_dir_all(all.join(format!("{seconds}-4194305"))).unwrap();
        }
        fs::create_dir(all.join("0-1")).unwrap();
        let (own, _) = open(&state, &state, NOW).unwrap();
        let count = fs::read_dir(&all).unwrap().count();
        assert_eq!(count, KEPT + 2, "the living ones come on top");
        assert!(all.join("0-1").exists() && !all.join("2-4194305").exists());
        close(&own);
        assert!(!own.exists());
        fs::remove_dir_all(&state).unwrap();
    }

    #[test]
    fn without_a_home_the_log_is_beside_the_socket_and_stays() {
        let beside = place("beside");
        let (own, mut disk) = open(Path::new("/proc/nowhere"), &beside, NOW).unwrap();
        disk.replace("log", b"x").unwrap();
        close(&own);
        assert!(own.starts_with(&beside) && own.join("log").exists());
        fs::remove_dir_all(&beside).unwrap();
    }
}
