//! A blind mailbox over HTTP long poll and WebSocket
