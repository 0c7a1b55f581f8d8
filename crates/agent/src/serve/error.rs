//! Why the agent cannot start.

use std::path::PathBuf;

use keystead_daemon::home::FolderError;
use keystead_daemon::process::LockError;
use keystead_daemon::socket::ListenError;

use crate::agent::LoadError;
use crate::settings::SettingsError;

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The system does not let the process be what it must.
    #[error("the process cannot be set up")]
    Process {
        /// Why.
        source: std::io::Error,
    },
    /// A folder is not private.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Another agent works on the state folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A socket cannot be listened at.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The settings cannot be read.
    #[error("{} cannot be read", path.display())]
    SettingsUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The settings are not understood.
    #[error("{}: {source}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SettingsError,
    },
    /// The network cannot start.
    #[error(transparent)]
    Net(#[from] keystead_keeper::StartError),
    /// What is pinned of key servers cannot be kept.
    #[error(transparent)]
    Book(#[from] keystead_keeper::server::BookError),
    /// The state cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl ServeError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Process { .. } => "see what limits the system sets for this user".to_owned(),
            Self::Folder(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Listen(error) => error.hint(),
            Self::SettingsUnreadable { path, .. } => {
                format!("see that {} is a file that you may read", path.display())
            }
            Self::Settings { path, .. } => format!("correct {}", path.display()),
            Self::Net(error) => error.hint().to_owned(),
            Self::Book(error) => error.hint().to_owned(),
            Self::Load(error) => error.hint().to_owned(),
        }
    }
}
