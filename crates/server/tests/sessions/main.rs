//! Registration, login, resumption and what an account asks about itself, against real
//! databases, without sockets.

mod common;
mod guesses;
mod registration;
mod resumption;
mod sessions;
