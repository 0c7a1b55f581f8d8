//! Frames: `length u32 ‖ type u8 ‖ handle u32 ‖ body`.
//!
//! **Invariant**: a frame is refused from its announced length, before a byte of it
//! is kept; what [`Deframer`] gives out has a type that this version knows, a handle
//! that fits it, and a body no longer than its type may have.

use super::fields::numbers;

/// A frame, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'b> {
    /// What it is.
    pub kind: FrameType,
    /// The session that it belongs to.
    pub handle: Handle,
    /// What follows, by its type.
    pub body: &'b [u8],
}

impl<'b> Frame<'b> {
    /// The bytes for the stream, length first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_parts(&[])
    }

    /// As [`Frame::encode`], with `more` behind the body.
    pub(super) fn encode_parts(&self, more: &[&[u8]]) -> Vec<u8> {
        let body = self.body.len() + more.iter().map(|part| part.len()).sum::<usize>();
        let rest = HEAD_BYTES + body;
        let mut out = Vec::with_capacity(LENGTH_BYTES + rest);
        out.extend_from_slice(&u32::try_from(rest).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&[self.kind.byte()]);
        out.extend_from_slice(&self.handle.0.to_be_bytes());
        out.extend_from_slice(self.body);
        more.iter().for_each(|part| out.extend_from_slice(part));
        out
    }

    /// Reads what follows the length: a WebSocket message brings its own.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn decode(rest: &'b [u8]) -> Result<Self, FrameError> {
        let (&kind, rest) = rest.split_first().ok_or(FrameError::Length)?;
        let (handle, body) = rest
            .split_first_chunk::<HANDLE_BYTES>()
            .ok_or(FrameError::Length)?;
        let kind = FrameType::from_number(u64::from(kind)).ok_or(FrameError::Type(kind))?;
        let handle = Handle(u32::from_be_bytes(*handle));
        let fits = match kind {
            FrameType::Hello => handle == Handle::CONNECTION,
            FrameType::Error => true,
            FrameType::RegisterStart
            | FrameType::RegisterResponse
            | FrameType::RegisterUpload
            | FrameType::LoginStart
            | FrameType::LoginResponse
            | FrameType::LoginFinish
            | FrameType::Resume
            | FrameType::Resumed
            | FrameType::Sealed => handle != Handle::CONNECTION,
        };
        if !fits {
            return Err(FrameError::Handle);
        }
        if !kind.may_be_long() && HEAD_BYTES + body.len() > REST_BYTES_MAX_BEFORE_LOGIN {
            return Err(FrameError::Length);
        }
        Ok(Self { kind, handle, body })
    }
}

/// Names one session on a connection; drawn by the client, never twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

impl Handle {
    /// The connection itself: hello, and an error that ends all of it.
    pub const CONNECTION: Self = Self(0);
}

numbers! {
    /// What a frame is.
    FrameType {
        /// Either side's first frame.
        Hello = 0x01,
        /// Client: a name, and a blinded password to register.
        RegisterStart = 0x10,
        /// Server: the evaluation.
        RegisterResponse = 0x11,
        /// Client: the record, and KE1 of the first login.
        RegisterUpload = 0x12,
        /// Client: a name and KE1.
        LoginStart = 0x20,
        /// Server: KE2.
        LoginResponse = 0x21,
        /// Client: KE3 and the sealed `open`.
        LoginFinish = 0x22,
        /// Client: a session goes on here.
        Resume = 0x30,
        /// Server: it does.
        Resumed = 0x31,
        /// Either side: inside a session.
        Sealed = 0x40,
        /// Server: the handle is dead.
        Error = 0x7f,
    }
}

impl FrameType {
    /// Whether frames of this type are allowed what a session needs after login.
    fn may_be_long(self) -> bool {
        matches!(self, Self::Sealed | Self::Resumed)
    }

    fn byte(self) -> u8 {
        u8::try_from(self.number()).unwrap_or_default()
    }
}

/// How much a frame may announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has logged in on this connection.
    BeforeLogin,
    /// A session is open or about to be: at the client from frame 22 or 30 on.
    AfterLogin,
}

/// Cuts a stream into frames.
#[derive(Debug)]
pub struct Deframer {
    received: Vec<u8>,
    stage: Stage,
}

impl Deframer {
    /// For a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            received: Vec::new(),
            stage: Stage::BeforeLogin,
        }
    }

    /// From now on long frames are taken.
    pub fn admit_long_frames(&mut self) {
        self.stage = Stage::AfterLogin;
    }

    /// Takes what came. Ask for frames until there is none before more is pushed:
    /// then less than one frame is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// The rest of the next frame, for [`Frame::decode`], if it is there whole.
    ///
    /// # Errors
    /// Announced longer than the stage allows, or too short: the stream ends.
    pub fn next_rest(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let Some((length, behind)) = self.received.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length =
            usize::try_from(u32::from_be_bytes(*length)).map_err(|_| FrameError::Length)?;
        let max = match self.stage {
            Stage::BeforeLogin => REST_BYTES_MAX_BEFORE_LOGIN,
            Stage::AfterLogin => REST_BYTES_MAX,
        };
        if !(HEAD_BYTES..=max).contains(&length) {
            return Err(FrameError::Length);
        }
        if behind.len() < length {
            return Ok(None);
        }
        let mut rest = self.received.split_off(LENGTH_BYTES + length);
        std::mem::swap(&mut rest, &mut self.received);
        Ok(Some(rest.split_off(LENGTH_BYTES)))
    }
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes that are no frame; the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Too long or too short.
    #[error("a frame has a length that it must not have")]
    Length,
    /// A type that this version does not know.
    #[error("frame type {0:02x} is unknown")]
    Type(u8),
    /// A handle that the type must not have.
    #[error("a frame names no session")]
    Handle,
}

/// The length, a u32.
const LENGTH_BYTES: usize = 4;

/// The handle, a u32.
const HANDLE_BYTES: usize = 4;

/// Type and handle.
const HEAD_BYTES: usize = 1 + HANDLE_BYTES;

/// 4,096 bytes behind the length before login: who is not known yet gets little memory.
pub const REST_BYTES_MAX_BEFORE_LOGIN: usize = 4_096;

/// 131,072 bytes after it: a sealed value of 64 KiB with its label, twice over.
pub const REST_BYTES_MAX: usize = 131_072;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rest: &[u8], expected: Result<FrameType, FrameError>) {
        assert_eq!(Frame::decode(rest).map(|frame| frame.kind), expected);
    }

    #[test]
    fn types_and_handles_fit() {
        check(&[1, 0, 0, 0, 0], Ok(FrameType::Hello));
        check(&[1, 0, 0, 0, 1], Err(FrameError::Handle));
        check(&[0x20, 0, 0, 0, 0], Err(FrameError::Handle));
        check(&[0x20, 0, 0, 0, 9], Ok(FrameType::LoginStart));
        check(&[0x7f, 0, 0, 0, 0], Ok(FrameType::Error));
        check(&[0x7e, 0, 0, 0, 1], Err(FrameError::Type(0x7e)));
        check(&[0x40, 0, 0, 0], Err(FrameError::Length));
        check(&[], Err(FrameError::Length));
    }

    #[test]
    fn set_up_stays_short_after_login() {
        let mut long = vec![0x20, 0, 0, 0, 1];
        long.resize(REST_BYTES_MAX_BEFORE_LOGIN, 0);
        check(&long, Ok(FrameType::LoginStart));
        long.push(0);
        check(&long, Err(FrameError::Length));
        long[0] = 0x40;
        check(&long, Ok(FrameType::Sealed));
    }

    #[test]
    fn lengths_are_refused_as_announced() {
        let announced = |length: u32, stage| {
            let mut deframer = Deframer::new();
            if stage == Stage::AfterLogin {
                deframer.admit_long_frames();
            }
            deframer.push(&length.to_be_bytes());
            deframer.next_rest()
        };
        for (length, stage, expected) in [
            (4, Stage::BeforeLogin, Err(FrameError::Length)),
            (5, Stage::BeforeLogin, Ok(None)),
            (4_096, Stage::BeforeLogin, Ok(None)),
            (4_097, Stage::BeforeLogin, Err(FrameError::Length)),
            (131_072, Stage::AfterLogin, Ok(None)),
            (131_073, Stage::AfterLogin, Err(FrameError::Length)),
            (u32::MAX, Stage::AfterLogin, Err(FrameError::Length)),
        ] {
            assert_eq!(announced(length, stage), expected, "{length} {stage:?}");
        }
    }

    #[test]
    fn a_stream_in_single_bytes_gives_the_same_frames() {
        let frame = |handle, body| Frame {
            kind: FrameType::Sealed,
            handle: Handle(handle),
            body,
        };
        let both = [frame(1, b"first".as_slice()), frame(2, b"".as_slice())];
        let stream: Vec<u8> = both.iter().flat_map(Frame::encode).collect();
        let mut deframer = Deframer::new();
        let mut rests = Vec::new();
        for byte in &stream {
            deframer.push(std::slice::from_ref(byte));
            rests.extend(deframer.next_rest().unwrap());
        }
        let read: Vec<_> = rests.iter().map(|it| Frame::decode(it).unwrap()).collect();
        assert_eq!(read, both);
        assert_eq!(deframer.next_rest(), Ok(None));
    }
}
