//! Numbers of `MessageType` and of what stands in its messages (trezor-firmware,
//! `common/protob/messages.proto`, `messages-common.proto`).

pub(super) const INITIALIZE: u16 = 0;
pub(super) const PING: u16 = 1;
pub(super) const SUCCESS: u16 = 2;
pub(super) const FAILURE: u16 = 3;
pub(super) const GET_PUBLIC_KEY: u16 = 11;
pub(super) const PUBLIC_KEY: u16 = 12;
pub(super) const FEATURES: u16 = 17;
pub(super) const PIN_MATRIX_REQUEST: u16 = 18;
pub(super) const PIN_MATRIX_ACK: u16 = 19;
pub(super) const CANCEL: u16 = 20;
pub(super) const LOCK_DEVICE: u16 = 24;
pub(super) const BUTTON_REQUEST: u16 = 26;
pub(super) const BUTTON_ACK: u16 = 27;
pub(super) const APPLY_FLAGS: u16 = 28;
pub(super) const PASSPHRASE_REQUEST: u16 = 41;
pub(super) const PASSPHRASE_ACK: u16 = 42;
pub(super) const SIGN_IDENTITY: u16 = 53;
pub(super) const SIGNED_IDENTITY: u16 = 54;
pub(super) const GET_FEATURES: u16 = 55;
pub(super) const GET_ECDH_SESSION_KEY: u16 = 61;
pub(super) const ECDH_SESSION_KEY: u16 = 62;
pub(super) const PASSPHRASE_STATE_REQUEST: u16 = 77;
pub(super) const PASSPHRASE_STATE_ACK: u16 = 78;
pub(super) const END_SESSION: u16 = 83;

/// `FailureType`.
pub(super) const UNEXPECTED_MESSAGE: u64 = 1;
/// `Failure_DataError`.
pub(super) const NOT_TAKEN: u64 = 3;
pub(super) const ACTION_CANCELLED: u64 = 4;
pub(super) const PIN_CANCELLED: u64 = 6;
pub(super) const PIN_INVALID: u64 = 7;
pub(super) const NOT_INITIALIZED: u64 = 11;
pub(super) const BUSY: u64 = 15;
pub(super) const INVALID_PROTOCOL: u64 = 17;

/// `ButtonRequestType`.
pub(super) const BUTTON_OTHER: u64 = 1;
pub(super) const BUTTON_PROTECT_CALL: u64 = 7;
pub(super) const BUTTON_ADDRESS: u64 = 10;
pub(super) const BUTTON_PASSPHRASE: u64 = 19;
pub(super) const BUTTON_PIN: u64 = 20;
