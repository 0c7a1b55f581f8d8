//! What is found wrong when the log is read.

use crate::store::StoreError;

/// Why a part of the log cannot be given out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The database is away.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// It is there, and is not what was written.
    #[error("{0}")]
    Corrupt(#[from] Corrupt),
}

/// Which part is not what was written. The operator is told; the client sees the code
/// `corrupt`, and from the cursor that it asked for, which entry it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// The place of an account's entry is missing or names another's.
    #[error("entry {user_seq} of account {account} is not in the index")]
    Index {
        /// The account's number.
        account: i64,
        /// Which of its entries.
        user_seq: u64,
    },
    /// A leaf is missing, does not open, or does not hash to its place.
    #[error("leaf {index} of the log is not what was written")]
    Leaf {
        /// Which.
        index: u64,
    },
    /// Hashes of the tree do not lead to its signed root.
    #[error("hashes of the log's tree do not lead from leaf {index} to the signed root")]
    Tree {
        /// Where a path began, or the size of an older tree.
        index: u64,
    },
    /// The account's chain does not end where its row says.
    #[error("the chain of account {account} does not end where it should")]
    Chain {
        /// The account's number.
        account: i64,
    },
}
