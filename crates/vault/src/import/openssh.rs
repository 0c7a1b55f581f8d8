//! `openssh-key-v1` (OpenSSH PROTOCOL.key).

use keystead_core::SecretBytes;

use super::cipher::{self, OpenSshCipher};
use super::{ImportError, Imported, fields, printable};
use crate::PublicKey;
use crate::wire::{Malformed, Reader};

/// What stands between the PEM lines.
pub(super) fn read(
    bytes: &[u8],
    passphrase: Option<&SecretBytes>,
) -> Result<Imported, ImportError> {
    let file = File::read(bytes)?;
    let public = PublicKey::from_blob(file.public);
    let opened = match &file.encryption {
        None => None,
        Some(encryption) => {
            let passphrase = passphrase.ok_or(ImportError::NoPassphrase)?;
            Some(encryption.open(passphrase, file.private, file.tag)?)
        }
    };
    let private = opened.as_ref().map_or(file.private, SecretBytes::expose);
    let mut reader = Reader::new(private);
    let checks = [reader.u32()?, reader.u32()?];
    if checks[0] != checks[1] {
        // Two equal random numbers tell a wrong passphrase from a right one.
        return Err(match opened {
            Some(_) => ImportError::WrongPassphrase,
            None => ImportError::Malformed,
        });
    }
    let (key, certificate) = fields::read(&mut reader)?;
    let comment = reader.string()?.to_vec();
    check_padding(reader.rest())?;
    if public.as_ref() != Ok(key.public()) {
        return Err(ImportError::Inconsistent);
    }
    Ok(Imported {
        key,
        certificate,
        comment,
    })
}

/// The file, not yet opened.
struct File<'a> {
    encryption: Option<Encryption<'a>>,
    public: &'a [u8],
    private: &'a [u8],
    tag: &'a [u8],
}

struct Encryption<'a> {
    cipher: OpenSshCipher,
    salt: &'a [u8],
    rounds: u32,
}

impl<'a> File<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ImportError::Malformed)?;
        let mut reader = Reader::new(rest);
        let cipher = reader.string()?;
        let kdf = reader.string()?;
        let options = reader.string()?;
        let encryption = match (cipher, kdf) {
            (b"none", b"none") if options.is_empty() => None,
            (b"none", _) | (_, b"none") => return Err(ImportError::Malformed),
            (cipher, b"bcrypt") => Some(Encryption::read(cipher, options)?),
            (_, kdf) => {
                return Err(ImportError::OtherEncryption {
                    method: printable(kdf),
                });
            }
        };
        match reader.u32()? {
            0 => return Err(ImportError::Malformed),
            1 => {}
            _ => return Err(ImportError::Several),
        }
        let public = reader.string()?;
        let private = reader.string()?;
        // A tag stands behind the string, not in it.
        let tag_bytes = encryption.as_ref().map_or(0, |it| it.cipher.tag_bytes());
        let tag = reader.take(tag_bytes)?;
        reader.finish()?;
        Ok(Self {
            encryption,
            public,
            private,
            tag,
        })
    }
}

impl<'a> Encryption<'a> {
    fn read(cipher: &[u8], options: &'a [u8]) -> Result<Self, ImportError> {
        let Some(cipher) = OpenSshCipher::of(cipher) else {
            return Err(ImportError::OtherEncryption {
                method: printable(cipher),
            });
        };
        let mut reader = Reader::new(options);
        let salt = reader.string()?;
        let rounds = reader.u32()?;
        reader.finish()?;
        Ok(Self {
            cipher,
            salt,
            rounds,
        })
    }

    fn open(
        &self,
        passphrase: &SecretBytes,
        encrypted: &[u8],
        tag: &[u8],
    ) -> Result<SecretBytes, ImportError> {
        let key = cipher::bcrypt(
            passphrase,
            self.salt,
            self.rounds,
            self.cipher.secret_bytes(),
        )?;
        self.cipher.open(&key, encrypted, tag)
    }
}

/// 1, 2, 3 … to the next whole block.
fn check_padding(padding: &[u8]) -> Result<(), Malformed> {
    let expected = 1..=PADDING_BYTES_MAX;
    if padding.len() <= usize::from(PADDING_BYTES_MAX)
        && padding.iter().copied().eq(expected.take(padding.len()))
    {
        Ok(())
    } else {
        Err(Malformed)
    }
}

const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Less than a block of the ciphers there are.
const PADDING_BYTES_MAX: u8 = 15;

/// The private part of a file that is not encrypted.
#[cfg(test)]
pub(super) fn plain_private(bytes: &[u8]) -> Result<&[u8], ImportError> {
    File::read(bytes).map(|file| file.private)
}
