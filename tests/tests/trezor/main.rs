//! The keeper that speaks to a Trezor, over real UDP, before a device that was written from the
//! public definitions alone: what both make of the same words is what real firmware makes.
#![cfg(test)]

#[path = "../../src/bin/simulated-trezor/answers.rs"]
mod answers;
mod bench;
#[path = "../../src/bin/simulated-trezor/derive.rs"]
mod derive;
#[path = "../../src/bin/simulated-trezor/device.rs"]
mod device;
mod faults;
#[path = "../../src/bin/simulated-trezor/numbers.rs"]
mod numbers;
mod persons;
#[expect(dead_code, reason = "what the program reads of its options")]
#[path = "../../src/bin/simulated-trezor/setup.rs"]
mod setup;
mod vectors;
#[path = "../../src/bin/simulated-trezor/wire.rs"]
mod wire;
