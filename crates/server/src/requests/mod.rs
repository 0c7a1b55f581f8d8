//! What an open session may ask for keys and secrets.
