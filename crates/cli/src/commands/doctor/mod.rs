//! `doctor`: looks for what usually is in the way, and says what to do.
//!
//! **Invariant:** it changes nothing: it does not even start an agent. What it finds wrong has one
//! line that says what to do about it.

mod age;
mod agent;
mod git;
mod gpg;
mod key_files;
mod servers;
mod ssh;
mod ssh_view;
mod system;

use keystead_agent::key_control::HeldKey;
use keystead_agent::serve;
use keystead_core::Curve;
use keystead_daemon::home::Folders;
use serde::Serialize;
use serde_json::json;

use crate::agent_link::{AgentLink, block_on, folders};
use crate::arguments::Doctor;
use crate::failure::{Failure, Status};
use crate::key_link::{KeyLink, Talk};
use crate::terminal::{harmless, print, print_json};

/// `doctor [--json] [HOST]`
pub(crate) fn run(doctor: &Doctor) -> Result<(), Failure> {
    let folders = folders()?;
    let status = block_on(async {
        match AgentLink::to_running(&folders).await? {
            Some(mut link) => link.fresh_status().await.map(Some),
            None => Ok(None),
        }
    });
    if let Err(failure) = &status
        && failure.status == Status::Interrupted
    {
        return status.map(drop);
    }
    let settings = serve::read_settings(&folders);
    let mut checks = vec![agent::runs(&status, &settings)];
    if let Ok(Some(status)) = &status {
        checks.extend(system::settings(&settings));
        let curve = settings.as_ref().map(|it| it.wallet_curve);
        checks.extend(system::identities(
            &folders,
            curve.unwrap_or(Curve::Nist256p1),
        ));
        let keys = held_keys(&folders);
        checks.extend(agent::checks(status, keys.len(), servers::are_known()));
        let on_refusal = settings.as_ref().map(|it| it.on_refusal);
        let on_refusal = on_refusal.unwrap_or_default();
        checks.extend(ssh::checks(status, on_refusal, doctor.host.as_deref()));
        checks.push(system::relay(status));
        checks.extend(git::checks(status));
        checks.extend(age::checks(&keys));
        checks.extend(gpg::checks());
    }
    checks.extend(servers::checks(matches!(&status, Ok(Some(_)))));
    let (entries, log) = agent::log();
    checks.extend([
        ssh::version(),
        system::clock(status.as_ref().ok().and_then(Option::as_ref), &entries),
        system::permissions(&folders),
        log,
    ]);
    checks.extend(system::units());
    if doctor.json {
        print_json(&json!({ "version": 1, "checks": checks }))?;
    } else {
        checks.iter().try_for_each(Check::print)?;
    }
    let bad = checks.iter().filter(|it| it.state == State::Bad).count();
    match bad {
        0 => Ok(()),
        1 => Err(Failure::new("1 check found something that does not work")),
        bad => Err(Failure::new(format!(
            "{bad} checks found something that does not work"
        ))),
    }
}

/// All keys that the running agent knows, those of identities too; none where it does not say.
fn held_keys(folders: &Folders) -> Vec<HeldKey> {
    let keys = block_on(async {
        match AgentLink::to_running(folders).await? {
            Some(agent) => KeyLink::over(agent, Talk::ByAgent).keys().await,
            None => Ok(Vec::new()),
        }
    });
    keys.unwrap_or_default()
}

/// What one look found.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// How it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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

    fn doubtful(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            state: State::Doubtful,
            hint: Some(hint.into()),
            ..Self::good(name, message)
        }
    }

    fn bad(name: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
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
        print(format_args!("{mark}  {:<11} {message}", self.name))?;
        self.hint.as_ref().map_or(Ok(()), |hint| {
            print(format_args!("      {:<11} {}", "", harmless(hint)))
        })
    }
}
