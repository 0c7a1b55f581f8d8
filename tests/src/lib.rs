//! Acceptance scripts and the tests that need whole programs.
