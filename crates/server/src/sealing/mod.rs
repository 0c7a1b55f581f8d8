//! Rows sealed under data keys, data keys under the master key.
