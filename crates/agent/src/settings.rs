//! `config.toml` in the agent's configuration folder.
//!
//! **Invariant:** what is not understood is refused: a mistyped setting never counts for nothing.

use std::path::PathBuf;

use keystead_core::{Name, NameError};
use keystead_keeper::RelayUrl;
use serde::Deserialize;

/// What a person has set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a signature is waited for; at most [`WAIT_S_MAX`].
    pub wait_s: u16,
    /// The relay of new pairings; wins over the remembered one.
    pub relay: Option<RelayUrl>,
    /// How this machine calls itself when it pairs.
    pub name: Option<Name>,
    /// PEM file of the authorities that a relay's certificate may come from.
    pub ca_file: Option<PathBuf>,
    /// Where `ssh-add FILE` brings a key.
    pub add_to: AddTo,
    /// The agent whose keys stay usable beside ours; else the one of `SSH_AUTH_SOCK` at the start.
    pub upstream: Option<PathBuf>,
    /// Whose keys are listed first.
    pub upstream_order: UpstreamOrder,
    /// At most so many identities are listed; none lists all. Servers count each as a try
    /// (`MaxAuthTries`, 6 by default).
    pub keys_max: Option<usize>,
    /// What follows on a connection whose request got no yes.
    pub on_refusal: OnRefusal,
    /// Tell the desktop when somebody is being asked and the program has no terminal.
    pub notifications: bool,
}

/// Where `ssh-add FILE` brings a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AddTo {
    /// The agent that was there before.
    #[default]
    Upstream,
    /// The local authenticator, in memory.
    Local,
    /// A keeper of this name.
    Keeper(Name),
}

/// Where the keys of the agent that was there before stand in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamOrder {
    /// Behind ours.
    #[default]
    After,
    /// In front of ours.
    Before,
}

/// What follows on a connection whose request got no yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnRefusal {
    /// The program goes on with other keys.
    #[default]
    Fallback,
    /// No other key is listed there, nor signs.
    Abort,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait_s: WAIT_S,
            relay: None,
            name: None,
            ca_file: None,
            add_to: AddTo::default(),
            upstream: None,
            upstream_order: UpstreamOrder::default(),
            keys_max: None,
            on_refusal: OnRefusal::default(),
            notifications: true,
        }
    }
}

impl Settings {
    /// Reads the file's text.
    ///
    /// # Errors
    /// [`SettingsError`] names the line and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let file: File = toml::from_str(text).map_err(|source| SettingsError {
            line: source
                .span()
                .and_then(|span| text.get(..span.start))
                .map(|before| before.matches('\n').count() + 1),
            message: source.message().to_owned(),
        })?;
        let wrong = |message: String| SettingsError {
            line: None,
            message,
        };
        let wait_s = file.wait_s.unwrap_or(WAIT_S);
        if wait_s == 0 || wait_s > WAIT_S_MAX {
            return Err(wrong(format!("wait_s is from 1 to {WAIT_S_MAX}")));
        }
        let relay = file
            .relay
            .map(|relay| relay.parse().map_err(|why| wrong(format!("relay: {why}"))))
            .transpose()?;
        let name = file
            .name
            .map(|name| Name::new(name).map_err(|why| wrong(format!("name: {why}"))))
            .transpose()?;
        let add_to = file
            .add_to
            .map(|to| AddTo::parse(to).map_err(|why| wrong(format!("add_to: {why}"))))
            .transpose()?;
        if file.keys_max == Some(0) {
            return Err(wrong("keys_max is at least 1".to_owned()));
        }
        if file.upstream.as_ref().is_some_and(|it| !it.is_absolute()) {
            return Err(wrong("upstream is an absolute path".to_owned()));
        }
        Ok(Self {
            wait_s,
            relay,
            name,
            ca_file: file.ca_file,
            add_to: add_to.unwrap_or_default(),
            upstream: file.upstream,
            upstream_order: file.upstream_order.unwrap_or_default(),
            keys_max: file.keys_max,
            on_refusal: file.on_refusal.unwrap_or_default(),
            notifications: file.notifications.unwrap_or(true),
        })
    }
}

/// The file as it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    wait_s: Option<u16>,
    relay: Option<String>,
    name: Option<String>,
    ca_file: Option<PathBuf>,
    add_to: Option<String>,
    upstream: Option<PathBuf>,
    upstream_order: Option<UpstreamOrder>,
    keys_max: Option<usize>,
    on_refusal: Option<OnRefusal>,
    notifications: Option<bool>,
}

impl AddTo {
    fn parse(to: String) -> Result<Self, NameError> {
        match to.as_str() {
            "upstream" => Ok(Self::Upstream),
            "local" => Ok(Self::Local),
            _ => Name::new(to).map(Self::Keeper),
        }
    }
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct SettingsError {
    /// Where, counted from 1.
    pub line: Option<usize>,
    /// What.
    pub message: String,
}

/// The file's name.
pub const FILE_NAME: &str = "config.toml";

/// `spec/pairing.md` section 5: a person finds the phone and reads in this time.
pub const WAIT_S: u16 = 60;

/// `spec/pairing.md` section 5: the server hangs up after 120 s (`LoginGraceTime`).
pub const WAIT_S_MAX: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Settings, &str>) {
        let parsed = Settings::parse(text).map_err(|error| error.to_string());
        match (parsed, expected) {
            (Err(seen), Err(part)) => assert!(seen.contains(part), "{seen}"),
            (parsed, expected) => assert_eq!(parsed, expected.map_err(str::to_owned)),
        }
    }

    #[test]
    fn where_added_keys_go() {
        let added = |add_to| Settings {
            add_to,
            ..Settings::default()
        };
        check("add_to = \"upstream\"", Ok(added(AddTo::Upstream)));
        check("add_to = \"local\"", Ok(added(AddTo::Local)));
        let keeper = AddTo::Keeper(Name::new("my phone").unwrap());
        check("add_to = \"my phone\"", Ok(added(keeper)));
        let all = Settings {
            upstream: Some("/run/agent".into()),
            upstream_order: UpstreamOrder::Before,
            keys_max: Some(5),
            on_refusal: OnRefusal::Abort,
            ..Settings::default()
        };
        let text = "upstream = \"/run/agent\"\nupstream_order = \"before\"\nkeys_max = 5\n\
            on_refusal = \"abort\"\n";
        check(text, Ok(all));
    }

    #[test]
    fn settings() {
        let plain = Settings::default();
        check("", Ok(plain.clone()));
        check("# nothing\n", Ok(plain.clone()));
        let wait = |wait_s| Settings {
            wait_s,
            ..Settings::default()
        };
        check("wait_s = 2", Ok(wait(2)));
        check("wait_s = 100", Ok(wait(100)));
        check("wait_s = 101", Err("wait_s is from 1 to 100"));
        check("wait_s = 0", Err("wait_s is from 1 to 100"));
        check("wait_s = -1", Err("line 1"));
        check("\nwait_ms = 2", Err("line 2: unknown field `wait_ms`"));
        check("relay = \"ftp://x\"", Err("relay"));
        check("name = \"a\\nb\"", Err("name"));
        check("wait_s = 1\nwait_s = 2", Err("line 2"));
        check(
            "add_to = \"spare\"\nupstream = \"/run/a.sock\"\nupstream_order = \"before\"\n\
             keys_max = 5\non_refusal = \"abort\"\nnotifications = false",
            Ok(Settings {
                add_to: AddTo::Keeper(Name::new("spare").unwrap()),
                upstream: Some("/run/a.sock".into()),
                upstream_order: UpstreamOrder::Before,
                keys_max: Some(5),
                on_refusal: OnRefusal::Abort,
                notifications: false,
                ..plain
            }),
        );
        check("add_to = \"a\\nb\"", Err("add_to"));
        check("upstream = \"a.sock\"", Err("upstream is an absolute path"));
        check("keys_max = 0", Err("keys_max is at least 1"));
        check("on_refusal = \"retry\"", Err("line 1"));
        check("keys_max = 0", Err("keys_max is at least 1"));
        check("on_refusal = \"maybe\"", Err("line 1"));
        check("add_to = \"\"", Err("add_to"));
        check("[more]\n", Err("unknown field `more`"));
    }
}
