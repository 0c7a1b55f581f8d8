//! The network against real sockets, in one binary.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the event that it awaits; any other fails it"
)]

#[cfg(test)]
mod fake;
#[cfg(test)]
mod links;
#[cfg(test)]
mod real_relay;
#[cfg(test)]
mod relay;
