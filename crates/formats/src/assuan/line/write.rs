//! Lines that are written.
//!
//! **Invariant:** what is written is one line, or `D` lines, whatever the text in it.

use keystead_core::SecretBytes;

use super::read::LINE_BYTES_MAX;
use crate::assuan::error::ErrorCode;

/// `OK`, with a text if there is one.
#[must_use]
pub fn ok(text: &str) -> Vec<u8> {
    plain("OK", text)
}

/// `ERR`, with the number and text of `code`.
#[must_use]
pub fn err(code: ErrorCode) -> Vec<u8> {
    err_with(code, code.text())
}

/// `ERR`, with a text of our own behind the number.
#[must_use]
pub fn err_with(code: ErrorCode, text: &str) -> Vec<u8> {
    plain("ERR", &format!("{} {text} <{SOURCE_NAME}>", code.wire()))
}

/// `S keyword text`; what would break the line is escaped.
#[must_use]
pub fn status(keyword: &str, text: &str) -> Vec<u8> {
    plain(&format!("S {keyword}"), text)
}

/// `INQUIRE keyword text`.
#[must_use]
pub fn inquire(keyword: &str, text: &str) -> Vec<u8> {
    plain(&format!("INQUIRE {keyword}"), text)
}

/// `# text`.
#[must_use]
pub fn comment(text: &str) -> Vec<u8> {
    plain("#", text)
}

/// A command of a client.
#[must_use]
pub fn command(name: &str, arguments: &str) -> Vec<u8> {
    plain(name, arguments)
}

/// `D` lines of bytes that are no secret; nothing at all for no bytes.
#[must_use]
pub fn data(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(data_len(bytes));
    for_each_data_byte(bytes, |byte| lines.push(byte));
    lines
}

/// `D` lines of a secret, in locked memory.
#[must_use]
pub fn secret_data(bytes: &[u8]) -> SecretBytes {
    SecretBytes::fill(data_len(bytes), |lines| {
        let mut places = lines.iter_mut();
        for_each_data_byte(bytes, |byte| {
            if let Some(place) = places.next() {
                *place = byte;
            }
        });
    })
}
fn plain(word: &str, text: &str) -> Vec<u8> {
    let mut line = word.as_bytes().to_vec();
    if !text.is_empty() {
        line.push(b' ');
    }
    let room = LINE_BYTES_MAX.saturating_sub(line.len());
    // Texts of ours are short; what a person typed may not be, and is cut.
    let mut end = text.len().min(room);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    line.extend(text.bytes().map(|byte| match byte {
        b'\n' | b'\r' | 0 => b' ',
        byte => byte,
    }));
    line.push(b'\n');
    line
}

fn data_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    for_each_data_byte(bytes, |_| len += 1);
    len
}

/// Gives every byte of the `D` lines, escapes and line ends included.
fn for_each_data_byte(bytes: &[u8], mut give: impl FnMut(u8)) {
    let mut line_len = 0;
    for byte in bytes {
        if line_len == 0 {
            give(b'D');
            give(b' ');
            line_len = 2;
        }
        match byte {
            b'%' | b'\r' | b'\n' => {
                give(b'%');
                give(digit(byte >> 4));
                give(digit(byte & 0x0f));
                line_len += ESCAPE_BYTES;
            }
            byte => {
                give(*byte);
                line_len += 1;
            }
        }
        if line_len > LINE_BYTES_MAX - ESCAPE_BYTES {
            give(b'\n');
            line_len = 0;
        }
    }
    if line_len > 0 {
        give(b'\n');
    }
}

const fn digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'A' + (nibble - 10),
    }
}

/// `%` and two digits.
const ESCAPE_BYTES: usize = 3;
/// What libgpg-error calls the source of the agent's errors.
const SOURCE_NAME: &str = "GPG Agent";
