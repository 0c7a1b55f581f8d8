//! Pairing, the curve channel and requests: untrusted bytes become authenticated messages
