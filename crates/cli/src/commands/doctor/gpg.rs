//! Does gpg, where `keystead gpg init` has set it up, ask the agent program that finds keys held
//! elsewhere?

use std::path::{Path, PathBuf};

use super::Check;
use crate::commands::gpg::SETUP_NAME;
use crate::commands::plugin_link::leads_to;
use crate::gpg_agent::{Answering, Places};

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
        checks.extend(Answering::at(&places.standard).and_then(of_answering));
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

fn of_answering(answering: Answering) -> Option<Check> {
    let (who, mend) = match answering {
        Answering::Ours => return None,
        Answering::Ordinary(process) => (
            process.to_string(),
            "`gpgconf --kill gpg-agent` ends it, and gpg starts the right one; leave `gpgconf \
             --launch gpg-agent` out of what a login runs, and where systemd starts it, \
             `systemctl --user mask --now gpg-agent.socket` first",
        ),
        Answering::Other => (
            "another agent".to_owned(),
            "its socket may lead to another machine: `gpgconf --list-dirs agent-socket` names it",
        ),
    };
    let message = format!("{who} answers gpg, and knows no key held elsewhere");
    Some(Check::bad("gpg-agent", message, mend))
}

/// What `gpg.conf` says last, as gpg takes it.
fn agent_program(conf: &str) -> Option<PathBuf> {
    let mut named = conf.lines().filter_map(|line| {
        let (option, value) = line.trim().split_once(char::is_whitespace)?;
        (option.trim_start_matches("--") == "agent-program").then(|| value.trim())
    });
    named.next_back().map(PathBuf::from)
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
}
