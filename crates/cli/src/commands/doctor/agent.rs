//! The agent, its keepers, their keys, its log.

use keystead_agent::control::{Keeper, KeeperState, Status};
use keystead_agent::log::{self, Entry};
use keystead_agent::serve::ServeError;
use keystead_agent::settings::Settings;
use keystead_core::LogTail;

use super::Check;
use crate::commands;
use crate::failure::Failure;

/// Does one run, and answer?
pub(super) fn runs(
    status: &Result<Option<Status>, Failure>,
    settings: &Result<Settings, ServeError>,
) -> Check {
    match status {
        Ok(Some(status)) if status.locked => Check::bad(
            "agent",
            "is locked: it offers no key and signs nothing",
            "`ssh-add -X` unlocks it, with the passphrase that locked it",
        ),
        Ok(Some(status)) => Check::good("agent", format!("runs, process {}", status.pid)),
        Ok(None) => match settings {
            Err(error) => Check::bad(
                "agent",
                format!(
                    "does not run, and cannot start: {}",
                    Failure::of(error).message
                ),
                "correct the file, then `keystead agent start`",
            ),
            Ok(_) => Check::bad(
                "agent",
                "does not run, so ssh finds no key",
                "`keystead agent start` starts it, `keystead agent install` has systemd do so",
            ),
        },
        Err(failure) => Check::bad(
            "agent",
            failure.message.clone(),
            failure
                .hint
                .as_deref()
                .unwrap_or("run `keystead agent run` and see what it says"),
        ),
    }
}

/// What it says of itself.
/// `held` counts the keys that are not SSH's, too.
pub(super) fn checks(status: &Status, held: usize, knows_servers: bool) -> Vec<Check> {
    let mut checks = Vec::new();
    if !knows_servers || !status.keepers.is_empty() {
        checks.push(keepers(status));
    }
    let asleep = status.keepers.iter().filter_map(asleep);
    checks.extend(asleep);
    checks.extend(wallets(status));
    checks.extend(keys(status, held, knows_servers));
    checks.extend(hidden(status));
    let notices = status.notices.iter().filter(|it| !is_of_clock(it));
    checks.extend(
        notices.map(|notice| Check::doubtful("notice", notice.clone(), "see `keystead status`")),
    );
    checks
}

fn keepers(status: &Status) -> Check {
    let usable = status.keepers.iter().filter(is_usable);
    let names: Vec<&str> = usable.map(|it| it.name.as_str()).collect();
    if names.is_empty() {
        return Check::bad("keepers", "none is paired", "`keystead pair` pairs one");
    }
    Check::good("keepers", format!("paired: {}", names.join(", ")))
}

fn is_usable(keeper: &&Keeper) -> bool {
    keeper.state != KeeperState::Unpairing
}

/// A keeper that cannot be asked now.
fn asleep(keeper: &Keeper) -> Option<Check> {
    let name = &keeper.name;
    match (keeper.state, keeper.connected && !keeper.silent) {
        (_, true) => None,
        // It is spoken to when it is asked, and no longer.
        _ if keeper.hardware => None,
        (KeeperState::Unpairing, false) => Some(Check::doubtful(
            "keeper",
            format!("{name} was unpaired here and does not know it yet"),
            "it is told when it is reached; nothing is to be done",
        )),
        (KeeperState::Unused, false) => Some(Check::doubtful(
            "keeper",
            format!("{name} was paired and never reached since"),
            format!(
                "start `keystead-authenticator run` on {name}; without a relay pair again \
                 while it runs there with `--listen ADDR:PORT`"
            ),
        )),
        (_, false) => Some(Check::doubtful(
            "keeper",
            format!("{name} is asleep or away: it does not answer"),
            format!("wake {name} and see that `keystead-authenticator run` runs there"),
        )),
    }
}

/// The wallets of keepers: each derives keys, whether one was asked for yet or not.
fn wallets(status: &Status) -> Option<Check> {
    let wallets = status.keepers.iter().filter(is_usable).flat_map(|keeper| {
        let on = |wallet| format!("{wallet} on {}", keeper.name);
        keeper.wallets.iter().map(on)
    });
    let wallets: Vec<String> = wallets.collect();
    (!wallets.is_empty()).then(|| Check::good("wallets", wallets.join(", ")))
}

fn keys(status: &Status, held: usize, knows_servers: bool) -> Option<Check> {
    let has_wallet = status.keepers.iter().any(|it| !it.wallets.is_empty());
    Some(match (status.keys.len(), held) {
        (0, 0) if has_wallet => return None,
        (0, 0) if status.keepers.is_empty() && !knows_servers => {
            Check::bad("keys", "none", "an authenticator brings its own")
        }
        (0, 0) => Check::bad("keys", "none", "`keystead key new` has a keeper make one"),
        (0, held) => Check::good("keys", format!("{held}; `keystead key list` lists them")),
        (keys, _) => Check::good(
            "keys",
            format!("{keys}, public halves in {}", status.keys_folder.display()),
        ),
    })
}

/// `ssh-add -d` and `-D` hide what they cannot remove, and ssh then says nothing of it.
fn hidden(status: &Status) -> Option<Check> {
    let hidden = status.keys.iter().filter(|it| it.hidden);
    let names: Vec<&str> = hidden.map(|it| it.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    let hint = "`keystead agent stop && keystead agent start` shows it again";
    let message = format!("hidden by ssh-add -d or -D: {}", names.join(", "));
    Some(match names.len() == status.keys.len() {
        true => Check::bad("hidden", message, hint),
        false => Check::doubtful("hidden", message, hint),
    })
}

/// Words about clocks belong to another check.
pub(super) fn is_of_clock(notice: &str) -> bool {
    notice.starts_with("the clock of ")
}

/// The log's entries, as far as they follow from each other, and whether all do.
pub(super) fn log() -> (Vec<Entry>, Check) {
    let bytes = match commands::log::read() {
        Ok(bytes) => bytes,
        Err(failure) => {
            let hint = "no agent signs without its log: see what is in its place, and whose it is";
            return (Vec::new(), Check::bad("log", failure.message, hint));
        }
    };
    let (entries, tail) = log::entries(&bytes);
    let check = match tail {
        LogTail::Whole | LogTail::Cut { .. } => {
            Check::good("log", format!("{} entries, none altered", entries.len()))
        }
        LogTail::Broken { line } => Check::bad(
            "log",
            format!("line {line} does not follow from the one before"),
            "somebody or something changed the file; `keystead audit verify` says more",
        ),
    };
    (entries, check)
}
