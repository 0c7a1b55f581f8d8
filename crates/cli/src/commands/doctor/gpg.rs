//! Does gpg, where `keystead gpg init` has set it up, ask the agent program that finds keys held
//! elsewhere?

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::Check;
use crate::commands::gpg::SETUP_NAME;
use crate::commands::plugin_link::leads_to;
use crate::gpg_agent::Places;

/// Nothing where gpg was not set up.
pub(super) fn checks() -> Vec<Check> {
    let Ok(places) = Places::of(None) else {
        return Vec::new();
    };
    if !places.homedir.join(SETUP_NAME).exists() {
        return Vec::new();
    }
    let conf = std::fs::read_to_string(places.homedir.join("gpg.conf")).unwrap_or_default();
    let Ok(program) = std::env::current_exe() else {
        return Vec::new();
    };
    let Some(named) = agent_program(&conf) else {
        return vec![Check::doubtful(
            "gpg",
            "its gpg.conf names no agent-program any more: it finds no key held elsewhere",
            "`keystead gpg init` with your user id puts the line there again, --undo forgets it",
        )];
    };
    let mut checks = vec![of_program(&named, &program)];
    if leads_to(&named, &program) {
        checks.extend(answering(&places.standard).and_then(|(pid, exe)| {
            let is_ours = exe.as_deref().is_some_and(|it| leads_to(it, &program));
            (!is_ours).then(|| of_another(pid, exe.as_deref()))
        }));
    }
    checks
}

fn of_program(named: &Path, program: &Path) -> Check {
    let shown = named.display();
    if leads_to(named, program) {
        return Check::good("gpg", format!("has {shown} as its agent program"));
    }
    let again = "`keystead gpg init` with your user id lays it again, --undo gives gpg.conf back";
    if named.exists() {
        let message = format!("gpg.conf names {shown}, which is another program");
        return Check::doubtful("gpg", message, again);
    }
    let message = format!("gpg.conf names {shown}, which is not there: gpg has no agent");
    Check::bad("gpg", message, again)
}

fn of_another(pid: i32, exe: Option<&Path>) -> Check {
    let exe = exe.map_or_else(String::new, |it| format!(" ({})", it.display()));
    Check::bad(
        "gpg-agent",
        format!("process {pid}{exe} answers gpg, and knows no key held elsewhere"),
        "`gpgconf --kill gpg-agent` ends it; where systemd starts it, \
         `systemctl --user mask --now gpg-agent.socket` first",
    )
}

/// What `gpg.conf` says last, as gpg takes it.
fn agent_program(conf: &str) -> Option<PathBuf> {
    let named = conf.lines().filter_map(|line| {
        let (option, value) = line.trim().split_once(char::is_whitespace)?;
        (option.trim_start_matches("--") == "agent-program").then(|| value.trim())
    });
    named.last().map(PathBuf::from)
}

/// Who answers at a socket: the process, and its program where that is still there.
fn answering(socket: &Path) -> Option<(i32, Option<PathBuf>)> {
    let stream = UnixStream::connect(socket).ok()?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
    let pid = peer.pid.as_raw_pid();
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    // One that was replaced while it ran is still the one that was meant.
    let exe = exe.map(
        |it| match it.to_str().and_then(|it| it.strip_suffix(" (deleted)")) {
            Some(path) => PathBuf::from(path),
            None => it,
        },
    );
    Some((pid, exe))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::State;

    #[test]
    fn the_last_line_names_the_agent() {
        let check = |conf: &str, expected: Option<&str>| {
            assert_eq!(agent_program(conf).as_deref(), expected.map(Path::new));
        };
        check("", None);
        check("agent-program", None);
        check("#agent-program /a\n", None);
        check("batch\nagent-program /a b\n", Some("/a b"));
        check("agent-program /a\n--agent-program\t/b \n", Some("/b"));
    }

    #[test]
    fn programs_that_are_named() {
        let own = std::env::current_exe().unwrap();
        let check = |named: &Path, state| {
            assert_eq!(of_program(named, &own).state, state);
        };
        check(&own, State::Good);
        check(Path::new("/bin/sh"), State::Doubtful);
        check(Path::new("/nowhere/gpg-agent"), State::Bad);
    }

    #[test]
    fn who_listens_is_found_by_its_process() {
        let path = std::env::temp_dir().join(format!("keystead-gpg-{}", std::process::id()));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let (pid, exe) = answering(&path).unwrap();
        assert_eq!(u32::try_from(pid).unwrap(), std::process::id());
        assert!(leads_to(&exe.unwrap(), &std::env::current_exe().unwrap()));
        drop(listener);
        assert_eq!(answering(&path), None);
        std::fs::remove_file(&path).unwrap();
    }
}
