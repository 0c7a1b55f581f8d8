//! What must hold before a key is used.
