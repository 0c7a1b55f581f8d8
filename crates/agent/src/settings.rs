//! `config.toml` in the agent's configuration folder.
//!
//! **Invariant:** what is not understood is refused: a mistyped setting never counts for nothing.

use std::path::PathBuf;

use keystead_core::{Curve, Name, NameError};
use keystead_keeper::RelayUrl;
use serde::Deserialize;
use toml::Spanned;

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
    /// The curve of ssh and gpg identities whose command names none; trezor-agent's unless the
    /// person has set another.
    pub wallet_curve: Curve,
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
            wallet_curve: Curve::Nist256p1,
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
            line: source.span().and_then(|span| line_at(text, span.start)),
            message: source.message().to_owned(),
        })?;
        let wait_s = checked(text, file.wait_s, |wait_s| match wait_s {
            1..=WAIT_S_MAX => Ok(wait_s),
            _ => Err(format!("wait_s is from 1 to {WAIT_S_MAX}")),
        })?;
        let relay = checked(text, file.relay, |relay| {
            relay.parse().map_err(|why| format!("relay: {why}"))
        })?;
        let name = checked(text, file.name, |name| {
            Name::new(name).map_err(|why| format!("name: {why}"))
        })?;
        let add_to = checked(text, file.add_to, |to| {
            AddTo::parse(to).map_err(|why| format!("add_to: {why}"))
        })?;
        let keys_max = checked(text, file.keys_max, |keys| match keys {
            0 => Err("keys_max is at least 1".to_owned()),
            _ => Ok(keys),
        })?;
        let upstream = checked(text, file.upstream, |path: PathBuf| {
            let is_whole = path.is_absolute();
            is_whole
                .then_some(path)
                .ok_or_else(|| "upstream is an absolute path".to_owned())
        })?;
        let wallet_curve = file.wallet.and_then(|it| it.curve);
        let wallet_curve = checked(text, wallet_curve, |curve| {
            curve.parse().map_err(|why| format!("wallet.curve: {why}"))
        })?;
        Ok(Self {
            wait_s: wait_s.unwrap_or(WAIT_S),
            relay,
            name,
            ca_file: file.ca_file,
            add_to: add_to.unwrap_or_default(),
            upstream,
            upstream_order: file.upstream_order.unwrap_or_default(),
            keys_max,
            on_refusal: file.on_refusal.unwrap_or_default(),
            notifications: file.notifications.unwrap_or(true),
            wallet_curve: wallet_curve.unwrap_or(Curve::Nist256p1),
        })
    }
}

/// The file as it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    wait_s: Option<Spanned<u16>>,
    relay: Option<Spanned<String>>,
    name: Option<Spanned<String>>,
    ca_file: Option<PathBuf>,
    add_to: Option<Spanned<String>>,
    upstream: Option<Spanned<PathBuf>>,
    upstream_order: Option<UpstreamOrder>,
    keys_max: Option<Spanned<usize>>,
    on_refusal: Option<OnRefusal>,
    notifications: Option<bool>,
    wallet: Option<Wallet>,
}

/// `[wallet]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wallet {
    curve: Option<Spanned<String>>,
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

/// What a setting says, once it makes sense.
fn checked<T, U>(
    text: &str,
    said: Option<Spanned<T>>,
    check: impl FnOnce(T) -> Result<U, String>,
) -> Result<Option<U>, SettingsError> {
    said.map(|said| {
        let line = line_at(text, said.span().start);
        check(said.into_inner()).map_err(|message| SettingsError { line, message })
    })
    .transpose()
}

fn line_at(text: &str, at: usize) -> Option<usize> {
    let before = text.get(..at)?;
    Some(before.matches('\n').count() + 1)
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
        check("# a\nwait_s = 0", Err("line 2: wait_s"));
        check("wait_s = 2\nrelay = \"ftp://x\"", Err("line 2: relay"));
        check("\nname = \"a\\nb\"", Err("line 2: name"));
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
        check("\nadd_to = \"a\\nb\"", Err("line 2: add_to"));
        check(
            "upstream = \"a.sock\"",
            Err("line 1: upstream is an absolute path"),
        );
        check("\n\nkeys_max = 0", Err("line 3: keys_max is at least 1"));
        check("on_refusal = \"maybe\"", Err("line 1"));
        check("add_to = \"\"", Err("add_to"));
        check("[more]\n", Err("unknown field `more`"));
        check(
            "[wallet]\ncurve = \"ed25519\"",
            Ok(Settings {
                wallet_curve: Curve::Ed25519,
                ..Settings::default()
            }),
        );
        check(
            "[wallet]\ncurve = \"p256\"",
            Err("line 2: wallet.curve: unknown curve"),
        );
        check("[wallet]\nindex = 1", Err("unknown field `index`"));
    }
}
