//! The log and its one writer: no entry, no answer.

mod block;
mod edge;
