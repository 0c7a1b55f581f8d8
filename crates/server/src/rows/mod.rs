//! What the tables hold, one type a table.
