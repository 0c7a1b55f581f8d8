//! Stanzas (C2SP `age.md`, "Recipient stanza"): a line of arguments and a body.
//!
//! **Invariant:** a body may be a file key, so it and the line it comes from lie in locked memory.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keystead_core::SecretBytes;

use crate::ParseError;

/// Arguments, of which the first is the type, and a body.
pub struct Stanza {
    arguments: Vec<String>,
    body: SecretBytes,
}

impl Stanza {
    /// The type.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.arguments.first().map_or("", String::as_str)
    }

    /// What stands behind the type.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        self.arguments.get(1..).unwrap_or_default()
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &SecretBytes {
        &self.body
    }

    /// Type, arguments, body.
    #[must_use]
    pub fn into_parts(self) -> (Vec<String>, SecretBytes) {
        (self.arguments, self.body)
    }
}

/// Writes a stanza. Arguments are ours, and hold no blanks.
#[must_use]
pub fn write(arguments: &[&str], body: &[u8]) -> SecretBytes {
    let mut head = String::from(MARK);
    for argument in arguments {
        head.push(' ');
        head.push_str(argument);
    }
    head.push('\n');
    let body_len = body.len().div_ceil(LINE_BYTES) * (LINE_CHARS + 1) + 1;
    let mut len = 0;
    let mut written = SecretBytes::fill(head.len() + body_len, |place| {
        let mut append = |bytes: &[u8]| {
            if let Some(place) = place.get_mut(len..len + bytes.len()) {
                place.copy_from_slice(bytes);
                len += bytes.len();
            }
        };
        append(head.as_bytes());
        let mut line = [0; LINE_CHARS];
        for part in body.chunks(LINE_BYTES) {
            let chars = STANDARD_NO_PAD.encode_slice(part, &mut line).unwrap_or(0);
            append(line.get(..chars).unwrap_or_default());
            append(b"\n");
        }
        line.fill(0);
        // The last line is short, if only by being empty.
        if body.len().is_multiple_of(LINE_BYTES) {
            append(b"\n");
        }
    });
    written.truncate(len);
    written
}

/// Puts stanzas together from bytes as they arrive.
pub struct StanzaReader {
    line: SecretBytes,
    line_len: usize,
    arguments: Option<Vec<String>>,
    body: SecretBytes,
    body_len: usize,
}

impl Default for StanzaReader {
    fn default() -> Self {
        Self::new()
    }
}

impl StanzaReader {
    /// Starts empty.
    #[must_use]
    pub fn new() -> Self {
        Self {
            line: SecretBytes::fill(HEAD_BYTES_MAX, |_| ()),
            line_len: 0,
            arguments: None,
            body: SecretBytes::fill(BODY_BYTES_MAX, |_| ()),
            body_len: 0,
        }
    }

    /// Takes bytes from the front of `arrived` up to the end of the next stanza. `None`:
    /// everything is taken, and no stanza is whole yet.
    ///
    /// # Errors
    /// [`ParseError`]; there is nothing to go on from behind it.
    pub fn next_stanza(&mut self, arrived: &mut &[u8]) -> Result<Option<Stanza>, ParseError> {
        while !arrived.is_empty() {
            let end = arrived.iter().position(|byte| *byte == b'\n');
            let part = arrived
                .get(..end.unwrap_or(arrived.len()))
                .unwrap_or_default();
            *arrived = arrived
                .get(part.len() + usize::from(end.is_some())..)
                .unwrap_or_default();
            let line_end = self.line_len + part.len();
            let place = self.line.expose_mut().get_mut(self.line_len..line_end);
            place.ok_or(ParseError::TooLong)?.copy_from_slice(part);
            self.line_len = line_end;
            if end.is_some()
                && let Some(stanza) = self.take_line()?
            {
                return Ok(Some(stanza));
            }
        }
        Ok(None)
    }

    /// Is nothing begun?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.arguments.is_none() && self.line_len == 0
    }

    fn take_line(&mut self) -> Result<Option<Stanza>, ParseError> {
        let line_len = std::mem::take(&mut self.line_len);
        let line = self.line.expose().get(..line_len).unwrap_or_default();
        let Some(arguments) = &mut self.arguments else {
            self.arguments = Some(read_head(line)?);
            return Ok(None);
        };
        if line.len() > LINE_CHARS {
            return Err(ParseError::TooLong);
        }
        let room = self.body.expose_mut().get_mut(self.body_len..);
        let taken = STANDARD_NO_PAD
            .decode_slice(line, room.unwrap_or_default())
            .map_err(|error| match error {
                base64::DecodeSliceError::OutputSliceTooSmall => ParseError::TooLong,
                base64::DecodeSliceError::DecodeError(_) => ParseError::Text,
            })?;
        self.body_len += taken;
        if line.len() == LINE_CHARS {
            return Ok(None);
        }
        let arguments = std::mem::take(arguments);
        self.arguments = None;
        let body_len = std::mem::take(&mut self.body_len);
        let body = self.body.expose_mut().get_mut(..body_len);
        let body = SecretBytes::take(body.unwrap_or_default());
        self.line.expose_mut().fill(0);
        Ok(Some(Stanza { arguments, body }))
    }
}

/// `->` and at least one argument, a blank before each (C2SP `age.md`, the ABNF of `arg-line`).
fn read_head(line: &[u8]) -> Result<Vec<String>, ParseError> {
    let line = std::str::from_utf8(line).map_err(|_| ParseError::Text)?;
    let mut words = line.split(' ');
    if words.next() != Some(MARK) {
        return Err(ParseError::Text);
    }
    let arguments: Vec<String> = words.map(str::to_owned).collect();
    let is_word = |word: &String| !word.is_empty() && word.bytes().all(|it| it.is_ascii_graphic());
    if arguments.is_empty() || !arguments.iter().all(is_word) {
        return Err(ParseError::Text);
    }
    Ok(arguments)
}

const MARK: &str = "->";
/// C2SP `age.md`: columns of a full line, and the bytes in one.
const LINE_CHARS: usize = 64;
const LINE_BYTES: usize = 48;
/// An identity of the longest URI, with its command; recipients of other kinds (post-quantum ones
/// have 2 KiB) pass by here too.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bodies that are for us have 32 bytes; those of others pass by.
const BODY_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Arguments and body.
    type Parts = (Vec<String>, Vec<u8>);

    fn read_all(mut text: &[u8]) -> Result<Vec<Parts>, ParseError> {
        let mut reader = StanzaReader::new();
        let mut stanzas = Vec::new();
        while let Some(stanza) = reader.next_stanza(&mut text)? {
            let (arguments, body) = stanza.into_parts();
            stanzas.push((arguments, body.expose().to_vec()));
        }
        if reader.is_empty() {
            Ok(stanzas)
        } else {
            Err(ParseError::Truncated)
        }
    }

    #[test]
    fn bodies_of_every_length_come_back() {
        for len in [0, 1, 16, 32, 47, 48, 49, 95, 96, 97, 5_000] {
            let body: Vec<u8> = (0..=255).cycle().take(len).collect();
            let text = write(&["file-key", "0"], &body);
            let arguments = vec!["file-key".to_owned(), "0".to_owned()];
            let expected = Ok(vec![(arguments, body)]);
            assert_eq!(read_all(text.expose()), expected, "{len}");
            for piece in [1, 7] {
                let mut reader = StanzaReader::new();
                let mut found = 0;
                for mut part in text.expose().chunks(piece) {
                    while reader.next_stanza(&mut part).unwrap().is_some() {
                        found += 1;
                    }
                }
                assert_eq!((found, reader.is_empty()), (1, true));
            }
        }
        assert_eq!(write(&["done"], b"").expose(), b"-> done\n\n");
    }

    #[test]
    fn every_proper_prefix_is_no_stanza() {
        let text = write(&["a", "b"], &[7; 50]);
        for len in 1..text.len() {
            assert_eq!(
                read_all(&text.expose()[..len]),
                Err(ParseError::Truncated),
                "{len}"
            );
        }
    }

    #[test]
    fn what_is_no_stanza() {
        let check = |text: &str, expected| {
            assert_eq!(read_all(text.as_bytes()), Err(expected), "{text:?}");
        };
        check("\n", ParseError::Text);
        check("->\n", ParseError::Text);
        check("-> \n", ParseError::Text);
        check("-> a  b\n\n", ParseError::Text);
        check("-> a \n\n", ParseError::Text);
        check("-> ä\n\n", ParseError::Text);
        check("--- a\n\n", ParseError::Text);
        check("-> a\nYQ==\n", ParseError::Text);
        check("-> a\nYR\n", ParseError::Text);
        check("-> a\nY\n", ParseError::Text);
        check(&format!("-> a\n{}\n", "A".repeat(65)), ParseError::TooLong);
        check(&format!("-> {}\n", "a".repeat(20_000)), ParseError::TooLong);
        let line = format!("{}\n", "A".repeat(64));
        check(
            &format!("-> a\n{}\n", line.repeat(1_400)),
            ParseError::TooLong,
        );
    }
}
