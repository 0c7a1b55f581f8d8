//! The client library: reaches a key that lives elsewhere
