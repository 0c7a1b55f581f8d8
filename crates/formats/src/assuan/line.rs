//! Lines: put together from what arrives, read, and written.

use keystead_core::SecretBytes;

use crate::ParseError;

/// What a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientLine<'a> {
    /// `#…`, or nothing at all: no answer is due.
    Comment,
    /// `D …`: a part of what was inquired, still escaped ([`unescape`]).
    Data(&'a [u8]),
    /// `END`: what was inquired is whole.
    End,
    /// `CAN`: what was inquired does not come.
    Cancel,
    /// Any other command. Its name may be in either case.
    Command {
        /// The name, as it came: ASCII, not empty.
        name: &'a str,
        /// What stands behind it, blanks before and behind it left out.
        arguments: &'a [u8],
    },
}

impl<'a> ClientLine<'a> {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// [`ParseError::TooLong`]; [`ParseError::Text`] for a name that is none.
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        within_limit(line)?;
        if is_comment(line) {
            return Ok(Self::Comment);
        }
        if let Some(data) = line.strip_prefix(b"D ") {
            return Ok(Self::Data(data));
        }
        let (name, arguments) = split_word(line)?;
        Ok(match name {
            "D" => Self::Data(b""),
            "END" => Self::End,
            "CAN" => Self::Cancel,
            name => Self::Command { name, arguments },
        })
    }
}

/// What a server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerLine<'a> {
    /// `#…`, or nothing at all.
    Comment,
    /// `OK …`.
    Done(&'a [u8]),
    /// `ERR number …`.
    Failed {
        /// The error, its source in the upper bits ([`super::ErrorCode::of_wire`]).
        wire: u32,
        /// Text for a person.
        text: &'a [u8],
    },
    /// `S keyword …`.
    Status {
        /// What it is about.
        keyword: &'a str,
        /// The rest, still escaped.
        text: &'a [u8],
    },
    /// `D …`, still escaped ([`unescape`]).
    Data(&'a [u8]),
    /// `END`: behind data that answers no command.
    End,
    /// `INQUIRE keyword …`: the client is to send data.
    Inquire {
        /// What is asked for.
        keyword: &'a str,
        /// The rest.
        text: &'a [u8],
    },
}

impl<'a> ServerLine<'a> {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        within_limit(line)?;
        if is_comment(line) {
            return Ok(Self::Comment);
        }
        if let Some(data) = line.strip_prefix(b"D ") {
            return Ok(Self::Data(data));
        }
        let (word, rest) = split_word(line)?;
        Ok(match word {
            "OK" => Self::Done(rest),
            "D" => Self::Data(b""),
            "END" => Self::End,
            "ERR" => {
                // Whatever is behind it, nothing more comes: gpg-agent itself writes `ERR -1` for
                // errors of the system that it has no number for.
                let (number, text) = split_word(rest).unwrap_or_default();
                let wire = number.parse().unwrap_or(u32::MAX);
                Self::Failed { wire, text }
            }
            "S" => {
                let (keyword, text) = split_word(rest)?;
                Self::Status { keyword, text }
            }
            "INQUIRE" => {
                let (keyword, text) = split_word(rest)?;
                Self::Inquire { keyword, text }
            }
            _ => return Err(ParseError::Unknown),
        })
    }
}

/// A line above [`LINE_BYTES_MAX`] came; it is thrown away to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than 1,000 bytes")]
pub struct LineTooLong;

/// Puts lines together from bytes as they arrive. A line may hold a passphrase, so it lies in
/// locked memory and is wiped before the next.
pub struct LineBuffer {
    line: SecretBytes,
    len: usize,
    state: State,
}

impl Default for LineBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl LineBuffer {
    /// Starts empty.
    #[must_use]
    pub fn new() -> Self {
        Self {
            line: SecretBytes::fill(LINE_BYTES_MAX + CARRIAGE_RETURN_BYTES, |_| ()),
            len: 0,
            state: State::Fill,
        }
    }

    /// Takes bytes from the front of `arrived` up to the next line end, and gives that line
    /// without its end. `None`: everything is taken, and the line is not whole yet.
    pub fn next_line(&mut self, arrived: &mut &[u8]) -> Option<Result<&[u8], LineTooLong>> {
        if matches!(self.state, State::Given) {
            self.clear();
        }
        let end = arrived.iter().position(|byte| *byte == b'\n');
        let (part, rest) = arrived.split_at_checked(end.unwrap_or(arrived.len()))?;
        *arrived = rest.get(usize::from(end.is_some())..).unwrap_or_default();
        self.append(part);
        end?;
        if matches!(self.state, State::Skip) {
            self.clear();
            return Some(Err(LineTooLong));
        }
        self.state = State::Given;
        let line = self.line.expose().get(..self.len).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(if line.len() > LINE_BYTES_MAX {
            Err(LineTooLong)
        } else {
            Ok(line)
        })
    }

    fn append(&mut self, part: &[u8]) {
        let end = self.len.saturating_add(part.len());
        match self.line.expose_mut().get_mut(self.len..end) {
            Some(place) => {
                place.copy_from_slice(part);
                self.len = end;
            }
            None => self.state = State::Skip,
        }
    }

    fn clear(&mut self) {
        self.line.expose_mut().fill(0);
        self.len = 0;
        self.state = State::Fill;
    }
}

enum State {
    /// Bytes are put behind each other.
    Fill,
    /// The line became too long: nothing is kept until its end.
    Skip,
    /// The line was given; the next call begins a new one.
    Given,
}

/// `OK`, with a text if there is one.
#[must_use]
pub fn ok(text: &str) -> Vec<u8> {
    plain("OK", text)
}

/// `ERR`, with the number and text of `code`.
#[must_use]
pub fn err(code: super::ErrorCode) -> Vec<u8> {
    err_with(code, code.text())
}

/// `ERR`, with a text of our own behind the number.
#[must_use]
pub fn err_with(code: super::ErrorCode, text: &str) -> Vec<u8> {
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

const fn within_limit(line: &[u8]) -> Result<(), ParseError> {
    if line.len() > LINE_BYTES_MAX {
        Err(ParseError::TooLong)
    } else {
        Ok(())
    }
}

fn is_comment(line: &[u8]) -> bool {
    let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, None | Some(b'#'))
}

/// The first word, and what stands behind it without blanks around it.
fn split_word(line: &[u8]) -> Result<(&str, &[u8]), ParseError> {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace);
    let (word, rest) = line
        .split_at_checked(end.unwrap_or(line.len()))
        .ok_or(ParseError::Truncated)?;
    let word = std::str::from_utf8(word).map_err(|_| ParseError::Text)?;
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ParseError::Text);
    }
    Ok((word, rest.trim_ascii()))
}

/// `LINELENGTH` of the Assuan manual, without the line end.
pub const LINE_BYTES_MAX: usize = 1000;
const CARRIAGE_RETURN_BYTES: usize = 1;
/// `%` and two digits.
const ESCAPE_BYTES: usize = 3;
/// What libgpg-error calls the source of the agent's errors.
const SOURCE_NAME: &str = "GPG Agent";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assuan::ErrorCode;

    #[test]
    fn what_a_client_sends() {
        let check = |line: &[u8], expected| assert_eq!(ClientLine::parse(line), expected);
        let command = |name, arguments| Ok(ClientLine::Command { name, arguments });
        check(b"", Ok(ClientLine::Comment));
        check(b"# hello", Ok(ClientLine::Comment));
        check(b"D ", Ok(ClientLine::Data(b"")));
        check(b"D", Ok(ClientLine::Data(b"")));
        check(b"D  a%20", Ok(ClientLine::Data(b" a%20")));
        check(b"END", Ok(ClientLine::End));
        check(b"CAN", Ok(ClientLine::Cancel));
        check(b"BYE", command("BYE", b""));
        check(b"havekey 00  11 ", command("havekey", b"00  11"));
        check(
            b"OPTION ttyname=/dev/pts/1",
            command("OPTION", b"ttyname=/dev/pts/1"),
        );
        check(b"\xff x", Err(ParseError::Text));
        let longest = "a".repeat(1000);
        check(longest.as_bytes(), command(&longest, b""));
        check(&[b'a'; 1001], Err(ParseError::TooLong));
    }

    #[test]
    fn what_a_server_sends() {
        let check = |line: &[u8], expected| assert_eq!(ServerLine::parse(line), expected);
        check(
            b"OK Pleased to meet you",
            Ok(ServerLine::Done(b"Pleased to meet you")),
        );
        check(b"OK", Ok(ServerLine::Done(b"")));
        let (wire, text) = (67_109_139, &b"Unknown IPC command <GPG Agent>"[..]);
        check(
            b"ERR 67109139 Unknown IPC command <GPG Agent>",
            Ok(ServerLine::Failed { wire, text }),
        );
        for (line, text) in [
            ("ERR -1 Unknown system error", "Unknown system error"),
            ("ERR x", ""),
            ("ERR", ""),
        ] {
            let (wire, text) = (u32::MAX, text.as_bytes());
            check(line.as_bytes(), Ok(ServerLine::Failed { wire, text }));
        }
        let (keyword, text) = ("PROGRESS", &b"primegen . 0 0"[..]);
        check(
            b"S PROGRESS primegen . 0 0",
            Ok(ServerLine::Status { keyword, text }),
        );
        let (keyword, text) = ("CIPHERTEXT", &b""[..]);
        check(
            b"INQUIRE CIPHERTEXT",
            Ok(ServerLine::Inquire { keyword, text }),
        );
        check(b"D a%0A", Ok(ServerLine::Data(b"a%0A")));
        check(b"END", Ok(ServerLine::End));
        check(b"HELLO", Err(ParseError::Unknown));
    }

    #[test]
    fn lines_in_any_pieces() {
        let text = b"OPTION a=b\r\n\nBYE\n";
        for piece in 1..=text.len() {
            let mut buffer = LineBuffer::new();
            let mut lines = Vec::new();
            for mut part in text.chunks(piece) {
                while let Some(line) = buffer.next_line(&mut part) {
                    lines.push(line.map(<[u8]>::to_vec));
                }
                assert!(part.is_empty());
            }
            let expected = [&b"OPTION a=b"[..], b"", b"BYE"].map(|it| Ok(it.to_vec()));
            assert_eq!(lines, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_long_line_is_thrown_away_whole() {
        let check = |len: usize, end: &[u8], expected: Result<usize, LineTooLong>| {
            let mut text = vec![b'a'; len];
            text.extend_from_slice(end);
            text.extend_from_slice(b"NOP\n");
            let mut buffer = LineBuffer::new();
            let mut arrived = text.as_slice();
            let first = buffer.next_line(&mut arrived).unwrap();
            assert_eq!(first.map(<[u8]>::len), expected, "{len}");
            assert_eq!(buffer.next_line(&mut arrived), Some(Ok(&b"NOP"[..])));
        };
        check(1000, b"\n", Ok(1000));
        check(1000, b"\r\n", Ok(1000));
        check(1001, b"\n", Err(LineTooLong));
        check(1002, b"\n", Err(LineTooLong));
        check(70_000, b"\n", Err(LineTooLong));
    }

    #[test]
    fn data_comes_back_whatever_it_is() {
        let every: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for bytes in [&b""[..], b"a", b"%\r\n", &every] {
            let lines = data(bytes);
            assert_eq!(secret_data(bytes).expose(), lines);
            let mut back = Vec::new();
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                let line = line.strip_suffix(b"\n").unwrap();
                let ClientLine::Data(part) = ClientLine::parse(line).unwrap() else {
                    panic!("not a data line: {line:?}");
                };
                back.extend_from_slice(unescape(part).ok().unwrap().expose());
            }
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn escapes() {
        let check = |escaped: &[u8], expected: Option<&[u8]>| {
            let plain = unescape_plus(escaped).ok();
            assert_eq!(plain.as_ref().map(SecretBytes::expose), expected);
        };
        check(b"a+b%2Bc%0a", Some(b"a b+c\n"));
        check(b"%", None);
        check(b"%2", None);
        check(b"%zz", None);
        let text = "Key \"A\" 100%\n+ü";
        let escaped = escape_plus(text);
        assert_eq!(escaped, "Key+%22A%22+100%25%0A%2Bü");
        check(escaped.as_bytes(), Some(text.as_bytes()));
    }

    #[test]
    fn what_is_written_is_one_line() {
        let check = |line: Vec<u8>, expected: &[u8]| assert_eq!(line, expected);
        check(ok(""), b"OK\n");
        check(ok("a\nBYE"), b"OK a BYE\n");
        check(
            err(ErrorCode::NO_SECKEY),
            b"ERR 67108881 No secret key <GPG Agent>\n",
        );
        check(status("KEYINFO", "AB D - -"), b"S KEYINFO AB D - -\n");
        check(inquire("CIPHERTEXT", ""), b"INQUIRE CIPHERTEXT\n");
        assert_eq!(comment(&"ü".repeat(600)).len(), LINE_BYTES_MAX + 1);
    }
}
