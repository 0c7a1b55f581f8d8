//! What the holder set once: `config.toml` in the configuration folder.
//!
//! **Invariant**: a setting that is not known here is a mistake, never passed over.

use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::namespaces::Namespaces;

/// The settings; without a file, the defaults.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// In which namespaces a signature is asked for; all others are refused. Left out: all are
    /// asked for.
    #[serde(default)]
    pub namespaces: Option<Vec<String>>,
}

/// Why the settings do not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file is there and cannot be read.
    #[error("the settings in {file} cannot be read")]
    Unreadable {
        /// Its path.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It says something else.
    #[error("the settings in {file} are wrong: {why}")]
    Wrong {
        /// Its path.
        file: String,
        /// Where and why.
        why: String,
    },
}

impl SettingsError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "check its permissions",
            Self::Wrong { .. } => "namespaces = [\"git\", \"file\"] is all that may stand there",
        }
    }
}

impl Settings {
    /// Reads them from the configuration folder.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn load(folder: &Path) -> Result<Self, SettingsError> {
        let path = folder.join(FILE);
        let file = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map_err(|why| SettingsError::Wrong { file, why }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(SettingsError::Unreadable { file, source }),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    /// Which namespaces are asked for.
    #[must_use]
    pub fn namespaces(&self) -> Namespaces {
        match &self.namespaces {
            None => Namespaces::All,
            Some(names) => Namespaces::Only(names.clone()),
        }
    }
}

const FILE: &str = "config.toml";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_as_they_are_written() {
        assert_eq!(Settings::parse("").unwrap().namespaces(), Namespaces::All);
        let some = Settings::parse("namespaces = [\"git\", \"file\"]\n").unwrap();
        let only = Namespaces::Only(vec!["git".into(), "file".into()]);
        assert_eq!(some.namespaces(), only);
        let none = Settings::parse("namespaces = []").unwrap();
        assert_eq!(none.namespaces(), Namespaces::Only(vec![]));
        for wrong in ["namespace = []", "namespaces = 1", "namespaces = [1]", "["] {
            assert!(Settings::parse(wrong).is_err(), "{wrong}");
        }
    }
}
