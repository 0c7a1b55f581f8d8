//! What a person pastes into age's files: recipients, and identities of our plugin.

use keystead_core::{Curve, Derivation, Identity, KeyId};

use super::bech32;
use crate::{ParseError, cbor};

/// Names the key that opens files: where to find it, nothing secret.
///
/// `AGE-PLUGIN-KEYSTEAD-1…` holds the map 1: key id; 2, if a wallet derives it: its identity as
/// in requests (`spec/identity.md` section 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginIdentity {
    /// SHA-256 of the recipient's 32 bytes.
    pub key: KeyId,
    /// From which a wallet derives it.
    pub identity: Option<Identity>,
}

impl PluginIdentity {
    /// The line of an identity file.
    #[must_use]
    pub fn encode(&self) -> String {
        let pairs = 1 + u64::from(self.identity.is_some());
        let mut map = cbor::Writer::default()
            .map(pairs)
            .unsigned(1)
            .bytes(&self.key.0);
        if let Some(identity) = &self.identity {
            map = map
                .unsigned(2)
                .list(IDENTITY_FIELDS)
                .text(identity.uri())
                .text(identity.curve().as_str())
                .unsigned(identity.index().into())
                .unsigned(identity.derivation().number().into());
        }
        bech32::encode(IDENTITY_PREFIX, &map.into_bytes())
    }

    /// Reads such a line.
    ///
    /// # Errors
    /// [`ParseError::Unknown`] for another plugin's; else what is wrong with it.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        let (prefix, bytes) = bech32::decode(line)?;
        if !prefix.eq_ignore_ascii_case(IDENTITY_PREFIX) {
            return Err(ParseError::Unknown);
        }
        let mut reader = cbor::Reader::new(&bytes);
        let pairs = reader.map()?;
        reader.key(1)?;
        let key = KeyId(reader.bytes()?.try_into().map_err(|_| ParseError::Value)?);
        let identity = match pairs {
            1 => None,
            2 => {
                reader.key(2)?;
                Some(read_identity(&mut reader)?)
            }
            _ => return Err(ParseError::Value),
        };
        reader.finish()?;
        Ok(Self { key, identity })
    }
}

fn read_identity(reader: &mut cbor::Reader<'_>) -> Result<Identity, ParseError> {
    if reader.list()? != IDENTITY_FIELDS {
        return Err(ParseError::Value);
    }
    let uri = reader.text()?;
    let curve: Curve = reader.text()?.parse().map_err(|_| ParseError::Unknown)?;
    let index = u32::try_from(reader.unsigned()?).map_err(|_| ParseError::Value)?;
    let derivation = Derivation::from_number(reader.unsigned()?).ok_or(ParseError::Unknown)?;
    let identity = Identity::new(uri, curve, index, derivation).map_err(|_| ParseError::Value)?;
    // Anything else would open no file.
    if curve == Curve::Curve25519 && derivation == Derivation::Agree {
        Ok(identity)
    } else {
        Err(ParseError::Value)
    }
}

/// The recipient of an X25519 key, which every age encrypts to without a plugin.
#[must_use]
pub fn recipient(public: &[u8; 32]) -> String {
    bech32::encode(RECIPIENT_PREFIX, public)
}

/// The X25519 key of a recipient.
///
/// # Errors
/// [`ParseError::Unknown`] for a plugin's recipient; else what is wrong with it.
pub fn parse_recipient(text: &str) -> Result<[u8; 32], ParseError> {
    let (prefix, bytes) = bech32::decode(text)?;
    if prefix != RECIPIENT_PREFIX || text != text.to_ascii_lowercase() {
        return Err(ParseError::Unknown);
    }
    bytes.try_into().map_err(|_| ParseError::Value)
}

/// C2SP `age-plugin.md`, "Mapping recipients and identities to plugin binaries".
const IDENTITY_PREFIX: &str = "AGE-PLUGIN-KEYSTEAD-";
/// C2SP `age.md`, "The X25519 recipient type".
const RECIPIENT_PREFIX: &str = "age";
/// URI, curve, index, path.
const IDENTITY_FIELDS: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uri: &str) -> Identity {
        Identity::new(uri, Curve::Curve25519, 7, Derivation::Agree).unwrap()
    }

    #[test]
    fn lines_come_back() {
        let key = KeyId([9; 32]);
        for identity in [
            None,
            Some(identity("age://John Doe")),
            Some(identity(&format!("age://{}", "x".repeat(1_018)))),
        ] {
            let named = PluginIdentity { key, identity };
            let line = named.encode();
            assert!(line.starts_with("AGE-PLUGIN-KEYSTEAD-1"), "{line}");
            assert_eq!(PluginIdentity::parse(&line), Ok(named.clone()));
            assert_eq!(PluginIdentity::parse(&line.to_ascii_lowercase()), Ok(named));
        }
    }

    #[test]
    fn what_names_no_key() {
        let check = |bytes: &[u8], expected| {
            let line = bech32::encode(IDENTITY_PREFIX, bytes);
            assert_eq!(PluginIdentity::parse(&line), Err(expected), "{bytes:02x?}");
        };
        let whole = PluginIdentity {
            key: KeyId([9; 32]),
            identity: Some(identity("age://a")),
        };
        let (_, whole) = bech32::decode(&whole.encode()).unwrap();
        for len in 0..whole.len() {
            check(&whole[..len], ParseError::Truncated);
        }
        check(&[whole.as_slice(), &[0]].concat(), ParseError::LeftOver);
        check(b"\xa1\x01\x41a", ParseError::Value);
        check(b"\xa0", ParseError::Truncated);
        check(&[b"\xa3", &whole[1..]].concat(), ParseError::Value);
        let of_ssh = String::from_utf8_lossy(&whole).into_owned();
        assert!(of_ssh.contains("age://a"));
        let at = whole.windows(7).position(|it| it == b"age://a").unwrap();
        let mut of_ssh = whole.clone();
        of_ssh[at..at + 7].copy_from_slice(b"ssh://a");
        check(&of_ssh, ParseError::Value);
        let other = bech32::encode("AGE-PLUGIN-TREZOR-", &whole);
        assert_eq!(PluginIdentity::parse(&other), Err(ParseError::Unknown));
    }

    #[test]
    fn recipients() {
        let text = "age1amnu0t727h2ee3n6jed848w96tw3juqthu7r7hp2fnqpzgw9eyes95e0en";
        let public = parse_recipient(text).unwrap();
        assert_eq!(public[..4], [0xee, 0xe7, 0xc7, 0xaf]);
        assert_eq!(recipient(&public), text);
        assert_eq!(
            parse_recipient(&text.to_ascii_uppercase()),
            Err(ParseError::Unknown)
        );
        assert_eq!(
            parse_recipient(&bech32::encode("age", &[1; 31])),
            Err(ParseError::Value)
        );
        assert_eq!(
            parse_recipient(&bech32::encode("age1x", &[1; 32])),
            Err(ParseError::Unknown)
        );
    }
}
