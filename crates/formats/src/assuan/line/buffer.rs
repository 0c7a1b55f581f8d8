//! Lines, put together from what arrives.
//!
//! **Invariant:** no more than one line is kept, and none longer than its limit.

use keystead_core::SecretBytes;

use super::read::LINE_BYTES_MAX;

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

const CARRIAGE_RETURN_BYTES: usize = 1;
