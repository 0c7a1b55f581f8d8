//! Why there is no stream to a server.
//!
//! **Invariant:** what is wrong with a certificate is told apart, since each needs
//! another deed of the person.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError, PeerIncompatible};

/// Why there is no stream to a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecureError {
    /// Nobody answers there.
    #[error("the server cannot be reached")]
    Unreachable(#[source] io::Error),
    /// It takes too long.
    #[error("the server does not answer in time")]
    Late,
    /// Nothing that a certificate could be for.
    #[error("{0:?} is no name of a server")]
    Name(String),
    /// The certificate.
    #[error("the server's certificate {0}")]
    Certificate(CertificateFault),
    /// Older than 1.3.
    #[error("the server does not speak TLS 1.3")]
    Version,
    /// Some other server.
    #[error("what answers there is no key server")]
    Protocol,
    /// TLS ended in another way.
    #[error("the TLS connection was not set up")]
    Tls(#[source] io::Error),
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Its time is over, or this machine's clock is wrong.
    #[error("has expired, or this machine's clock is wrong")]
    Expired,
    /// Its time has not come, or this machine's clock is wrong.
    #[error("is not valid yet, or this machine's clock is wrong")]
    NotYet,
    /// It is for another server.
    #[error("is for another name than {0}")]
    Name(String),
    /// No authority that is trusted vouches for it.
    #[error("comes from an authority that is not trusted here")]
    Authority,
    /// Anything else.
    #[error("is not valid: {0}")]
    Other(String),
}

impl SecureError {
    /// What an attempt of TLS ended with.
    pub(super) fn of(error: io::Error, host: &str) -> Self {
        let inner = error.get_ref().and_then(|it| it.downcast_ref());
        match inner {
            Some(TlsError::InvalidCertificate(fault)) => {
                Self::Certificate(CertificateFault::of(fault, host))
            }
            Some(
                TlsError::AlertReceived(AlertDescription::ProtocolVersion)
                | TlsError::PeerIncompatible(
                    PeerIncompatible::ServerDoesNotSupportTls12Or13
                    | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
                ),
            ) => Self::Version,
            Some(
                TlsError::AlertReceived(AlertDescription::NoApplicationProtocol)
                | TlsError::NoApplicationProtocol
                | TlsError::InvalidMessage(_),
            ) => Self::Protocol,
            Some(_) => Self::Tls(error),
            None => Self::Unreachable(error),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable(_) | Self::Late => {
                "see that the network is up and that the address is the server's"
            }
            Self::Name(_) => "give the address as https://HOST:PORT",
            Self::Certificate(fault) => fault.hint(),
            Self::Version => "ask the server's operator for TLS 1.3; nothing older is spoken",
            Self::Protocol => "check the address and the port",
            Self::Tls(_) => "something between here and the server may end or alter TLS",
        }
    }
}

impl CertificateFault {
    fn of(fault: &CertificateError, host: &str) -> Self {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the library's list grows, and the rest needs one deed"
        )]
        match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYet
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::Name(host.to_owned())
            }
            // A signature by another authority of the same name is one that nobody vouches for.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Authority,
            other => Self::Other(format!("{other:?}")),
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Expired | Self::NotYet => {
                "check this machine's clock; if it is right, tell the server's operator"
            }
            Self::Name(_) => "use the name that the certificate is for",
            Self::Authority => {
                "use the invitation link or the operator's ca.pem (--ca); somebody may stand between"
            }
            Self::Other(_) => "tell the server's operator",
        }
    }
}
