//! `doctor`: looks for what usually is in the way, and says what to do.

use std::process::{Command, Stdio};

use keystead_agent::control::{KeeperState, Status};
use keystead_agent::log;
use keystead_core::LogTail;
use serde::Serialize;
use serde_json::json;

use crate::agent_link;
use crate::arguments::Reading;
use crate::failure::Failure;
use crate::terminal::{harmless, print, print_json};

/// `doctor [--json]`
pub(crate) fn run(reading: &Reading) -> Result<(), Failure> {
    let mut checks = Vec::new();
    let status = agent_link::status();
    match &status {
        Ok(status) => {
            checks.push(Check::good(
                "agent",
                format!("runs, process {}", status.pid),
            ));
            checks.extend([keepers(status), keys(status), ssh_asks(status)]);
            checks.extend(
                status.notices.iter().map(|notice| {
                    Check::doubtful("notice", notice.clone(), "see `keystead status`")
                }),
            );
        }
        Err(failure) => checks.push(Check::bad(
            "agent",
            failure.message.clone(),
            failure
                .hint
                .as_deref()
                .unwrap_or("run `keystead agent run` and see what it says"),
        )),
    }
    checks.extend([ssh_version(), log_whole()?]);
    if reading.json {
        print_json(&json!({ "version": 1, "checks": checks }))?;
    } else {
        for check in &checks {
            check.print()?;
        }
    }
    let bad = checks
        .iter()
        .filter(|check| check.state == State::Bad)
        .count();
    match bad {
        0 => Ok(()),
        1 => Err(Failure::new("1 check found something that does not work")),
        bad => Err(Failure::new(format!(
            "{bad} checks found something that does not work"
        ))),
    }
}

/// What one look found.
#[derive(Serialize)]
struct Check {
    name: &'static str,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// How it looks.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Good,
    /// Works, but perhaps not as the person thinks.
    Doubtful,
    Bad,
}

impl Check {
    fn good(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Good,
            message: message.into(),
            hint: None,
        }
    }

    fn doubtful(name: &'static str, message: impl Into<String>, hint: &str) -> Self {
        let hint = Some(hint.to_owned());
        Self {
            name,
            state: State::Doubtful,
            message: message.into(),
            hint,
        }
    }

    fn bad(name: &'static str, message: impl Into<String>, hint: &str) -> Self {
        Self {
            state: State::Bad,
            ..Self::doubtful(name, message, hint)
        }
    }

    fn print(&self) -> Result<(), Failure> {
        let mark = match self.state {
            State::Good => "ok  ",
            State::Doubtful => "look",
            State::Bad => "FAIL",
        };
        let message = harmless(&self.message);
        print(format_args!("{mark}  {:<8} {message}", self.name))?;
        self.hint
            .as_ref()
            .map_or(Ok(()), |hint| print(format_args!("      {:<8} {hint}", "")))
    }
}

fn keepers(status: &Status) -> Check {
    let usable = status
        .keepers
        .iter()
        .filter(|it| it.state != KeeperState::Unpairing);
    let names: Vec<&str> = usable.clone().map(|it| it.name.as_str()).collect();
    let connected = usable.filter(|it| it.connected).count();
    if names.is_empty() {
        return Check::bad("keepers", "none is paired", "`keystead pair` pairs one");
    }
    let message = format!(
        "{} paired: {}; connected now: {connected}",
        names.len(),
        names.join(", ")
    );
    Check::good("keepers", message)
}

fn keys(status: &Status) -> Check {
    match status.keys.len() {
        0 if status.keepers.is_empty() => {
            Check::bad("keys", "none", "an authenticator brings its own")
        }
        0 => Check::bad("keys", "none", "`keystead key new` has a keeper make one"),
        keys => Check::good(
            "keys",
            format!("{keys}, public halves in {}", status.keys_folder.display()),
        ),
    }
}

/// Does ssh, as it is configured, ask this agent?
fn ssh_asks(status: &Status) -> Check {
    let hint = "`keystead ssh setup` makes it so";
    // The host name is one that nobody has; what is said of it holds for all hosts.
    let Some(config) = output(&["-G", "keystead-doctor.invalid"]) else {
        return Check::bad("ssh", "`ssh -G` does not run", "install the OpenSSH client");
    };
    let configured = config
        .lines()
        .find_map(|line| line.strip_prefix("identityagent "));
    let variable = std::env::var("SSH_AUTH_SOCK").ok();
    let asked = match configured {
        None | Some("SSH_AUTH_SOCK") => variable.as_deref(),
        path => path,
    };
    let own = status.ssh_auth_sock.to_str();
    match asked {
        Some(_) if asked == own => Check::good("ssh", "asks this agent"),
        Some("none") | None => Check::bad("ssh", "asks no agent", hint),
        Some(other) => Check::bad("ssh", format!("asks another agent, at {other}"), hint),
    }
}

fn ssh_version() -> Check {
    let Some(version) = output(&["-V"]) else {
        return Check::bad(
            "openssh",
            "`ssh -V` does not run",
            "install the OpenSSH client",
        );
    };
    let shown = version
        .split(',')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let number = shown.strip_prefix("OpenSSH_").unwrap_or_default();
    let mut parts = number
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|it| it.parse().ok());
    let found: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found >= PROVES_DESTINATION {
        return Check::good("openssh", shown);
    }
    let message = format!("{shown} does not prove to a holder where it logs in");
    Check::doubtful("openssh", message, "OpenSSH 8.9 and later do")
}

fn log_whole() -> Result<Check, Failure> {
    let (entries, tail) = log::entries(&super::log::read()?);
    Ok(match tail {
        LogTail::Whole | LogTail::Cut { .. } => {
            Check::good("log", format!("{} entries, none altered", entries.len()))
        }
        LogTail::Broken { line } => Check::bad(
            "log",
            format!("line {line} does not follow from the one before"),
            "somebody or something changed the file",
        ),
    })
}

/// What `ssh` prints, on either output.
fn output(arguments: &[&str]) -> Option<String> {
    let output = Command::new("ssh")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let bytes = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// OpenSSH 8.9 brought `session-bind@openssh.com`.
const PROVES_DESTINATION: (u32, u32) = (8, 9);
