//! Escapes: `%` and two hexadecimal digits.

use keystead_core::SecretBytes;

use crate::ParseError;

/// Takes the escapes out of the text of `D` lines: `%` and two hexadecimal digits.
///
/// # Errors
/// [`ParseError::Text`] for an escape that is none.
pub fn unescape(escaped: &[u8]) -> Result<SecretBytes, ParseError> {
    unescape_with(escaped, |byte| byte)
}

/// As [`unescape`], with `+` for a blank: the form of texts that are arguments
/// (libgpg-error, `percent_plus_unescape`).
///
/// # Errors
/// [`ParseError::Text`].
pub fn unescape_plus(escaped: &[u8]) -> Result<SecretBytes, ParseError> {
    unescape_with(escaped, |byte| if byte == b'+' { b' ' } else { byte })
}

/// Escapes a text that is one argument (libgpg-error, `percent_plus_escape`).
#[must_use]
pub fn escape_plus(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' => escaped.push('+'),
            '+' | '"' | '%' => push_escape(&mut escaped, c),
            c if c.is_ascii_control() => push_escape(&mut escaped, c),
            c => escaped.push(c),
        }
    }
    escaped
}

fn push_escape(escaped: &mut String, c: char) {
    escaped.push_str(&format!("%{:02X}", u32::from(c)));
}

fn unescape_with(escaped: &[u8], plain: impl Fn(u8) -> u8) -> Result<SecretBytes, ParseError> {
    let mut len = 0;
    let mut failed = false;
    let mut bytes = SecretBytes::fill(escaped.len(), |places| {
        let mut rest = escaped.iter().copied();
        for place in places {
            *place = match rest.next() {
                None => break,
                Some(b'%') => match (hex(rest.next()), hex(rest.next())) {
                    (Some(high), Some(low)) => high << 4 | low,
                    _ => {
                        failed = true;
                        break;
                    }
                },
                Some(byte) => plain(byte),
            };
            len += 1;
        }
    });
    if failed {
        return Err(ParseError::Text);
    }
    bytes.truncate(len);
    Ok(bytes)
}

fn hex(digit: Option<u8>) -> Option<u8> {
    let digit = char::from(digit?).to_digit(16)?;
    u8::try_from(digit).ok()
}
