//! What the person says to the program that `SSH_ASKPASS` names.
//!
//! **Invariant**: only an answer is a yes: nobody to ask, a program that fails, and one that is
//! stopped are no.

use std::io::Read;

use keystead_core::SecretBytes;
use keystead_daemon::askpass::LINE_BYTES_MAX;

pub(super) use keystead_daemon::askpass::{Environment, Prompt};

/// The first line that the program says; none where it cannot be heard.
pub(super) fn read_line(from: impl Read) -> Option<SecretBytes> {
    let mut line = SecretBytes::fill(LINE_BYTES_MAX, |_| {});
    let len = keystead_daemon::askpass::read_line(from, line.expose_mut()).ok()?;
    line.truncate(len);
    Some(line)
}

/// An empty line or `yes` is a yes.
pub(super) fn is_yes(line: &SecretBytes) -> bool {
    line.is_empty() || line.expose().eq_ignore_ascii_case(b"yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_or_yes_is_yes() {
        for (said, expected) in [
            ("", true),
            ("\n", true),
            ("yes", true),
            ("YES\r\n", true),
            ("\nno", true),
            ("no\n", false),
            ("yes please\n", false),
            (" yes", false),
            ("y", false),
        ] {
            let line = read_line(said.as_bytes()).unwrap();
            assert_eq!(is_yes(&line), expected, "{said:?}");
        }
    }
}
