//! Entries of a key server's list: which are keys, and which one a name means.

use keystead_keeper::server::protocol::requests::{Entry, Label};

use crate::failure::{Failure, Status};

/// The key of this name or id.
pub(crate) fn one_of<'a>(entries: &'a [Entry], wanted: &str) -> Result<&'a Entry, Failure> {
    let is_wanted =
        |it: &&Entry| is_key(it) && (label_of(it) == Some(wanted) || it.key.to_string() == wanted);
    let found: Vec<&Entry> = entries.iter().filter(is_wanted).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(Failure::new(format!("no key there is called {wanted:?}"))
            .hint("`keystead key list --keeper SERVER` lists them")),
        _ => Err(
            Failure::new(format!("several keys there are called {wanted:?}"))
                .hint("name it by its id (`keystead key list --keeper SERVER`)")
                .status(Status::Usage),
        ),
    }
}

/// A key that the server signs with; other entries are secrets.
pub(crate) fn is_key(entry: &Entry) -> bool {
    entry.context.is_none() && !entry.purposes.0.is_empty()
}

/// What it is called, where the server may know it.
pub(crate) fn label_of(entry: &Entry) -> Option<&str> {
    match &entry.label {
        Label::Open(text) => Some(&text.0),
        Label::Sealed(_) => None,
    }
}
