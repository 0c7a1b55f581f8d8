//! Two agents with the same keys: ours, called as `ssh-agent`, and another one.

use std::path::PathBuf;

use keystead_tests::{About, Failure, Place, Program, Result, find};

/// One that is up.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    program: Program,
}

impl Agent {
    /// Ours: by its name alone it is `ssh-agent`.
    pub(crate) fn ours(place: &Place) -> Result<Self> {
        let link = place.path("bin/ssh-agent");
        std::os::unix::fs::symlink(place.binaries().join("keystead"), &link)
            .about(link.display())?;
        Self::start(place, &link.to_string_lossy(), "ours.sock")
    }

    /// The machine's, or the one that `KEYSTEAD_OTHER_AGENT` names.
    pub(crate) fn other(place: &Place) -> Result<Self> {
        let path = match std::env::var_os("KEYSTEAD_OTHER_AGENT") {
            Some(path) => PathBuf::from(path),
            None => find("ssh-agent")?,
        };
        Self::start(place, &path.to_string_lossy(), "other.sock")
    }

    fn start(place: &Place, program: &str, socket: &str) -> Result<Self> {
        let socket = place.path(socket);
        let words = [program, "-D", "-a", &socket.to_string_lossy()];
        let program = Program::start(&place.run(&words))?;
        program.wait_for("stdout", "SSH_AUTH_SOCK=")?;
        Ok(Self { socket, program })
    }

    /// Adds a key by `ssh-add`.
    pub(crate) fn add(&self, place: &Place, key: &str) -> Result<()> {
        let mut run = place.run(&["ssh-add", "-q", key]);
        run.variables
            .push(("SSH_AUTH_SOCK".into(), self.socket.clone().into()));
        ended_well(&mut Program::start(&run)?, "ssh-add")
    }

    /// Resident memory of it and of what it started, in MiB (proc_pid_status(5)).
    pub(crate) fn resident_mib(&self) -> Result<f64> {
        let mut pids = vec![self.program.pid()];
        let mut sum_kib = 0.0;
        while let Some(pid) = pids.pop() {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).about(pid)?;
            for task in tasks.flatten() {
                let children = std::fs::read_to_string(task.path().join("children"));
                let children = children.unwrap_or_default();
                pids.extend(children.split_whitespace().flat_map(str::parse::<u32>));
            }
            sum_kib += resident_kib(pid)?;
        }
        Ok(sum_kib / 1_024.0)
    }
}

pub(crate) fn resident_kib(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).about(pid)?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| Failure::new(format!("no VmRSS for process {pid}")))
}

pub(crate) fn ended_well(program: &mut Program, name: &str) -> Result<()> {
    let ended = program.wait()?;
    match ended.status {
        0 => Ok(()),
        status => Err(Failure::new(format!(
            "{name} ended with {status}: {}",
            ended.stderr
        ))),
    }
}
