//! What the server tells of itself in numbers.
