//! Who answers at the socket where gpg looks for its agent.
//!
//! **Invariant:** looking changes nothing, and only an agent of this machine and person that
//! is called gpg-agent counts as the ordinary one: a socket may be another machine's, by ssh.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};

use super::socket::redirected;

/// What answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    /// This program.
    Ours,
    /// GnuPG's agent, which knows no key held elsewhere.
    Ordinary(Process),
    /// Something else, which takes the commands of an agent.
    Other,
}

/// A process, as a person can find it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: i32,
    program: PathBuf,
}

impl Answering {
    /// None: nobody, or nobody who speaks as an agent does.
    pub(crate) fn at(socket: &Path) -> Option<Self> {
        let mut client = Client::at(socket).ok()?;
        if client.ask("GETINFO keystead").ok()?.is_done {
            return Some(Self::Ours);
        }
        // It is asked: the socket's own word names the process that made it, which gpg-agent ends
        // once its child serves.
        let said = client.ask("GETINFO pid").ok()?.data;
        let process = said.parse().ok().and_then(Process::of);
        Some(process.map_or(Self::Other, Self::Ordinary))
    }
}

impl Process {
    /// Ends it, as `gpgconf --kill` does, and waits until it has ended: it takes away whatever has
    /// its socket's name by then.
    pub(crate) fn end(&self, socket: &Path) -> io::Result<()> {
        let pid = Pid::from_raw(self.pid).ok_or(io::ErrorKind::NotFound)?;
        let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        Client::at(socket)?.ask("KILLAGENT")?;
        let mut events = [PollFd::new(&handle, PollFlags::IN)];
        match rustix::event::poll(&mut events, Some(&END_WAIT))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }

    /// A gpg-agent of our own here; what can be read of any process says so (proc(5)).
    fn of(pid: i32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let status = std::fs::read_to_string(folder.join("status")).ok()?;
        let field = |name: &str| status.lines().find_map(|it| it.strip_prefix(name));
        let uid = field("Uid:")?.split_whitespace().next()?;
        if field("Name:")?.trim() != super::NAME || uid.parse() != Ok(own_uid()?) {
            return None;
        }
        // Which file it runs is hidden from its own person, since it may hold secrets.
        let words = std::fs::read(folder.join("cmdline")).unwrap_or_default();
        let first = words.split(|it| *it == 0).next().unwrap_or_default();
        let program = std::fs::read_link(folder.join("exe"));
        let program = program.unwrap_or_else(|_| std::ffi::OsStr::from_bytes(first).into());
        Some(Self { pid, program })
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.program.display())
    }
}

struct Client {
    lines: BufReader<UnixStream>,
}

/// What was said, and whether it was no error.
#[derive(Default)]
struct Said {
    data: String,
    is_done: bool,
}

impl Client {
    /// Connects, and takes its greeting.
    fn at(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(redirected(socket)?)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        let mut client = Self {
            lines: BufReader::new(stream),
        };
        match client.answer()?.is_done {
            true => Ok(client),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    fn ask(&mut self, command: &str) -> io::Result<Said> {
        let line = format!("{command}\n");
        self.lines.get_mut().write_all(line.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Said> {
        let mut said = Said::default();
        for _ in 0..LINES_MAX {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 {
                break;
            }
            let line = line.trim_end();
            if let Some(data) = line.strip_prefix("D ") {
                data.clone_into(&mut said.data);
            }
            said.is_done = line == "OK" || line.starts_with("OK ");
            if said.is_done || line.starts_with("ERR ") {
                return Ok(said);
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn own_uid() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|it| it.uid())
}

/// An agent answers at once; one that hangs is for others to find.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// It says goodbye at once, too, unless it is stopped.
const END_WAIT: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// Greeting, data and status: an agent says less.
const LINES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// An agent that says so to each line it hears, the greeting first.
    #[track_caller]
    fn check(says: &'static [&'static str], expected: Option<Answering>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("S.gpg-agent");
        let listener = UnixListener::bind(&path).unwrap();
        let agent = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            for say in says {
                stream.write_all(say.as_bytes()).unwrap();
                lines.read_line(&mut String::new()).unwrap();
            }
        });
        assert_eq!(Answering::at(&path), expected, "{says:?}");
        agent.join().unwrap();
        assert_eq!(Answering::at(&path), None, "nobody listens any more");
    }

    #[test]
    fn who_listens_is_asked() {
        check(
            &["OK Pleased to meet you\n", "D 1.0\nOK\n"],
            Some(Answering::Ours),
        );
        check(&["OK\n", NO, "D 1\nOK\n"], Some(Answering::Other));
        check(&["OK\n", NO, "D x\nOK\n"], Some(Answering::Other));
        // By ssh from elsewhere, and restricted.
        check(&["OK\n", NO, FORBIDDEN], Some(Answering::Other));
        check(&["SSH-2.0-OpenSSH\n"], None);
        check(&[], None);
    }

    const NO: &str = "ERR 67109144 IPC parameter error <GPG Agent>\n";
    const FORBIDDEN: &str = "ERR 67109115 Forbidden <GPG Agent>\n";
}
