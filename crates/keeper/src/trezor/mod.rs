//! A Trezor as a keeper: a hardware wallet on a cable, or its emulator.
//!
//! **Invariant**: everything here decides and nothing carries. Bytes, time and the person's
//! answers come in with each [`Machine::step`], and what is to be done goes out as [`Action`]s. A
//! signature is given on only when it is that of the key that was asked for over just what was to
//! be signed; a PIN and a passphrase are held no longer than [`PASSPHRASE_LIFE_MS`].
//!
//! | module | knows |
//! |---|---|
//! | [`report`] | messages in reports of 64 bytes |
//! | [`messages`] | the messages, field by field |
//! | [`mod@path`] | the way from an identity to its key (SLIP-0013, SLIP-0017) |
//! | `proof` | whether a signature holds; how a device's points become ours |
//! | `job` | what is asked of the device, one message after another |
//! | `machine` | one device: who waits, what it asks the person, when it ends |
//! | `words` | what a person is told |

mod event;
mod job;
mod machine;
pub mod messages;
mod minisign;
pub mod path;
mod proof;
mod protobuf;
pub mod report;
mod words;

pub use event::{
    Action, Answer, Event, LinkEvent, LinkFault, Opened, Question, QuestionId, SecretReport,
};
pub use machine::{Machine, PASSPHRASE_LIFE_MS, Setup};
pub use protobuf::ProtobufError;
pub use report::Reports;
pub use words::Fault;

/// The cable, for who carries.
pub use keystead_transport::{
    Report, TrezorDown, TrezorEvent, TrezorLink, TrezorPath, TrezorPathError,
};
