//! Keepers against an authenticator of the tests' own, over a relay and TCP
//! that drop, delay, repeat, reorder and flip, in one seeded process.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it awaits; anything else is for another test"
)]

#[cfg(test)]
mod asking;
#[cfg(test)]
mod custody;
#[cfg(test)]
mod ending;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod looking;
#[cfg(test)]
mod pairing;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod world;
