//! The real network behind [`NetAction`] and [`NetEvent`].
//!
//! Invariant: [`Net::apply`] never waits; every queue behind it is bounded.

use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::{NetAction, NetEvent};

/// What the network is told at its start.
#[derive(Clone, Debug, Default)]
pub struct NetOptions {
    /// PEM file of the certificate authorities to trust for `https://` relays,
    /// in place of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Why the network could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The CA file cannot be read, or holds no certificate.
    #[error("certificate authorities in {path}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StartError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::CaFile { .. } => "name a readable PEM file with at least one certificate",
        }
    }
}

/// The real network: owns the tasks that hold sockets. Dropped, it closes them all.
#[derive(Debug)]
pub struct Net {}

impl Net {
    /// Starts with nothing open, on the tokio runtime that it is called in.
    ///
    /// The receiver is bounded: who does not read it slows its peers down, and nothing else.
    pub fn start(_options: NetOptions) -> Result<(Net, mpsc::Receiver<NetEvent>), StartError> {
        let (_events, receiver) = mpsc::channel(EVENTS_MAX);
        Ok((Net {}, receiver))
    }

    /// Does one action. Never waits; what comes of it is told as events.
    pub fn apply(&mut self, _action: NetAction) {}
}

/// Events that wait for deciding code. Why: enough that a burst of items does not
/// stop a reader, little enough that 64 KiB each stay below 20 MiB.
const EVENTS_MAX: usize = 256;
