//! Names, ids, requests, decisions, the log chain and Secret: the nouns of Keystead
