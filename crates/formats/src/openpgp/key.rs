//! Key packets of version 4 and their fingerprints (RFC 4880 §5.5.2 and §12.2).

use super::digest::sha1;
use super::fingerprint::Fingerprint;
use super::packet::{self, Reader};
use super::public::PublicKey;
use crate::ParseError;

/// A key with the time it was made, which is part of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPacket {
    body: Vec<u8>,
    created_unix_s: u32,
    key: Option<PublicKey>,
}

impl KeyPacket {
    /// The key as it was made at `created_unix_s`.
    #[must_use]
    pub fn new(key: PublicKey, created_unix_s: u32) -> Self {
        let mut body = vec![VERSION];
        body.extend_from_slice(&created_unix_s.to_be_bytes());
        body.push(key.algorithm_id());
        key.write(&mut body);
        Self {
            body,
            created_unix_s,
            key: Some(key),
        }
    }

    /// Reads the body of a key packet. A key of an algorithm that is not known here (DSA,
    /// ElGamal, other curves) is kept as it is: others can still be bound to it.
    ///
    /// # Errors
    /// [`ParseError`]; [`ParseError::Unknown`] for versions other than 4.
    pub fn parse(body: &[u8]) -> Result<Self, ParseError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let mut reader = Reader::new(body);
        if reader.u8()? != VERSION {
            return Err(ParseError::Unknown);
        }
        let created_unix_s = reader.u32()?;
        let algorithm = reader.u8()?;
        let key = match PublicKey::read(algorithm, &mut reader) {
            Ok(key) => {
                reader.finish()?;
                Some(key)
            }
            Err(ParseError::Unknown) => None,
            Err(wrong) => return Err(wrong),
        };
        Ok(Self {
            body: body.to_vec(),
            created_unix_s,
            key,
        })
    }

    /// The body of the packet.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// When it was made.
    #[must_use]
    pub const fn created_unix_s(&self) -> u32 {
        self.created_unix_s
    }

    /// The key, if its algorithm is known here.
    #[must_use]
    pub const fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    /// What names it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(sha1(&[&self.hashed()]))
    }

    /// The packet in a key.
    pub(super) fn push(&self, bytes: &mut Vec<u8>, tag: u8) {
        packet::push(bytes, tag, &self.body);
    }

    /// As it is hashed into fingerprints and signatures (RFC 4880 §5.2.4).
    pub(super) fn hashed(&self) -> Vec<u8> {
        let len = u16::try_from(self.body.len()).unwrap_or(u16::MAX);
        [&[HASHED_KEY], &len.to_be_bytes()[..], &self.body].concat()
    }
}

const VERSION: u8 = 4;
/// RFC 4880 §5.2.4: before a key that is hashed, with a length of two bytes.
const HASHED_KEY: u8 = 0x99;
/// The length before a hashed key has two bytes.
const BODY_BYTES_MAX: usize = 0xffff;
