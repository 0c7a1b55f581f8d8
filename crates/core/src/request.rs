//! What is asked of a keeper (`spec/pairing.md` section 5).

use crate::{
    ApproveServerRequest, Identity, KeyId, MakeApprovalKeyRequest, Name, OpenLocalRequest, Purpose,
    RequestId, Secret, SecretBytes, WalletFingerprint,
};

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
    /// 3: decrypt.
    Decrypt,
    /// 4: at which hosts was a key used?
    Hosts,
    /// 5: the pairing ends.
    Unpair,
    /// 6: store the pairing.
    Confirm,
    /// 7: a request is withdrawn.
    Cancel,
    /// 8: the public key of an identity.
    PublicKey,
    /// 9: make a key.
    MakeKey,
    /// 10: take a key into custody.
    Import,
    /// 11: forget keys that were imported.
    Remove,
    /// 12: lock or unlock what was imported.
    Lock,
    /// 13: approve what a key server is asked to do.
    ApproveServer,
    /// 14: make the key that approves for a server.
    MakeApprovalKey,
    /// 15: open local copies of secrets.
    OpenLocal,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Me,
        Self::Sign,
        Self::Decrypt,
        Self::Hosts,
        Self::Unpair,
        Self::Confirm,
        Self::Cancel,
        Self::PublicKey,
        Self::MakeKey,
        Self::Import,
        Self::Remove,
        Self::Lock,
        Self::ApproveServer,
        Self::MakeApprovalKey,
        Self::OpenLocal,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Me => 1,
            Self::Sign => 2,
            Self::Decrypt => 3,
            Self::Hosts => 4,
            Self::Unpair => 5,
            Self::Confirm => 6,
            Self::Cancel => 7,
            Self::PublicKey => 8,
            Self::MakeKey => 9,
            Self::Import => 10,
            Self::Remove => 11,
            Self::Lock => 12,
            Self::ApproveServer => 13,
            Self::MakeApprovalKey => 14,
            Self::OpenLocal => 15,
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
            Self::Decrypt => "decrypt",
            Self::Hosts => "hosts",
            Self::Unpair => "unpair",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::PublicKey => "public-key",
            Self::MakeKey => "make-key",
            Self::Import => "import",
            Self::Remove => "remove",
            Self::Lock => "lock",
            Self::ApproveServer => "approve-server",
            Self::MakeApprovalKey => "make-approval-key",
            Self::OpenLocal => "open-local",
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
    /// 3 `decrypt_request`.
    Decrypt(DecryptRequest),
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
    /// 8: the public key of an identity.
    PublicKey(PublicKeyRequest),
    /// 9: make a key at the keeper.
    MakeKey(MakeKeyRequest),
    /// 10: take a key into custody.
    Import(ImportRequest),
    /// 11: forget keys that were imported; none named means all that this asker brought.
    Remove {
        /// At most [`RequestBody::REMOVED_MAX`].
        keys: Vec<KeyId>,
    },
    /// 12: lock or unlock what was imported (RFC 9987 section 3.7).
    Lock(LockRequest),
    /// 13: approve what a key server is asked to do.
    ApproveServer(ApproveServerRequest),
    /// 14: make the key that approves for a server.
    MakeApprovalKey(MakeApprovalKeyRequest),
    /// 15: open local copies of secrets.
    OpenLocal(OpenLocalRequest),
}

impl RequestBody {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Me { .. } => Kind::Me,
            Self::Sign(_) => Kind::Sign,
            Self::Decrypt(_) => Kind::Decrypt,
            Self::Hosts => Kind::Hosts,
            Self::Unpair => Kind::Unpair,
            Self::Confirm { .. } => Kind::Confirm,
            Self::Cancel { .. } => Kind::Cancel,
            Self::PublicKey(_) => Kind::PublicKey,
            Self::MakeKey(_) => Kind::MakeKey,
            Self::Import(_) => Kind::Import,
            Self::Remove { .. } => Kind::Remove,
            Self::Lock(_) => Kind::Lock,
            Self::ApproveServer(_) => Kind::ApproveServer,
            Self::MakeApprovalKey(_) => Kind::MakeApprovalKey,
            Self::OpenLocal(_) => Kind::OpenLocal,
        }
    }

    /// 256 keys in one [`RequestBody::Remove`].
    pub const REMOVED_MAX: usize = 256;
}

/// How the bytes of a sign request are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignForm {
    /// 1: the whole SSH blob; the answer is an SSH signature as on the wire.
    Ssh,
    /// 2: the number of OpenPGP's hash (u8), then the digest; the answer is r ‖ s (64 bytes, RFC
    /// 9580 section 5.2.3 takes them apart), or RSA's number.
    OpenPgp,
    /// 3: a CBOR map of what minisign signs; the answer is the signature (64 bytes), then the one
    /// over it and the trusted comment (64 bytes).
    Minisign,
}

impl SignForm {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Ssh, Self::OpenPgp, Self::Minisign];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ssh => 1,
            Self::OpenPgp => 2,
            Self::Minisign => 3,
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
    /// From what a wallet derives the key; `key` is its public half's hash even so.
    pub identity: Option<Identity>,
}

/// 3 `decrypt_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecryptRequest {
    /// Which key.
    pub key: KeyId,
    /// How `content` is to be read.
    pub form: DecryptForm,
    /// At most [`DecryptRequest::CONTENT_BYTES_MAX`].
    pub content: Vec<u8>,
    /// What the workstation can show for it.
    pub evidence: Evidence,
    /// From what a wallet derives the key.
    pub identity: Option<Identity>,
}

impl DecryptRequest {
    /// 16,384 bytes: as a public key or signature; RSA's longest number has 1,024.
    pub const CONTENT_BYTES_MAX: usize = 16_384;
}

/// How the bytes of a decrypt request are to be read, and what comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecryptForm {
    /// 1: a point, encoded as the key's own public half; the point that both share comes back.
    Point,
    /// 2: age's X25519 stanza: ephemeral share (32) ‖ wrapped file key (32); the file key (16)
    /// comes back. Tried before anybody is asked.
    Age,
}

impl DecryptForm {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Point, Self::Age];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Point => 1,
            Self::Age => 2,
        }
    }
}

/// 8: the public key of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeyRequest {
    /// Which.
    pub identity: Identity,
    /// Of this wallet alone; none where any will do.
    pub wallet: Option<WalletFingerprint>,
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
    /// Its command line, at most [`Evidence::ARGUMENTS_MAX`] arguments.
    pub arguments: Vec<String>,
    /// The files that it works on, as its command line names them, at most
    /// [`Evidence::FILES_MAX`].
    pub files: Vec<String>,
    /// The paths of the programs that started it, the nearest first, at most
    /// [`Evidence::PARENTS_MAX`].
    pub parents: Vec<String>,
    /// What this request is one part of.
    pub intent: Option<Intent>,
    /// The OpenPGP user id whose key it is.
    pub user_id: Option<String>,
    /// Nobody sits at a terminal of that program.
    pub is_background: bool,
}

/// One act of a person that makes several requests: the commits of a rebase, the hosts of a run.
/// Requests of one pairing with the same intent may be one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The same for all requests of the act; drawn or derived by the workstation.
    pub id: [u8; 16],
    /// In words, for example `git rebase`.
    pub what: String,
    /// How many requests of the act are still to come, this one among them, where that is known:
    /// 14, 13, 12 … under one id.
    pub count: Option<u32>,
}

impl Evidence {
    /// 16 hops: as many as OpenSSH's own agent keeps (`AGENT_MAX_SESSION_IDS`).
    pub const BINDS_MAX: usize = 16;
    /// 16 candidate names of a host.
    pub const HOST_NAMES_MAX: usize = 16;
    /// 128 KiB: the longest preimage that is sent along.
    pub const PREIMAGE_BYTES_MAX: usize = 131_072;
    /// 64 arguments of a command line.
    pub const ARGUMENTS_MAX: usize = 64;
    /// 16 files.
    pub const FILES_MAX: usize = 16;
    /// 8 programs up the tree of processes.
    pub const PARENTS_MAX: usize = 8;
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
    /// A [`crate::KeyType`]'s name; one that the keeper does not know is `unsupported`.
    pub algorithm: String,
    /// What it shall be for, as in [`crate::Purposes`]; none leaves it to the keeper: what SSH
    /// does.
    pub purposes: Vec<Purpose>,
}

impl MakeKeyRequest {
    /// 8 purposes of one key.
    pub const PURPOSES_MAX: usize = 8;
}

/// Kind 10: take a key into custody. Who passes it on reads only lengths and constraints.
pub struct ImportRequest {
    /// How `key` is encoded.
    pub form: KeyForm,
    /// The key, opaque to all but its last keeper.
    pub key: SecretBytes,
    /// What opens `key`: a file's passphrase, a token's PIN.
    pub passphrase: Option<SecretBytes>,
    /// The name it shall have there; none leaves it to the keeper.
    pub name: Option<Name>,
    /// Each is enforced by the keeper, or the import is refused.
    pub constraints: Constraints,
    /// What it shall be for, as in [`MakeKeyRequest`]; none leaves it to the keeper: what SSH
    /// does.
    pub purposes: Vec<Purpose>,
}

/// How an imported key is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyForm {
    /// 1: key type (string) and the fields behind it, of `SSH_AGENTC_ADD_IDENTITY` (RFC 9987
    /// section 3.2); neither comment nor constraints.
    Agent,
    /// 2: a file: `openssh-key-v1`, or PKCS#8, as PEM.
    File,
    /// 3: all keys of a PKCS#11 token; the bytes are the path of its provider. Local
    /// authenticators alone.
    Token,
}

impl KeyForm {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Agent, Self::File, Self::Token];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Agent => 1,
            Self::File => 2,
            Self::Token => 3,
        }
    }
}

/// Limits on the use of an imported key (RFC 9987 section 3.2.7, OpenSSH PROTOCOL.agent).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Forget it after so many seconds.
    pub lifetime_s: Option<u32>,
    /// Ask before each use: no grant applies.
    pub confirm: bool,
    /// The content of `restrict-destination-v00@openssh.com`, its outer string taken off.
    pub destinations: Option<Vec<u8>>,
    /// `sk-provider@openssh.com`: the library that speaks to a FIDO token.
    pub sk_provider: Option<String>,
    /// `associated-certs-v00@openssh.com`: certificates of a token's keys.
    pub certificates: Option<Certificates>,
}

/// Certificates that go with the keys of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// The plain keys are not to be offered.
    pub only: bool,
    /// SSH wire blobs.
    pub blobs: Vec<Vec<u8>>,
}

/// Kind 12: lock or unlock what was imported.
pub struct LockRequest {
    /// Lock, or unlock.
    pub lock: bool,
    /// Unlocks what it locked.
    pub passphrase: SecretBytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_numbers_agree() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind.number()), Some(kind));
        }
        for number in [0, 16, 255] {
            assert_eq!(Kind::from_number(number), None);
        }
    }
}
