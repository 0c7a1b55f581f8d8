//! Every limit of the stream transport, with its unit and reason
//! (`spec/curve.md` sections 7 and 8).
//!
//! **Invariant**: no other file of this module holds a bound of its own.

/// How long a handshake may last and what silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the start to the last frame of the handshake.
    pub handshake_ms: u64,
    /// From the first byte to the whole Hello.
    pub hello_ms: u64,
    /// What is done about a silent peer once the channel stands.
    pub silence: Silence,
}

/// What is done about a peer that sends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nothing: the transport stores frames (a relay) or is local.
    Bear,
    /// Keep-alives, and an end to the connection: long-lived TCP.
    Watch,
}

impl Timing {
    /// An ordered stream of bytes that both ends hold open.
    pub const STREAM: Self = Self {
        handshake_ms: HANDSHAKE_MS,
        hello_ms: HELLO_MS,
        silence: Silence::Bear,
    };

    /// A TCP connection meant to last for days.
    pub const LONG_LIVED: Self = Self {
        silence: Silence::Watch,
        ..Self::STREAM
    };

    /// A transport that stores frames and delivers them later (`spec/pairing.md` section 3.2).
    pub const STORED: Self = Self {
        handshake_ms: HANDSHAKE_STORED_MS,
        hello_ms: HANDSHAKE_STORED_MS,
        silence: Silence::Bear,
    };
}

/// Whole handshake: a person's network answers in one second, twice over.
pub const HANDSHAKE_MS: u64 = 10_000;

/// First byte to whole Hello: 83 to 1,538 bytes fit in any network's first packets.
pub const HELLO_MS: u64 = 5_000;

/// Whole handshake where frames are stored on the way: a phone must wake first.
pub(super) const HANDSHAKE_STORED_MS: u64 = 60_000;

/// Silence of our own after which a keep-alive goes out: below the 30 s after
/// which the shortest common address translators forget a connection.
pub const KEEP_ALIVE_MS: u64 = 25_000;

/// Silence of the peer after which it is dead: seven keep-alives lost.
pub const DEAD_AFTER_MS: u64 = 180_000;

/// Age at which a connection shakes hands anew, so that stolen session keys serve a day.
pub(super) const CONNECTION_AGE_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Messages of one direction after which a connection shakes hands anew:
/// far below where Poly1305's or XSalsa20's bounds matter.
pub(super) const CONNECTION_MESSAGES_MAX: u64 = 1 << 48;

/// Half-open handshakes a listener holds, the oldest dropped: 1,024 of at
/// most 1.5 KiB and some keys are 3 MiB.
pub const HALF_OPEN_MAX: usize = 1_024;

/// Half-open handshakes of one source address: many users behind one
/// address, yet no single one fills the listener.
pub const HALF_OPEN_PER_SOURCE_MAX: usize = 16;

/// Long-term keys that one server tries a Hello on: one a pairing; 64 key
/// agreements are 2 ms that a stranger can ask for.
pub const IDENTITIES_MAX: usize = 64;

/// Greatest message of a frame: `len` (65,535 at most) less type, counter,
/// tag, and room for what section 1 may need later.
pub const MESSAGE_BYTES_MAX: usize = 65_504;

/// Greatest `len` of Hello and Cookie ack with a list: ML-KEM's 1,184 bytes fit.
pub(super) const HELLO_LEN_MAX: usize = 1_536;

/// Greatest `len` of Vouch with a list.
pub(super) const VOUCH_LEN_MAX: usize = 512;

/// A counter that reaches this closes the connection: it can never wrap.
pub(super) const COUNTER_END: u64 = u64::MAX - (1 << 13) + 1;

/// With `aead` and without `rekey`: AES-GCM's bound for one key (section 7, `aead`).
pub(super) const AEAD_COUNTER_END: u64 = 1 << 22;

/// Messages of one key with `rekey` (section 7).
pub(super) const EPOCH_MESSAGES: u64 = 1 << 20;

/// Age of a key with `rekey` after which the sender takes the next.
pub(super) const EPOCH_MS: u64 = 120_000;

/// Algorithms that an `aead` offer may name.
pub(super) const AEAD_OFFER_MAX: usize = 8;
