//! Sockets: TLS, WebSocket, metrics.
