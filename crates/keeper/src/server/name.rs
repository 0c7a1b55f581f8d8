//! What servers are called on this machine.
//!
//! **Invariant**: a name is a folder's name everywhere, and never a way out of the folder.

use std::fmt;
use std::str::FromStr;

/// The name of a server on this machine, and of its folder.
///
/// 1 to 64 letters, digits, `.`, `_` and `-` of ASCII, the first a letter or digit: a
/// folder's name everywhere, and never a way out of the folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(String);

impl ServerName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServerName {
    type Err = ServerNameError;

    fn from_str(text: &str) -> Result<Self, ServerNameError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(is_plain)
            && text.starts_with(|first: char| first.is_ascii_alphanumeric());
        match fits {
            true => Ok(Self(text.to_owned())),
            false => Err(ServerNameError(text.to_owned())),
        }
    }
}

/// No name of a server.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} cannot be a server's name")]
pub struct ServerNameError(String);

impl ServerNameError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "use letters, digits, dots and dashes, 64 at most"
    }
}

/// 64 bytes, as [`keystead_core::Name`].
const NAME_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folders_and_no_way_out() {
        let check = |text: &str, is_one: bool| {
            let name = text.parse::<ServerName>();
            assert_eq!(name.is_ok(), is_one, "{text:?}");
        };
        check("lab", true);
        check("9", true);
        check("keys.example.org_2-b", true);
        check(&"a".repeat(64), true);
        check(&"a".repeat(65), false);
        for text in ["", ".", "..", ".lab", "-lab", "a/b", "/", "a b", "a\0", "ä"] {
            check(text, false);
        }
    }
}
