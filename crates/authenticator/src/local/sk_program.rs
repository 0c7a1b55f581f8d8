//! OpenSSH's `ssh-sk-helper`, which speaks to FIDO tokens: its protocol, version 5
//! (`ssh-sk.h`, `ssh-sk-client.c`, `msg.c`), as `ssh-agent` uses it.
//!
//! **Invariant**: a reply is read whole; what it brings is a signature only when the step has
//! verified it.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keystead_core::SecretBytes;
use keystead_formats::ssh::wire::{ParseError, Reader};

use super::SecurityKey;

/// What the program answers to a request for a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The signature as on the SSH wire.
    Signature(Vec<u8>),
    /// The token wants its PIN.
    PinWanted,
    /// It gave none; the number is OpenSSH's (`ssherr.h`), without its sign.
    Failed(u32),
}

impl Reply {
    /// Reads a message, its length taken off.
    ///
    /// # Errors
    /// [`ParseError`] for another version, another type, or bytes left over.
    pub fn parse(message: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(message);
        if reader.u8()? != VERSION {
            return Err(ParseError::Value);
        }
        let reply = match reader.u32()? {
            TYPE_ERROR => match reader.u32()? {
                ERROR_WRONG_PASSPHRASE => Self::PinWanted,
                error => Self::Failed(error),
            },
            TYPE_SIGN => Self::Signature(reader.string()?.to_vec()),
            _ => return Err(ParseError::Unknown),
        };
        reader.finish()?;
        Ok(reply)
    }
}

/// The request, behind its length: preamble, key, provider, content, algorithm (none: the key's
/// type tells), `compat`, PIN.
pub(super) fn request(key: &SecurityKey, content: &[u8], pin: Option<&SecretBytes>) -> SecretBytes {
    let head = [
        &[VERSION][..],
        &TYPE_SIGN.to_be_bytes(),
        &[1],
        &LOG_LEVEL_ERROR.to_be_bytes(),
    ];
    let provider = key.provider().unwrap_or_default().as_bytes();
    let pin = pin.map_or(&[][..], SecretBytes::expose);
    let mut parts = head.to_vec();
    let strings = [key.bytes().expose(), provider, content, &[]];
    let lengths: Vec<[u8; 4]> = strings.iter().map(|it| length(it)).collect();
    for (length, string) in lengths.iter().zip(strings) {
        parts.extend([length.as_slice(), string]);
    }
    let pin_length = length(pin);
    let compat = COMPAT.to_be_bytes();
    parts.extend([compat.as_slice(), &pin_length, pin]);
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let whole = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    parts.insert(0, &whole);
    joined(&parts)
}

/// In locked memory: a PIN may be among them.
fn joined(parts: &[&[u8]]) -> SecretBytes {
    let len = parts.iter().map(|part| part.len()).sum();
    SecretBytes::fill(len, |out| {
        let bytes = parts.iter().flat_map(|part| part.iter());
        for (place, byte) in out.iter_mut().zip(bytes) {
            *place = *byte;
        }
    })
}

/// The length before a string (RFC 4251 section 5); what is longer was never taken in.
fn length(string: &[u8]) -> [u8; 4] {
    u32::try_from(string.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
}

/// Where the program is: `SSH_SK_HELPER`, else where the systems put it.
pub(super) fn path() -> PathBuf {
    match std::env::var_os("SSH_SK_HELPER").filter(|it| !it.is_empty()) {
        Some(path) => path.into(),
        None => {
            let found = PATHS.iter().map(Path::new).find(|it| it.exists());
            found.unwrap_or(Path::new(PATH)).to_owned()
        }
    }
}

/// Starts it; one process a signature.
pub(super) fn start(path: &Path) -> io::Result<Child> {
    Command::new(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// Sends the request and reads the reply's bytes.
pub(super) fn converse(
    request: &SecretBytes,
    mut to: impl Write,
    mut from: impl Read,
) -> io::Result<Vec<u8>> {
    to.write_all(request.expose())?;
    drop(to);
    let mut len = [0; 4];
    from.read_exact(&mut len)?;
    let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
    if len > REPLY_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut reply = vec![0; len];
    from.read_exact(&mut reply)?;
    Ok(reply)
}

/// `SSH_SK_HELPER_VERSION`: since OpenSSH 8.4.
const VERSION: u8 = 5;

/// `SSH_SK_HELPER_ERROR`.
const TYPE_ERROR: u32 = 0;

/// `SSH_SK_HELPER_SIGN`.
const TYPE_SIGN: u32 = 1;

/// `SSH_ERR_KEY_WRONG_PASSPHRASE`.
const ERROR_WRONG_PASSPHRASE: u32 = 43;

/// No bits of compatibility with old servers.
const COMPAT: u32 = 0;

/// `SYSLOG_LEVEL_ERROR`: what goes wrong is said on standard error.
const LOG_LEVEL_ERROR: u32 = 2;

/// 256 KiB, as `ssh_msg_recv`.
const REPLY_BYTES_MAX: usize = 262_144;

/// Debian's and its kin's.
const PATH: &str = "/usr/lib/openssh/ssh-sk-helper";

const PATHS: [&str; 4] = [
    PATH,
    "/usr/libexec/openssh/ssh-sk-helper",
    "/usr/libexec/ssh-sk-helper",
    "/usr/lib/ssh/ssh-sk-helper",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &[u8], expected: Result<Reply, ParseError>) {
        assert_eq!(Reply::parse(message), expected, "{message:?}");
    }

    #[test]
    fn replies() {
        let signed = [&[5, 0, 0, 0, 1, 0, 0, 0, 2][..], b"ab"].concat();
        check(&signed, Ok(Reply::Signature(b"ab".to_vec())));
        check(&[5, 0, 0, 0, 0, 0, 0, 0, 43], Ok(Reply::PinWanted));
        check(&[5, 0, 0, 0, 0, 0, 0, 0, 60], Ok(Reply::Failed(60)));
        check(&[4, 0, 0, 0, 0, 0, 0, 0, 60], Err(ParseError::Value));
        check(&[5, 0, 0, 0, 2, 0, 0, 0, 0], Err(ParseError::Unknown));
        for len in 0..signed.len() {
            check(&signed[..len], Err(ParseError::Truncated));
        }
        let longer = [&signed[..], &[0]].concat();
        assert!(Reply::parse(&longer).is_err());
    }
}
