//! Key servers as keepers: connections, sessions, what is known of their logs.

pub mod seen;
