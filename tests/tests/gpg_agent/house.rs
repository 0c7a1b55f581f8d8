//! A home folder of gpg's, where `keystead` is the gpg-agent.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use keystead_tests::{Place, find, wait_until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The folder.
pub(crate) struct House {
    place: Place,
    agent: PathBuf,
    home: PathBuf,
}

impl House {
    pub(crate) fn new() -> Self {
        let place = Place::new().unwrap();
        let agent = place.path("bin/gpg-agent");
        symlink(place.binaries().join("keystead"), &agent).unwrap();
        Self::of(place, agent)
    }

    /// With gpg's own agent, to compare with.
    pub(crate) fn ordinary() -> Self {
        Self::of(Place::new().unwrap(), find("gpg-agent").unwrap())
    }

    fn of(place: Place, agent: PathBuf) -> Self {
        let home = place.path("g");
        let house = Self { place, agent, home };
        house.make_home();
        house
    }

    /// Makes the home folder, again if it was there.
    pub(crate) fn make_home(&self) {
        let mut folder = std::fs::DirBuilder::new();
        folder.mode(0o700).create(self.home()).unwrap();
        let agent = self.agent.display();
        let conf = format!("agent-program {agent}\nno-tty\nbatch\n");
        std::fs::write(self.home().join("gpg.conf"), conf).unwrap();
        // Nobody is there to be asked.
        let conf = "pinentry-program /bin/false\n";
        std::fs::write(self.home().join("gpg-agent.conf"), conf).unwrap();
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.home.clone()
    }

    /// Has it elsewhere from now on.
    pub(crate) fn move_home(&mut self, to: &Path) {
        std::fs::rename(&self.home, to).unwrap();
        self.home = to.to_owned();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home().join("S.gpg-agent")
    }

    /// A program, with nothing of whoever runs the test.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let run = self.place.run(words);
        let name = match words[0] {
            "gpg-agent" => self.agent.as_os_str(),
            name => name.as_ref(),
        };
        let mut command = Command::new(name);
        command
            .args(&words[1..])
            .env_clear()
            .envs(run.variables)
            .env("GNUPGHOME", self.home())
            .current_dir(self.place.home())
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs it; what it printed, and that it ended well.
    #[track_caller]
    pub(crate) fn must(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Has gpg's tool say these to the agent that runs.
    pub(crate) fn talk(&self, commands: &[&str]) -> String {
        let words = [
            &["gpg-connect-agent", "--no-autostart"],
            commands,
            &["/bye"],
        ]
        .concat();
        let output = self.run(&words);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts the agent, and waits until both are there.
    pub(crate) fn start(&self) -> Agents {
        self.must(&["gpg-agent", "--daemon"]);
        self.agents()
    }

    /// Starts gpg's own, which keeps standard error.
    pub(crate) fn start_ordinary(&self) {
        let mut agent = self.command(&["gpg-agent", "--daemon"]);
        let started = agent.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(started.unwrap().success());
    }

    /// Those that run.
    pub(crate) fn agents(&self) -> Agents {
        let ours = self.process();
        let behind = behind(ours.pid);
        Agents { ours, behind }
    }

    /// What answers gpg.
    pub(crate) fn process(&self) -> Process {
        let said = self.talk(&["GETINFO pid"]);
        let pid = said.lines().find_map(|it| it.strip_prefix("D "));
        Process::of(pid.and_then(|it| it.parse().ok()).expect(&said))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if self.socket().exists() {
            let _ = self.run(&["gpgconf", "--kill", "gpg-agent"]);
        }
    }
}

/// Our agent, and the ordinary one.
pub(crate) struct Agents {
    pub(crate) ours: Process,
    pub(crate) behind: Process,
}

/// A process that is ended with the test.
pub(crate) struct Process {
    pub(crate) pid: i32,
    handle: OwnedFd,
}

impl Process {
    pub(crate) fn of(pid: i32) -> Self {
        let number = Pid::from_raw(pid).unwrap();
        let handle = pidfd_open(number, PidfdFlags::empty()).unwrap();
        Self { pid, handle }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.handle, signal).unwrap();
    }

    pub(crate) fn is_running(&self) -> bool {
        !self.has_ended_within(Timespec::default())
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(&self, why: &str) {
        assert!(self.has_ended_within(WAIT), "{why}: {} goes on", self.pid);
    }

    fn has_ended_within(&self, wait: Timespec) -> bool {
        let mut events = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut events, Some(&wait)).unwrap() > 0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = pidfd_send_signal(&self.handle, Signal::KILL);
        }
    }
}

/// The ordinary agent behind this process, once it is one.
fn behind(pid: i32) -> Process {
    let mut found = None;
    wait_until("the ordinary agent", || {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        found = children.split_whitespace().find_map(|it| {
            let line = std::fs::read_to_string(format!("/proc/{it}/cmdline")).ok()?;
            let name = Path::new(line.split('\0').next()?).file_name()?.to_owned();
            (name == "gpg-agent").then(|| it.parse().ok())?
        });
        found.is_some()
    })
    .unwrap();
    Process::of(found.unwrap())
}

/// Long enough for a busy machine: only a failure waits for it.
const WAIT: Timespec = Timespec {
    tv_sec: 30,
    tv_nsec: 0,
};
