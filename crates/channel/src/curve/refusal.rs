//! Why a connection was refused, for this side alone.
//!
//! **Invariant**: no value of this module reaches the peer. It gets a closed
//! connection, the same for every cause.

/// Why a frame, and with it the connection, was refused: the typed reasons of
/// `spec/curve.md` section 4 and its extensions (sections 5 to 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A length that the state and the profile do not allow.
    #[error("frame has a length that is not allowed here")]
    Length,
    /// A type that the stream transport does not have.
    #[error("frame has an unknown type")]
    Type,
    /// A type of the stream transport that this state does not take.
    #[error("frame does not belong to this step")]
    Order,
    /// A key agreement gave all zeroes, or the server's ephemeral key is the client's own.
    #[error("public key is unusable")]
    LowOrder,
    /// The box of a Hello opens under none of the server's keys.
    #[error("hello is not for this server, or was altered")]
    HelloBox,
    /// The box of a Cookie ack does not open.
    #[error("cookie ack is not from this server, or was altered")]
    CookieBox,
    /// The Cookie ack does not echo the client's tag.
    #[error("cookie ack answers another hello")]
    Ctag,
    /// The outer box of a Vouch does not open.
    #[error("vouch was altered")]
    VouchBox,
    /// The inner box of a Vouch does not open: C was claimed, not proved.
    #[error("client does not hold the key it names")]
    V,
    /// A Vouch vouches for another ephemeral key.
    #[error("vouch belongs to another hello")]
    EcMismatch,
    /// A Vouch does not echo the server's tag.
    #[error("vouch answers another cookie")]
    Stag,
    /// C is proved, and not in the allowed set.
    #[error("client is not allowed")]
    NotAllowed,
    /// A message's counter is not the one that comes next.
    #[error("message is repeated or out of order")]
    Replay,
    /// The box of a message does not open, or its padding is not as it must be.
    #[error("message was altered")]
    Box,
    /// The peer took longer than a handshake may.
    #[error("handshake took too long")]
    Timeout,
    /// The transport ended without a Close.
    #[error("connection ended without a close")]
    Truncated,
    /// The proof of `bind` is not this handshake's.
    #[error("client's proof does not belong to this handshake")]
    Bind,
    /// A list of extensions breaks a rule of section 5.
    #[error("list of extensions is malformed")]
    Extension,
    /// Fewer extensions than the floor kept for this peer.
    #[error("peer offers less protection than agreed before")]
    Downgrade,
}

/// Why a message was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Empty: that is the keep-alive, which is never delivered.
    #[error("message is empty")]
    Empty,
    /// Longer than a frame of this profile carries: the layer above splits.
    #[error("message is longer than {bytes_max} bytes")]
    TooLong {
        /// What [`super::Established::message_bytes_max`] says.
        bytes_max: usize,
    },
    /// The connection was refused or closed, or its counter is spent.
    #[error("connection has ended")]
    Ended,
}
