//! Why a test cannot go on, in a sentence.

use std::fmt;

/// A sentence; a test shows it and fails.
pub struct Failure(String);

impl Failure {
    /// Takes the sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// A test that returns an error shows it by `Debug`.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// What everything fallible here returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// Names what an error was about.
pub trait About<T> {
    /// Puts `what` before the error's own words.
    ///
    /// # Errors
    /// The same, named.
    fn about(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> About<T> for std::result::Result<T, E> {
    fn about(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}
