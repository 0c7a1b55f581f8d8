//! What this client has seen of a server's log, and the checks against it. Pure.
