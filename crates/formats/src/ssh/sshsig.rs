//! SSHSIG (OpenSSH `PROTOCOL.sshsig`): signatures over files and `git` objects.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::{BLOB_BYTES_MAX, PublicKey};
use super::signature::VerifyError;
use super::wire::{ParseError, Reader, Writer};

/// What is signed: a namespace and the hash of a message that the signer does not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSig {
    /// What the signature is for: `git`, `file`, an e-mail-like name. Never empty.
    pub namespace: String,
    /// The hash function.
    pub hash_algorithm: HashAlgorithm,
    /// The hash of the message, as long as the function makes it.
    pub hash: Vec<u8>,
}

impl SshSig {
    /// Hashes `message` for signing in `namespace`.
    #[must_use]
    pub fn of(namespace: &str, hash_algorithm: HashAlgorithm, message: &[u8]) -> Self {
        Self {
            namespace: namespace.to_owned(),
            hash_algorithm,
            hash: hash_algorithm.hash(message),
        }
    }

    /// Reads the signed blob whole.
    ///
    /// # Errors
    /// [`ParseError`]; a reserved field that is not empty is refused, since it could not be shown.
    pub fn parse(blob: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(blob);
        read_magic(&mut reader)?;
        let namespace = read_namespace(&mut reader)?;
        let hash_algorithm = HashAlgorithm::read(&mut reader)?;
        let hash = reader.string()?;
        if hash.len() != hash_algorithm.bytes() {
            return Err(ParseError::Value);
        }
        reader.finish()?;
        Ok(Self {
            namespace,
            hash_algorithm,
            hash: hash.to_vec(),
        })
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .raw(MAGIC)
            .string(self.namespace.as_bytes())
            .string(b"")
            .string(self.hash_algorithm.name().as_bytes())
            .string(&self.hash)
            .into_bytes()
    }

    /// Is this the hash of `message`?
    #[must_use]
    pub fn is_of(&self, message: &[u8]) -> bool {
        self.hash_algorithm.hash(message) == self.hash
    }
}

/// The two hash functions that `PROTOCOL.sshsig` allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// `sha256`.
    Sha256,
    /// `sha512`.
    Sha512,
}

impl HashAlgorithm {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the hash.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The one with this name on the wire.
    ///
    /// # Errors
    /// [`ParseError::Unknown`].
    pub fn from_name(name: &str) -> Result<Self, ParseError> {
        match name {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(ParseError::Unknown),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ParseError> {
        Self::from_name(reader.name()?)
    }

    fn hash(self, message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, message).as_ref().to_vec()
    }
}

/// A detached signature, as it stands in a `.sig` file or a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// Who signed.
    pub key: PublicKey,
    /// In which namespace.
    pub namespace: String,
    /// With which hash function.
    pub hash_algorithm: HashAlgorithm,
    /// The signature blob.
    pub signature: Vec<u8>,
}

impl Detached {
    /// Reads the armoured text; blanks around it are allowed, anything else is not.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn from_armour(text: &str) -> Result<Self, ParseError> {
        if text.len() > ARMOUR_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let inner = text
            .trim()
            .strip_prefix(ARMOUR_BEGIN)
            .and_then(|rest| rest.strip_suffix(ARMOUR_END))
            .ok_or(ParseError::Text)?;
        let packed: String = inner.split_ascii_whitespace().collect();
        let blob = STANDARD.decode(packed).map_err(|_| ParseError::Text)?;
        Self::parse(&blob)
    }

    /// Reads the blob inside the armour.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(blob: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(blob);
        read_magic(&mut reader)?;
        if reader.u32()? != VERSION {
            return Err(ParseError::Unknown);
        }
        let key = PublicKey::from_blob(reader.string()?)?;
        let namespace = read_namespace(&mut reader)?;
        let hash_algorithm = HashAlgorithm::read(&mut reader)?;
        let signature = reader.string()?.to_vec();
        reader.finish()?;
        Ok(Self {
            key,
            namespace,
            hash_algorithm,
            signature,
        })
    }

    /// The armoured text, ended by a line end, as `ssh-keygen -Y sign` writes it.
    #[must_use]
    pub fn armour(&self) -> String {
        let packed = STANDARD.encode(self.encode());
        let mut text = format!("{ARMOUR_BEGIN}\n");
        for (at, c) in packed.chars().enumerate() {
            if at > 0 && at % ARMOUR_LINE_CHARS == 0 {
                text.push('\n');
            }
            text.push(c);
        }
        text.push('\n');
        text.push_str(ARMOUR_END);
        text.push('\n');
        text
    }

    /// The blob inside the armour.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new()
            .raw(MAGIC)
            .u32(VERSION)
            .string(self.key.blob())
            .string(self.namespace.as_bytes())
            .string(b"")
            .string(self.hash_algorithm.name().as_bytes())
            .string(&self.signature)
            .into_bytes()
    }

    /// Is this the key's signature over `message`?
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, message: &[u8]) -> Result<(), VerifyError> {
        let signed = SshSig::of(&self.namespace, self.hash_algorithm, message);
        self.key.verify(&signed.encode(), &self.signature)
    }
}

fn read_magic(reader: &mut Reader<'_>) -> Result<(), ParseError> {
    match reader.take(MAGIC.len())? {
        MAGIC => Ok(()),
        _ => Err(ParseError::Value),
    }
}

/// The namespace, never empty, and the reserved field, always empty.
fn read_namespace(reader: &mut Reader<'_>) -> Result<String, ParseError> {
    let namespace = reader.text()?;
    if namespace.is_empty() || namespace.len() > NAMESPACE_BYTES_MAX {
        return Err(ParseError::Value);
    }
    if !reader.string()?.is_empty() {
        return Err(ParseError::Value);
    }
    Ok(namespace.to_owned())
}

/// No length prefix of a login blob can begin so: a session id is not 1.4 GB long.
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
const ARMOUR_BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const ARMOUR_END: &str = "-----END SSH SIGNATURE-----";
/// `sshsig.c` of OpenSSH breaks lines here.
const ARMOUR_LINE_CHARS: usize = 70;
/// A screen can still show it; real ones have at most some 30 bytes.
pub const NAMESPACE_BYTES_MAX: usize = 255;
/// A key blob, a signature as long, and armour around them.
const ARMOUR_BYTES_MAX: usize = 3 * BLOB_BYTES_MAX;
