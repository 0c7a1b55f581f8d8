//! The address of a relay.
//!
//! Invariant: a [`RelayUrl`] is `http` or `https`, a host, perhaps a port and a
//! path without a final slash; two spellings of one relay are equal.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::Uri;

/// Where a relay answers: `https://relay.example` or `http://127.0.0.1:8080/keystead`.
///
/// Cheap to clone. Shown, compared and stored in its normal form: scheme and
/// host in lower case, no port where it is the scheme's own, no final slash.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayUrl(Arc<str>);

/// Why a text is no relay's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayUrlError {
    /// Above [`RELAY_URL_BYTES_MAX`].
    #[error("the relay's address has more than {RELAY_URL_BYTES_MAX} bytes")]
    TooLong,
    /// Not a URL with a host.
    #[error("{0:?} is not a URL")]
    NotUrl(String),
    /// Another scheme.
    #[error("{0:?} does not start with https:// or http://")]
    Scheme(String),
    /// User names, queries and fragments mean nothing to a relay, so they are a mistake.
    #[error("{0:?} has a part that a relay's address must not have")]
    Surplus(String),
}

impl RelayUrlError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooLong | Self::NotUrl(_) | Self::Scheme(_) => {
                "give it as https://HOST or http://HOST:PORT"
            }
            Self::Surplus(_) => "leave out user name, query and fragment",
        }
    }
}

impl RelayUrl {
    /// The normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether TLS stands between us and the relay.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.starts_with(HTTPS)
    }

    /// Host as TCP and TLS want it, without the brackets of an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        let authority = self.authority();
        match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(rest, |(host, _)| host),
            None => authority
                .split_once(':')
                .map_or(authority, |(host, _)| host),
        }
    }

    /// TCP port.
    pub(crate) fn port(&self) -> u16 {
        let authority = self.authority();
        let after_host = authority
            .rsplit_once(']')
            .map_or(authority, |(_, rest)| rest);
        after_host
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Host, and port where it is not the scheme's own: the `Host` header.
    pub(crate) fn authority(&self) -> &str {
        let rest = self.after_scheme();
        rest.split_once('/')
            .map_or(rest, |(authority, _)| authority)
    }

    /// The path below which the relay's calls stand: empty, or `/…` without a final slash.
    pub(crate) fn path(&self) -> &str {
        let rest = self.after_scheme();
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("")
    }

    fn after_scheme(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, rest)| rest)
    }
}

impl FromStr for RelayUrl {
    type Err = RelayUrlError;

    fn from_str(text: &str) -> Result<Self, RelayUrlError> {
        if text.len() > RELAY_URL_BYTES_MAX {
            return Err(RelayUrlError::TooLong);
        }
        let named = || text.to_owned();
        let uri: Uri = text.parse().map_err(|_| RelayUrlError::NotUrl(named()))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(RelayUrlError::NotUrl(named()));
        };
        let own_port = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err(RelayUrlError::Scheme(named())),
        };
        // `Uri` drops a fragment without a word.
        if text.contains(['#', '?', '@']) {
            return Err(RelayUrlError::Surplus(named()));
        }
        // A port that is no number is not a port to `Uri`, but still there.
        let has_rest = authority.as_str() != authority.host();
        if authority.host().is_empty() || (has_rest && authority.port().is_none()) {
            return Err(RelayUrlError::NotUrl(named()));
        }
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.port() {
            Some(port) => match port.as_str().parse::<u16>() {
                Ok(0) | Err(_) => return Err(RelayUrlError::NotUrl(named())),
                Ok(port) if port == own_port => String::new(),
                Ok(port) => format!(":{port}"),
            },
            None => String::new(),
        };
        let path = uri.path().trim_end_matches('/');
        Ok(Self(format!("{scheme}://{host}{port}{path}").into()))
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Longest address of a relay. Why: as much as an offer may name, and
/// nothing of a peer's is kept unbounded.
pub const RELAY_URL_BYTES_MAX: usize = 512;

const HTTPS: &str = "https://";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, host: &str, port: u16, path: &str, shown: &str) {
        let relay: RelayUrl = text.parse().unwrap();
        assert_eq!(
            (relay.host(), relay.port(), relay.path(), relay.as_str()),
            (host, port, path, shown)
        );
        assert_eq!(shown.parse::<RelayUrl>().unwrap(), relay);
    }

    #[test]
    fn spellings_of_one_relay_are_equal() {
        check(
            "https://relay.test",
            "relay.test",
            443,
            "",
            "https://relay.test",
        );
        check(
            "https://Relay.Test:443/",
            "relay.test",
            443,
            "",
            "https://relay.test",
        );
        check(
            "http://127.0.0.1:8080",
            "127.0.0.1",
            8080,
            "",
            "http://127.0.0.1:8080",
        );
        check("http://h/k/", "h", 80, "/k", "http://h/k");
        check(
            "http://[::1]:81/a/b",
            "::1",
            81,
            "/a/b",
            "http://[::1]:81/a/b",
        );
        check("https://[::1]", "::1", 443, "", "https://[::1]");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "relay.test",
            "relay.test:80",
            "ftp://relay.test",
            "http://",
            "http:///x",
            "http://h:0",
            "http://h:99999",
            "http://h:",
            "http://u@h",
            "http://h?q",
            "http://h#f",
            "http://h h",
            "/v1",
            "http://h/a?b",
            "ws://h",
        ] {
            assert!(text.parse::<RelayUrl>().is_err(), "{text}");
        }
        assert_eq!(
            format!("http://{}", "h".repeat(RELAY_URL_BYTES_MAX)).parse::<RelayUrl>(),
            Err(RelayUrlError::TooLong)
        );
    }
}
