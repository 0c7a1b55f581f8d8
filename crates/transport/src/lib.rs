//! Moves bytes and reads nothing of them: relay mailboxes over WebSocket or
//! HTTP long poll, TCP connections and Unix sockets.
//!
//! **Invariant:** what goes in comes out unchanged, in order within one mailbox
//! or link, and nothing here depends on its meaning. Everything this crate
//! carries is untrusted at the far end and is treated so there; here it is only
//! bounded. Deciding code sees [`NetAction`] and [`NetEvent`], never a socket,
//! so that a simulated network can stand in for [`Net`].

mod address;
mod connect;
mod event;
mod link;
mod net;
mod pause;
mod relay;
mod relay_url;
mod secure;
mod trezor;

pub use address::{Address, AddressError};
pub use event::{LinkId, MailboxId, NetAction, NetEvent, ReadToken, WriteToken};
pub use net::{Net, NetOptions, StartError};
pub use relay_url::{RELAY_URL_BYTES_MAX, RelayUrl, RelayUrlError};
pub use secure::{
    ALPN, Authorities, CertificateFault, PORT, SecureConnector, SecureError, SecureStream, Trust,
    TrustError,
};
pub use trezor::{
    REPORT_BYTES, Report, TrezorDown, TrezorEvent, TrezorLink, TrezorPath, TrezorPathError,
};
