//! Why the state folder cannot be used.

use std::io;

/// One file of the state folder cannot be used; nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no authenticator in this folder yet.
    #[error("there is no authenticator here yet")]
    NotMade,
    /// There is one already.
    #[error("there is an authenticator here already: {name}")]
    AlreadyMade {
        /// Its name.
        name: String,
    },
    /// A file that must be there is not.
    #[error("the state file {file} is missing")]
    Missing {
        /// Its name in the state folder.
        file: String,
    },
    /// A file is not what was written.
    #[error("the state file {file} is damaged: {why}")]
    Damaged {
        /// Its name in the state folder.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A later version wrote it.
    #[error("the state file {file} was written by a later version")]
    Newer {
        /// Its name in the state folder.
        file: String,
    },
    /// The system's error.
    #[error("the state file {file}")]
    System {
        /// Its name in the state folder.
        file: String,
        /// What the system said.
        source: io::Error,
    },
}

impl LoadError {
    pub(crate) fn damaged(file: &str, why: impl Into<String>) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            why: why.into(),
        }
    }

    pub(crate) fn newer(file: &str) -> Self {
        Self::Newer {
            file: file.to_owned(),
        }
    }

    pub(crate) fn unreadable(file: &str, source: io::Error) -> Self {
        Self::System {
            file: file.to_owned(),
            source,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotMade => "make one: keystead-authenticator init --name NAME",
            Self::AlreadyMade { .. } => "another one needs another folder: set KEYSTEAD_HOME",
            Self::Damaged { file, .. } if file.starts_with("pairings/") => {
                "put the file back from a copy, or take it away and pair that workstation again"
            }
            Self::Missing { .. } | Self::Damaged { .. } => {
                "put the file back from a copy; nothing was overwritten"
            }
            Self::Newer { .. } => "use the version that wrote it, or a later one",
            Self::System { .. } => "check the folder's owner, permissions and free space",
        }
    }
}
