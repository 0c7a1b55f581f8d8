//! Whole Keystead in one seeded process: agents, authenticators, a relay, and
//! a network, disks, clocks and people that do their worst.
//!
//! Everything that decides is the program's own (`Agent`, `Holder`, `Relay`);
//! what carries (sockets, the relay client of `transport`, terminals) is played
//! here. A failure names its seed; `KEYSTEAD_SEED=N` runs that one alone and
//! prints what happened.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it awaits; anything else is for another test"
)]

#[cfg(test)]
mod authenticator;
#[cfg(test)]
mod line;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod offers;
#[cfg(test)]
mod pairing;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod signing;
#[cfg(test)]
mod storm;
#[cfg(test)]
mod tcp;
#[cfg(test)]
mod unpairing;
#[cfg(test)]
mod workstation;
#[cfg(test)]
mod world;
