//! What the operator asks of a running server.
