//! Keys on their way into an agent, and their constraints (RFC 9987 §3.2, OpenSSH
//! `PROTOCOL.agent`).
//!
//! **Invariant:** a key is found by the lengths of its fields and never looked into; a constraint
//! that is not understood to its end, or is there twice, refuses the whole message.

use keystead_core::{Certificates, Constraints};

use super::{ADD_ID_CONSTRAINED, ADD_IDENTITY};
use crate::ssh::wire::{ParseError, Reader, Writer};

/// A private key on its way in: opaque, its end found by counting fields.
#[derive(Clone, PartialEq, Eq)]
pub struct AddIdentity<'a> {
    /// For example `ssh-ed25519`.
    pub key_type: &'a str,
    /// The fields between type and comment, secret.
    pub private: &'a [u8],
    /// Free text.
    pub comment: &'a [u8],
    /// None if it came as an unconstrained message.
    pub constraints: Option<Vec<Constraint<'a>>>,
}

impl<'a> AddIdentity<'a> {
    pub(super) fn read(
        reader: &mut Reader<'a>,
        constrained: Constrained,
    ) -> Result<Self, ParseError> {
        let key_type = reader.name()?;
        let layout = PRIVATE_FIELDS
            .iter()
            .find(|(name, _)| *name == key_type)
            .map(|(_, layout)| *layout)
            .ok_or(ParseError::Unknown)?;
        let start = reader.rest();
        for field in layout.chars() {
            match field {
                's' => {
                    reader.string()?;
                }
                _ => {
                    reader.u8()?;
                }
            }
        }
        let private = start
            .get(..start.len() - reader.rest().len())
            .unwrap_or_default();
        let comment = reader.string()?;
        let constraints = match constrained {
            Constrained::Yes => Some(Constraint::read_all(reader)?),
            Constrained::No => None,
        };
        Ok(Self {
            key_type,
            private,
            comment,
            constraints,
        })
    }

    pub(super) fn write(&self) -> Writer {
        let number = match self.constraints {
            Some(_) => ADD_ID_CONSTRAINED,
            None => ADD_IDENTITY,
        };
        let writer = Writer::new()
            .u8(number)
            .string(self.key_type.as_bytes())
            .raw(self.private)
            .string(self.comment);
        let constraints = self.constraints.as_deref().unwrap_or_default();
        constraints.iter().fold(writer, Constraint::write)
    }
}

#[derive(Clone, Copy)]
pub(super) enum Constrained {
    Yes,
    No,
}

/// A limit on the use of an added key (§3.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint<'a> {
    /// Forget the key after so many seconds.
    LifetimeS(u32),
    /// Ask before each use.
    Confirm,
    /// An extension of the OpenSSH kinds, whose contents have a known form.
    Extension {
        /// One of [`CONSTRAINT_EXTENSIONS`].
        name: &'a str,
        /// Its fields, one string.
        contents: &'a [u8],
    },
}

impl<'a> Constraint<'a> {
    pub(super) fn read_all(reader: &mut Reader<'a>) -> Result<Vec<Self>, ParseError> {
        let mut constraints = Vec::new();
        while !reader.is_empty() {
            if constraints.len() == CONSTRAINTS_MAX {
                return Err(ParseError::TooLong);
            }
            constraints.push(match reader.u8()? {
                CONSTRAIN_LIFETIME => Self::LifetimeS(reader.u32()?),
                CONSTRAIN_CONFIRM => Self::Confirm,
                CONSTRAIN_EXTENSION => Self::read_extension(reader)?,
                _ => return Err(ParseError::Unknown),
            });
        }
        Ok(constraints)
    }

    /// The end of an unknown extension cannot be found, so it is refused (§3.2.7.3).
    fn read_extension(reader: &mut Reader<'a>) -> Result<Self, ParseError> {
        let name = reader.name()?;
        let before = reader.rest();
        match name {
            DESTINATIONS | SK_PROVIDER => {
                reader.string()?;
            }
            CERTIFICATES => {
                reader.bool()?;
                reader.string()?;
            }
            _ => return Err(ParseError::Unknown),
        }
        let contents = before
            .get(..before.len() - reader.rest().len())
            .unwrap_or_default();
        Ok(Self::Extension { name, contents })
    }

    pub(super) fn write(writer: Writer, constraint: &Self) -> Writer {
        match constraint {
            Self::LifetimeS(seconds) => writer.u8(CONSTRAIN_LIFETIME).u32(*seconds),
            Self::Confirm => writer.u8(CONSTRAIN_CONFIRM),
            Self::Extension { name, contents } => writer
                .u8(CONSTRAIN_EXTENSION)
                .string(name.as_bytes())
                .raw(contents),
        }
    }
}

/// What limits the use of what a message brings.
///
/// # Errors
/// [`ParseError::Value`] for a constraint that is there twice, or that has no meaning for `what`;
/// else what is wrong with one. None is ever passed over: an add is refused as a whole.
pub fn collect(
    constraints: Option<&[Constraint<'_>]>,
    what: Constrains,
) -> Result<Constraints, ParseError> {
    let mut all = Constraints::default();
    for constraint in constraints.unwrap_or_default() {
        let is_repeated = match *constraint {
            Constraint::LifetimeS(seconds) => all.lifetime_s.replace(seconds).is_some(),
            Constraint::Confirm => std::mem::replace(&mut all.confirm, true),
            Constraint::Extension { name, contents } => extension(&mut all, what, name, contents)?,
        };
        if is_repeated {
            return Err(ParseError::Value);
        }
    }
    Ok(all)
}

/// True if it was there already. As OpenSSH's agent, a provider goes with a key and certificates
/// with a token (`parse_key_constraint_extension`).
fn extension(
    all: &mut Constraints,
    what: Constrains,
    name: &str,
    contents: &[u8],
) -> Result<bool, ParseError> {
    let mut reader = Reader::new(contents);
    let is_repeated = match (name, what) {
        (DESTINATIONS, _) => {
            let destinations = reader.string()?.to_vec();
            all.destinations.replace(destinations).is_some()
        }
        (SK_PROVIDER, Constrains::Key) => {
            let provider = reader.text()?.to_owned();
            all.sk_provider.replace(provider).is_some()
        }
        (CERTIFICATES, Constrains::Token) => {
            let only = reader.bool()?;
            let mut list = Reader::new(reader.string()?);
            let mut blobs = Vec::new();
            while !list.is_empty() {
                blobs.push(list.string()?.to_vec());
            }
            let certificates = Certificates { only, blobs };
            all.certificates.replace(certificates).is_some()
        }
        _ => return Err(ParseError::Value),
    };
    reader.finish()?;
    Ok(is_repeated)
}

/// What a message brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constrains {
    /// One key.
    Key,
    /// The keys of a token.
    Token,
}

/// OpenSSH allows one lifetime, one confirm and one of each extension; twice that is plenty.
const CONSTRAINTS_MAX: usize = 16;

/// The constraint extensions whose end is known (OpenSSH `PROTOCOL.agent`).
pub const CONSTRAINT_EXTENSIONS: [&str; 3] = [DESTINATIONS, CERTIFICATES, SK_PROVIDER];
const DESTINATIONS: &str = "restrict-destination-v00@openssh.com";
const CERTIFICATES: &str = "associated-certs-v00@openssh.com";
const SK_PROVIDER: &str = "sk-provider@openssh.com";

// Constraint numbers, §5.2 of the standard.
const CONSTRAIN_LIFETIME: u8 = 1;
const CONSTRAIN_CONFIRM: u8 = 2;
const CONSTRAIN_EXTENSION: u8 = 255;

/// §3.2.1 to §3.2.5, `PROTOCOL.certkeys`, `PROTOCOL.u2f`: the fields between key type and
/// comment, `s` for a string or mpint, `b` for a byte.
const PRIVATE_FIELDS: [(&str, &str); 16] = [
    ("ssh-ed25519", "ss"),
    ("ssh-ed448", "ss"),
    ("ecdsa-sha2-nistp256", "sss"),
    ("ecdsa-sha2-nistp384", "sss"),
    ("ecdsa-sha2-nistp521", "sss"),
    ("ssh-rsa", "ssssss"),
    ("ssh-dss", "sssss"),
    ("sk-ssh-ed25519@openssh.com", "ssbss"),
    ("sk-ecdsa-sha2-nistp256@openssh.com", "sssbss"),
    ("ssh-ed25519-cert-v01@openssh.com", "sss"),
    ("ecdsa-sha2-nistp256-cert-v01@openssh.com", "ss"),
    ("ecdsa-sha2-nistp384-cert-v01@openssh.com", "ss"),
    ("ecdsa-sha2-nistp521-cert-v01@openssh.com", "ss"),
    ("ssh-rsa-cert-v01@openssh.com", "sssss"),
    ("sk-ssh-ed25519-cert-v01@openssh.com", "sssbss"),
    ("sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "ssbss"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(seconds: u32) -> Constraint<'static> {
        Constraint::LifetimeS(seconds)
    }

    fn provider(contents: &[u8]) -> Constraint<'_> {
        Constraint::Extension {
            name: SK_PROVIDER,
            contents,
        }
    }

    #[track_caller]
    fn check(
        constraints: &[Constraint<'_>],
        what: Constrains,
        expected: Result<Constraints, ParseError>,
    ) {
        assert_eq!(collect(Some(constraints), what), expected);
    }

    #[test]
    fn all_of_them_or_none() {
        use Constrains::{Key, Token};
        let none = Constraints::default;
        assert_eq!(collect(None, Key), Ok(none()));
        let both = Constraints {
            lifetime_s: Some(9),
            confirm: true,
            ..none()
        };
        check(&[lifetime(9), Constraint::Confirm], Key, Ok(both));
        check(&[lifetime(9), lifetime(9)], Key, Err(ParseError::Value));
        check(&[Constraint::Confirm; 2], Key, Err(ParseError::Value));
        let path = Writer::new().string(b"/usr/lib/x.so").into_bytes();
        let with_provider = Constraints {
            sk_provider: Some("/usr/lib/x.so".to_owned()),
            ..none()
        };
        check(&[provider(&path)], Key, Ok(with_provider));
        check(&[provider(&path)], Token, Err(ParseError::Value));
        check(&[provider(&path); 2], Key, Err(ParseError::Value));
        let longer = [&path[..], &[0]].concat();
        check(&[provider(&longer)], Key, Err(ParseError::LeftOver));
    }

    #[test]
    fn a_tokens_certificates() {
        let list = Writer::new().string(b"one").string(b"two").into_bytes();
        let contents = Writer::new().u8(1).string(&list).into_bytes();
        let certificates = |contents| Constraint::Extension {
            name: CERTIFICATES,
            contents,
        };
        let expected = Constraints {
            certificates: Some(Certificates {
                only: true,
                blobs: vec![b"one".to_vec(), b"two".to_vec()],
            }),
            ..Constraints::default()
        };
        check(&[certificates(&contents)], Constrains::Token, Ok(expected));
        check(
            &[certificates(&contents)],
            Constrains::Key,
            Err(ParseError::Value),
        );
        for len in 0..contents.len() {
            let cut = certificates(contents.get(..len).unwrap());
            assert!(collect(Some(&[cut]), Constrains::Token).is_err(), "{len}");
        }
    }
}
