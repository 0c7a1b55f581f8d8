//! One connection: frames in, frames out.
