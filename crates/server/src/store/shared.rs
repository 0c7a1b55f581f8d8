//! What both databases do around a transaction, without touching either.
//!
//! **Invariant**: a head that went back is never decided over, and a head row is written
//! with every batch, whose id settles a COMMIT without an answer.
