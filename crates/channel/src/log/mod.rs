//! The log of a key server: leaves, tree, checkpoints, proofs (`spec/audit.md`). Pure; both ends.
