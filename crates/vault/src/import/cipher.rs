//! What private keys are encrypted by: OpenSSH's ciphers under bcrypt
//! (OpenSSH PROTOCOL.key), and PBES2 (RFC 8018 section 6.2).
//!
//! **Invariant:** keys and opened bytes lie in locked memory, and the cost
//! that a file asks for is checked before it is paid.

use std::num::NonZeroU32;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, UnboundCipherKey,
};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use keystead_core::SecretBytes;
use keystead_sodium::{memory, ssh_chacha};

use super::ImportError;
use super::der::{Der, NULL, OBJECT_IDENTIFIER, OCTET_STRING};
use super::oid::identifier_text;

/// A cipher of OpenSSH's own key files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenSshCipher {
    Ctr(AesBits),
    Cbc(AesBits),
    Gcm(AesBits),
    ChaCha20Poly1305,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AesBits {
    Aes128,
    Aes192,
    Aes256,
}

impl AesBits {
    const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    const fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes128 => &AES_128,
            Self::Aes192 => &AES_192,
            Self::Aes256 => &AES_256,
        }
    }
}

impl OpenSshCipher {
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"aes128-ctr" => Self::Ctr(AesBits::Aes128),
            b"aes192-ctr" => Self::Ctr(AesBits::Aes192),
            b"aes256-ctr" => Self::Ctr(AesBits::Aes256),
            b"aes128-cbc" => Self::Cbc(AesBits::Aes128),
            b"aes192-cbc" => Self::Cbc(AesBits::Aes192),
            b"aes256-cbc" => Self::Cbc(AesBits::Aes256),
            b"aes128-gcm@openssh.com" => Self::Gcm(AesBits::Aes128),
            b"aes256-gcm@openssh.com" => Self::Gcm(AesBits::Aes256),
            b"chacha20-poly1305@openssh.com" => Self::ChaCha20Poly1305,
            _ => return None,
        })
    }

    /// Length of the key and of what stands behind it, the first nonce.
    pub(super) const fn secret_bytes(self) -> usize {
        match self {
            Self::Ctr(bits) | Self::Cbc(bits) => bits.key_bytes() + BLOCK_BYTES,
            Self::Gcm(bits) => bits.key_bytes() + GCM_NONCE_BYTES,
            // A second key is for lengths, which files do not have; no nonce.
            Self::ChaCha20Poly1305 => 64,
        }
    }

    pub(super) const fn tag_bytes(self) -> usize {
        match self {
            Self::Ctr(_) | Self::Cbc(_) => 0,
            Self::Gcm(_) | Self::ChaCha20Poly1305 => TAG_BYTES,
        }
    }

    /// Opens a file's private part. Without a tag, what a wrong key gives is
    /// found out by who reads it.
    pub(super) fn open(
        self,
        secret: &SecretBytes,
        encrypted: &[u8],
        tag: &[u8],
    ) -> Result<SecretBytes, ImportError> {
        match self {
            Self::Ctr(bits) => aes(bits, Mode::Ctr, secret, encrypted),
            Self::Cbc(bits) => aes(bits, Mode::Cbc, secret, encrypted),
            Self::Gcm(bits) => gcm(bits, secret, encrypted, tag),
            Self::ChaCha20Poly1305 => chacha(secret, encrypted, tag),
        }
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Ctr,
    Cbc,
}

/// `secret` is the key and, behind it, the first block's nonce.
fn aes(
    bits: AesBits,
    mode: Mode,
    secret: &SecretBytes,
    encrypted: &[u8],
) -> Result<SecretBytes, ImportError> {
    if !encrypted.len().is_multiple_of(BLOCK_BYTES) {
        return Err(ImportError::Malformed);
    }
    let (key, nonce) = secret
        .expose()
        .split_last_chunk::<BLOCK_BYTES>()
        .ok_or(ImportError::Malformed)?;
    open_in_place(encrypted, |bytes| {
        let key = UnboundCipherKey::new(bits.algorithm(), key)?;
        let key = match mode {
            Mode::Ctr => DecryptingKey::ctr(key)?,
            Mode::Cbc => DecryptingKey::cbc(key)?,
        };
        let context = DecryptionContext::Iv128(FixedLength::from(nonce));
        key.decrypt(bytes, context).map(|_| ())
    })
    .map_err(|_| ImportError::Malformed)
}

fn gcm(
    bits: AesBits,
    secret: &SecretBytes,
    encrypted: &[u8],
    tag: &[u8],
) -> Result<SecretBytes, ImportError> {
    let algorithm = match bits {
        AesBits::Aes128 => &AES_128_GCM,
        AesBits::Aes192 | AesBits::Aes256 => &AES_256_GCM,
    };
    let (key, nonce) = secret
        .expose()
        .split_last_chunk::<GCM_NONCE_BYTES>()
        .ok_or(ImportError::Malformed)?;
    open_in_place(encrypted, |bytes| {
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key)?);
        let nonce = Nonce::assume_unique_for_key(*nonce);
        key.open_in_place_separate_tag(nonce, Aad::empty(), tag, bytes)
            .map(|_| ())
    })
    .map_err(|_| ImportError::WrongPassphrase)
}

/// The first half of `secret` is the key.
fn chacha(secret: &SecretBytes, encrypted: &[u8], tag: &[u8]) -> Result<SecretBytes, ImportError> {
    let (key, _) = secret
        .expose()
        .split_first_chunk()
        .ok_or(ImportError::Malformed)?;
    let tag = tag.try_into().map_err(|_| ImportError::Malformed)?;
    open_in_place(encrypted, |bytes| {
        ssh_chacha::open_in_place(key, tag, bytes).map_err(|_| Unspecified)
    })
    .map_err(|_| ImportError::WrongPassphrase)
}

/// Copies into locked memory, and opens it there.
fn open_in_place(
    encrypted: &[u8],
    open: impl FnOnce(&mut [u8]) -> Result<(), Unspecified>,
) -> Result<SecretBytes, Unspecified> {
    let mut opened = Ok(());
    let bytes = SecretBytes::fill(encrypted.len(), |bytes| {
        bytes.copy_from_slice(encrypted);
        opened = memory::with_wiped_stack(|| open(bytes));
    });
    opened.map(|()| bytes)
}

/// The key of a passphrase, by bcrypt as OpenSSH has it.
pub(super) fn bcrypt(
    passphrase: &SecretBytes,
    salt: &[u8],
    rounds: u32,
    len: usize,
) -> Result<SecretBytes, ImportError> {
    if rounds > BCRYPT_ROUNDS_MAX {
        return Err(ImportError::TooCostly);
    }
    let mut made = Ok(());
    let key = SecretBytes::fill(len, |key| {
        made = memory::with_wiped_stack(|| {
            let mut work = [0; BCRYPT_WORK_BYTES];
            let work = work.get_mut(..len.next_multiple_of(BCRYPT_STRIDE_BYTES));
            let work = work.ok_or(ImportError::Malformed)?;
            bcrypt_pbkdf::bcrypt_pbkdf_with_memory(passphrase.expose(), salt, rounds, key, work)
                .map_err(|_| match passphrase.is_empty() {
                    true => ImportError::WrongPassphrase,
                    false => ImportError::Malformed,
                })
        });
    });
    made.map(|()| key)
}

/// The parameters of PBES2, of which PBKDF2 and AES in CBC are known here.
pub(super) struct Pbes2<'a> {
    salt: &'a [u8],
    iterations: NonZeroU32,
    hash: pbkdf2::Algorithm,
    bits: AesBits,
    nonce: &'a [u8; BLOCK_BYTES],
}

impl<'a> Pbes2<'a> {
    /// Reads an `AlgorithmIdentifier`.
    pub(super) fn read(mut method: Der<'a>) -> Result<Self, ImportError> {
        let scheme = method.value(OBJECT_IDENTIFIER)?;
        if scheme != PBES2 {
            return Err(other(scheme));
        }
        let mut parameters = method.sequence()?;
        method.finish()?;
        let mut derivation = parameters.sequence()?;
        let mut encryption = parameters.sequence()?;
        parameters.finish()?;

        let function = derivation.value(OBJECT_IDENTIFIER)?;
        if function != PBKDF2 {
            return Err(other(function));
        }
        let mut pbkdf2 = derivation.sequence()?;
        derivation.finish()?;
        let salt = pbkdf2.value(OCTET_STRING)?;
        let iterations = pbkdf2.small()?;
        let key_bytes = pbkdf2.optional_small()?;
        let hash = hash_of(&mut pbkdf2)?;
        pbkdf2.finish()?;

        let bits = aes_of(encryption.value(OBJECT_IDENTIFIER)?)?;
        let nonce = encryption.value(OCTET_STRING)?;
        encryption.finish()?;
        let key_bytes = key_bytes.map(usize::try_from);
        if key_bytes.is_some_and(|len| len != Ok(bits.key_bytes())) {
            return Err(ImportError::Malformed);
        }
        if iterations > PBKDF2_ITERATIONS_MAX {
            return Err(ImportError::TooCostly);
        }
        Ok(Self {
            salt,
            iterations: NonZeroU32::new(iterations).ok_or(ImportError::Malformed)?,
            hash,
            bits,
            nonce: nonce.try_into().map_err(|_| ImportError::Malformed)?,
        })
    }
}

/// Opens what PBES2 encrypted, and takes its padding off.
pub(super) fn open_pbes2(
    method: &Pbes2<'_>,
    passphrase: &SecretBytes,
    encrypted: &[u8],
) -> Result<SecretBytes, ImportError> {
    let key_bytes = method.bits.key_bytes();
    let secret = SecretBytes::fill(key_bytes + BLOCK_BYTES, |secret| {
        let (key, nonce) = secret.split_at_mut(key_bytes);
        nonce.copy_from_slice(method.nonce);
        memory::with_wiped_stack(|| {
            let passphrase = passphrase.expose();
            pbkdf2::derive(method.hash, method.iterations, method.salt, passphrase, key);
        });
    });
    let mut opened = aes(method.bits, Mode::Cbc, &secret, encrypted)?;
    // RFC 8018 section 6.1.1, step 4: as many bytes as each of them says.
    let padding = opened.expose().last().copied().unwrap_or_default();
    let bare = opened.len().checked_sub(usize::from(padding));
    let is_padding = |bytes: &[u8]| bytes.iter().all(|byte| *byte == padding);
    match bare {
        Some(bare)
            if (1..=BLOCK_BYTES).contains(&usize::from(padding))
                && opened.expose().get(bare..).is_some_and(is_padding) =>
        {
            opened.truncate(bare);
            Ok(opened)
        }
        _ => Err(ImportError::WrongPassphrase),
    }
}

/// The `prf` of PBKDF2; HMAC with SHA-1 where it is left out (RFC 8018 appendix A.2).
fn hash_of(pbkdf2: &mut Der<'_>) -> Result<pbkdf2::Algorithm, ImportError> {
    if pbkdf2.is_empty() {
        return Ok(pbkdf2::PBKDF2_HMAC_SHA1);
    }
    let mut function = pbkdf2.sequence()?;
    let identifier = function.value(OBJECT_IDENTIFIER)?;
    function.optional(NULL)?;
    function.finish()?;
    let Some((HMAC_WITH, [last])) = identifier.split_at_checked(HMAC_WITH.len()) else {
        return Err(other(identifier));
    };
    match last {
        7 => Ok(pbkdf2::PBKDF2_HMAC_SHA1),
        9 => Ok(pbkdf2::PBKDF2_HMAC_SHA256),
        10 => Ok(pbkdf2::PBKDF2_HMAC_SHA384),
        11 => Ok(pbkdf2::PBKDF2_HMAC_SHA512),
        _ => Err(other(identifier)),
    }
}

/// AES in CBC with padding (RFC 8018 appendix B.2.5).
fn aes_of(identifier: &[u8]) -> Result<AesBits, ImportError> {
    match identifier {
        [aes @ .., 2] if aes == AES => Ok(AesBits::Aes128),
        [aes @ .., 22] if aes == AES => Ok(AesBits::Aes192),
        [aes @ .., 42] if aes == AES => Ok(AesBits::Aes256),
        _ => Err(other(identifier)),
    }
}

fn other(identifier: &[u8]) -> ImportError {
    ImportError::OtherEncryption {
        method: identifier_text(identifier),
    }
}

/// 1.2.840.113549.1.5.13 (RFC 8018 appendix A.4).
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
/// 1.2.840.113549.1.5.12 (RFC 8018 appendix A.2).
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
/// 1.2.840.113549.2, before the hash's number (RFC 8018 appendix B.1).
const HMAC_WITH: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
/// 2.16.840.1.101.3.4.1, before the number of size and mode.
const AES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];

/// AES's block, and the nonce of its first one.
const BLOCK_BYTES: usize = 16;

const GCM_NONCE_BYTES: usize = 12;

const TAG_BYTES: usize = 16;

/// 512 rounds: four seconds. Why: `ssh-keygen` makes 24, and careful people 100
/// (`-a`); a file that asks for more is there to keep somebody busy.
const BCRYPT_ROUNDS_MAX: u32 = 512;

/// What bcrypt gives at once.
const BCRYPT_STRIDE_BYTES: usize = 32;

/// Two strides: the longest key and nonce.
const BCRYPT_WORK_BYTES: usize = 2 * BCRYPT_STRIDE_BYTES;

/// 10 million: a few seconds. Why: OWASP's advice of 2023 is 600,000 with
/// SHA-256, and 1,300,000 with SHA-1.
const PBKDF2_ITERATIONS_MAX: u32 = 10_000_000;
