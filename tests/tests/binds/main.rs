//! Proofs of a destination that do not hold together (`session-bind@openssh.com`,
//! PROTOCOL.agent of OpenSSH): each is refused, and others are served meanwhile.

#[cfg(test)]
mod proofs;
