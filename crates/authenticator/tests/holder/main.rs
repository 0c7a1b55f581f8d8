//! The holder's rules, end to end over simulated time, disk and network.

mod decisions;
mod disk;
mod ids;
mod judging;
mod login;
mod pairing;
mod world;
