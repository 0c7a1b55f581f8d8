//! Where a server is, whom to believe that it is it, and what is pinned of it.

use std::time::Duration;

use keystead_channel::session::{Binding, Pin};
use keystead_transport::{SecureConnector, Trust, TrustError};

use super::plan::ANSWER_WAIT;

/// A server as a client reaches it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(super) connector: SecureConnector,
    pub(super) pin: Pin,
    pub(super) binds: Binds,
    pub(super) answer_wait: Duration,
}

impl Endpoint {
    /// The server at `address` (`https://HOST:PORT`).
    ///
    /// # Errors
    /// No address, or no authority that could be trusted.
    pub fn new(address: &str, trust: &Trust, pin: Pin, binds: Binds) -> Result<Self, TrustError> {
        let connector = SecureConnector::new(address, trust)?;
        Ok(Self {
            connector,
            pin,
            binds,
            answer_wait: ANSWER_WAIT,
        })
    }

    /// With another time for an answer, and for each step of connecting.
    #[must_use]
    pub fn waiting(self, answer_wait: Duration) -> Self {
        Self {
            connector: self.connector.waiting(answer_wait),
            answer_wait,
            ..self
        }
    }

    /// What a connection must prove beside its certificate.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// The same server, known better.
    #[must_use]
    pub fn pinned(self, pin: Pin) -> Self {
        Self { pin, ..self }
    }
}

/// Whether sessions are bound to their TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binds {
    /// Always: who ends TLS in between gets no session.
    Always,
    /// Never: a proxy of the server's operator ends TLS, and the server takes that
    /// (`binding = optional`). Registration is always bound.
    Never,
}

impl Binds {
    /// What a session of a connection with this exporter is bound to.
    pub(super) fn binding(self, exporter: [u8; 32]) -> Binding {
        match self {
            Self::Always => Binding::Exporter(exporter),
            Self::Never => Binding::Unbound,
        }
    }
}
