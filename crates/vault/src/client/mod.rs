//! What a client of a key server seals: storage key, secrets, labels, local copies.
