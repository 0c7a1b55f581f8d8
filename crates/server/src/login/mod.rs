//! Registration, login, resumption, and what limits guesses.
