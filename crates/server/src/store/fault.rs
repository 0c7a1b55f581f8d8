//! What can be wrong with the database.
//!
//! **Invariant**: [`StoreError::Unavailable`] means that nothing of the batch was written
//! and the next one may succeed; [`StoreError::ends_the_process`] that going on could lose
//! what was promised.

use std::path::PathBuf;

use crate::rows::{RowFault, Table};

/// Why a read or transaction failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Full, away, slow or locked: the batch is refused, service goes on.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// No TLS with the database, which the address asks for.
    #[error("no TLS with the database: {0}")]
    NoTls(String),
    /// The disk did not take what it was told to keep.
    #[error("the disk did not keep what was written: {0}")]
    SyncFailed(String),
    /// The database is older than it was.
    #[error(
        "the database went back: epoch {found_epoch} size {found_size} after epoch \
         {seen_epoch} size {seen_size}"
    )]
    HeadWentBack {
        /// The log's epoch that this process saw.
        seen_epoch: u32,
        /// Its size.
        seen_size: u64,
        /// What is there now.
        found_epoch: u32,
        /// Its size.
        found_size: u64,
    },
    /// A later version of the program made it.
    #[error("the database has version {found}, this program knows {known}")]
    Newer {
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Another process has it.
    #[error("another process uses {}", .0.display())]
    Locked(PathBuf),
    /// A row does not open or has another form.
    #[error("a row of table {} does not open", .0.name())]
    Corrupt(Table),
    /// Another process of the deployment changed the master key.
    #[error("the database is sealed under a newer master key than this server has")]
    NewerMasterKey,
    /// A file that was to be restored.
    #[error("{} is no backup of a key server, or is damaged", .0.display())]
    NoBackup(PathBuf),
    /// The database's own structure is broken.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The address of the database is none that we know, or asks for too little safety.
    #[error("the database's address: {0}")]
    Address(String),
    /// The database is set up so that a commit is not durable.
    #[error("the database does not keep what it commits: {0}")]
    NotDurable(String),
}

impl StoreError {
    /// Whether the process must end rather than go on.
    #[must_use]
    pub fn ends_the_process(&self) -> bool {
        match self {
            Self::SyncFailed(_) | Self::HeadWentBack { .. } => true,
            Self::Unavailable(_)
            | Self::NoTls(_)
            | Self::Newer { .. }
            | Self::Locked(_)
            | Self::Corrupt(_)
            | Self::NewerMasterKey
            | Self::NoBackup(_)
            | Self::Damaged(_)
            | Self::Address(_)
            | Self::NotDurable(_) => false,
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "see that the database runs and its disk has room",
            Self::NoTls(_) => {
                "name who vouches for it, `?sslrootcert=FILE`; or, where nobody can listen, \
                 `?sslmode=disable`"
            }
            Self::SyncFailed(_) => "check the disk, then start the server again",
            Self::HeadWentBack { .. } => {
                "somebody put an older database there; use `restore`, which tells the clients"
            }
            Self::Newer { .. } => "install the version that was used before, or a later one",
            Self::Locked(_) => "stop the other server; SQLite serves one process",
            Self::Corrupt(_) | Self::Damaged(_) => {
                "restore a backup, or find who changed the database"
            }
            Self::NewerMasterKey => {
                "copy master.key here from the server where `rotate-master-key` was run; it is \
                 taken without a restart"
            }
            Self::NoBackup(_) => "name a file that `backup` made",
            Self::Address(_) => "give sqlite:FILE or postgres://USER@HOST/NAME",
            Self::NotDurable(_) => "set fsync and synchronous_commit on in postgresql.conf",
        }
    }
}

impl From<RowFault> for StoreError {
    fn from(fault: RowFault) -> Self {
        match fault {
            RowFault::Corrupt(table) | RowFault::NotWanted(table) => Self::Corrupt(table),
        }
    }
}
