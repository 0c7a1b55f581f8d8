//! Stanzas of plain `age1…` recipients (C2SP `age.md`, "The X25519 recipient type").

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand::SecureRandom;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use keystead_core::SecretBytes;

use super::stanza;
use crate::ParseError;

/// The type of such a stanza.
pub const TAG: &str = "X25519";

/// What a sender wrote: its ephemeral key and the wrapped file key. It names no recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrapped {
    ephemeral: [u8; 32],
    wrapped: [u8; 32],
}

impl Wrapped {
    /// Reads what stands behind [`TAG`], and the body.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(arguments: &[String], body: &[u8]) -> Result<Self, ParseError> {
        let [ephemeral] = arguments else {
            return Err(ParseError::Value);
        };
        let ephemeral = STANDARD_NO_PAD
            .decode(ephemeral)
            .map_err(|_| ParseError::Text)?;
        Ok(Self {
            ephemeral: ephemeral.try_into().map_err(|_| ParseError::Value)?,
            wrapped: body.try_into().map_err(|_| ParseError::Value)?,
        })
    }

    /// The content of form 2 of a request to decrypt (`spec/pairing.md`).
    #[must_use]
    pub fn content(&self) -> [u8; 64] {
        let mut content = [0; 64];
        let parts = self.ephemeral.iter().chain(&self.wrapped);
        for (place, byte) in content.iter_mut().zip(parts) {
            *place = *byte;
        }
        content
    }

    /// Type and argument of the stanza.
    #[must_use]
    pub fn arguments(&self) -> [String; 2] {
        [TAG.to_owned(), STANDARD_NO_PAD.encode(self.ephemeral)]
    }

    /// The body of the stanza.
    #[must_use]
    pub const fn body(&self) -> &[u8; 32] {
        &self.wrapped
    }

    /// The stanza as it stands in a header.
    #[must_use]
    pub fn stanza(&self) -> SecretBytes {
        let [tag, ephemeral] = self.arguments();
        stanza::write(&[&tag, &ephemeral], &self.wrapped)
    }
}

/// Nothing can be wrapped: no randomness, or a recipient that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file key cannot be wrapped to this recipient")]
pub struct WrapError;

/// Wraps a file key to a recipient, as every sender does: with a key pair made for this stanza
/// alone, whose private half is consumed here.
///
/// # Errors
/// [`WrapError`].
pub fn wrap(
    file_key: &[u8; FILE_KEY_BYTES],
    recipient: &[u8; 32],
    random: &dyn SecureRandom,
) -> Result<Wrapped, WrapError> {
    let make = || {
        let secret = EphemeralPrivateKey::generate(&X25519, random)?;
        let public = secret.compute_public_key()?;
        let ephemeral: [u8; 32] = public.as_ref().try_into().map_err(|_| Unspecified)?;
        let peer = UnparsedPublicKey::new(&X25519, recipient);
        // aws-lc refuses a recipient that gives nothing but zeros.
        let wrapped = agree_ephemeral(secret, peer, Unspecified, |shared| {
            seal(file_key, shared, &ephemeral, recipient)
        })?;
        Ok(Wrapped { ephemeral, wrapped })
    };
    make().map_err(|_: Unspecified| WrapError)
}

fn seal(
    file_key: &[u8; FILE_KEY_BYTES],
    shared: &[u8],
    ephemeral: &[u8; 32],
    recipient: &[u8; 32],
) -> Result<[u8; 32], Unspecified> {
    let salt = [*ephemeral, *recipient].concat();
    let extracted = Salt::new(HKDF_SHA256, &salt).extract(shared);
    let key: UnboundKey = extracted.expand(&[INFO], &CHACHA20_POLY1305)?.into();
    // Each key seals once, so its nonce may be fixed.
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let mut sealed = file_key.to_vec();
    LessSafeKey::new(key).seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)?;
    sealed.try_into().map_err(|_| Unspecified)
}

const INFO: &[u8] = b"age-encryption.org/v1/X25519";
/// C2SP `age.md`, "File key".
pub const FILE_KEY_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_as_age_writes_them() {
        // `age` 1.1.1.
        let arguments = ["sFK/FOQOzz2ev7IKgZArO6oVyeOow2krRAXuDVNpV2c".to_owned()];
        let body = STANDARD_NO_PAD
            .decode("dm+Lq8jTXk2avQEX6sSxQgVc0H6kPNVDceeWHX5hc+Q")
            .unwrap();
        let read = Wrapped::parse(&arguments, &body).unwrap();
        assert_eq!(read.content()[..3], [0xb0, 0x52, 0xbf]);
        assert_eq!(read.content()[32..], body);
        assert_eq!(
            read.stanza().expose(),
            b"-> X25519 sFK/FOQOzz2ev7IKgZArO6oVyeOow2krRAXuDVNpV2c\n\
              dm+Lq8jTXk2avQEX6sSxQgVc0H6kPNVDceeWHX5hc+Q\n"
        );
        let check = |arguments: &[&str], body: &[u8], expected| {
            let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(Wrapped::parse(&arguments, body), Err(expected));
        };
        check(&[], &body, ParseError::Value);
        check(&[&arguments[0], "x"], &body, ParseError::Value);
        check(&["AAAA"], &body, ParseError::Value);
        check(
            &["sFK/FOQOzz2ev7IKgZArO6oVyeOow2krRAXuDVNpV2c="],
            &body,
            ParseError::Text,
        );
        check(
            &["sFK/FOQOzz2ev7IKgZArO6oVyeOow2krRAXuDVNpV2d"],
            &body,
            ParseError::Text,
        );
        check(&[&arguments[0]], &body[1..], ParseError::Value);
    }
}
