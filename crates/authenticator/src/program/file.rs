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
    match file == Path::new("-") {
        true => bounded(io::stdin()),
        false => bounded(File::open(file)?),
    }
}

/// All of it or nothing: what is cut off would be missed by nobody.
fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(RECORD_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    from.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() <= RECORD_BYTES_MAX {
        true => Ok(bytes),
        false => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {RECORD_BYTES_MAX} bytes"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_not_cut() {
        let fits = bounded(io::repeat(b'a').take(2_097_152));
        assert_eq!(fits.unwrap().len(), RECORD_BYTES_MAX);
        let long = bounded(io::repeat(b'a')).unwrap_err();
        assert_eq!(long.to_string(), "it has more than 2097152 bytes");
    }
}
