//! Does ssh do with its own key files what `on_refusal` says?
//!
//! An agent can hide keys of agents; a file that ssh reads itself signs whatever the agent says.

use std::fs;
use std::path::{Path, PathBuf};

use keystead_agent::settings::OnRefusal;
use keystead_formats::ssh::client_config::{self, KeyFiles};

use super::Check;
use super::ssh_view::SshView;

/// Looks at hosts in general, or at one that was asked about.
pub(super) fn check(
    on_refusal: OnRefusal,
    view: &SshView,
    config: &[u8],
    to: &str,
) -> Option<Check> {
    match on_refusal {
        OnRefusal::Abort => unstopped(&there(view), view, to),
        OnRefusal::Fallback => unused(config),
    }
}

/// Looks at a host that the configuration names: what is so in general is said already.
pub(super) fn check_named(
    on_refusal: OnRefusal,
    view: &SshView,
    general: &SshView,
    to: &str,
) -> Option<Check> {
    if on_refusal == OnRefusal::Fallback {
        return None;
    }
    let general = there(general);
    let mut found = there(view);
    found.retain(|it| !general.contains(it));
    unstopped(&found, view, to)
}

fn unstopped(found: &[PathBuf], view: &SshView, to: &str) -> Option<Check> {
    let shown: Vec<String> = found.iter().map(|it| it.display().to_string()).collect();
    let first = shown.first()?;
    let hint = if view.ignores_key_files() {
        format!("take `IdentityFile {first}` out of ssh's configuration, or the file away")
    } else {
        "`keystead ssh setup` writes `IdentityFile none`, for \"abort\"".to_owned()
    };
    let who = if to.is_empty() { "ssh " } else { to };
    let message = format!("{who}still tries {} after a no", shown.join(", "));
    Some(Check::doubtful(NAME, message, hint))
}

/// The block was written for another setting.
fn unused(config: &[u8]) -> Option<Check> {
    let of_block = client_config::key_files(config).ok().flatten();
    (of_block == Some(KeyFiles::Ignore)).then(|| {
        Check::doubtful(
            NAME,
            "ssh tries none by itself, though on_refusal is not \"abort\"",
            "`keystead ssh setup` takes `IdentityFile none` out of its lines",
        )
    })
}

/// The private keys that ssh would read.
fn there(view: &SshView) -> Vec<PathBuf> {
    let home = std::env::home_dir().unwrap_or_default();
    let mut paths = view.identity_paths(&home);
    paths.retain(|path| is_private_key(path));
    paths
}

/// A public half, which names a key of an agent, is none.
fn is_private_key(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.windows(MARK.len()).any(|it| it == MARK))
}

const NAME: &str = "key-files";

/// In the first line of all that OpenSSH reads: its own form, PKCS#8 and the traditional ones.
const MARK: &[u8] = b"PRIVATE KEY-----";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::State;

    #[test]
    fn the_remedy_is_the_block_or_a_line_of_the_persons_own() {
        let check = |text: &str, part: &str| {
            let found = [PathBuf::from("/h/key"), PathBuf::from("/h/other")];
            let check = unstopped(&found, &SshView::parse(text), "to a it ").unwrap();
            assert_eq!(check.state, State::Doubtful);
            assert!(check.message.ends_with("tries /h/key, /h/other after a no"));
            assert!(check.message.starts_with("to a it still "));
            assert!(check.hint.unwrap().contains(part));
        };
        check("identityfile /h/key\n", "`keystead ssh setup`");
        check(
            "identityfile /h/key\nidentityfile none\n",
            "take `IdentityFile /h/key` out",
        );
        assert_eq!(unstopped(&[], &SshView::default(), ""), None);
    }

    #[test]
    fn a_block_of_another_time_is_told() {
        let block = |key_files| {
            let with = client_config::with_block(None, "/s", key_files);
            with.unwrap().config
        };
        assert_eq!(unused(b""), None);
        assert_eq!(unused(&block(KeyFiles::Offer)), None);
        let told = unused(&block(KeyFiles::Ignore)).unwrap();
        assert_eq!(told.state, State::Doubtful);
    }
}
