//! Where to listen and what to dial: TCP, or a Unix socket of this machine.
//!
//! Invariant: the text of an address is read back as the same address.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// An address; `T` is how TCP is written there: a [`SocketAddr`] to listen at, `host:port` to dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address<T> {
    /// TCP.
    Tcp(T),
    /// The path of a Unix socket: 0600 in a 0700 folder, between processes of one user.
    Unix(PathBuf),
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither ADDR:PORT nor unix:PATH with an absolute path")]
pub struct AddressError(String);

impl<T> From<T> for Address<T> {
    fn from(tcp: T) -> Self {
        Self::Tcp(tcp)
    }
}

impl FromStr for Address<SocketAddr> {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        match unix(text) {
            Some(path) if path.is_absolute() => Ok(Self::Unix(path)),
            Some(_) => Err(error()),
            None => text.parse().map(Self::Tcp).map_err(|_| error()),
        }
    }
}

impl Address<String> {
    /// What `unix:PATH` or `host:port` names; the host is not looked at.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match unix(text) {
            Some(path) => Self::Unix(path),
            None => Self::Tcp(text.to_owned()),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Address<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

fn unix(text: &str) -> Option<PathBuf> {
    text.strip_prefix(UNIX).map(PathBuf::from)
}

const UNIX: &str = "unix:";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Address<SocketAddr>>) {
        let read = text.parse::<Address<SocketAddr>>();
        assert_eq!(read.as_ref().ok(), expected.as_ref(), "{text}");
        if let Some(expected) = expected {
            assert_eq!(expected.to_string(), text);
            assert_eq!(Address::of(text).to_string(), text);
        }
    }

    #[test]
    fn addresses_are_read_and_written_alike() {
        let tcp = |text: &str| Some(Address::Tcp(text.parse().unwrap()));
        check("127.0.0.1:0", tcp("127.0.0.1:0"));
        check("[::1]:4712", tcp("[::1]:4712"));
        let path = Some(Address::Unix("/run/user/1000/keystead/a b".into()));
        check("unix:/run/user/1000/keystead/a b", path);
        for text in [
            "",
            "unix:",
            "unix:socket",
            "/run/socket",
            "127.0.0.1",
            "db1:22",
        ] {
            check(text, None);
        }
        assert_eq!(Address::of("db1:22"), Address::Tcp("db1:22".to_owned()));
    }
}
