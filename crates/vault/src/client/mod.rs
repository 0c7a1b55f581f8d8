//! What a client of a key server seals: storage key, secrets, labels, and copies that stay here.
//!
//! **Invariant:** the data associated with a box is built from what was asked for, never from
//! what came with the box: a server that answers with another of the user's secrets, another
//! user's, or one of another type, gives nothing that opens. Keys are drawn or derived here,
//! lie in locked memory, and have no `Clone` and no `Debug`.
//!
//! | key | from | seals |
//! |---|---|---|
//! | [`MasterKey`] | `export_key` of a login | the storage key |
//! | [`StorageKey`] | drawn at registration | secrets and their labels |
//! | [`LocalKey`] | drawn here | copies on this machine; opened by passphrase or authenticator |
//! | [`NamesKey`] | drawn here, in a 0600 file | what is known here of names |
//!
//! seal(k, ad, m) = 24 random bytes ‖ XChaCha20-Poly1305 (`spec/session.md` section 1).

mod copy;
mod encoding;
mod kind;
mod local;
mod master;
mod names;
mod portable;
mod recovery;
mod seal;
mod storage;
mod value;

pub use copy::{Copied, LocalCopy};
pub use encoding::{Brought, EncodingError, Form};
pub use local::{AuthenticatorSlot, LocalError, LocalKey};
pub use master::MasterKey;
pub use names::NamesKey;
pub use portable::Portable;
pub use recovery::{RecoveryCode, RecoveryCodeFault};
pub use seal::NotOpened;
pub use storage::{Place, StorageKey};
pub use value::Value;
