//! Text around a key: RFC 7468, and what OpenSSH writes like it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::SecretBytes;

use super::{ImportError, printable};

/// The one part of a file that holds a private key.
pub(super) struct Part {
    pub(super) label: Label,
    pub(super) content: SecretBytes,
}

/// What the part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    OpenSsh,
    Pkcs8,
    EncryptedPkcs8,
    Pkcs1,
    Sec1,
}

impl Label {
    fn of(text: &[u8]) -> Option<Self> {
        match text {
            b"OPENSSH PRIVATE KEY" => Some(Self::OpenSsh),
            b"PRIVATE KEY" => Some(Self::Pkcs8),
            b"ENCRYPTED PRIVATE KEY" => Some(Self::EncryptedPkcs8),
            b"RSA PRIVATE KEY" => Some(Self::Pkcs1),
            b"EC PRIVATE KEY" => Some(Self::Sec1),
            _ => None,
        }
    }
}

/// Finds the private key of a file and takes its base64 off.
///
/// Parts with other labels are passed over (`openssl ecparam` writes its
/// parameters before the key), and so is what stands between parts.
pub(super) fn private_part(file: &[u8]) -> Result<Part, ImportError> {
    let mut lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut found = None;
    let mut other = None;
    while let Some(line) = lines.next() {
        let Some(label) = between(line, b"-----BEGIN ") else {
            continue;
        };
        let Some(known) = Label::of(label) else {
            other = Some(label);
            continue;
        };
        if found.is_some() {
            return Err(ImportError::Several);
        }
        found = Some(Part {
            label: known,
            content: content(&mut lines, label, file.len())?,
        });
    }
    found.ok_or_else(|| without_private(file, other))
}

/// The label of a line that begins or ends a part.
fn between<'a>(line: &'a [u8], before: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(before)?.strip_suffix(b"-----")
}

fn content<'a>(
    lines: &mut impl Iterator<Item = &'a [u8]>,
    label: &[u8],
    len_max: usize,
) -> Result<SecretBytes, ImportError> {
    let mut text = SecretBytes::fill(len_max, |_| ());
    let mut len = 0;
    let mut ended = false;
    for line in lines {
        if between(line, b"-----END ") == Some(label) {
            ended = true;
            break;
        }
        // RFC 1421's headers, which only a key in OpenSSL's old encryption has.
        if line.contains(&b':') {
            return Err(ImportError::OtherEncryption {
                method: "OpenSSL's old method".into(),
            });
        }
        let end = len + line.len();
        let place = text.expose_mut().get_mut(len..end);
        place.ok_or(ImportError::Malformed)?.copy_from_slice(line);
        len = end;
    }
    if !ended {
        return Err(ImportError::Malformed);
    }
    text.truncate(len);
    let mut decoded_len = 0;
    let mut bytes = SecretBytes::fill(base64::decoded_len_estimate(len), |bytes| {
        decoded_len = STANDARD
            .decode_slice(text.expose(), bytes)
            .unwrap_or_default();
    });
    if decoded_len == 0 {
        return Err(ImportError::Malformed);
    }
    bytes.truncate(decoded_len);
    Ok(bytes)
}

/// What is wrong with a file that holds no private key known here.
fn without_private(file: &[u8], label: Option<&[u8]>) -> ImportError {
    let is_public = file.starts_with(b"ssh-")
        || file.starts_with(b"ecdsa-")
        || file.starts_with(b"sk-")
        || label.is_some_and(|label| label.ends_with(b"PUBLIC KEY"));
    match label {
        _ if is_public => ImportError::Public,
        Some(label) => {
            label
                .strip_suffix(b" PRIVATE KEY")
                .map_or(ImportError::Malformed, |type_name| ImportError::OtherType {
                    type_name: printable(type_name),
                })
        }
        None => ImportError::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: &str, expected: Result<(Label, &[u8]), ImportError>) {
        let part = private_part(file.as_bytes());
        let part = part.as_ref().map(|it| (it.label, it.content.expose()));
        assert_eq!(part.map_err(Clone::clone), expected);
    }

    #[test]
    fn one_private_part_is_found() {
        let key = "-----BEGIN PRIVATE KEY-----\nYWJj\r\nZA==\n-----END PRIVATE KEY-----\n";
        check(key, Ok((Label::Pkcs8, b"abcd")));
        check(&format!("Bag\n{key}"), Ok((Label::Pkcs8, b"abcd")));
        let parameters = "-----BEGIN EC PARAMETERS-----\nYWJj\n-----END EC PARAMETERS-----\n";
        check(&format!("{parameters}{key}"), Ok((Label::Pkcs8, b"abcd")));
        check(&format!("{key}{key}"), Err(ImportError::Several));
        for len in 0..key.len() - "\n".len() {
            assert!(private_part(&key.as_bytes()[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn what_is_no_private_key_is_named() {
        check("ssh-ed25519 AAAA alex", Err(ImportError::Public));
        check("-----BEGIN PUBLIC KEY-----", Err(ImportError::Public));
        check("", Err(ImportError::Malformed));
        check("-----BEGIN PRIVATE KEY-----\n", Err(ImportError::Malformed));
        let type_name = "DSA".into();
        check(
            "-----BEGIN DSA PRIVATE KEY-----",
            Err(ImportError::OtherType { type_name }),
        );
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
        let error = private_part(old.as_bytes()).err().unwrap();
        assert!(matches!(error, ImportError::OtherEncryption { .. }));
    }

    #[test]
    fn base64_is_whole_or_not_at_all() {
        for text in ["", "YWJ", "YWJj=", "YW Jj", "YWJj\nYQ==\nYQ==", "Y!Jj"] {
            let file = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----");
            check(&file, Err(ImportError::Malformed));
        }
    }
}
