//! Sessions of a key server: passwords that it never sees, and frames that only the
//! two ends open (`spec/session.md`, sections 1 to 6).
//!
//! **Invariant**: each state is a type and each step consumes the one before; a
//! session's keys exist only behind OPAQUE's key confirmation, and a frame is looked
//! into only when its tag has been checked. No I/O, no clock, no randomness of its
//! own: bytes, `now_ms` and `rng` come in, bytes and events go out.
//!
//! | at the client | frame | at the server |
//! |---|---|---|
//! | [`Greeting`] → [`Greeted`] | 01 | [`Introduction::answer`] |
//! | [`RegisterSent`] → [`LoginSent`] | 10, 11, 12 | [`AwaitUpload`] → [`Uploaded`] |
//! | [`LoginSent`] → [`OpenSent`] | 20, 21 | [`AwaitFinish`] |
//! | [`OpenSent`] → [`LoggedIn`] | 22, 40 | [`Opening`] → [`ServerSession`] |
//! | [`Ticket`] → [`ResumeSent`] | 30, 31 | [`SessionRow::judge`] → [`Resumption`] |
//! | [`ClientSession`] | 40 | [`ServerSession`] |

mod approval;
mod binding;
mod client;
mod client_session;
pub(crate) mod fields;
mod frame;
mod handles;
mod hello;
mod ids;
mod invitation;
mod keys;
mod name;
mod notice;
mod opaque;
pub mod requests;
mod resume;
mod row;
mod sealed;
mod server;
mod server_session;
mod set_up;
mod status;
#[cfg(test)]
mod tests;
mod unlock;

pub use approval::{Approval, ApprovalTag, approval_hash};
pub use binding::{Binding, SessionKind};
pub use client::{Credentials, Extras, LoggedIn, LoginSent, NewPassword, OpenSent, RegisterSent};
pub use client_session::{ClientSession, Event, Sent};
pub use fields::{List, Nullable, Octets, SecretOctets, Text};
pub use frame::{
    Deframer, Frame, FrameError, FrameType, Handle, REST_BYTES_MAX, REST_BYTES_MAX_BEFORE_LOGIN,
};
pub use handles::Handles;
pub use hello::{
    BindingKind, ClientHello, Greeted, Greeting, Hellos, Introduction, Limits, Pin, Registration,
    ServerHello,
};
pub use ids::{ApproverId, KeyId, RequestId, ServerId, SessionId, UserId, request_hash};
pub use invitation::{Authority, InvitationLink, LinkError, ServerAddress};
pub use name::{AccountName, NAME_BYTES_MAX, NameFault, PASSWORD_BYTES_MAX, Password};
pub use notice::{Notice, NoticeKind};
pub use opaque::{KE1_BYTES, KE2_BYTES, KE3_BYTES, Profile, RECORD_BYTES, ServerKeys, Stretched};
pub use resume::{NotResumed, ResumeSent, Ticket};
pub use row::{Resumption, SessionRow, Turn, Turned, Verdict};
pub use sealed::Closed;
pub use server::{
    Account, AwaitFinish, AwaitRecord, AwaitUpload, Draft, HANDSHAKE_MS_MAX, Opening,
    PENDING_MS_MAX, Place, Unopened, Uploaded,
};
pub use server_session::{AnswerError, Incoming, ServerSession, SessionMark};
pub use set_up::{LoginStart, RegisterStart, RegisterUpload, Resume, ResumeClaim, Unlock};
pub use status::{ErrorBody, SetUpError, Status};
pub use unlock::{UnlockText, is_unlock_now};

/// Whether `frame` is the one that comes next from a server, which may say instead why
/// none does.
fn expect(frame: &Frame<'_>, kind: FrameType, handle: Handle) -> Result<(), SetUpError> {
    let is_ours = frame.handle == handle || frame.handle == Handle::CONNECTION;
    if frame.kind == FrameType::Error && is_ours {
        return Err(SetUpError::Server(ErrorBody::decode(frame.body)?));
    }
    turn(frame, kind, handle)
}

/// Whether `frame` is the one that comes next.
fn turn(frame: &Frame<'_>, kind: FrameType, handle: Handle) -> Result<(), SetUpError> {
    if frame.kind == kind && frame.handle == handle {
        Ok(())
    } else {
        Err(SetUpError::OutOfTurn)
    }
}

/// The frame that says that `handle` is dead.
#[must_use]
pub fn error_frame(handle: Handle, body: ErrorBody) -> Vec<u8> {
    let body = body.encode();
    let frame = Frame {
        kind: FrameType::Error,
        handle,
        body: &body,
    };
    frame.encode()
}

/// The version of the protocol.
pub const VERSION: u64 = 1;

/// The only suite: OPAQUE-3DH, ristretto255, SHA-512, ChaCha20-Poly1305.
pub const SUITE: u8 = 1;

/// 32 requests of one session that wait for their answers.
pub const OUTSTANDING_MAX: usize = 32;
