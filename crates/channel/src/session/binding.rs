//! What a session is bound to.
//!
//! **Invariant**: server, hellos, handle, kind and TLS connection all stand in OPAQUE's context:
//! a login that was meant for another of them fails at both ends.

use super::SUITE;
use super::frame::Handle;
use super::hello::{BindingKind, Hellos};
use super::ids::ServerId;

/// The TLS connection that a session is bound to, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// None that both ends see.
    Unbound,
    /// Its `EXPORTER-Channel-Binding` (RFC 9266), empty context.
    Exporter([u8; 32]),
}

impl Binding {
    /// What is said of it in frames.
    #[must_use]
    pub fn kind(&self) -> BindingKind {
        match self {
            Self::Unbound => BindingKind::Unbound,
            Self::Exporter(_) => BindingKind::Exporter,
        }
    }

    /// L(exporter or empty).
    pub(super) fn push_to(&self, out: &mut Vec<u8>) {
        let exporter = match self {
            Self::Unbound => [].as_slice(),
            Self::Exporter(bytes) => bytes.as_slice(),
        };
        let length = u16::try_from(exporter.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(exporter);
    }
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// Completes a registration, and nothing else.
    Registration,
    /// Asks.
    Request,
}

/// The context of OPAQUE (RFC 9807 section 6.4): a login elsewhere is no login here.
pub(super) fn context(
    kind: SessionKind,
    binding: &Binding,
    server: &ServerId,
    hellos: &Hellos,
    handle: Handle,
) -> Vec<u8> {
    let mut out = b"keystead/1".to_vec();
    let kind = match kind {
        SessionKind::Registration => 1,
        SessionKind::Request => 2,
    };
    let binding_byte = match binding {
        Binding::Unbound => 0,
        Binding::Exporter(_) => 1,
    };
    out.extend_from_slice(&[SUITE, kind, binding_byte]);
    binding.push_to(&mut out);
    out.extend_from_slice(&server.0);
    out.extend_from_slice(&hellos.client);
    out.extend_from_slice(&hellos.server);
    out.extend_from_slice(&handle.0.to_be_bytes());
    out
}
