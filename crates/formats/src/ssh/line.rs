//! Lines of `authorized_keys` and `.pub` files (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::is_unsafe_to_show;

use super::key::{BLOB_BYTES_MAX, PublicKey};
use super::wire::ParseError;

/// One key of an `authorized_keys` or `.pub` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// What stands in front of the type; empty in `.pub` files. Not interpreted.
    pub options: String,
    /// The key.
    pub key: PublicKey,
    /// What stands behind the key.
    pub comment: String,
}

impl KeyLine {
    /// Reads one line, without its line end. Empty lines and comments are not keys.
    ///
    /// # Errors
    /// [`ParseError`], among others when the type before the base64 is not the blob's.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        let line = line.trim();
        if line.chars().any(|c| c != '\t' && is_unsafe_to_show(c)) {
            return Err(ParseError::Text);
        }
        match Self::parse_bare(line) {
            Ok(parsed) => Ok(parsed),
            Err(error) => {
                let (options, rest) = split_options(line).ok_or(error)?;
                let mut parsed = Self::parse_bare(rest).map_err(|_| error)?;
                parsed.options = options.to_owned();
                Ok(parsed)
            }
        }
    }

    fn parse_bare(line: &str) -> Result<Self, ParseError> {
        let mut fields = line.splitn(3, [' ', '\t']);
        let type_name = fields.next().unwrap_or_default();
        let text = fields.next().ok_or(ParseError::Truncated)?;
        if text.len() > BLOB_BYTES_MAX / 3 * 4 {
            return Err(ParseError::TooLong);
        }
        let blob = STANDARD.decode(text).map_err(|_| ParseError::Text)?;
        let key = PublicKey::from_blob(&blob)?;
        if key.type_name() != type_name {
            return Err(ParseError::Value);
        }
        Ok(Self {
            options: String::new(),
            key,
            comment: fields.next().unwrap_or_default().trim().to_owned(),
        })
    }
}

impl PublicKey {
    /// The `authorized_keys` line, without a line end. A comment that would break the line is
    /// left out.
    #[must_use]
    pub fn line(&self, comment: &str) -> String {
        let text = STANDARD.encode(self.blob());
        let type_name = self.type_name();
        if comment.is_empty() || comment.chars().any(is_unsafe_to_show) {
            format!("{type_name} {text}")
        } else {
            format!("{type_name} {text} {comment}")
        }
    }
}

/// Options end at the first blank outside double quotes; `\"` is a quote inside them.
fn split_options(line: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            ' ' | '\t' if !quoted => {
                let (options, rest) = line.split_at_checked(at)?;
                return Some((options, rest.trim_start()));
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE_AND_KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIPsYoWOnS+rTOCqFvQcv011UuSE0Ddcu7VdCOxGTrUm";

    #[track_caller]
    fn check(line: &str, expected: Result<(&str, &str), ParseError>) {
        let parsed = KeyLine::parse(line);
        let seen = parsed
            .as_ref()
            .map(|it| (it.options.as_str(), it.comment.as_str()));
        assert_eq!(seen.map_err(|error| *error), expected, "{line:?}");
    }

    #[test]
    fn lines() {
        let key = TYPE_AND_KEY;
        check(key, Ok(("", "")));
        check(&format!("{key} alex@laptop 2"), Ok(("", "alex@laptop 2")));
        check(
            &format!("no-pty,command=\"a \\\" b\" {key} c"),
            Ok(("no-pty,command=\"a \\\" b\"", "c")),
        );
        check(
            &key.replace("ssh-ed25519 ", "ssh-rsa "),
            Err(ParseError::Value),
        );
        check(&key[..40], Err(ParseError::Truncated));
        check(&key[..39], Err(ParseError::Text));
        check("", Err(ParseError::Truncated));
        check("# comment", Err(ParseError::Text));
        check(&format!("{key} a\u{1b}[2J"), Err(ParseError::Text));
        check(&format!("{key}{key}"), Err(ParseError::Text));
    }

    #[test]
    fn written_lines_read_back() {
        let key = KeyLine::parse(TYPE_AND_KEY).unwrap().key;
        assert_eq!(key.line("me"), format!("{TYPE_AND_KEY} me"));
        assert_eq!(key.line("me\nssh-rsa AAAA"), TYPE_AND_KEY);
        assert_eq!(key.line(""), TYPE_AND_KEY);
    }
}
