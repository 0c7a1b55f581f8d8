//! age: recipients, identities of our plugin, X25519 stanzas and the plugin protocol
//! (C2SP `age.md` and `age-plugin.md`).
//!
//! **Invariant:** no private key of anybody is here. Opening a stanza is the keeper's; wrapping to
//! a recipient needs an ephemeral key, which aws-lc makes, uses once and drops inside
//! [`x25519::wrap`].
//!
//! | module | holds |
//! |---|---|
//! | [`bech32`] | the text form of keys |
//! | [`identity`] | `age1…` and `AGE-PLUGIN-KEYSTEAD-1…` |
//! | [`stanza`] | the lines that header and plugin protocol are made of |
//! | [`x25519`] | stanzas of plain `age1…` recipients |
//! | [`plugin`] | what a plugin is told, and what it says |

pub mod bech32;
pub mod identity;
pub mod plugin;
pub mod stanza;
pub mod x25519;

pub use identity::PluginIdentity;
pub use stanza::{Stanza, StanzaReader};
