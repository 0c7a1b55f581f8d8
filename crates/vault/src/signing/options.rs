//! What a signature depends on beside key and message.

use aws_lc_rs::digest;

/// What the asker of a signature may choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignOptions {
    /// For RSA keys, which sign with nothing else.
    pub rsa_hash: Option<RsaHash>,
    /// For keys with presence, which sign with nothing else.
    pub presence: Option<Presence>,
}

impl SignOptions {
    /// Those of the flags of a sign request (RFC 9987 section 3.6.1): 2 is
    /// SHA-256, 4 SHA-512, both are SHA-256 as at OpenSSH's agent. None of
    /// them asks an RSA key for SHA-1, which it does not make.
    #[must_use]
    pub const fn from_flags(flags: u32) -> Self {
        let rsa_hash = if flags & FLAG_RSA_SHA2_256 != 0 {
            Some(RsaHash::Sha256)
        } else if flags & FLAG_RSA_SHA2_512 != 0 {
            Some(RsaHash::Sha512)
        } else {
            None
        };
        Self {
            rsa_hash,
            presence: None,
        }
    }

    /// These, with a statement of presence.
    #[must_use]
    pub const fn with_presence(mut self, presence: Presence) -> Self {
        self.presence = Some(presence);
        self
    }
}

/// The hash of an RSA signature, PKCS #1 v1.5 (RFC 8332 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaHash {
    /// `rsa-sha2-256`.
    Sha256,
    /// `rsa-sha2-512`.
    Sha512,
}

/// What a key with presence states in each signature (OpenSSH PROTOCOL.u2f).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presence {
    /// [`Presence::USER`], [`Presence::VERIFIED`].
    pub flags: u8,
    /// Grows with every signature of the key.
    pub counter: u32,
}

impl Presence {
    /// A person was there and agreed.
    pub const USER: u8 = 0x01;
    /// That person had shown who it is.
    pub const VERIFIED: u8 = 0x04;

    /// What is signed: `SHA-256(application) ‖ flags ‖ counter ‖ SHA-256(message)`.
    pub(super) fn statement(self, application: &str, message: &[u8]) -> Vec<u8> {
        let application = digest::digest(&digest::SHA256, application.as_bytes());
        let message = digest::digest(&digest::SHA256, message);
        let parts: [&[u8]; 4] = [
            application.as_ref(),
            &[self.flags],
            &self.counter.to_be_bytes(),
            message.as_ref(),
        ];
        parts.concat()
    }
}

const FLAG_RSA_SHA2_256: u32 = 2;

const FLAG_RSA_SHA2_512: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_choose_the_hash_and_never_sha_1() {
        for (flags, expected) in [
            (0, None),
            (1, None),
            (2, Some(RsaHash::Sha256)),
            (4, Some(RsaHash::Sha512)),
            (6, Some(RsaHash::Sha256)),
            (8, None),
            (u32::MAX, Some(RsaHash::Sha256)),
        ] {
            assert_eq!(SignOptions::from_flags(flags).rsa_hash, expected, "{flags}");
        }
    }
}
