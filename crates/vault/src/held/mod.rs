//! Keys that a key server holds for its users.
