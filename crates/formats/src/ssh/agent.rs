//! The SSH agent protocol, RFC 9987 (`draft-ietf-sshm-ssh-agent`).
//!
//! **Invariant:** every message of the standard is recognised; a message is read to its last byte
//! or refused. Keys that a client adds are found by their lengths alone and never looked into.
//! Requests that can hold a private key, a PIN or a passphrase print none of it.

mod added;

use super::wire::{ParseError, Reader, Writer};

use added::Constrained;
pub use added::{AddIdentity, CONSTRAINT_EXTENSIONS, Constrains, Constraint, collect};

/// What a client asks; borrows from the message, without its length in front (§3).
#[derive(Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// List the keys (§3.5).
    RequestIdentities,
    /// Sign `message` by the key of this blob (§3.6).
    Sign {
        /// Key blob.
        key: &'a [u8],
        /// What to sign.
        message: &'a [u8],
        /// [`FLAG_RSA_SHA2_256`], [`FLAG_RSA_SHA2_512`]; all bits as they came.
        flags: u32,
    },
    /// Take a private key (§3.2), with constraints or without.
    AddIdentity(AddIdentity<'a>),
    /// Take keys from a token (§3.2.6).
    AddSmartcard {
        /// Which token.
        id: &'a [u8],
        /// Its PIN, secret.
        pin: &'a [u8],
        /// None if it came as an unconstrained message.
        constraints: Option<Vec<Constraint<'a>>>,
    },
    /// Forget a key (§3.4).
    RemoveIdentity {
        /// Key blob.
        key: &'a [u8],
    },
    /// Forget all keys (§3.4).
    RemoveAllIdentities,
    /// Forget a token's keys (§3.4).
    RemoveSmartcard {
        /// Which token.
        id: &'a [u8],
        /// Its PIN, secret.
        pin: &'a [u8],
    },
    /// Lock the agent by a passphrase, secret (§3.7).
    Lock(&'a [u8]),
    /// Unlock it again (§3.7).
    Unlock(&'a [u8]),
    /// An extension (§3.8).
    Extension {
        /// `name@domain`, or a name of the registry.
        name: &'a str,
        /// What follows, whatever it is.
        contents: &'a [u8],
    },
}

impl<'a> Request<'a> {
    /// Reads one message.
    ///
    /// # Errors
    /// [`ParseError::Unknown`] for a message number the standard does not give to clients; else
    /// what is wrong with it. Both are answered [`Response::Failure`].
    pub fn parse(message: &'a [u8]) -> Result<Self, ParseError> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let mut reader = Reader::new(message);
        let request = match reader.u8()? {
            REQUEST_IDENTITIES => Self::RequestIdentities,
            SIGN_REQUEST => Self::Sign {
                key: reader.string()?,
                message: reader.string()?,
                flags: reader.u32()?,
            },
            ADD_IDENTITY => Self::AddIdentity(AddIdentity::read(&mut reader, Constrained::No)?),
            ADD_ID_CONSTRAINED => {
                Self::AddIdentity(AddIdentity::read(&mut reader, Constrained::Yes)?)
            }
            ADD_SMARTCARD_KEY => Self::AddSmartcard {
                id: reader.string()?,
                pin: reader.string()?,
                constraints: None,
            },
            ADD_SMARTCARD_KEY_CONSTRAINED => Self::AddSmartcard {
                id: reader.string()?,
                pin: reader.string()?,
                constraints: Some(Constraint::read_all(&mut reader)?),
            },
            REMOVE_IDENTITY => Self::RemoveIdentity {
                key: reader.string()?,
            },
            REMOVE_ALL_IDENTITIES => Self::RemoveAllIdentities,
            REMOVE_SMARTCARD_KEY => Self::RemoveSmartcard {
                id: reader.string()?,
                pin: reader.string()?,
            },
            LOCK => Self::Lock(reader.string()?),
            UNLOCK => Self::Unlock(reader.string()?),
            EXTENSION => {
                let name = reader.name()?;
                let contents = reader.rest();
                return Ok(Self::Extension { name, contents });
            }
            _ => return Err(ParseError::Unknown),
        };
        reader.finish()?;
        Ok(request)
    }

    /// The message, without its length in front.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let start = |number| Writer::new().u8(number);
        match self {
            Self::RequestIdentities => start(REQUEST_IDENTITIES),
            Self::Sign {
                key,
                message,
                flags,
            } => start(SIGN_REQUEST).string(key).string(message).u32(*flags),
            Self::AddIdentity(added) => added.write(),
            Self::AddSmartcard {
                id,
                pin,
                constraints,
            } => {
                let number = match constraints {
                    None => ADD_SMARTCARD_KEY,
                    Some(_) => ADD_SMARTCARD_KEY_CONSTRAINED,
                };
                let constraints = constraints.as_deref().unwrap_or_default();
                let writer = start(number).string(id).string(pin);
                constraints.iter().fold(writer, Constraint::write)
            }
            Self::RemoveIdentity { key } => start(REMOVE_IDENTITY).string(key),
            Self::RemoveAllIdentities => start(REMOVE_ALL_IDENTITIES),
            Self::RemoveSmartcard { id, pin } => start(REMOVE_SMARTCARD_KEY).string(id).string(pin),
            Self::Lock(passphrase) => start(LOCK).string(passphrase),
            Self::Unlock(passphrase) => start(UNLOCK).string(passphrase),
            Self::Extension { name, contents } => {
                start(EXTENSION).string(name.as_bytes()).raw(contents)
            }
        }
        .into_bytes()
    }
}

/// The name of the request and nothing of its contents.
impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RequestIdentities => "RequestIdentities",
            Self::Sign { .. } => "Sign",
            Self::AddIdentity(_) => "AddIdentity",
            Self::AddSmartcard { .. } => "AddSmartcard",
            Self::RemoveIdentity { .. } => "RemoveIdentity",
            Self::RemoveAllIdentities => "RemoveAllIdentities",
            Self::RemoveSmartcard { .. } => "RemoveSmartcard",
            Self::Lock(_) => "Lock",
            Self::Unlock(_) => "Unlock",
            Self::Extension { .. } => "Extension",
        })
    }
}

/// What an agent answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// No (§3.1).
    Failure,
    /// Done (§3.1).
    Success,
    /// The keys (§3.5).
    Identities(Vec<Identity>),
    /// A signature blob (§3.6).
    Signature(Vec<u8>),
    /// The extension is known, its request was not carried out (§3.8).
    ExtensionFailure,
    /// An extension's own answer (§3.8).
    ExtensionResponse {
        /// The extension's name.
        name: String,
        /// What follows.
        contents: Vec<u8>,
    },
}

impl Response {
    /// The message, without its length in front.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let start = |number| Writer::new().u8(number);
        match self {
            Self::Failure => start(FAILURE),
            Self::Success => start(SUCCESS),
            Self::Identities(identities) => {
                let count = u32::try_from(identities.len()).unwrap_or(u32::MAX);
                identities
                    .iter()
                    .fold(start(IDENTITIES_ANSWER).u32(count), |writer, identity| {
                        writer.string(&identity.key).string(&identity.comment)
                    })
            }
            Self::Signature(signature) => start(SIGN_RESPONSE).string(signature),
            Self::ExtensionFailure => start(EXTENSION_FAILURE),
            Self::ExtensionResponse { name, contents } => start(EXTENSION_RESPONSE)
                .string(name.as_bytes())
                .raw(contents),
        }
        .into_bytes()
    }

    /// Reads an answer whole.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(message: &[u8]) -> Result<Self, ParseError> {
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let mut reader = Reader::new(message);
        let response = match reader.u8()? {
            FAILURE => Self::Failure,
            SUCCESS => Self::Success,
            IDENTITIES_ANSWER => {
                let mut identities = Vec::new();
                // The count is told, not believed: the list grows only by what is there.
                for _ in 0..reader.u32()? {
                    identities.push(Identity {
                        key: reader.string()?.to_vec(),
                        comment: reader.string()?.to_vec(),
                    });
                }
                Self::Identities(identities)
            }
            SIGN_RESPONSE => Self::Signature(reader.string()?.to_vec()),
            EXTENSION_FAILURE => Self::ExtensionFailure,
            EXTENSION_RESPONSE => {
                let name = reader.name()?.to_owned();
                let contents = reader.rest().to_vec();
                return Ok(Self::ExtensionResponse { name, contents });
            }
            _ => return Err(ParseError::Unknown),
        };
        reader.finish()?;
        Ok(response)
    }

    /// The names in an answer to the extension `query`; none where it is not one, or cannot be
    /// read whole.
    #[must_use]
    pub fn extensions(&self) -> Option<Vec<String>> {
        let Self::ExtensionResponse { name, contents } = self else {
            return None;
        };
        let mut reader = Reader::new(contents);
        let mut names = Vec::new();
        while name == QUERY && !reader.is_empty() {
            names.push(reader.name().ok()?.to_owned());
        }
        (name == QUERY).then_some(names)
    }

    /// The answer to the extension `query` (§3.8.1): the names of the extensions served.
    #[must_use]
    pub fn query(extensions: &[&str]) -> Self {
        let contents = extensions
            .iter()
            .fold(Writer::new(), |writer, name| writer.string(name.as_bytes()));
        Self::ExtensionResponse {
            name: QUERY.to_owned(),
            contents: contents.into_bytes(),
        }
    }
}

/// A key in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Key blob.
    pub key: Vec<u8>,
    /// Free text, whatever its bytes are.
    pub comment: Vec<u8>,
}

/// §3.8.1: asks which extensions are served.
pub const QUERY: &str = "query";

/// §3.6.1: sign by `rsa-sha2-256`.
pub const FLAG_RSA_SHA2_256: u32 = 2;
/// §3.6.1: sign by `rsa-sha2-512`.
pub const FLAG_RSA_SHA2_512: u32 = 4;

/// OpenSSH's agent and client end at this length; a message is refused by its announced length.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

// Message numbers, §5.1 of the standard. 1 to 4, 7 to 10, 15, 16 and 24 were SSH 1.
const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const ADD_IDENTITY: u8 = 17;
const REMOVE_IDENTITY: u8 = 18;
const REMOVE_ALL_IDENTITIES: u8 = 19;
const ADD_SMARTCARD_KEY: u8 = 20;
const REMOVE_SMARTCARD_KEY: u8 = 21;
const LOCK: u8 = 22;
const UNLOCK: u8 = 23;
const ADD_ID_CONSTRAINED: u8 = 25;
const ADD_SMARTCARD_KEY_CONSTRAINED: u8 = 26;
const EXTENSION: u8 = 27;
const EXTENSION_FAILURE: u8 = 28;
const EXTENSION_RESPONSE: u8 = 29;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &[u8], expected: Result<&str, ParseError>) {
        let parsed = Request::parse(message);
        let seen = parsed.as_ref().map(|request| format!("{request:?}"));
        assert_eq!(seen.as_deref().map_err(|error| **error), expected);
        if let Ok(request) = parsed {
            assert_eq!(request.encode(), message);
        }
    }

    fn added(constraints: &[u8]) -> Vec<u8> {
        Writer::new()
            .u8(ADD_ID_CONSTRAINED)
            .string(b"ssh-ed25519")
            .string(&[1; 32])
            .string(&[2; 64])
            .string(b"comment")
            .raw(constraints)
            .into_bytes()
    }

    #[test]
    fn requests_are_whole_and_of_the_standard() {
        check(&[], Err(ParseError::Truncated));
        check(&[11], Ok("RequestIdentities"));
        check(&[11, 0], Err(ParseError::LeftOver));
        check(&[19], Ok("RemoveAllIdentities"));
        for number in [0, 1, 4, 5, 9, 10, 12, 14, 15, 16, 24, 28, 29, 30, 240, 255] {
            check(&[number], Err(ParseError::Unknown));
        }
        check(&[0; MESSAGE_BYTES_MAX + 1], Err(ParseError::TooLong));
    }

    #[test]
    fn a_constraint_that_is_not_known_is_refused() {
        check(&added(&[]), Ok("AddIdentity"));
        check(&added(&[2]), Ok("AddIdentity"));
        check(&added(&[1, 0, 0, 0, 9, 2]), Ok("AddIdentity"));
        check(&added(&[1, 0, 0, 0]), Err(ParseError::Truncated));
        check(&added(&[3, 0, 0, 0, 9]), Err(ParseError::Unknown));
        check(&added(&[2; 17]), Err(ParseError::TooLong));
        let extension = |name: &str| {
            let fields = Writer::new().u8(255).string(name.as_bytes()).string(b"x");
            added(&fields.into_bytes())
        };
        check(&extension("sk-provider@openssh.com"), Ok("AddIdentity"));
        check(&extension("later@example.org"), Err(ParseError::Unknown));
    }

    #[test]
    fn a_key_whose_end_is_not_known_is_refused() {
        let message = Writer::new().u8(ADD_IDENTITY).string(b"ssh-later");
        check(&message.string(b"x").into_bytes(), Err(ParseError::Unknown));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let message = Request::Lock(b"open sesame").encode();
        let shown = format!("{:?}", Request::parse(&message).unwrap());
        assert_eq!(shown, "Lock");
        let key = added(&[]);
        assert_eq!(
            format!("{:?}", Request::parse(&key).unwrap()),
            "AddIdentity"
        );
    }

    #[test]
    fn answers_read_back() {
        for answer in [
            Response::Failure,
            Response::Success,
            Response::Identities(Vec::new()),
            Response::Signature(vec![1, 2]),
            Response::ExtensionFailure,
            Response::query(&["query", "session-bind@openssh.com"]),
        ] {
            assert_eq!(Response::parse(&answer.encode()), Ok(answer));
        }
        let names = ["query", "session-bind@openssh.com"];
        let read = Response::query(&names).extensions().unwrap();
        assert_eq!(read, names);
        assert_eq!(Response::Success.extensions(), None);
        // A count of 4 G keys allocates nothing for what is not there.
        let lie = [12, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Response::parse(&lie), Err(ParseError::Truncated));
    }
}
