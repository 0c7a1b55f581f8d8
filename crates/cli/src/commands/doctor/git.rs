//! Does git, where it signs, sign with a key of this agent?

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keystead_agent::control::Status;

use super::Check;
use crate::commands::git::program;

/// Nothing where git does not sign with SSH keys of ours.
pub(super) fn checks(status: &Status) -> Vec<Check> {
    let Ok(link) = program(crate::git_keygen::NAME) else {
        return Vec::new();
    };
    let used = setting("gpg.ssh.program").map(PathBuf::from);
    let key = setting("user.signingkey").map(PathBuf::from);
    let signs_with_ours = used.as_ref() == Some(&link)
        || key
            .as_ref()
            .is_some_and(|it| it.starts_with(&status.keys_folder));
    if setting("gpg.format").as_deref() != Some("ssh") || !signs_with_ours {
        return Vec::new();
    }
    vec![check(&link, used.as_deref(), key.as_deref())]
}

fn check(link: &Path, used: Option<&Path>, key: Option<&Path>) -> Check {
    let hint = "`keystead git setup` makes it right";
    let is_missing = |path: &Path| path.is_absolute() && !path.exists();
    match (used, key) {
        (_, None) => Check::bad("git", "no key is named in user.signingKey", hint),
        (Some(used), _) if is_missing(used) => Check::bad(
            "git",
            format!("gpg.ssh.program is {}, which is not there", used.display()),
            hint,
        ),
        (_, Some(key)) if is_missing(key) => Check::bad(
            "git",
            format!("user.signingKey is {}, which is not there", key.display()),
            hint,
        ),
        (used, _) if used != Some(link) => {
            Check::doubtful("git", "signs only where SSH_AUTH_SOCK is this agent", hint)
        }
        (_, Some(key)) => Check::good("git", format!("signs with {}", key.display())),
    }
}

fn setting(name: &str) -> Option<String> {
    let output = Command::new("git")
        .args(["config", "--get", name])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim_end_matches('\n');
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
