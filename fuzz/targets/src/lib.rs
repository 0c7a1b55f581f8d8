//! What the fuzzers run, as plain functions.
