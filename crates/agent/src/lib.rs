//! Speaks to local programs, decides which keeper to ask and whether, and logs it
