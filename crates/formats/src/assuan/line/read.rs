//! What a line says.
//!
//! **Invariant:** a line is read whole, within its limit, or refused.

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
        Ok(match Begun::of(line)? {
            Begun::Comment => Self::Comment,
            Begun::Data(data) => Self::Data(data),
            Begun::Word("END", _) => Self::End,
            Begun::Word("CAN", _) => Self::Cancel,
            Begun::Word(name, arguments) => Self::Command { name, arguments },
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
        let (word, rest) = match Begun::of(line)? {
            Begun::Comment => return Ok(Self::Comment),
            Begun::Data(data) => return Ok(Self::Data(data)),
            Begun::Word(word, rest) => (word, rest),
        };
        Ok(match word {
            "OK" => Self::Done(rest),
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
/// What both sides' lines begin with.
enum Begun<'a> {
    Comment,
    Data(&'a [u8]),
    Word(&'a str, &'a [u8]),
}

impl<'a> Begun<'a> {
    fn of(line: &'a [u8]) -> Result<Self, ParseError> {
        if line.len() > LINE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        if is_comment(line) {
            return Ok(Self::Comment);
        }
        if let Some(data) = line.strip_prefix(b"D ") {
            return Ok(Self::Data(data));
        }
        let (word, rest) = split_word(line)?;
        Ok(match word {
            "D" => Self::Data(b""),
            word => Self::Word(word, rest),
        })
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
