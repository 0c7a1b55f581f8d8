//! Does ssh, as it is configured, ask this agent and offer its keys?

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keystead_agent::control::Status;
use keystead_agent::settings::OnRefusal;
use keystead_core::KeyId;
use keystead_formats::ssh::client_config::{self, KeyFiles};
use keystead_formats::ssh::line::KeyLine;

use super::Check;
use super::key_files;
use super::ssh_view::{Pubkey, SshView, named_hosts};

/// For `host`; else for hosts in general, and those that the configuration names.
pub(super) fn checks(status: &Status, on_refusal: OnRefusal, host: Option<&str>) -> Vec<Check> {
    let config = std::env::home_dir()
        .and_then(|home| std::fs::read(home.join(".ssh/config")).ok())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&config);
    // One that nobody has: what is said of it holds for hosts in general.
    let general = host.unwrap_or("keystead-doctor.invalid");
    let Some(view) = view(general) else {
        let refused = "`ssh -G` does not run, or refuses its configuration";
        return vec![Check::bad(
            "ssh",
            refused,
            format!("run `ssh -G {general}`"),
        )];
    };
    let mut checks = vec![asks(status, &view, host)];
    checks.extend(offers(status, &view, host));
    checks.extend(key_files::check(on_refusal, &view, &config, &to(host)));
    if host.is_none() {
        for named in named_hosts(&text) {
            let Some(of_named) = self::view(named) else {
                continue;
            };
            let found = std::iter::once(asks(status, &of_named, Some(named)));
            let found = found.chain(offers(status, &of_named, Some(named)));
            let to = to(Some(named));
            let files = key_files::check_named(on_refusal, &of_named, &view, &to);
            let found = found.chain(files);
            // What is good for hosts in general is said once.
            checks.extend(found.filter(|it| it.hint.is_some()));
        }
        checks.extend(shadows(&config));
    }
    checks.push(variable(status));
    checks
}

fn asks(status: &Status, view: &SshView, host: Option<&str>) -> Check {
    let hint = match host {
        None => "`keystead ssh setup` makes it so".to_owned(),
        Some(host) => format!(
            "`keystead ssh setup`, and no other IdentityAgent line for {host} before that block"
        ),
    };
    let to = to(host);
    let variable = std::env::var("SSH_AUTH_SOCK").ok();
    let own = status.ssh_auth_sock.to_str();
    match view.asked(variable.as_deref()) {
        Some(_) if view.pubkey == Pubkey::Off => Check::bad(
            "ssh",
            format!("{to}uses no keys at all"),
            "take `PubkeyAuthentication no` out of ssh's configuration",
        ),
        Some(_) if view.pubkey == Pubkey::Unbound => Check::doubtful(
            "ssh",
            format!("{to}does not prove where it logs in: holders see \"destination not proved\""),
            "take `PubkeyAuthentication unbound` out of ssh's configuration",
        ),
        asked @ Some(_) if asked == own => Check::good("ssh", format!("{to}asks this agent")),
        None => Check::bad("ssh", format!("{to}asks no agent"), hint),
        Some(other) => Check::bad("ssh", format!("{to}asks another agent, at {other}"), hint),
    }
}

/// `IdentitiesOnly` hides every key that no `IdentityFile` names.
fn offers(status: &Status, view: &SshView, host: Option<&str>) -> Option<Check> {
    if !view.identities_only || status.keys.is_empty() {
        return None;
    }
    let home = std::env::home_dir().unwrap_or_default();
    let named: Vec<KeyId> = view
        .identity_paths(&home)
        .iter()
        .filter_map(|path| key_of(path))
        .collect();
    let line = |line: &str| KeyLine::parse(line).ok().map(|it| it.key.id());
    let is_named = |key: &&keystead_agent::control::Key| {
        line(&key.public_key).is_some_and(|id| named.contains(&id))
    };
    let offered = status.keys.iter().filter(is_named).count();
    if offered > 0 {
        return None;
    }
    let file = status.keys.first()?.file.display();
    Some(Check::bad(
        "identities",
        format!(
            "{}offers no key of this agent: IdentitiesOnly hides them",
            to(host)
        ),
        format!("add `IdentityFile {file}` beside it, or take IdentitiesOnly away"),
    ))
}

/// Lines that name another agent before our block does.
fn shadows(config: &[u8]) -> Option<Check> {
    let own = client_config::with_block(Some(config), "/", KeyFiles::Offer).ok()?;
    let lines: Vec<String> = own.other_agents.iter().map(ToString::to_string).collect();
    let (s, name) = match lines.len() {
        0 => return None,
        1 => ("", "names"),
        _ => ("s", "name"),
    };
    Some(Check::doubtful(
        "ssh-config",
        format!(
            "line{s} {} of ~/.ssh/config {name} another agent, which wins for its hosts",
            lines.join(", ")
        ),
        "take the line out if those hosts are to ask this agent",
    ))
}

/// Programs that do not read ssh's configuration go by the variable.
fn variable(status: &Status) -> Check {
    let hint = "`eval \"$(keystead agent print-env)\"` in the shell's profile makes it so";
    let Some(path) = std::env::var_os("SSH_AUTH_SOCK").filter(|it| !it.is_empty()) else {
        return Check::doubtful(
            "variable",
            "SSH_AUTH_SOCK is not set: what is not ssh finds no agent",
            hint,
        );
    };
    let path = PathBuf::from(path);
    if path == status.ssh_auth_sock {
        return Check::good("variable", "SSH_AUTH_SOCK is this agent");
    }
    let shown = path.display();
    if std::os::unix::net::UnixStream::connect(&path).is_err() {
        return Check::doubtful(
            "variable",
            format!("SSH_AUTH_SOCK is {shown}, where nobody listens"),
            hint,
        );
    }
    Check::doubtful(
        "variable",
        format!("SSH_AUTH_SOCK is another agent, at {shown}"),
        hint,
    )
}

/// Is it an OpenSSH that proves destinations?
pub(super) fn version() -> Check {
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

fn to(host: Option<&str>) -> String {
    host.map(|host| format!("to {host} it "))
        .unwrap_or_default()
}

fn view(host: &str) -> Option<SshView> {
    output(&["-G", "--", host]).map(|text| SshView::parse(&text))
}

/// The key that ssh takes an identity file for: its public half, or the file beside it.
fn key_of(path: &Path) -> Option<KeyId> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    [PathBuf::from(beside), path.to_owned()]
        .iter()
        .filter_map(|it| std::fs::read_to_string(it).ok())
        .find_map(|text| KeyLine::parse(text.lines().next()?).ok())
        .map(|line| line.key.without_certificate().id())
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
