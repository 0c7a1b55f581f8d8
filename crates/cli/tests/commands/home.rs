//! A home folder for one test.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The program under test.
pub(crate) const KEYSTEAD: &str = env!("CARGO_BIN_EXE_keystead");

/// A folder of its own, as home folder and for everything of Keystead.
pub(crate) struct Home(pub(crate) PathBuf);

impl Home {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // What an earlier run left.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// One whose path is short, for a socket's has at most 107 bytes.
    pub(crate) fn short(name: &str) -> Self {
        let id = std::process::id();
        let path = std::env::temp_dir().join(format!("ks-{name}-{id}"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Any program, with this home folder and nothing of the caller's.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", &self.0)
            .env("KEYSTEAD_HOME", self.0.join("keystead"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::null());
        for variable in [
            "XDG_CONFIG_HOME",
            "SSH_AUTH_SOCK",
            "SSH_AGENT_PID",
            "GIT_CONFIG_GLOBAL",
            "DISPLAY",
            "WAYLAND_DISPLAY",
        ] {
            command.env_remove(variable);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.program(KEYSTEAD).args(arguments).output().unwrap()
    }

    /// Runs and returns standard output; standard error and status are checked.
    #[track_caller]
    pub(crate) fn check(&self, arguments: &[&str], status: i32, stderr_part: &str) -> String {
        let output = self.run(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            output.status.code(),
            Some(status),
            "{arguments:?}: {stderr}"
        );
        assert!(stderr.contains(stderr_part), "{arguments:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// No test leaves an agent behind, however it ends.
impl Drop for Home {
    fn drop(&mut self) {
        self.run(&["agent", "stop"]);
        let _ = fs::remove_dir_all(&self.0);
    }
}
