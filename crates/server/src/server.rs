//! What every part of a running server shares.
