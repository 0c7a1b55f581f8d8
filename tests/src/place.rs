//! A throw-away folder that is all a play knows of the machine.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::failure::{About, Failure, Result};
use crate::program::{Run, WAIT};

/// The folder, removed with everything in it.
pub struct Place {
    folder: PathBuf,
    binaries: PathBuf,
}

impl Place {
    /// Makes one.
    ///
    /// # Errors
    /// `KEYSTEAD_BIN_DIR` does not name the built programs.
    pub fn new() -> Result<Self> {
        let binaries = std::env::var_os("KEYSTEAD_BIN_DIR")
            .map(PathBuf::from)
            .ok_or_else(|| {
                Failure::new(
                    "KEYSTEAD_BIN_DIR names no folder of built programs: cargo xtask test sets it",
                )
            })?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Short: a socket's path has 107 bytes (unix(7)).
        let folder = std::env::temp_dir().join(format!("ks-{}-{number}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .about(folder.display())?;
        let place = Self { folder, binaries };
        for name in ["home", "home/.ssh", "bin", "tmp"] {
            let path = place.path(name);
            DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .about(path.display())?;
        }
        // The real ssh takes the person's folder from the password file, not from HOME.
        for name in ["ssh", "scp", "sftp"] {
            let script = format!(
                "#!/bin/sh\nexec {} -F \"$HOME/.ssh/config\" \"$@\"\n",
                find(name)?.display()
            );
            place.write(&format!("bin/{name}"), &script)?;
            let run = Command::new("chmod")
                .arg("700")
                .arg(place.path(&format!("bin/{name}")))
                .status();
            run.about("chmod")?;
        }
        // What a daemon leaves behind is this process's to end.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).about("prctl")?;
        Ok(place)
    }

    /// A path in it; absolute ones stay what they are.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder that programs think is the person's.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Where the built programs lie.
    #[must_use]
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// Writes a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, text).about(path.display())?;
        Ok(path)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        let bytes = std::fs::read(&path).about(path.display())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A program to be run here, in the person's folder.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Run {
        Run {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            variables: self.variables(),
            folder: self.home(),
            ..Run::default()
        }
    }

    /// The environment: nothing of whoever runs the test but how to find programs.
    fn variables(&self) -> Vec<(OsString, OsString)> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [self.path("bin"), self.binaries.clone()]
            .into_iter()
            .chain(std::env::split_paths(&path))
            .chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
        let mut variables: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), std::env::join_paths(folders).unwrap_or(path)),
            ("HOME".into(), self.home().into()),
            ("KEYSTEAD_HOME".into(), self.path("k").into()),
            (
                "GIT_CONFIG_GLOBAL".into(),
                self.path("home/.gitconfig").into(),
            ),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ("TMPDIR".into(), self.path("tmp").into()),
            ("TERM".into(), "xterm".into()),
            ("LANG".into(), "C.UTF-8".into()),
        ];
        for name in [
            "LD_LIBRARY_PATH",
            "PYTHONPATH",
            "USER",
            "LOGNAME",
            "RUST_BACKTRACE",
        ] {
            if let Some(value) = std::env::var_os(name) {
                variables.push((name.into(), value));
            }
        }
        variables
    }

    /// Stops an agent that a command started by itself: it has no other end. A
    /// script may have had it keep its folders where XDG has them.
    pub(crate) fn stop_agents(&self) {
        let variables = self.variables();
        let without_home = variables
            .iter()
            .filter(|(name, _)| name != "KEYSTEAD_HOME")
            .cloned();
        for variables in [variables.clone(), without_home.collect()] {
            let _ = Command::new(self.binaries.join("keystead"))
                .args(["agent", "stop"])
                .env_clear()
                .envs(variables)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop_agents();
        if std::env::var_os("KEYSTEAD_KEEP_PLACE").is_none() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// A program in `PATH` or where Debian keeps what root runs.
///
/// # Errors
/// It is not there.
pub fn find(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| Failure::new(format!("{name} is not here: cargo xtask test installs it")))
}

/// Looks until something is so, for what nothing else tells.
///
/// # Errors
/// It takes too long.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let deadline = Deadline::after(WAIT);
    while !is_so() {
        if deadline.is_past() {
            return Err(Failure::new(format!("{what}: not in {} s", WAIT.as_secs())));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
