//! What SSH clients, agents and `git` with `gpg.format=ssh` put on the wire.
//!
//! | module | reads and writes |
//! |---|---|
//! | [`wire`] | the data types of RFC 4251 §5 |
//! | [`agent`] | the agent protocol, RFC 9987 |
//! | [`key`], [`certificate`], [`line`] | public keys: blobs, certificates, `authorized_keys` lines |
//! | [`signature`] | signature blobs, encoded and verified |
//! | [`userauth`], [`sshsig`], [`to_be_signed`] | what an agent is asked to sign |
//! | [`built`] | what a key server signs, built from fields |
//! | [`bind`] | `session-bind@openssh.com`, which proves the destination |
//! | [`constraint`] | `restrict-destination-v00@openssh.com`: where a key may be used |
//! | [`client_config`] | the block of `keystead ssh setup` |
//! | [`known_hosts`], [`destination`], [`config_names`] | names of a host key, candidates only |
//! | [`pattern`] | `*` and `?` in names |

pub mod agent;
pub mod bind;
pub mod built;
pub mod certificate;
pub mod client_config;
pub mod config_names;
pub mod constraint;
pub mod destination;
pub mod key;
pub mod known_hosts;
pub mod line;
pub mod pattern;
pub mod signature;
pub mod sshsig;
pub mod to_be_signed;
pub mod userauth;
pub mod wire;

pub use bind::SessionBind;
pub use key::{Curve, PublicKey};
pub use to_be_signed::ToBeSigned;
pub use wire::ParseError;
