//! Does gpg, where `keystead gpg init` has set it up, ask the agent program that finds keys held
//! elsewhere?

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    let mut named = conf.lines().filter_map(|line| {
        let (option, value) = line.trim().split_once(char::is_whitespace)?;
        (option.trim_start_matches("--") == "agent-program").then(|| value.trim())
    });
    named.next_back().map(PathBuf::from)
}

/// Who answers at a socket: the process, and its program where that is still there.
///
/// The process is asked: the socket's own word names the one that made it, which gpg-agent ends
/// once its child serves.
fn answering(socket: &Path) -> Option<(i32, Option<PathBuf>)> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(ANSWER_WAIT)).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    lines.read_line(&mut line).ok()?;
    stream.write_all(b"GETINFO pid\n").ok()?;
    line.clear();
    lines.read_line(&mut line).ok()?;
    let pid: i32 = line.trim_end().strip_prefix("D ")?.parse().ok()?;
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

/// An agent answers at once; one that hangs is for others to find.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

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
    fn who_listens_is_asked() {
        let path = std::env::temp_dir().join(format!("keystead-gpg-{}", std::process::id()));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let pid = std::process::id();
        let agent = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"OK Pleased to meet you\n").unwrap();
            let mut asked = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            lines.read_line(&mut asked).unwrap();
            assert_eq!(asked, "GETINFO pid\n");
            stream
                .write_all(format!("D {pid}\nOK\n").as_bytes())
                .unwrap();
        });
        let (found, exe) = answering(&path).unwrap();
        assert_eq!(u32::try_from(found).unwrap(), pid);
        assert!(leads_to(&exe.unwrap(), &std::env::current_exe().unwrap()));
        agent.join().unwrap();
        assert_eq!(answering(&path), None, "nobody listens any more");
        std::fs::remove_file(&path).unwrap();
    }
}
