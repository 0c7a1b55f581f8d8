//! What serving programs share: sockets, peer uid, frame limits, signals, clock, randomness, disk
