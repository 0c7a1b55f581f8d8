//! A whole public key: put together, and read so that more can be bound to it (RFC 4880 §11.1).

use super::armor::{self, Block};
use super::fingerprint::Fingerprint;
use super::key::KeyPacket;
use super::packet::{
    self, Reader, TAG_MARKER, TAG_PUBLIC_KEY, TAG_PUBLIC_SUBKEY, TAG_SIGNATURE, TAG_TRUST,
    TAG_USER_ATTRIBUTE, TAG_USER_ID,
};
use super::signature::Signature;
use crate::ParseError;

/// A public key with what is bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferable {
    primary: KeyPacket,
    user_ids: Vec<Vec<u8>>,
    subkeys: Vec<KeyPacket>,
    bytes: Vec<u8>,
}

impl Transferable {
    /// Begins with the primary alone.
    #[must_use]
    pub fn new(primary: KeyPacket) -> Self {
        let mut bytes = Vec::new();
        primary.push(&mut bytes, TAG_PUBLIC_KEY);
        Self {
            primary,
            user_ids: Vec::new(),
            subkeys: Vec::new(),
            bytes,
        }
    }

    /// Reads one public key, in armour or not. Signatures are kept, not checked: gpg does that.
    ///
    /// # Errors
    /// [`ParseError`]; [`ParseError::LeftOver`] for a second key behind it,
    /// [`ParseError::Unknown`] for what belongs to no public key, a secret one among it.
    pub fn read(file: &[u8]) -> Result<Self, ParseError> {
        let bytes = match std::str::from_utf8(file) {
            Ok(text) if text.trim_start().starts_with('-') => armor::read(Block::PublicKey, text)?,
            _ => file.to_vec(),
        };
        if bytes.len() > armor::BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let mut reader = Reader::new(&bytes);
        let first = reader.packet()?;
        if first.tag != TAG_PUBLIC_KEY {
            return Err(ParseError::Unknown);
        }
        let primary = KeyPacket::parse(first.body)?;
        let (mut user_ids, mut subkeys) = (Vec::new(), Vec::new());
        while !reader.is_empty() {
            let packet = reader.packet()?;
            match packet.tag {
                TAG_PUBLIC_KEY => return Err(ParseError::LeftOver),
                TAG_PUBLIC_SUBKEY => subkeys.push(KeyPacket::parse(packet.body)?),
                TAG_USER_ID => user_ids.push(packet.body.to_vec()),
                TAG_SIGNATURE | TAG_USER_ATTRIBUTE | TAG_TRUST | TAG_MARKER => (),
                _ => return Err(ParseError::Unknown),
            }
        }
        Ok(Self {
            primary,
            user_ids,
            subkeys,
            bytes,
        })
    }

    /// Adds a user id with what the primary signed for it.
    pub fn push_user_id(&mut self, user_id: &str, signature: &Signature) {
        packet::push(&mut self.bytes, TAG_USER_ID, user_id.as_bytes());
        signature.push(&mut self.bytes);
        self.user_ids.push(user_id.as_bytes().to_vec());
    }

    /// Adds a subkey with what the primary signed for it.
    pub fn push_subkey(&mut self, subkey: KeyPacket, signature: &Signature) {
        subkey.push(&mut self.bytes, TAG_PUBLIC_SUBKEY);
        signature.push(&mut self.bytes);
        self.subkeys.push(subkey);
    }

    /// The key that everything is bound to.
    #[must_use]
    pub const fn primary(&self) -> &KeyPacket {
        &self.primary
    }

    /// What names the whole.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.primary.fingerprint()
    }

    /// User ids as bytes: old ones need not be UTF-8.
    #[must_use]
    pub fn user_ids(&self) -> &[Vec<u8>] {
        &self.user_ids
    }

    /// The subkeys.
    #[must_use]
    pub fn subkeys(&self) -> &[KeyPacket] {
        &self.subkeys
    }

    /// The packets.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The packets in armour.
    #[must_use]
    pub fn armor(&self) -> String {
        armor::write(Block::PublicKey, &self.bytes)
    }
}

/// A revocation of a whole key, in armour, to be imported when it is needed.
#[must_use]
pub fn revocation_certificate(signature: &Signature) -> String {
    let mut bytes = Vec::new();
    signature.push(&mut bytes);
    armor::write(Block::PublicKey, &bytes)
}
