//! A registration or login that waits for its client's next frame, and whose session it opens.

use std::net::IpAddr;

use keystead_channel::session::{AwaitFinish, AwaitUpload, BindingKind, Place, UserId};

use super::caller::Caller;
use super::shelf::Shelf;
use crate::rows::{AccountNo, NameTag};

/// Set-ups of all connections that wait for a frame.
pub type HalfOpen = Shelf<Waiting>;

/// A set-up that waits for its next frame.
pub struct Waiting(pub(crate) Next);

/// What it waits for, and with what.
pub(crate) enum Next {
    /// Frame 12.
    Upload(Box<AwaitUpload>, Invited),
    /// Frame 22 of a registration.
    Confirm(Box<AwaitFinish>, Pending),
    /// Frame 22 of a login.
    Finish(Box<AwaitFinish>, Box<Attempt>),
}

/// Where and when a set-up begins.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    pub(crate) place: Place,
    pub(crate) source: IpAddr,
    pub(crate) now_ms: u64,
}

/// How somebody came to register.
pub(crate) struct Invited(pub(crate) Option<[u8; 32]>);

/// An account that is not complete.
pub(crate) struct Pending {
    pub(crate) no: AccountNo,
    pub(crate) user: UserId,
    pub(crate) tag: NameTag,
    pub(crate) invitation: Option<[u8; 32]>,
}

/// A try that was counted, until frame 22 shows what it was.
pub(crate) struct Attempt {
    /// Nobody's, where no account has the name.
    pub(crate) whose: Option<Whose>,
    pub(crate) tag: NameTag,
    /// The hash of the device pass that counted it.
    pub(crate) pass: Option<[u8; 32]>,
    pub(crate) binding: BindingKind,
}

/// Whose password is tried.
#[derive(Clone, Copy)]
pub(crate) struct Whose {
    pub(crate) no: AccountNo,
    pub(crate) user: UserId,
    /// The account's when the try was counted.
    pub(crate) epoch: u32,
}

/// Whose session it is.
pub(crate) enum Who {
    /// A registration's: nobody's yet. Nothing when `complete` has come.
    Registration(Option<Pending>),
    /// An account's.
    Request(Caller),
}
