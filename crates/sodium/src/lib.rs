//! libsodium and locked memory behind safe functions
