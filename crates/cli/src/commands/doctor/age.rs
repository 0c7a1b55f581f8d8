//! Does age find its plugin, where there are keys for it?

use std::path::{Path, PathBuf};

use keystead_agent::key_control::HeldKey;
use keystead_core::Purpose;

use super::Check;
use crate::age_plugin::NAME;
use crate::commands::plugin_link::{leads_to, on_path, place};

/// Nothing where age has no key here and no plugin either.
pub(super) fn checks(keys: &[HeldKey]) -> Vec<Check> {
    let is_for_age = |key: &HeldKey| {
        let mut purposes = key.purposes.iter();
        purposes.any(|it| it == Purpose::AgeUnwrap.as_str())
    };
    let found = on_path();
    let dead = place().ok().filter(|it| it.is_symlink() && !it.exists());
    if found.is_empty() && dead.is_none() && !keys.iter().any(is_for_age) {
        return Vec::new();
    }
    let Ok(program) = std::env::current_exe() else {
        return Vec::new();
    };
    vec![check(&found, dead.as_deref(), &program)]
}

fn check(found: &[PathBuf], dead: Option<&Path>, program: &Path) -> Check {
    let lay = "`keystead agent install` lays a link to this program in ~/.local/bin, which has \
               to be on the PATH";
    match (found, dead) {
        ([], Some(dead)) => Check::bad("age", format!("{} leads to nothing", dead.display()), lay),
        ([], None) => Check::bad("age", format!("finds no {NAME} on the PATH"), lay),
        ([first, ..], _) if !leads_to(first, program) => Check::doubtful(
            "age",
            format!("starts {}, which is another program", first.display()),
            format!("take it away, or put this one's folder before it on the PATH; {lay}"),
        ),
        ([first, rest @ ..], _) => {
            let other = rest.iter().find(|it| !leads_to(it, program));
            match other {
                Some(other) => Check::doubtful(
                    "age",
                    format!(
                        "starts {}; {} is another, behind it",
                        first.display(),
                        other.display()
                    ),
                    "take the one that is not wanted away",
                ),
                None => Check::good("age", format!("finds its plugin at {}", first.display())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::commands::doctor::State;

    #[test]
    fn plugins_on_the_path() {
        let folder = std::env::temp_dir().join(format!("keystead-doctor-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let at = |name: &str| folder.join(name);
        let (own, other) = (at("keystead"), at("other"));
        for program in [&own, &other] {
            std::fs::write(program, "").unwrap();
        }
        for (link, target) in [("a", &own), ("b", &own), ("c", &other), ("d", &at("gone"))] {
            let _ = std::fs::remove_file(at(link));
            symlink(target, at(link)).unwrap();
        }
        let check = |found: &[&str], dead: Option<&str>, state: State, part: &str| {
            let found: Vec<PathBuf> = found.iter().map(|it| at(it)).collect();
            let check = super::check(&found, dead.map(at).as_deref(), &own);
            assert_eq!(check.state, state, "{}", check.message);
            assert!(check.message.contains(part), "{}", check.message);
        };
        check(&["a"], None, State::Good, "/a");
        check(&["a", "b"], None, State::Good, "/a");
        check(
            &["a", "c"],
            None,
            State::Doubtful,
            "/c is another, behind it",
        );
        check(
            &["c", "a"],
            None,
            State::Doubtful,
            "/c, which is another program",
        );
        check(&[], None, State::Bad, "finds no age-plugin-keystead");
        check(&[], Some("d"), State::Bad, "/d leads to nothing");
        check(&["a"], Some("d"), State::Good, "/a");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
