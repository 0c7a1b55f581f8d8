//! Settings, clock, relay, permissions, systemd.

use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keystead_agent::control::Status;
use keystead_agent::identities::{self, Patterns};
use keystead_agent::log::Entry;
use keystead_agent::serve::ServeError;
use keystead_agent::settings::Settings;
use keystead_core::Curve;
use keystead_daemon::home::Folders;
use keystead_daemon::{Clock, SystemClock};

use super::Check;
use super::agent::is_of_clock;
use crate::commands::{file, install};
use crate::failure::Failure;

/// Will the next agent start with them too? The one that runs has read others.
pub(super) fn settings(settings: &Result<Settings, ServeError>) -> Option<Check> {
    let error = settings.as_ref().err()?;
    Some(Check::bad(
        "settings",
        format!("no agent starts with them: {}", Failure::of(error).message),
        error.hint(),
    ))
}

/// Is the file of identities one that ssh is offered keys by? Nothing where there is none.
pub(super) fn identities(folders: &Folders, curve: Curve) -> Option<Check> {
    let path = folders.config.join(identities::FILE_NAME);
    let text = match file::read(&path) {
        Ok(None) => return None,
        Ok(Some(bytes)) => String::from_utf8(bytes).map_err(|_| "it is no text".to_owned()),
        Err(failure) => Err(failure.message),
    };
    let read =
        text.and_then(|text| Patterns::parse(&text, curve).map_err(|error| error.to_string()));
    Some(match read {
        Ok(_) => Check::good("identities", format!("{} is read", path.display())),
        Err(why) => Check::bad(
            "identities",
            format!("ssh is offered none of {}: {why}", path.display()),
            "correct the file; the next login reads it anew",
        ),
    })
}

/// Does this machine's clock agree with others', and with its own past?
pub(super) fn clock(status: Option<&Status>, entries: &[Entry]) -> Check {
    let hint = "set both clocks by the network (`timedatectl set-ntp true`)";
    let said = status.and_then(|status| status.notices.iter().rfind(|it| is_of_clock(it)));
    if let Some(said) = said {
        return Check::doubtful("clock", said.clone(), hint);
    }
    let now_unix_s = SystemClock.now().unix_s;
    let last_unix_s = entries.iter().map(|it| it.unix_s).max().unwrap_or(0);
    let back_s = last_unix_s.saturating_sub(now_unix_s);
    if back_s > CLOCK_S {
        let message = format!("was set back: the log knows a time {back_s} s from now");
        return Check::doubtful("clock", message, hint);
    }
    Check::good("clock", "no keeper that answered has another time")
}

/// Can the relay be reached?
pub(super) fn relay(status: &Status) -> Check {
    let Some(relay) = &status.relay else {
        return Check::doubtful(
            "relay",
            "none is known: keepers are reached on the local network alone",
            "`keystead pair --relay URL` pairs through one",
        );
    };
    let hint = "see whether it runs, and what its operator's proxy says";
    let Some((host, port)) = host_and_port(relay) else {
        return Check::bad("relay", format!("{relay} is no address"), hint);
    };
    let addresses = match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => {
            let message = format!("{host} is not found: {error}");
            return Check::bad("relay", message, "see whether this machine is online");
        }
    };
    let mut last = None;
    for address in addresses.take(ADDRESSES_MAX) {
        match TcpStream::connect_timeout(&address, CONNECT_WAIT) {
            Ok(_) => return Check::good("relay", format!("{relay} can be reached")),
            Err(error) => last = Some(error),
        }
    }
    let why = last.map(|error| format!(": {error}")).unwrap_or_default();
    Check::bad("relay", format!("{relay} cannot be reached{why}"), hint)
}

/// `https://relay.example.org/path` → its host and port.
fn host_and_port(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let usual = if scheme == "https" { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then_some((host, port))
}

/// Are our folders private, and does ssh accept its own?
pub(super) fn permissions(folders: &Folders) -> Check {
    let own_uid = rustix::process::geteuid().as_raw();
    let mut faults = Vec::new();
    for folder in [&folders.config, &folders.state, &folders.runtime] {
        if let Ok(found) = fs::metadata(folder)
            && (found.mode() & 0o077 != 0 || found.uid() != own_uid)
        {
            faults.push((folder.clone(), "700"));
        }
    }
    let ssh = std::env::home_dir().map(|home| home.join(".ssh"));
    let ssh = ssh
        .into_iter()
        .flat_map(|it| [it.clone(), it.join("config")]);
    for path in ssh {
        // ssh refuses a configuration that others may write.
        if let Ok(found) = fs::metadata(&path)
            && (found.mode() & 0o022 != 0 || (found.uid() != own_uid && found.uid() != 0))
        {
            faults.push((path, "go-w"));
        }
    }
    faults.dedup();
    match faults.first() {
        None => Check::good("permissions", "folders and sockets are this user's alone"),
        Some((path, mode)) => Check::bad(
            "permissions",
            format!("others can get at {}", shown(&faults)),
            format!("chmod {mode} {}", path.display()),
        ),
    }
}

fn shown(faults: &[(PathBuf, &str)]) -> String {
    let paths = faults.iter().map(|(path, _)| path.display().to_string());
    paths.collect::<Vec<_>>().join(", ")
}

/// Do the units that were installed still start this program?
pub(super) fn units() -> Option<Check> {
    let program = install::installed_program()?;
    if Path::new(&program).exists() {
        let shown = program.display();
        return Some(Check::good("systemd", format!("its units start {shown}")));
    }
    Some(Check::bad(
        "systemd",
        format!("starts {}, which is not there", program.display()),
        "`keystead agent install` writes the units anew",
    ))
}

/// As `spec/pairing.md` section 5.4: clocks that differ by more are told.
const CLOCK_S: u64 = 90;

/// A person waits for it; a relay that needs longer is no help.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_of_relays() {
        for (url, expected) in [
            (
                "https://relay.example.org",
                Some(("relay.example.org", 443)),
            ),
            ("http://127.0.0.1:7440", Some(("127.0.0.1", 7_440))),
            ("http://[::1]:7440/x", Some(("::1", 7_440))),
            ("http://[::1]", Some(("::1", 80))),
            ("https://a:b", None),
            ("https://", None),
            ("relay", None),
        ] {
            assert_eq!(host_and_port(url), expected, "{url}");
        }
    }
}
