//! `config.toml` in the agent's configuration folder.
//!
//! **Invariant:** what is not understood is refused: a mistyped setting never counts for nothing.

use std::path::PathBuf;

use keystead_core::Name;
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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait_s: WAIT_S,
            relay: None,
            name: None,
            ca_file: None,
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
        Ok(Self {
            wait_s,
            relay,
            name,
            ca_file: file.ca_file,
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
        check("[more]\n", Err("unknown field `more`"));
    }
}
