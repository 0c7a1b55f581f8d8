//! The database: one transaction is a read set, a pure function and a write set.
