//! Rows changed behind the server's back: every answer is the one before, or an error.
