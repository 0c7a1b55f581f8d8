//! Moves bytes: relay client, TCP, TLS
