//! The keeper that speaks to a Trezor, over real UDP, before a device that was written from the
//! public definitions alone: what both make of the same words is what real firmware makes.
#![cfg(test)]

mod bench;
#[path = "../../src/bin/simulated-trezor/derive.rs"]
mod derive;
#[expect(dead_code, reason = "what the program reads of its options")]
#[path = "../../src/bin/simulated-trezor/device.rs"]
mod device;
mod faults;
mod persons;
mod vectors;
#[path = "../../src/bin/simulated-trezor/wire.rs"]
mod wire;
