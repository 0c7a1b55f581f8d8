//! The terminal of a process: whether there is one, and a line to it.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::processes::{Process, Processes};

/// Writes one line to the terminal of process `pid`. False when it has none, or the terminal
/// takes no line.
#[must_use]
pub fn say(pid: i32, line: &str) -> bool {
    let processes = Processes::of_system();
    let standard_error = || open_terminal(Path::new(&processes.link(pid, "fd/2")?));
    let controlling = || controlling_terminal(processes.stat(pid)?.terminal);
    let Some(mut terminal) = standard_error().or_else(controlling) else {
        return false;
    };
    // The carriage return is for a terminal that a program has put into raw mode.
    match terminal.write_all(format!("{line}\r\n").as_bytes()) {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(%error, pid, "the terminal takes no line");
            false
        }
    }
}

/// Does somebody sit at a terminal of the process, or of one that it comes from?
pub(super) fn has_terminal(
    processes: &Processes,
    process: &Process,
    ancestors: &[Process],
) -> bool {
    let standard_error = processes.link(process.pid, "fd/2");
    let is_terminal = |path: String| open_terminal(Path::new(&path)).is_some();
    process.terminal != 0
        || ancestors.iter().any(|it| it.terminal != 0)
        || standard_error.is_some_and(is_terminal)
}

fn controlling_terminal(number: u64) -> Option<File> {
    let terminal = open_terminal(&terminal_path(number)?)?;
    let found = terminal.metadata().ok()?.rdev();
    (found == number).then_some(terminal)
}

/// The terminal's file by its number (Linux `Documentation/admin-guide/devices.txt`). Numbers below
/// 2^16 hold major and minor in a byte each; `tty_nr` puts higher minors above, as `st_rdev` does.
fn terminal_path(number: u64) -> Option<PathBuf> {
    let major = number >> 8 & 0xfff;
    let minor = number & 0xff | number >> 12 & 0xf_ff00;
    match major {
        4 if minor < 64 => Some(format!("/dev/tty{minor}").into()),
        4 => Some(format!("/dev/ttyS{}", minor - 64).into()),
        136..=143 => Some(format!("/dev/pts/{}", (major - 136) * 256 + minor).into()),
        _ => None,
    }
}

/// Opens what is a terminal, without waiting and without making it ours.
fn open_terminal(path: &Path) -> Option<File> {
    if !path.starts_with("/dev") {
        return None;
    }
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(i32::try_from(flags.bits()).ok()?)
        .open(path)
        .ok()?;
    file.is_terminal().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::super::processes::tests::Fake;
    use super::*;

    #[test]
    fn terminals_and_their_files() {
        let check = |major: u64, minor: u64, expected: Option<&str>| {
            let number = minor & 0xff | major << 8 | (minor & !0xff) << 12;
            assert_eq!(terminal_path(number), expected.map(PathBuf::from));
        };
        check(136, 3, Some("/dev/pts/3"));
        check(136, 300, Some("/dev/pts/300"));
        check(137, 1, Some("/dev/pts/257"));
        check(4, 1, Some("/dev/tty1"));
        check(4, 64, Some("/dev/ttyS0"));
        check(0, 0, None);
        check(8, 1, None);
    }

    #[test]
    fn a_file_is_no_terminal() {
        let fake = Fake::new("terminal");
        let path = fake.folder("work").join("a");
        std::fs::write(&path, "").unwrap();
        assert!(open_terminal(&path).is_none());
        assert!(open_terminal(Path::new("/dev/null")).is_none());
        assert!(open_terminal(Path::new("/nowhere")).is_none());
        assert!(!say(i32::MAX, "to nobody"));
    }

    #[test]
    fn a_program_in_the_background_has_no_terminal_anywhere() {
        let fake = Fake::new("background");
        fake.put(20, 1, 20, 34_817, "bash");
        fake.put(30, 20, 30, 0, "setsid");
        fake.put(31, 30, 30, 0, "ssh db");
        fake.put(40, 1, 40, 0, "cron");
        fake.put(41, 40, 41, 0, "ssh db");
        let processes = fake.processes();
        let check = |pid, expected| {
            let process = processes.read(pid).unwrap();
            let ancestors = processes.ancestors(&process);
            let found = has_terminal(&processes, &process, &ancestors);
            assert_eq!(found, expected, "{pid}");
        };
        check(20, true);
        check(31, true);
        check(41, false);
        fake.link(41, "fd/2", Path::new("/dev/null"));
        check(41, false);
    }
}
