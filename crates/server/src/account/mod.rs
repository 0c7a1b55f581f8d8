//! What an account's owner asks for the account itself.
