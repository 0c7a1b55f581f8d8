//! The only crate that can hold a private key
