//! What serving programs share: clock, randomness and disk as small
//! interfaces, folders, Unix sockets, frames, and being a good process.
//!
//! **Invariant:** nothing here knows what is served, and nothing here is
//! cryptography. What agent, relay and authenticator *decide* takes a
//! [`clock::Now`] and an [`Io`] as arguments, so that a whole system runs in
//! one seeded process; only the edge touches the machine.

pub mod askpass;
pub mod clock;
pub mod disk;
pub mod frame;
mod hang_up;
pub mod home;
pub mod line;
pub mod process;
pub mod rng;
pub mod socket;
pub mod stall;
pub mod terminal;
pub mod websocket;

pub use clock::{Clock, Now, SimClock, SystemClock, utc};
pub use disk::{Disk, FolderDisk, MemoryDisk, Sync};
pub use hang_up::HangUp;
pub use rng::SystemRng;

/// What a deciding `step` may touch: randomness and its own folder.
///
/// Time is not in it: it comes with each event as a [`Now`].
pub struct Io<'a> {
    /// Randomness; seeded in simulations.
    pub rng: &'a mut dyn rand_core::CryptoRngCore,
    /// The program's own state folder.
    pub disk: &'a mut dyn Disk,
}
