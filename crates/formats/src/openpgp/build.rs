//! What a key says of itself: user ids, subkeys and revocations, each signed by the primary
//! (RFC 4880 §5.2.1).

use super::curve::Curve;
use super::key::KeyPacket;
use super::public::PublicKey;
use super::signature::{Signature, Unsigned};
use super::subpacket as sub;

/// In whose form signatures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Byte for byte what trezor-gpg writes (trezor-agent, `libagent/gpg/encode.py`): the same
    /// seed gives the same file.
    Trezor,
    /// With the issuer's fingerprint, and an end if one is wanted, as GnuPG writes them.
    Full {
        /// Seconds behind the key's own time; none: it does not end.
        expires_after_s: Option<u32>,
    },
}

/// What a subkey is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Signs data.
    Sign,
    /// Opens messages and files.
    Encrypt,
    /// Logs in.
    Authenticate,
}

impl Usage {
    /// RFC 4880 §5.2.3.21.
    const fn flags(self) -> u8 {
        match self {
            Self::Sign => FLAG_SIGN,
            Self::Encrypt => FLAG_ENCRYPT,
            Self::Authenticate => FLAG_AUTHENTICATE,
        }
    }
}

/// Why a key is revoked (RFC 4880 §5.2.3.23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// 0: no reason given.
    Unsaid,
    /// 1: another key takes its place.
    Superseded,
    /// 2: somebody else may have it.
    Compromised,
    /// 3: nobody uses it any more.
    Retired,
}

impl Revocation {
    const fn code(self) -> u8 {
        match self {
            Self::Unsaid => 0,
            Self::Superseded => 1,
            Self::Compromised => 2,
            Self::Retired => 3,
        }
    }
}

/// A primary key and the public half that signs with it.
///
/// Kept together so that a signature of a key whose algorithm is not known here cannot be begun.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    packet: &'a KeyPacket,
    key: &'a PublicKey,
}

impl<'a> Signer<'a> {
    /// `None` if the key is of an algorithm that is not known here, or only encrypts.
    #[must_use]
    pub fn new(packet: &'a KeyPacket) -> Option<Self> {
        let key = packet.key().filter(|key| key.kdf().is_none())?;
        Some(Self { packet, key })
    }

    /// The user id is the key's (type 0x13); with it the preferences of its owner.
    #[must_use]
    pub fn user_id(self, user_id: &str, form: Form, signed_at_unix_s: u32) -> Unsigned {
        let len = u32::try_from(user_id.len()).unwrap_or(u32::MAX);
        let hashed = [
            self.packet.hashed().as_slice(),
            &[HASHED_USER_ID],
            &len.to_be_bytes()[..],
            user_id.as_bytes(),
        ]
        .concat();
        let mut area = self.hashed_area(form, signed_at_unix_s);
        // The order is trezor-gpg's.
        match form {
            Form::Trezor => {
                sub::push(&mut area, sub::PREFERRED_CIPHERS, &[AES_256]);
                sub::push(&mut area, sub::KEY_FLAGS, &[FLAG_CERTIFY | FLAG_SIGN]);
            }
            Form::Full { expires_after_s } => {
                sub::push(&mut area, sub::KEY_FLAGS, &[FLAG_CERTIFY | FLAG_SIGN]);
                push_expiry(&mut area, expires_after_s);
                sub::push(
                    &mut area,
                    sub::PREFERRED_CIPHERS,
                    &[AES_256, AES_192, AES_128],
                );
            }
        }
        let hashes: &[u8] = match form {
            Form::Trezor => &[SHA_256, SHA_384, SHA_512],
            Form::Full { .. } => &[SHA_512, SHA_384, SHA_256],
        };
        sub::push(&mut area, sub::PREFERRED_HASHES, hashes);
        sub::push(&mut area, sub::PREFERRED_COMPRESSION, &[ZLIB, BZIP2, ZIP]);
        sub::push(&mut area, sub::KEY_SERVER_PREFERENCES, &[NO_MODIFY]);
        sub::push(&mut area, sub::FEATURES, &[FEATURE_MDC]);
        let unhashed = self.unhashed_area(form, None);
        Unsigned::new(self.key, POSITIVE_CERTIFICATION, &hashed, &area, unhashed)
    }

    /// The subkey is this key's (type 0x18). A subkey that signs must agree: `back` is what
    /// [`Signer::back`] of it became.
    #[must_use]
    pub fn binding(
        self,
        subkey: &KeyPacket,
        usage: Usage,
        back: Option<&Signature>,
        form: Form,
        signed_at_unix_s: u32,
    ) -> Unsigned {
        let hashed = [self.packet.hashed(), subkey.hashed()].concat();
        let mut area = self.hashed_area(form, signed_at_unix_s);
        sub::push(&mut area, sub::KEY_FLAGS, &[usage.flags()]);
        if let Form::Full { expires_after_s } = form {
            push_expiry(&mut area, expires_after_s);
        }
        let unhashed = self.unhashed_area(form, back);
        Unsigned::new(self.key, SUBKEY_BINDING, &hashed, &area, unhashed)
    }

    /// This subkey agrees to be the primary's (type 0x19).
    #[must_use]
    pub fn back(self, primary: &KeyPacket, form: Form, signed_at_unix_s: u32) -> Unsigned {
        let hashed = [primary.hashed(), self.packet.hashed()].concat();
        let area = self.hashed_area(form, signed_at_unix_s);
        let mut unhashed = Vec::new();
        sub::push(
            &mut unhashed,
            sub::ISSUER,
            &self.packet.fingerprint().key_id(),
        );
        Unsigned::new(self.key, PRIMARY_BINDING, &hashed, &area, unhashed)
    }

    /// The key is to be used no more (type 0x20).
    #[must_use]
    pub fn revocation(self, reason: Revocation, why: &str, signed_at_unix_s: u32) -> Unsigned {
        let hashed = self.packet.hashed();
        self.revoke(KEY_REVOCATION, &hashed, reason, why, signed_at_unix_s)
    }

    /// The subkey is to be used no more (type 0x28).
    #[must_use]
    pub fn subkey_revocation(
        self,
        subkey: &KeyPacket,
        reason: Revocation,
        why: &str,
        signed_at_unix_s: u32,
    ) -> Unsigned {
        let hashed = [self.packet.hashed(), subkey.hashed()].concat();
        self.revoke(SUBKEY_REVOCATION, &hashed, reason, why, signed_at_unix_s)
    }

    fn revoke(
        self,
        kind: u8,
        hashed: &[u8],
        reason: Revocation,
        why: &str,
        signed_at_unix_s: u32,
    ) -> Unsigned {
        let form = Form::Full {
            expires_after_s: None,
        };
        let mut area = self.hashed_area(form, signed_at_unix_s);
        let reason = [&[reason.code()], why.as_bytes()].concat();
        sub::push(&mut area, sub::REVOCATION_REASON, &reason);
        let unhashed = self.unhashed_area(form, None);
        Unsigned::new(self.key, kind, hashed, &area, unhashed)
    }

    /// How every hashed area begins.
    fn hashed_area(self, form: Form, signed_at_unix_s: u32) -> Vec<u8> {
        let mut area = Vec::new();
        if let Form::Full { .. } = form {
            sub::push_issuer_fingerprint(&mut area, &self.packet.fingerprint());
        }
        sub::push(&mut area, sub::CREATED, &signed_at_unix_s.to_be_bytes());
        area
    }

    fn unhashed_area(self, form: Form, back: Option<&Signature>) -> Vec<u8> {
        let mut area = Vec::new();
        sub::push(&mut area, sub::ISSUER, &self.packet.fingerprint().key_id());
        if let Some(back) = back {
            sub::push(&mut area, sub::EMBEDDED_SIGNATURE, back.body());
        }
        if form == Form::Trezor {
            sub::push(&mut area, sub::POLICY_URL, TREZOR_MARK);
        }
        area
    }
}

fn push_expiry(area: &mut Vec<u8>, expires_after_s: Option<u32>) {
    if let Some(after_s) = expires_after_s {
        sub::push(area, sub::KEY_EXPIRES, &after_s.to_be_bytes());
    }
}

/// The curve on which a key of this curve's owner encrypts.
#[must_use]
pub const fn encryption_curve(signing: Curve) -> Curve {
    match signing {
        Curve::Ed25519 => Curve::Curve25519,
        Curve::Curve25519
        | Curve::NistP256
        | Curve::NistP384
        | Curve::NistP521
        | Curve::Secp256k1 => signing,
    }
}

/// RFC 4880 §5.2.4: before a user id that is hashed, with a length of four bytes.
const HASHED_USER_ID: u8 = 0xb4;

// RFC 4880 §5.2.1.
const POSITIVE_CERTIFICATION: u8 = 0x13;
const SUBKEY_BINDING: u8 = 0x18;
const PRIMARY_BINDING: u8 = 0x19;
const KEY_REVOCATION: u8 = 0x20;
const SUBKEY_REVOCATION: u8 = 0x28;

// RFC 4880 §5.2.3.21.
const FLAG_CERTIFY: u8 = 0x01;
const FLAG_SIGN: u8 = 0x02;
/// Communications and storage.
const FLAG_ENCRYPT: u8 = 0x04 | 0x08;
const FLAG_AUTHENTICATE: u8 = 0x20;

// RFC 4880 §9.2, §9.3, §9.4.
const AES_128: u8 = 7;
const AES_192: u8 = 8;
const AES_256: u8 = 9;
const ZIP: u8 = 1;
const ZLIB: u8 = 2;
const BZIP2: u8 = 3;
const SHA_256: u8 = 8;
const SHA_384: u8 = 9;
const SHA_512: u8 = 10;

/// RFC 4880 §5.2.3.17: a key server changes nothing unasked.
const NO_MODIFY: u8 = 0x80;
/// RFC 4880 §5.2.3.24.
const FEATURE_MDC: u8 = 0x01;
/// By this policy trezor-agent knows its keys (`libagent/gpg/protocol.py`).
const TREZOR_MARK: &[u8] = b"TREZOR-GPG";
