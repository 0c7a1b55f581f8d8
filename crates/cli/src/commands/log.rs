//! `log`: what was asked and how it was decided.

use std::path::PathBuf;

use keystead_agent::log::{self, Entry};
use keystead_core::LogTail;
use keystead_daemon::utc;
use serde_json::json;

use crate::agent_link::folders;
use crate::arguments::Log;
use crate::failure::Failure;
use crate::terminal::{Table, print_json, say};

/// `log [--json] [-n N]`
pub(crate) fn run(log: &Log) -> Result<(), Failure> {
    let (entries, tail) = log::entries(&read()?);
    let skipped = match log.last {
        0 => 0,
        last => entries.len().saturating_sub(last),
    };
    let shown = entries.get(skipped..).unwrap_or_default();
    if log.json {
        print_json(&json!({ "version": 1, "entries": shown }))?;
    } else {
        print_entries(shown)?;
        if skipped > 0 {
            say(format_args!(
                "{skipped} earlier; `keystead log -n 0` shows all"
            ));
        }
    }
    match tail {
        // A line may be half written while the agent runs; it is whole next time.
        LogTail::Whole | LogTail::Cut { .. } => Ok(()),
        LogTail::Broken { line } => Err(Failure::new(format!(
            "line {line} of the log does not follow from the one before"
        ))
        .hint("`keystead audit verify` says more")),
    }
}

/// The log's bytes; none when nothing was asked yet.
pub(crate) fn read() -> Result<Vec<u8>, Failure> {
    let path: PathBuf = folders()?.state.join(log::FILE_NAME);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Failure::new(format!("{}: {error}", path.display()))),
    }
}

fn print_entries(entries: &[Entry]) -> Result<(), Failure> {
    if entries.is_empty() {
        say("nothing was asked yet");
        return Ok(());
    }
    let mut table = Table::default();
    for entry in entries {
        let keeper = entry.keeper.as_deref().unwrap_or("");
        table.row([&utc(entry.unix_s), &entry.decision, keeper, &what(entry)]);
    }
    table.print()
}

/// What was asked, in a few words, and why it ended so.
fn what(entry: &Entry) -> String {
    let asked = asked(entry);
    match &entry.reason {
        Some(why) => format!("{asked} ({why})"),
        None => asked,
    }
}

fn asked(entry: &Entry) -> String {
    let key = entry.key.as_deref();
    // A wallet gives all keys of a text one name: the identity has the index too, and the curve.
    let which = match &entry.identity {
        Some(identity) => identity.rsplit_once(' ').map(|(which, _curve)| which),
        None => key,
    };
    let with = |asked: &str| match which {
        Some(key) => format!("{asked} with {key}"),
        None => asked.to_owned(),
    };
    let named = |asked: &str| match key {
        Some(key) => format!("{asked} {key}"),
        None => asked.to_owned(),
    };
    match entry.kind.as_str() {
        "sign" => match signed(entry) {
            Some(asked) => with(&asked),
            None => "its receipt for what was taken back or came too late".to_owned(),
        },
        "decrypt" => match decrypted(entry) {
            Some(asked) => with(&asked),
            None => "its receipt for what was taken back or came too late".to_owned(),
        },
        "public-key" => match &entry.identity {
            Some(identity) => format!("tell the public key of {identity}"),
            None => "tell a public key".to_owned(),
        },
        "make-key" => named("make the key"),
        "import" => named(if key.is_some() {
            "take into custody"
        } else {
            "take a key into custody"
        }),
        "remove" => named(if key.is_some() {
            "remove"
        } else {
            "remove keys"
        }),
        "lock" => "lock the agent".to_owned(),
        "unlock" => "unlock the agent".to_owned(),
        "policy" => named("set a rule"),
        "add-certificate" => with("offer a certificate"),
        "remove-certificate" => with("offer no longer a certificate"),
        "rename" => "rename the keeper".to_owned(),
        "cancel" => "take back what was asked".to_owned(),
        "unpair" => "end the pairing".to_owned(),
        "approve-server" => "approve what a key server would do".to_owned(),
        "me" => "tell its keys and addresses".to_owned(),
        "confirm" => "confirm the pairing".to_owned(),
        kind => kind.to_owned(),
    }
}

/// What a signature was for; nothing where the entry does not know.
fn signed(entry: &Entry) -> Option<String> {
    if let Some(user) = &entry.user {
        let Some(hop) = entry.path.last() else {
            return Some(format!("log in as {user}, destination not proved,"));
        };
        // By name where one is known.
        let host = entry.host_names.first().unwrap_or(&hop.host_key);
        let through = match entry.path.len() {
            1 => String::new(),
            2 => " through another host".to_owned(),
            hops => format!(" through {} other hosts", hops - 1),
        };
        return Some(format!("log in as {user}@{host}{through}"));
    }
    match (&entry.namespace, entry.purpose.as_deref()) {
        (_, Some("git-commit")) => Some("sign a git commit or tag".to_owned()),
        (Some(namespace), _) => Some(format!("sign for {namespace}")),
        (None, Some("ssh-certificate")) => Some("sign a certificate".to_owned()),
        (None, Some("opaque")) => Some("sign something that nobody can read".to_owned()),
        (None, Some("openpgp")) => Some(match &entry.user_id {
            Some(user_id) => format!("sign as {user_id}"),
            None => "sign for gpg".to_owned(),
        }),
        (None, Some("signify")) => Some(of_files("sign", entry, "for minisign")),
        (None, _) => None,
    }
}

/// What was decrypted; nothing where the entry does not know.
fn decrypted(entry: &Entry) -> Option<String> {
    match entry.purpose.as_deref() {
        Some("openpgp-decrypt") => Some(match &entry.user_id {
            Some(user_id) => format!("decrypt for {user_id}"),
            None => "decrypt for gpg".to_owned(),
        }),
        Some("age-unwrap") => Some(of_files("open", entry, "for age")),
        _ => None,
    }
}

/// The files by their names where the program said them.
fn of_files(deed: &str, entry: &Entry, otherwise: &str) -> String {
    match entry.files.as_slice() {
        [] => format!("{deed} {otherwise}"),
        files => format!("{deed} {}", files.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use keystead_agent::log::Hop;

    use super::*;

    #[track_caller]
    fn check(entry: &Entry, expected: &str) {
        assert_eq!(what(entry), expected);
    }

    fn entry(kind: &str, key: &str) -> Entry {
        Entry {
            kind: kind.to_owned(),
            key: (!key.is_empty()).then(|| key.to_owned()),
            ..Entry::default()
        }
    }

    #[test]
    fn logins_name_the_host_as_far_as_it_is_proved() {
        let login = Entry {
            user: Some("alex".to_owned()),
            ..entry("sign", "main")
        };
        check(&login, "log in as alex, destination not proved, with main");
        let hop = Hop {
            host_key: "SHA256:abc".to_owned(),
            session_id: String::new(),
            forwarding: false,
        };
        let mut login = Entry {
            path: vec![hop.clone()],
            ..login
        };
        check(&login, "log in as alex@SHA256:abc with main");
        login.host_names = vec!["db1".to_owned(), "10.0.0.1".to_owned()];
        check(&login, "log in as alex@db1 with main");
        login.path.push(hop.clone());
        check(&login, "log in as alex@db1 through another host with main");
        login.path.push(hop);
        login.reason = Some("no answer".to_owned());
        check(
            &login,
            "log in as alex@db1 through 2 other hosts with main (no answer)",
        );
    }

    #[test]
    fn other_entries_are_in_plain_words() {
        let sign = |purpose: &str, namespace: Option<&str>| Entry {
            purpose: Some(purpose.to_owned()),
            namespace: namespace.map(str::to_owned),
            ..entry("sign", "main")
        };
        check(
            &sign("git-commit", Some("git")),
            "sign a git commit or tag with main",
        );
        check(&sign("ssh-sig", Some("file")), "sign for file with main");
        check(
            &sign("ssh-certificate", None),
            "sign a certificate with main",
        );
        check(
            &sign("opaque", None),
            "sign something that nobody can read with main",
        );
        check(
            &entry("sign", ""),
            "its receipt for what was taken back or came too late",
        );
        let of_gpg = |kind: &str, purpose: &str, user_id: Option<&str>| Entry {
            purpose: Some(purpose.to_owned()),
            user_id: user_id.map(str::to_owned),
            ..entry(kind, "")
        };
        check(
            &of_gpg("sign", "openpgp", Some("Alex <a@b>")),
            "sign as Alex <a@b>",
        );
        check(&of_gpg("sign", "openpgp", None), "sign for gpg");
        check(
            &of_gpg("decrypt", "openpgp-decrypt", Some("Alex <a@b>")),
            "decrypt for Alex <a@b>",
        );
        let of_age = Entry {
            files: vec!["one.age".to_owned(), "two.age".to_owned()],
            ..of_gpg("decrypt", "age-unwrap", None)
        };
        check(&of_age, "open one.age, two.age");
        check(&of_gpg("sign", "signify", None), "sign for minisign");
        let third = Entry {
            identity: Some("ssh://alex@db1 index 3 nist256p1".to_owned()),
            ..sign("ssh-certificate", None)
        };
        check(&third, "sign a certificate with ssh://alex@db1 index 3");
        let asked = Entry {
            identity: Some("ssh://alex@db1".to_owned()),
            ..entry("public-key", "")
        };
        check(&asked, "tell the public key of ssh://alex@db1");
        check(&entry("make-key", "work"), "make the key work");
        check(&entry("remove", ""), "remove keys");
        check(&entry("remove", "old"), "remove old");
        check(&entry("import", ""), "take a key into custody");
        check(&entry("lock", ""), "lock the agent");
        check(&entry("later", "x"), "later");
        let rule = Entry {
            reason: Some("users=alex".to_owned()),
            ..entry("policy", "")
        };
        check(&rule, "set a rule (users=alex)");
    }
}
