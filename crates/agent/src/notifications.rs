//! Tells the person's desktop that somebody is being asked, where a program has no terminal.
//!
//! **Invariant:** nothing waits for the desktop and nothing depends on it. What is shown is the
//! line that a terminal would have had; it is no markup there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A desktop that shows notifications.
#[derive(Debug)]
pub struct Desktop {
    program: PathBuf,
    /// When the last line was shown, by the steady clock.
    last_ms: Option<u64>,
}

impl Desktop {
    /// The one of this session, if there is a session bus and `notify-send`.
    #[must_use]
    pub fn of_session() -> Option<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let has_bus = set("DBUS_SESSION_BUS_ADDRESS").is_some()
            || set("XDG_RUNTIME_DIR").is_some_and(|folder| Path::new(&folder).join("bus").exists());
        if !has_bus {
            return None;
        }
        let path = set("PATH")?;
        let program = std::env::split_paths(&path)
            .map(|folder| folder.join(PROGRAM))
            .find(|program| program.is_absolute() && program.is_file())?;
        Some(Self::with(program))
    }

    /// One that is told by `program`, which takes the arguments of notify-send(1).
    #[must_use]
    pub const fn with(program: PathBuf) -> Self {
        Self {
            program,
            last_ms: None,
        }
    }

    /// Shows a line, unless one was shown just before. `now_ms` is of a clock that does not jump.
    pub fn show(&mut self, now_ms: u64, line: &str) {
        let is_early = |last_ms: u64| now_ms.saturating_sub(last_ms) < PAUSE_MS;
        if self.last_ms.is_some_and(is_early) {
            return;
        }
        self.last_ms = Some(now_ms);
        let mut command = Command::new(&self.program);
        command
            .args(arguments(line))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let spawned = std::thread::Builder::new().spawn(move || {
            // Waited for, so that no zombie is left; with a bus that hangs only this thread does.
            if let Err(error) = command.status() {
                tracing::debug!(%error, "the desktop is not told");
            }
        });
        if let Err(error) = spawned {
            tracing::debug!(%error, "the desktop is not told");
        }
    }
}

/// notify-send(1); the body may hold markup, so what would be some is written out (Desktop
/// Notifications Specification, Markup).
fn arguments(line: &str) -> Vec<String> {
    let body = line.strip_prefix("keystead: ").unwrap_or(line);
    let body = body
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let expire = format!("--expire-time={SHOWN_MS}");
    ["--app-name=keystead", &expire, "--", "keystead", &body]
        .map(str::to_owned)
        .into()
}

const PROGRAM: &str = "notify-send";

/// As long as a person needs to read a line and turn to the authenticator.
const SHOWN_MS: u32 = 10_000;

/// Thirty hosts of one run are one reason to look.
const PAUSE_MS: u64 = 5_000;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_line_is_text_and_no_option() {
        let check = |line, body: &str| {
            let arguments = arguments(line);
            assert_eq!(arguments[2..], ["--", "keystead", body]);
        };
        check(
            "keystead: waiting for approval on spare",
            "waiting for approval on spare",
        );
        check("-x <b>&", "-x &lt;b&gt;&amp;");
    }

    #[test]
    fn the_program_is_run_once_for_lines_close_together() {
        let folder = std::env::temp_dir().join(format!("keystead-notify-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (program, fifo) = (folder.join("notify-send"), folder.join("told"));
        let script = format!("#!/bin/sh\necho \"$*\" > '{}'\n", fifo.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
        let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let mut desktop = Desktop::with(program);
        desktop.show(1_000, "keystead: first");
        desktop.show(5_999, "keystead: second");
        // Reading the pipe waits for the program.
        let told = std::fs::read_to_string(&fifo).unwrap();
        assert_eq!(
            told,
            "--app-name=keystead --expire-time=10000 -- keystead first\n"
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
