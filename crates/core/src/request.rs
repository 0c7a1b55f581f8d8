//! What is asked of a keeper (`spec/pairing.md` section 3).

use crate::{KeyId, Name, RequestId, Secret};

/// One request, as it is asked.
pub struct Request {
    /// Drawn at random by who asks.
    pub id: RequestId,
    /// The asker's clock, seconds since 1970.
    pub unix_s: u64,
    /// How long the asker waits, 1 to [`Request::WAIT_S_MAX`] seconds from arrival.
    pub wait_s: u16,
    /// Whether an `ack_response` is wanted when a person is asked.
    pub want_ack: bool,
    /// What is asked.
    pub body: RequestBody,
}

impl Request {
    /// 300 s: nobody waits longer than this at a terminal.
    pub const WAIT_S_MAX: u16 = 300;
    /// 262,144 bytes: the longest request or response, whole.
    pub const BYTES_MAX: usize = 262_144;
}

/// The kinds of request, without their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// 1: who are you, which keys have you?
    Me,
    /// 2: sign.
    Sign,
    /// 4: at which hosts was a key used?
    Hosts,
    /// 5: the pairing ends.
    Unpair,
    /// 6: store the pairing.
    Confirm,
    /// 7: a request is withdrawn.
    Cancel,
    /// 9: make a key.
    MakeKey,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Me,
        Self::Sign,
        Self::Hosts,
        Self::Unpair,
        Self::Confirm,
        Self::Cancel,
        Self::MakeKey,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Me => 1,
            Self::Sign => 2,
            Self::Hosts => 4,
            Self::Unpair => 5,
            Self::Confirm => 6,
            Self::Cancel => 7,
            Self::MakeKey => 9,
        }
    }

    /// The kind of a number; none for kinds that this version does not answer.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.number() == number)
    }

    /// The word in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Me => "me",
            Self::Sign => "sign",
            Self::Hosts => "hosts",
            Self::Unpair => "unpair",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::MakeKey => "make-key",
        }
    }
}

/// What is asked, by kind.
#[non_exhaustive]
pub enum RequestBody {
    /// 1 `me_request`; with a nonce while pairing (`nonce_c`).
    Me {
        /// The workstation's share of the compare code; only while pairing.
        nonce_c: Option<[u8; 16]>,
    },
    /// 2 `sign_request`.
    Sign(SignRequest),
    /// 4 `hosts_request`.
    Hosts,
    /// 5 `unpair_request`.
    Unpair,
    /// 6 `confirm_request`, only while pairing.
    Confirm {
        /// From which the pairing's mailboxes are derived.
        pair_key: Secret<32>,
    },
    /// 7 `cancel_request`.
    Cancel {
        /// Which request is withdrawn.
        target: RequestId,
    },
    /// 9: make a key at the keeper.
    MakeKey(MakeKeyRequest),
}

impl RequestBody {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Me { .. } => Kind::Me,
            Self::Sign(_) => Kind::Sign,
            Self::Hosts => Kind::Hosts,
            Self::Unpair => Kind::Unpair,
            Self::Confirm { .. } => Kind::Confirm,
            Self::Cancel { .. } => Kind::Cancel,
            Self::MakeKey(_) => Kind::MakeKey,
        }
    }
}

/// How the bytes of a sign request are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignForm {
    /// 1: the whole SSH blob; the answer is an SSH signature as on the wire.
    Ssh,
}

impl SignForm {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ssh => 1,
        }
    }
}

/// 2 `sign_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignRequest {
    /// Which key.
    pub key: KeyId,
    /// How `content` is to be read.
    pub form: SignForm,
    /// The whole of what is signed; the holder parses it and shows what it says.
    pub content: Vec<u8>,
    /// As in the SSH agent protocol (RFC 9987 section 3.6.1).
    pub flags: u32,
    /// What the workstation can show for it.
    pub evidence: Evidence,
}

/// What the workstation can show for a request. Only binds prove; the rest is its word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The chain of `session-bind@openssh.com`, in order, at most [`Evidence::BINDS_MAX`].
    pub binds: Vec<SessionBind>,
    /// Candidates for the name of the last bind's host key, at most [`Evidence::BINDS_MAX`].
    pub host_names: Vec<String>,
    /// The bytes whose hash is signed (a git commit).
    pub preimage: Option<Vec<u8>>,
    /// The path of the program that asked.
    pub process_path: Option<String>,
}

impl Evidence {
    /// 16 hops: as many as OpenSSH's own agent keeps (`AGENT_MAX_SESSION_IDS`).
    pub const BINDS_MAX: usize = 16;
    /// 16 candidate names of a host.
    pub const HOST_NAMES_MAX: usize = 16;
    /// 128 KiB: the longest preimage that is sent along.
    pub const PREIMAGE_BYTES_MAX: usize = 131_072;
}

/// One hop that a host has proved by signing its session id
/// (OpenSSH PROTOCOL.agent, `session-bind@openssh.com`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionBind {
    /// SSH wire blob of the host key.
    pub host_key: Vec<u8>,
    /// The session identifier of that SSH connection.
    pub session_id: Vec<u8>,
    /// The host key's signature over `session_id`, SSH wire.
    pub signature: Vec<u8>,
    /// Whether the connection was opened to forward the agent.
    pub forwarding: bool,
}

/// Kind 9: make a key at the keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeKeyRequest {
    /// The name it shall have there.
    pub name: Name,
    /// An [`crate::Algorithm`]'s name; one that the keeper does not know is `unsupported`.
    pub algorithm: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_numbers_agree() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
        }
        // 3 decrypt and 8, 10 to 14 are reserved for later parts.
        for number in [0, 3, 8, 10, 11, 12, 13, 14, 15, 255] {
            assert_eq!(Kind::from_number(number), None);
        }
    }
}
