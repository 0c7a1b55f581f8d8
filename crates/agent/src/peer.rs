//! Looks at the process at the other end of a connection, by `/proc`, and reaches the person's
//! terminal.
//!
//! **Invariant:** all of it is best effort and proves nothing; a process that is gone, or is not
//! what it seems, gives empty answers. A line is written to a terminal or nowhere: never into a
//! file or pipe that a person redirected.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keystead_core::Evidence;
use keystead_formats::ssh::config_names::ConfigNames;
use keystead_formats::ssh::destination::Destination;
use rustix::fs::OFlags;

use crate::evidence::{Look, Seen};

/// Looks at process `pid`. `home` is the person's home folder.
#[must_use]
pub fn look(pid: i32, look: Look, home: Option<&Path>) -> Seen {
    let mut seen = Seen {
        process_path: read_link(pid, "exe"),
        arguments: arguments(pid),
        ..Seen::default()
    };
    match look {
        Look::Process => {}
        Look::Hosts => look_at_hosts(pid, &mut seen, home),
        Look::Buffer => seen.buffer = buffer(pid, &seen.arguments),
    }
    seen
}

/// Writes one line to the terminal of process `pid`, if it has one.
pub fn say(pid: i32, line: &str) {
    let Some(mut terminal) = standard_error(pid).or_else(|| controlling_terminal(pid)) else {
        return;
    };
    // The carriage return is for a terminal that a program has put into raw mode.
    if let Err(error) = terminal.write_all(format!("{line}\r\n").as_bytes()) {
        tracing::debug!(%error, pid, "the terminal takes no line");
    }
}

fn standard_error(pid: i32) -> Option<File> {
    let path = read_link(pid, "fd/2")?;
    open_terminal(Path::new(&path))
}

/// proc_pid_stat(5): field 7, `tty_nr`, behind the program's name in parentheses.
fn controlling_terminal(pid: i32) -> Option<File> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let number: u64 = fields.split_ascii_whitespace().nth(4)?.parse().ok()?;
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

fn read_link(pid: i32, name: &str) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/{name}")).ok()?;
    path.into_os_string().into_string().ok()
}

fn arguments(pid: i32) -> Vec<String> {
    let path = PathBuf::from(format!("/proc/{pid}/cmdline"));
    let Some(line) = read_short(&path, COMMAND_LINE_BYTES_MAX) else {
        return Vec::new();
    };
    let line = String::from_utf8(line).unwrap_or_default();
    line.split_terminator('\0').map(str::to_owned).collect()
}

/// The configuration that `ssh` reads, and the `known_hosts` files that it, the command line and
/// the defaults name. `Include` is not followed.
fn look_at_hosts(pid: i32, seen: &mut Seen, home: Option<&Path>) {
    let words: Vec<&str> = seen.arguments.iter().map(String::as_str).collect();
    let destination = Destination::parse(&words).unwrap_or_default();
    let place = |file: &str| match file.strip_prefix("~/") {
        Some(below) => home.map(|home| home.join(below)),
        None => in_folder_of(pid, file),
    };
    let own = home.map(|home| home.join(".ssh"));
    let config = match destination.config_file.as_deref() {
        Some(file) => place(file),
        None => own.as_ref().map(|folder| folder.join("config")),
    };
    seen.config = config.and_then(|path| read_text(&path, CONFIG_BYTES_MAX));
    let configured = ConfigNames::parse(seen.config.as_deref().unwrap_or_default());
    let named = [destination.known_hosts_files, configured.known_hosts_files].concat();
    let mut files: Vec<PathBuf> = named.iter().filter_map(|file| place(file)).collect();
    for name in ["known_hosts", "known_hosts2"] {
        files.extend(own.iter().map(|folder| folder.join(name)));
        files.push(Path::new("/etc/ssh").join(format!("ssh_{name}")));
    }
    let texts = files.iter().take(KNOWN_HOSTS_FILES_MAX);
    seen.known_hosts = texts
        .filter_map(|path| read_text(path, KNOWN_HOSTS_BYTES_MAX))
        .collect();
}

/// `git` with `gpg.format=ssh` writes the commit to a file and calls
/// `ssh-keygen -Y sign -n git -f KEY FILE`.
fn buffer(pid: i32, arguments: &[String]) -> Option<Vec<u8>> {
    let signs = arguments
        .windows(2)
        .any(|pair| matches!(pair, [option, verb] if option == "-Y" && verb == "sign"));
    let file = arguments.last().filter(|_| signs)?;
    read_short(&in_folder_of(pid, file)?, Evidence::PREIMAGE_BYTES_MAX)
}

fn in_folder_of(pid: i32, file: &str) -> Option<PathBuf> {
    let path = Path::new(file);
    if path.is_absolute() {
        return Some(path.to_owned());
    }
    Some(Path::new(&read_link(pid, "cwd")?).join(path))
}

fn read_text(path: &Path, bytes_max: usize) -> Option<String> {
    String::from_utf8(read_short(path, bytes_max)?).ok()
}

/// The whole file if it is a plain one of at most `bytes_max` bytes. Opening does not wait, so
/// that a named pipe stops nobody.
fn read_short(path: &Path, bytes_max: usize) -> Option<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).ok()?)
        .open(path)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let limit = u64::try_from(bytes_max).ok()?.saturating_add(1);
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content).ok()?;
    (content.len() <= bytes_max).then_some(content)
}

/// `ARG_MAX` allows 2 MiB; an `ssh` command line is short.
const COMMAND_LINE_BYTES_MAX: usize = 64 * 1024;

/// A long one has some thousand lines.
const CONFIG_BYTES_MAX: usize = 256 * 1024;

/// Twelve that somebody names, and the four of the defaults.
const KNOWN_HOSTS_FILES_MAX: usize = 16;

/// Some 40,000 hosts; more is read by `ssh` and not by us.
const KNOWN_HOSTS_BYTES_MAX: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn own_pid() -> i32 {
        i32::try_from(std::process::id()).unwrap()
    }

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
        let path = std::env::temp_dir().join(format!("keystead-peer-{}", own_pid()));
        std::fs::write(&path, "").unwrap();
        assert!(open_terminal(&path).is_none());
        assert!(open_terminal(Path::new("/dev/null")).is_none());
        assert!(open_terminal(Path::new("/nowhere")).is_none());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn our_own_process_is_seen() {
        let seen = look(own_pid(), Look::Process, None);
        let own = std::env::current_exe().unwrap();
        assert_eq!(seen.process_path.as_deref(), own.to_str());
        assert!(!seen.arguments.is_empty());
        assert_eq!(look(i32::MAX, Look::Hosts, None).process_path, None);
        say(i32::MAX, "to nobody");
    }

    #[test]
    fn a_file_above_the_limit_and_a_folder_are_not_read() {
        let path = std::env::temp_dir().join(format!("keystead-short-{}", own_pid()));
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_short(&path, 5).as_deref(), Some(&b"12345"[..]));
        assert_eq!(read_short(&path, 4), None);
        assert_eq!(read_short(&std::env::temp_dir(), 4096), None);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn the_buffer_is_what_ssh_keygen_signs() {
        let path = std::env::temp_dir().join(format!("keystead-buffer-{}", own_pid()));
        std::fs::write(&path, "tree").unwrap();
        let file = path.to_str().unwrap();
        let check = |line: &str, expected: Option<&[u8]>| {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(buffer(own_pid(), &arguments).as_deref(), expected, "{line}");
        };
        check(
            &format!("ssh-keygen -Y sign -n git -f key {file}"),
            Some(b"tree"),
        );
        check(&format!("ssh-keygen -Y verify -n git -f key {file}"), None);
        check(&format!("cat {file}"), None);
        check("ssh-keygen -Y sign", None);
        std::fs::remove_file(&path).unwrap();
    }
}
