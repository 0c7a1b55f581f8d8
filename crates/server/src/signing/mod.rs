//! Bytes that are signed are built here, from fields.
