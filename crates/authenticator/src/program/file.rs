//! A file that a command is given.
//!
//! **Invariant**: no more of it is read than anything here may be long.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::failure::Failure;
use crate::identities::RECORD_BYTES_MAX;

/// Reads a file, or standard input for `-`.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    read_bounded(file).map_err(|error| {
        Failure::new(
            format!("{} cannot be read: {error}", file.display()),
            "name a file, or - for standard input",
        )
    })
}

fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(RECORD_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().take(limit).read_to_end(&mut bytes)?;
    } else {
        File::open(file)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
