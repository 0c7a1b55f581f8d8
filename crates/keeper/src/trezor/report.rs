//! Messages in reports of 64 bytes, as every Trezor with the first protocol takes and gives them.
//!
//! The first report: `?##`, the message's number (u16), its length (u32, both big-endian), its
//! body; those behind it: `?` and more of the body; the last one ends in zeros
//! (trezor-firmware, `docs/common/communication`).
//!
//! **Invariant:** no more is kept than [`BODY_BYTES_MAX`], and a message is given out whole or not
//! at all.

use keystead_core::SecretBytes;

/// 64 bytes, of a USB packet and of an emulator's datagram alike.
pub const REPORT_BYTES: usize = 64;

/// 8,192 bytes: what the newer devices take of a message. Theirs have less than 1 KiB.
pub const BODY_BYTES_MAX: usize = 8_192;

/// A message; its body may hold a PIN, a passphrase or a shared secret.
pub struct Message {
    /// Its number in `MessageType`.
    pub number: u16,
    /// Protocol Buffers.
    pub body: SecretBytes,
}

impl Message {
    /// The reports that carry it, one behind the other.
    #[must_use]
    pub fn reports(&self) -> Reports {
        let body = self.body.expose();
        let mut header = [0; HEADER_BYTES];
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        for (to, from) in header.iter_mut().zip(
            START
                .into_iter()
                .chain(self.number.to_be_bytes())
                .chain(length.to_be_bytes()),
        ) {
            *to = from;
        }
        let count = (header.len() + body.len()).div_ceil(CONTENT_BYTES).max(1);
        let bytes = SecretBytes::fill(count * REPORT_BYTES, |bytes| {
            let mut content = header.iter().chain(body);
            for report in bytes.chunks_mut(REPORT_BYTES) {
                if let Some((mark, rest)) = report.split_first_mut() {
                    *mark = MARK;
                    // The shorter side ends it: what is left stays zero.
                    for (to, from) in rest.iter_mut().zip(&mut content) {
                        *to = *from;
                    }
                }
            }
        });
        Reports(bytes)
    }
}

/// Whole reports of one message.
pub struct Reports(SecretBytes);

impl Reports {
    /// Each of [`REPORT_BYTES`].
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.expose().chunks(REPORT_BYTES)
    }
}

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reports({})", self.0.len() / REPORT_BYTES)
    }
}

/// Puts messages together again.
#[derive(Default)]
pub struct Assembler {
    open: Option<Open>,
}

/// A message of which not all has come.
struct Open {
    number: u16,
    body: SecretBytes,
    filled: usize,
}

impl Assembler {
    /// Takes a report; gives the message that it ends.
    ///
    /// # Errors
    /// [`ReportError`]; what was open is dropped, and the next message can begin.
    pub fn take(&mut self, report: &[u8]) -> Result<Option<Message>, ReportError> {
        let content = match report.split_first() {
            Some((&MARK, content)) if report.len() == REPORT_BYTES => content,
            _ => {
                self.open = None;
                return Err(ReportError::NotAReport);
            }
        };
        let (mut open, content) = match self.open.take() {
            Some(open) => (open, content),
            None => begin(content)?,
        };
        let left = open.body.len() - open.filled;
        let content = content.get(..left).unwrap_or(content);
        if let Some(to) = open
            .body
            .expose_mut()
            .get_mut(open.filled..open.filled + content.len())
        {
            to.copy_from_slice(content);
        }
        open.filled += content.len();
        if open.filled < open.body.len() {
            self.open = Some(open);
            return Ok(None);
        }
        Ok(Some(Message {
            number: open.number,
            body: open.body,
        }))
    }
}

/// Why bytes are no part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Not 64 bytes behind a `?`.
    #[error("something that is no report")]
    NotAReport,
    /// No message begins with it.
    #[error("a report that begins no message")]
    NoStart,
    /// Announced longer than any message is.
    #[error("a message of {0} bytes")]
    TooLong(u32),
}

fn begin(content: &[u8]) -> Result<(Open, &[u8]), ReportError> {
    let no_start = ReportError::NoStart;
    let content = content.strip_prefix(b"##").ok_or(no_start)?;
    let (number, content) = content.split_first_chunk().ok_or(no_start)?;
    let (length, content) = content.split_first_chunk().ok_or(no_start)?;
    let length = u32::from_be_bytes(*length);
    let bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if bytes > BODY_BYTES_MAX {
        return Err(ReportError::TooLong(length));
    }
    let open = Open {
        number: u16::from_be_bytes(*number),
        body: SecretBytes::fill(bytes, |_| {}),
        filled: 0,
    };
    Ok((open, content))
}

const MARK: u8 = b'?';
const START: [u8; 2] = *b"##";

/// `##`, u16, u32: behind the mark.
const HEADER_BYTES: usize = 8;

/// What of a report is not its mark.
const CONTENT_BYTES: usize = REPORT_BYTES - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u16, body: &[u8]) -> Message {
        let body = SecretBytes::take(&mut body.to_vec());
        Message { number, body }
    }

    #[test]
    fn a_message_comes_back_from_its_reports() {
        for length in [0, 1, 54, 55, 56, 117, 118, 119, 600, BODY_BYTES_MAX] {
            let body: Vec<u8> = (0..=255).cycle().take(length).collect();
            let reports = message(0x1234, &body).reports();
            let count = reports.iter().count();
            assert_eq!(count, (8 + length).div_ceil(63).max(1), "{length}");
            let mut assembler = Assembler::default();
            for (at, report) in reports.iter().enumerate() {
                assert_eq!(report.len(), REPORT_BYTES);
                let whole = assembler.take(report).unwrap();
                assert_eq!(whole.is_some(), at + 1 == count, "{length}, report {at}");
                if let Some(whole) = whole {
                    assert_eq!(whole.number, 0x1234);
                    assert_eq!(whole.body.expose(), body);
                }
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_protocol() {
        let reports = message(17, &[0xaa; 60]).reports();
        let bytes: Vec<&[u8]> = reports.iter().collect();
        let mut first = b"?##\x00\x11\x00\x00\x00\x3c".to_vec();
        first.extend([0xaa; 55]);
        let mut second = b"?".to_vec();
        second.extend([0xaa; 5]);
        second.resize(64, 0);
        assert_eq!(bytes, [first, second]);
    }

    #[test]
    fn what_is_no_report_is_refused() {
        #[track_caller]
        fn check(report: &[u8], expected: ReportError) {
            let refused = Assembler::default().take(report).map(|it| it.is_some());
            assert_eq!(refused, Err(expected));
        }
        let whole = message(17, b"abc").reports();
        let whole = whole.iter().next().unwrap();
        for length in 0..64 {
            check(&whole[..length], ReportError::NotAReport);
        }
        check(&[whole, &[0]].concat(), ReportError::NotAReport);
        let changed = |at: usize, to: u8| {
            let mut changed = whole.to_vec();
            changed[at] = to;
            changed
        };
        check(&changed(0, b'!'), ReportError::NotAReport);
        check(&changed(1, b'!'), ReportError::NoStart);
        check(&changed(2, b'!'), ReportError::NoStart);
        check(&changed(5, 1), ReportError::TooLong(0x0100_0003));
        check(&changed(7, 0x20), ReportError::TooLong(0x2003));
    }

    #[test]
    fn after_something_wrong_the_next_message_can_begin() {
        let long = message(17, &[1; 100]).reports();
        let reports: Vec<&[u8]> = long.iter().collect();
        let mut assembler = Assembler::default();
        assert!(assembler.take(reports[0]).unwrap().is_none());
        assert!(assembler.take(&[0; 64]).is_err());
        assert_eq!(
            assembler.take(reports[1]).map(|it| it.is_some()),
            Err(ReportError::NoStart)
        );
        assert!(assembler.take(reports[0]).unwrap().is_none());
        assert_eq!(assembler.take(reports[1]).unwrap().unwrap().body.len(), 100);
    }
}
