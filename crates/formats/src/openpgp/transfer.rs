//! A private key on its way from gpg to its agent: what `IMPORT_KEY` is given, wrapped by the key
//! of `KEYWRAP_KEY`, and what `GENKEY` is told (GnuPG, `g10/import.c`, `transfer_secret_keys`;
//! `agent/cvt-openpgp.c`; `g10/keygen.c`, `gen_ecc`).
//!
//! **Invariant:** what is unwrapped lies in locked memory, and so does what is made of it. A key is
//! read whole or not at all; whether its two halves belong together, who keeps it finds out.

mod protection;
#[cfg(test)]
mod tests;

use aws_lc_rs::key_wrap::{AES_128, AesKek, KeyWrap};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keystead_core::{Algorithm, KeyType, SecretBytes};

use protection::Protection;

use super::curve::Curve;
use super::packet::strip;
use super::public::PublicKey;
use crate::ParseError;
use crate::sexp::{Sexp, counted};
use crate::ssh;

/// What came.
pub enum Arrived {
    /// A key with nothing around its private half.
    Open(Transferred),
    /// One that a passphrase of gpg's opens.
    Protected(Protected),
}

/// A key whose private half a passphrase protects.
pub struct Protected {
    half: Half,
    public: PublicKey,
    public_key: Vec<u8>,
    encrypted: Vec<u8>,
    protection: Protection,
}

impl Protected {
    /// Opens it.
    ///
    /// # Errors
    /// [`TransferError::Passphrase`]; [`TransferError::Malformed`] for what opens and is no number.
    pub fn open(&self, passphrase: &[u8]) -> Result<Transferred, TransferError> {
        let opened = self.protection.open(&self.encrypted, passphrase)?;
        // RFC 4880 section 3.2: its length in bits, then the number.
        let malformed = TransferError::Malformed;
        let split = opened.expose().split_first_chunk();
        let (bits, number) = split.ok_or(malformed.clone())?;
        if usize::from(u16::from_be_bytes(*bits)).div_ceil(8) != number.len() {
            return Err(malformed);
        }
        Ok(Transferred {
            algorithm: self.half.algorithm(),
            public: self.public.clone(),
            public_key: self.public_key.clone(),
            private: self.half.private(number)?,
        })
    }
}

/// A key that came, with nothing around its private half.
pub struct Transferred {
    algorithm: Algorithm,
    public: PublicKey,
    /// The key as keepers name it.
    public_key: Vec<u8>,
    /// 32 bytes, as PKCS#8 has them.
    private: SecretBytes,
}

/// Why a key does not come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// Wrapped by another key, or damaged.
    #[error("the key does not unwrap")]
    Unwrap,
    /// Not the expression that gpg sends.
    #[error("the key cannot be read")]
    Malformed,
    /// Another passphrase protects it.
    #[error("the passphrase is wrong")]
    Passphrase,
    /// Of an algorithm or on a curve that keepers take from nobody.
    #[error("keys of type {0} are not taken")]
    Algorithm(String),
    /// Protected by a cipher or hash that nothing here opens.
    #[error("its protection by {0} is not opened here")]
    Protection(String),
}

impl Transferred {
    /// 8,192 bytes: `MAXLEN_KEYDATA` of gpg-agent.
    pub const WRAPPED_BYTES_MAX: usize = 8_192;

    /// Unwraps a key (RFC 3394) and reads it.
    ///
    /// # Errors
    /// [`TransferError`].
    pub fn unwrap(key: &[u8; 16], wrapped: &[u8]) -> Result<Arrived, TransferError> {
        if wrapped.len() > Self::WRAPPED_BYTES_MAX || wrapped.len() <= WRAP_BLOCK_BYTES {
            return Err(TransferError::Unwrap);
        }
        let kek = AesKek::new(&AES_128, key).map_err(|_| TransferError::Unwrap)?;
        let mut opened = None;
        let mut content = SecretBytes::fill(wrapped.len(), |place| {
            opened = kek.unwrap(wrapped, place).ok().map(|it| it.len());
        });
        content.truncate(opened.ok_or(TransferError::Unwrap)?);
        Self::read(content.expose())
    }

    /// Reads `(openpgp-private-key …)` in canonical form, with zeros behind it up to a whole block.
    ///
    /// # Errors
    /// [`TransferError`].
    pub fn read(bytes: &[u8]) -> Result<Arrived, TransferError> {
        let mut reader = Canonical(bytes);
        reader.open("openpgp-private-key")?;
        reader.pair("version")?;
        let algorithm = reader.pair("algo")?;
        let curve = match reader.try_open("curve") {
            true => {
                let curve = reader.atom()?;
                reader.close()?;
                curve
            }
            false => return Err(TransferError::Algorithm(shown(algorithm))),
        };
        let half =
            Half::of(algorithm, curve).ok_or_else(|| TransferError::Algorithm(shown(curve)))?;
        reader.open("skey")?;
        if reader.atom()? != PLAIN {
            return Err(TransferError::Malformed);
        }
        let (public, public_key) = half.public(reader.atom()?)?;
        let is_protected = match reader.atom()? {
            PLAIN => false,
            ENCRYPTED => true,
            _ => return Err(TransferError::Malformed),
        };
        let number = reader.atom()?;
        reader.close()?;
        reader.pair("csum")?;
        reader.open("protection")?;
        let protection = match is_protected {
            true => Some(Protection::read(&mut reader)?),
            false if reader.atom()? == b"none" => None,
            false => return Err(TransferError::Malformed),
        };
        reader.close()?;
        reader.close()?;
        // One zero ends it (`make_canon_sexp_pad`), the others fill the block.
        if reader.0.len() > WRAP_BLOCK_BYTES || reader.0.iter().any(|it| *it != 0) {
            return Err(TransferError::Malformed);
        }
        Ok(match protection {
            Some(protection) => Arrived::Protected(Protected {
                half,
                public,
                public_key,
                encrypted: number.to_vec(),
                protection,
            }),
            None => Arrived::Open(Self {
                algorithm: half.algorithm(),
                public,
                public_key,
                private: half.private(number)?,
            }),
        })
    }

    /// What kind of key it is.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The same, as keepers list it (`spec/pairing.md` section 5.1).
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The private key as PKCS#8 (RFC 5958; RFC 8410, RFC 5915), PEM (RFC 7468), with the public
    /// half beside it: who keeps it finds out whether the two belong together, before it is kept.
    #[must_use]
    pub fn pkcs8(&self) -> SecretBytes {
        let (head, between, point_bytes) = match self.algorithm {
            Algorithm::Ed25519 => (PKCS8_ED25519, PKCS8_COMPACT, COMPACT_BYTES),
            Algorithm::X25519 => (PKCS8_X25519, PKCS8_COMPACT, COMPACT_BYTES),
            // What else is read lies on P-256.
            Algorithm::EcdsaP256 | Algorithm::EcdhP256 | _ => {
                (PKCS8_P256, PKCS8_POINT, POINT_BYTES)
            }
        };
        // Every form in which keepers name a key ends with its point.
        let (_, point) = split_end(&self.public_key, point_bytes);
        let parts = [head, self.private.expose(), between, point];
        let len = parts.iter().map(|it| it.len()).sum();
        let mut der = SecretBytes::fill(len, |place| {
            let bytes = parts.into_iter().flatten();
            for (place, byte) in place.iter_mut().zip(bytes) {
                *place = *byte;
            }
        });
        let lines = der.len().div_ceil(PEM_LINE_BYTES);
        let len = PEM_BEGIN.len() + PEM_END.len() + der.len().div_ceil(3) * 4 + lines;
        let pem = SecretBytes::fill(len, |place| {
            let mut rest = place;
            put(&mut rest, PEM_BEGIN);
            for line in der.expose().chunks(PEM_LINE_BYTES) {
                let written = STANDARD.encode_slice(line, rest).unwrap_or_default();
                rest = std::mem::take(&mut rest)
                    .get_mut(written..)
                    .unwrap_or_default();
                put(&mut rest, b"\n");
            }
            put(&mut rest, PEM_END);
        });
        der.truncate(0);
        pem
    }
}

/// The kind of key that `GENKEY` is to make.
///
/// # Errors
/// [`TransferError::Algorithm`]: no keeper makes it, or gpg does not say what it is for: on P-256
/// it asks for a key that signs and for one that agrees in the same words.
pub fn wanted_key(bytes: &[u8]) -> Result<KeyType, TransferError> {
    let sexp = Sexp::parse(bytes).map_err(|_| TransferError::Malformed)?;
    if sexp.name() != Some(b"genkey") {
        return Err(TransferError::Malformed);
    }
    let Some(ecc) = sexp.find("ecc") else {
        let name = sexp.items().get(1).and_then(Sexp::name);
        return Err(TransferError::Algorithm(shown(name.unwrap_or_default())));
    };
    match ecc.value("curve").ok_or(TransferError::Malformed)? {
        b"Ed25519" => Ok(KeyType::Ed25519),
        b"Curve25519" => Ok(KeyType::X25519),
        curve => Err(TransferError::Algorithm(shown(curve))),
    }
}

/// Which of a key's kinds.
#[derive(Clone, Copy)]
enum Half {
    Ed25519,
    EcdsaP256,
    X25519,
    EcdhP256,
}

impl Half {
    fn of(algorithm: &[u8], curve: &[u8]) -> Option<Self> {
        match (algorithm.to_ascii_uppercase().as_slice(), curve) {
            (b"EDDSA", b"Ed25519") => Some(Self::Ed25519),
            (b"ECDSA", NIST_P256) => Some(Self::EcdsaP256),
            (b"ECDH", b"Curve25519") => Some(Self::X25519),
            (b"ECDH", NIST_P256) => Some(Self::EcdhP256),
            _ => None,
        }
    }

    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::Ed25519,
            Self::EcdsaP256 => Algorithm::EcdsaP256,
            Self::X25519 => Algorithm::X25519,
            Self::EcdhP256 => Algorithm::EcdhP256,
        }
    }

    fn public(self, point: &[u8]) -> Result<(PublicKey, Vec<u8>), TransferError> {
        let malformed = |_: ParseError| TransferError::Malformed;
        let compact = || match point {
            [super::public::COMPACT_POINT, point @ ..] => {
                <&[u8; 32]>::try_from(point).map_err(|_| TransferError::Malformed)
            }
            _ => Err(TransferError::Malformed),
        };
        Ok(match self {
            Self::Ed25519 => {
                let point = compact()?;
                let blob = ssh::PublicKey::ed25519(point).blob().to_vec();
                (PublicKey::ed25519(point), blob)
            }
            Self::EcdsaP256 => {
                let blob = ssh::PublicKey::ecdsa(ssh::Curve::P256, point);
                let blob = blob.map_err(|_| TransferError::Malformed)?.blob().to_vec();
                (
                    PublicKey::ecdsa(Curve::NistP256, point).map_err(malformed)?,
                    blob,
                )
            }
            Self::X25519 => {
                let point = compact()?;
                let key = PublicKey::ecdh(Curve::Curve25519, point).map_err(malformed)?;
                (key, point.to_vec())
            }
            Self::EcdhP256 => {
                let key = PublicKey::ecdh(Curve::NistP256, point).map_err(malformed)?;
                (key, point.to_vec())
            }
        })
    }

    /// OpenPGP has a number without its leading zeros; on Curve25519 the number is the scalar
    /// read backwards (RFC 9580 section 5.5.5.4 says so of the old form).
    fn private(self, number: &[u8]) -> Result<SecretBytes, TransferError> {
        let number = strip(number);
        let zeros = SCALAR_BYTES.checked_sub(number.len());
        let zeros = zeros.ok_or(TransferError::Malformed)?;
        Ok(SecretBytes::fill(SCALAR_BYTES, |place| {
            for (place, byte) in place.iter_mut().skip(zeros).zip(number) {
                *place = *byte;
            }
            if let Self::X25519 = self {
                place.reverse();
            }
        }))
    }
}

/// A reader of the canonical form that copies nothing: it goes over private keys.
struct Canonical<'a>(&'a [u8]);

impl<'a> Canonical<'a> {
    fn open(&mut self, name: &str) -> Result<(), TransferError> {
        match self.try_open(name) {
            true => Ok(()),
            false => Err(TransferError::Malformed),
        }
    }

    /// Nothing is read where another list begins, or none.
    fn try_open(&mut self, name: &str) -> bool {
        let mut ahead = Canonical(self.0);
        let begins = ahead.take(b'(').is_ok() && ahead.atom() == Ok(name.as_bytes());
        if begins {
            self.0 = ahead.0;
        }
        begins
    }

    fn close(&mut self) -> Result<(), TransferError> {
        self.take(b')')
    }

    /// `(name value)`.
    fn pair(&mut self, name: &str) -> Result<&'a [u8], TransferError> {
        self.open(name)?;
        let value = self.atom()?;
        self.close()?;
        Ok(value)
    }

    fn atom(&mut self) -> Result<&'a [u8], TransferError> {
        let (atom, rest) = counted(self.0).map_err(|_| TransferError::Malformed)?;
        self.0 = rest;
        Ok(atom)
    }

    fn take(&mut self, byte: u8) -> Result<(), TransferError> {
        match self.0.split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = rest;
                Ok(())
            }
            _ => Err(TransferError::Malformed),
        }
    }
}

fn split_end(bytes: &[u8], len: usize) -> (&[u8], &[u8]) {
    bytes
        .split_at_checked(bytes.len().saturating_sub(len))
        .unwrap_or_default()
}

fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    let (now, later) = std::mem::take(rest)
        .split_at_mut_checked(bytes.len())
        .unwrap_or_default();
    now.copy_from_slice(bytes.get(..now.len()).unwrap_or_default());
    *rest = later;
}

fn shown(name: &[u8]) -> String {
    let shown = name.iter().take(NAME_BYTES_MAX).map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    });
    shown.collect()
}

const PLAIN: &[u8] = b"_";
const ENCRYPTED: &[u8] = b"e";
const NIST_P256: &[u8] = b"NIST P-256";

/// RFC 3394 §2.2: semiblocks of 64 bits.
const WRAP_BLOCK_BYTES: usize = 8;

/// Private keys on all these curves.
const SCALAR_BYTES: usize = 32;

/// 32 bytes of a foreign name are shown: no curve's is longer.
const NAME_BYTES_MAX: usize = 32;

/// RFC 7468 section 2: lines of 64 characters hold 48 bytes.
const PEM_LINE_BYTES: usize = 48;
const PEM_BEGIN: &[u8] = b"-----BEGIN PRIVATE KEY-----\n";
const PEM_END: &[u8] = b"-----END PRIVATE KEY-----\n";

/// RFC 8410 section 7: version 1, 1.3.101.112, an octet string in an octet string.
const PKCS8_ED25519: &[u8] = &[
    0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// The same with 1.3.101.110.
const PKCS8_X25519: &[u8] = &[
    0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20,
];
/// RFC 5958 section 2: `[1]`, a bit string without a tag of its own.
const PKCS8_COMPACT: &[u8] = &[0x81, 0x21, 0x00];
/// RFC 5480 section 2.1.1.1 and RFC 5915 section 3: id-ecPublicKey on secp256r1, a scalar.
const PKCS8_P256: &[u8] = &[
    0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
    0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02,
    0x01, 0x01, 0x04, 0x20,
];
/// RFC 5915 section 3: `[1]` around a bit string.
const PKCS8_POINT: &[u8] = &[0xa1, 0x44, 0x03, 0x42, 0x00];

/// Points of the Curve25519 family, and uncompressed ones of P-256 (SEC 1 section 2.3.3).
const COMPACT_BYTES: usize = 32;
const POINT_BYTES: usize = 65;
