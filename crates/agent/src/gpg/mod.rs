//! The front end for `gpg`: a conversation in Assuan between gpg and the ordinary gpg-agent, in
//! which commands for keys that keepers hold are answered here.
//!
//! **Invariant:** every command gets exactly one answer, in its order. What is not for a key of
//! [`KeyMap`] passes unchanged both ways; what is, never reaches the ordinary agent. No I/O.

mod conversation;
mod deeds;
mod events;
mod keys;
mod requests;
mod text;

pub use conversation::{Conversation, Own};
pub use events::{Action, Answer, Ask, Bring, Event, Failure, Job};
pub use keys::{FILE_NAME, KeyMap, KeyMapError, MappedKey};
pub use text::{Signer, preimage};
