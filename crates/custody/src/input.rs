//! Where a secret comes from: a file, a descriptor, the terminal.
//!
//! **Invariant:** its bytes go straight into locked memory, whole or not at all.

use std::fs::File;
use std::io;
use std::path::Path;

use keystead_core::SecretBytes;
use rustix::fd::AsFd;

use crate::arguments::Input;
use crate::failure::Failure;
use crate::prompt::Given;
use crate::terminal;

/// Reads what the options name; a line of the terminal without one, if `typed` names what it is.
pub(crate) fn read(
    input: &Input,
    given: &mut Given,
    typed: Option<&str>,
) -> Result<SecretBytes, Failure> {
    match (&input.from_file, input.from_fd) {
        (Some(file), _) => of_file(file),
        (None, Some(fd)) => to_end(given.rest_of(fd)?, &format!("descriptor {fd}")),
        (None, None) => match typed {
            Some(what) => terminal::typed(&format!("{what}: "), "--from-fd or --from-file"),
            None => Err(Failure::usage("which file?")
                .hint("name it with --from-file FILE, or a descriptor with --from-fd N")),
        },
    }
}

fn of_file(path: &Path) -> Result<SecretBytes, Failure> {
    let name = path.display().to_string();
    let file = File::open(path)
        .map_err(|error| Failure::new(format!("{name} cannot be read: {error}")))?;
    to_end(file, &name)
}

fn to_end(from: impl AsFd, name: &str) -> Result<SecretBytes, Failure> {
    let mut bytes = SecretBytes::fill(SECRET_BYTES_MAX + 1, |_| ());
    let mut len = 0;
    while let Some(room) = bytes
        .expose_mut()
        .get_mut(len..)
        .filter(|it| !it.is_empty())
    {
        match rustix::io::read(&from, room).map_err(io::Error::from) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::new(format!("{name} cannot be read: {error}"))),
        }
    }
    bytes.truncate(len);
    match len {
        0 => Err(Failure::usage(format!("{name} is empty"))),
        _ if len > SECRET_BYTES_MAX => Err(Failure::usage(format!(
            "{name} has more than {SECRET_BYTES_MAX} bytes"
        ))),
        _ => Ok(bytes),
    }
}

/// 65,536 bytes: what a server takes (`spec/session.md` section 8).
const SECRET_BYTES_MAX: usize = keystead_vault::held::ARBITRARY_BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &[u8], expected: Result<usize, &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        let input = Input {
            from_file: Some(path),
            from_fd: None,
        };
        match (read(&input, &mut Given::default(), None), expected) {
            (Ok(bytes), Ok(len)) => {
                assert_eq!(bytes.len(), len);
                assert_eq!(bytes.expose(), content);
            }
            (Err(failure), Err(said)) => {
                assert!(failure.message.contains(said), "{}", failure.message);
            }
            (read, _) => panic!("{:?}", read.err()),
        }
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        check(b"x", Ok(1));
        check(b"two\nlines\n", Ok(10));
        check(&[7; 65_536], Ok(65_536));
        check(&[7; 65_537], Err("more than 65536 bytes"));
        check(b"", Err("is empty"));
    }
}
