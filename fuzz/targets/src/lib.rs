//! What the fuzzers run: one plain function a decoder.
//!
//! **Invariant**: a body takes any bytes, returns, and panics only for a bug:
//! a decoder that panicked, an encoder that did not give back what was read,
//! a rule that did not hold. The stored corpus (`fuzz/corpus/NAME/*`) is
//! replayed through the same bodies by a test of this package, on stable;
//! `fuzz/libfuzzer` only wraps them.
//!
//! To add one: a function in its crate's module, a line in [`TARGETS`], and a
//! corpus of at least one file.

mod answers;
mod approval;
mod channel;
mod client;
mod files;
mod formats;
mod git;
mod gpg;
mod gpg_front;
mod identity;
mod keys;
mod local;
mod log;
mod random;
mod rules;
mod server;
mod session;
mod trezor;

/// A decoder to be fuzzed.
pub struct Target {
    /// Names its corpus.
    pub name: &'static str,
    /// What is run.
    pub body: fn(&[u8]),
}

/// Every one, by name.
pub const TARGETS: &[Target] = &[
    target("agent_rules", rules::files),
    target("age_plugin", files::age_plugin),
    target("age_texts", files::age_texts),
    target("answers", answers::answers),
    target("approval_text", approval::text),
    target("approval_unlock", approval::unlock),
    target("channel_items", channel::items),
    target("channel_link", channel::link),
    target("channel_messages", channel::messages),
    target("channel_offer", channel::offer),
    target("channel_receipt", channel::receipt),
    target("channel_request", channel::request),
    target("channel_response", channel::response),
    target("client_files", client::files),
    target("client_forms", client::forms),
    target("git_object", git::object),
    target("gpg_assuan", gpg::assuan),
    target("gpg_conversation", gpg_front::conversation),
    target("gpg_key", gpg::key),
    target("gpg_key_map", gpg_front::key_map),
    target("gpg_sexp", gpg::sexp),
    target("gpg_transfer", gpg::transfer),
    target("key_agent_form", keys::agent_form),
    target("key_approval", keys::approval),
    target("identity_texts", identity::texts),
    target("key_file", keys::file),
    target("key_sealed", keys::sealed),
    target("local_link", local::link),
    target("local_pair", local::pair),
    target("local_requests", local::requests),
    target("local_security_key", keys::security_key),
    target("log_checkpoint", log::checkpoint),
    target("log_export", log::export),
    target("log_leaf", log::leaf),
    target("minisign", files::minisign),
    target("server_certificate", server::certificate),
    target("server_proxy_header", server::proxy_header),
    target("session_answer", session::answer),
    target("session_frames", session::frames),
    target("session_invitation", session::invitation),
    target("session_names", session::names),
    target("session_request", session::request),
    target("session_set_up", session::set_up),
    target("session_ticket", session::ticket),
    target("ssh_agent", formats::agent),
    target("ssh_bind", formats::bind),
    target("ssh_certificate", formats::certificate),
    target("ssh_destinations", formats::destinations),
    target("ssh_key", formats::key),
    target("ssh_own_config", formats::own_config),
    target("ssh_sshsig", formats::sshsig),
    target("ssh_texts", formats::texts),
    target("ssh_to_be_signed", formats::to_be_signed),
    target("trezor_message", trezor::message),
    target("trezor_reports", trezor::reports),
    target("wallet_sealed", keys::wallet),
    target("wallet_words", keys::words),
];

/// The body of a target, if there is one of that name.
#[must_use]
pub fn body(name: &str) -> Option<fn(&[u8])> {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.map(|target| target.body)
}

const fn target(name: &'static str, body: fn(&[u8])) -> Target {
    Target { name, body }
}
