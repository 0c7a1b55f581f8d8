//! A frame: `len u16 ‖ type u8 ‖ body`, `len` = 1 + |body|, big-endian.
//!
//! **Invariant**: which types and lengths a state takes is decided here, from
//! the first three bytes, before a byte of the body is kept.

use std::ops::RangeInclusive;

use super::limits::{HELLO_LEN_MAX, MESSAGE_BYTES_MAX, VOUCH_LEN_MAX};
use super::refusal::Refusal;

/// The frames of the stream transport (`spec/curve.md` section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// The client's first: EC and a tag for the holder of Ss.
    Hello,
    /// The server's answer: ES and its own tag.
    CookieAck,
    /// The client's proof that it holds Cs.
    Vouch,
    /// A message of the layer above.
    Msg,
    /// The last frame of its sender, with the reason.
    Close,
}

impl FrameType {
    /// The byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::CookieAck => 2,
            Self::Vouch => 3,
            Self::Msg => 4,
            Self::Close => 5,
        }
    }

    /// The type of a byte on the wire; from 0x10 up they belong to what runs before Hello.
    #[must_use]
    pub const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Hello),
            2 => Some(Self::CookieAck),
            3 => Some(Self::Vouch),
            4 => Some(Self::Msg),
            5 => Some(Self::Close),
            _ => None,
        }
    }
}

/// Why a side closes; codes this version does not know read as `BrokenRules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// All is said.
    Done,
    /// The process ends; another may come.
    GoingAway,
    /// The layer above broke its rules.
    BrokenRules,
    /// The pairing is no more.
    Unpaired,
    /// The pairing was not completed.
    PairingAborted,
}

impl CloseCode {
    /// The byte inside the box.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::GoingAway => 1,
            Self::BrokenRules => 2,
            Self::Unpaired => 3,
            Self::PairingAborted => 4,
        }
    }

    /// The code of a byte.
    #[must_use]
    pub const fn of(byte: u8) -> Self {
        match byte {
            0 => Self::Done,
            1 => Self::GoingAway,
            3 => Self::Unpaired,
            4 => Self::PairingAborted,
            _ => Self::BrokenRules,
        }
    }
}

impl std::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::GoingAway => "going away",
            Self::BrokenRules => "rules were broken",
            Self::Unpaired => "unpaired",
            Self::PairingAborted => "pairing aborted",
        })
    }
}

/// The types and lengths that a state takes: what a [`super::Deframer`] is
/// told before each frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepts([Option<(u8, RangeInclusive<usize>)>; 2]);

impl Accepts {
    /// One type, with these values of `len` (1 + |body|): for what runs
    /// before Hello, whose types begin at 0x10.
    #[must_use]
    pub const fn only(frame_type: u8, len: RangeInclusive<usize>) -> Self {
        Self([Some((frame_type, len)), None])
    }

    /// A Hello.
    pub(super) const fn hello(list: ListAllowed) -> Self {
        Self::handshake(FrameType::Hello, HELLO_LEN, HELLO_LEN_MAX, list)
    }

    /// A Cookie ack.
    pub(super) const fn cookie_ack(list: ListAllowed) -> Self {
        Self::handshake(FrameType::CookieAck, COOKIE_ACK_LEN, HELLO_LEN_MAX, list)
    }

    /// A Vouch.
    pub(super) const fn vouch(list: ListAllowed) -> Self {
        Self::handshake(FrameType::Vouch, VOUCH_LEN, VOUCH_LEN_MAX, list)
    }

    /// `len` as the table has it, and up to `len_max` where a list may follow.
    const fn handshake(
        frame_type: FrameType,
        len: usize,
        len_max: usize,
        list: ListAllowed,
    ) -> Self {
        match list {
            ListAllowed::Yes => Self::only(frame_type.byte(), len..=len_max),
            ListAllowed::No => Self::only(frame_type.byte(), len..=len),
        }
    }

    /// Msg and Close.
    pub(super) const fn traffic() -> Self {
        Self([
            Some((
                FrameType::Msg.byte(),
                EMPTY_MSG_LEN..=EMPTY_MSG_LEN + MESSAGE_BYTES_MAX,
            )),
            Some((FrameType::Close.byte(), CLOSE_LEN..=CLOSE_LEN)),
        ])
    }

    /// Bytes of the whole frame that begins with `start`; `None` while fewer
    /// than three are there.
    ///
    /// # Errors
    /// `Type` or `Order` for a type that is not taken, `Length` for a length
    /// that is not.
    pub fn frame_bytes(&self, start: &[u8]) -> Result<Option<usize>, Refusal> {
        let Some((len, rest)) = start.split_first_chunk::<LEN_BYTES>() else {
            return Ok(None);
        };
        let len = usize::from(u16::from_be_bytes(*len));
        if len == 0 {
            // There is no type to wait for.
            return Err(Refusal::Length);
        }
        let Some(byte) = rest.first() else {
            return Ok(None);
        };
        let taken = self.0.iter().flatten().find(|(taken, _)| taken == byte);
        match (taken, FrameType::of(*byte)) {
            (Some((_, lengths)), _) if lengths.contains(&len) => Ok(Some(LEN_BYTES + len)),
            (Some(_), _) => Err(Refusal::Length),
            (None, Some(_)) => Err(Refusal::Order),
            (None, None) => Err(Refusal::Type),
        }
    }

    /// Takes one whole frame apart.
    ///
    /// # Errors
    /// As [`Accepts::frame_bytes`]; `Length` too when `frame` has more or
    /// fewer bytes than it announces.
    pub fn body<'f>(&self, frame: &'f [u8]) -> Result<&'f [u8], Refusal> {
        let frame_bytes = self.frame_bytes(frame)?.ok_or(Refusal::Length)?;
        if frame.len() != frame_bytes {
            return Err(Refusal::Length);
        }
        frame.get(HEADER_BYTES..).ok_or(Refusal::Length)
    }
}

/// Whether a list of extensions may stand at the end of a handshake frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListAllowed {
    Yes,
    No,
}

/// Appends the header of a frame with `body_bytes` behind it.
///
/// Every caller's body is bounded far below what `len` can say; one that were
/// not would be announced as the longest frame and refused by any peer.
pub(super) fn push_header(out: &mut Vec<u8>, frame_type: FrameType, body_bytes: usize) {
    let len = u16::try_from(1 + body_bytes).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.push(frame_type.byte());
}

const LEN_BYTES: usize = 2;

/// Bytes of `len ‖ type`.
pub(super) const HEADER_BYTES: usize = 3;

const HELLO_LEN: usize = 81;
const COOKIE_ACK_LEN: usize = 129;
const VOUCH_LEN: usize = 145;

/// Msg around nothing: type, counter, tag.
const EMPTY_MSG_LEN: usize = 25;
/// Close: type, counter, tag, code.
const CLOSE_LEN: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accepts: &Accepts, start: &[u8], expected: Result<Option<usize>, Refusal>) {
        assert_eq!(accepts.frame_bytes(start), expected, "{start:02x?}");
    }

    #[test]
    fn the_header_decides() {
        let strict = Accepts::hello(ListAllowed::No);
        let listed = Accepts::hello(ListAllowed::Yes);
        let traffic = Accepts::traffic();
        check(&strict, &[], Ok(None));
        check(&strict, &[0], Ok(None));
        check(&strict, &[0, 81], Ok(None));
        check(&strict, &[0, 0], Err(Refusal::Length));
        check(&strict, &[0, 81, 1], Ok(Some(83)));
        check(&strict, &[0, 80, 1], Err(Refusal::Length));
        check(&strict, &[0, 82, 1], Err(Refusal::Length));
        check(&listed, &[0, 82, 1], Ok(Some(84)));
        check(&listed, &[6, 0, 1], Ok(Some(1538)));
        check(&listed, &[6, 1, 1], Err(Refusal::Length));
        check(&listed, &[255, 255, 1], Err(Refusal::Length));
        check(&strict, &[0, 145, 3], Err(Refusal::Order));
        check(&strict, &[0, 81, 6], Err(Refusal::Type));
        check(&strict, &[0, 81, 0x10], Err(Refusal::Type));
        check(&traffic, &[0, 24, 4], Err(Refusal::Length));
        check(&traffic, &[0, 25, 4], Ok(Some(27)));
        check(&traffic, &[0xff, 0xf9, 4], Ok(Some(65_531)));
        check(&traffic, &[0xff, 0xfa, 4], Err(Refusal::Length));
        check(&traffic, &[0, 26, 5], Ok(Some(28)));
        check(&traffic, &[0, 25, 5], Err(Refusal::Length));
        check(&traffic, &[0, 81, 1], Err(Refusal::Order));
    }

    #[test]
    fn a_frame_is_taken_whole() {
        let accepts = Accepts::only(0x10, 3..=3);
        assert_eq!(accepts.body(&[0, 3, 0x10, 7, 8]), Ok(&[7, 8][..]));
        assert_eq!(accepts.body(&[0, 3, 0x10, 7]), Err(Refusal::Length));
        assert_eq!(accepts.body(&[0, 3, 0x10, 7, 8, 9]), Err(Refusal::Length));
        assert_eq!(accepts.body(&[0, 3]), Err(Refusal::Length));
    }

    #[test]
    fn close_codes_of_later_versions_are_broken_rules() {
        for byte in 0..=255 {
            let code = CloseCode::of(byte);
            let expected = if byte < 5 { byte } else { 2 };
            assert_eq!(code.byte(), expected);
        }
    }
}
