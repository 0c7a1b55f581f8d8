//! The nouns of Keystead: names, ids, requests, decisions, the log chain and [`Secret`].
//!
//! **Invariant**: nothing here does I/O, waits, reads a clock or draws
//! randomness, and no value that holds a secret can be printed, copied or
//! compared in variable time.

mod hash;
pub mod hex;
mod identity;
mod ids;
mod key;
mod key_server;
mod log;
mod name;
mod request;
mod response;
mod secret;

pub use hash::{Hasher, hash, labelled_hash};
pub use identity::{
    Curve, Derivation, Identity, IdentityError, IdentityParts, Protocol, UnknownCurve,
};
pub use ids::{KeyId, PairingId, RequestHash, RequestId, UnreadableHex, WalletFingerprint};
pub use key::{Algorithm, KeyEntry, KeyType, Purpose, Purposes, UnknownAlgorithm, UnknownKeyType};
pub use key_server::{
    ApproveServerRequest, LocalKey, MakeApprovalKeyRequest, OpenLocalRequest, ServerApproval,
};
pub use log::{Checked, LogChain, LogEntry, LogTail, ReceiptChain};
pub use name::{Name, NameError, is_unsafe_to_show};
pub use request::{
    Certificates, Constraints, DecryptForm, DecryptRequest, Evidence, ImportRequest, Intent,
    KeyForm, Kind, LockRequest, MakeKeyRequest, PublicKeyRequest, Request, RequestBody,
    SessionBind, SignForm, SignRequest,
};
pub use response::{
    AckResponse, Decision, Host, MeResponse, Outcome, Plaintext, Receipt, Response, ResponseBody,
    SignedReceipt, TransportAddress,
};
pub use secret::{Secret, SecretBytes};
