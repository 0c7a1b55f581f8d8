//! Hash functions by their OpenPGP numbers, and what a keeper is given to sign.

use aws_lc_rs::digest;

use crate::ParseError;

/// A hash function of RFC 4880 §9.4; libgcrypt has the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// Its number.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Sha1 => 2,
            Self::Sha256 => 8,
            Self::Sha384 => 9,
            Self::Sha512 => 10,
            Self::Sha224 => 11,
        }
    }

    /// The one with this number.
    ///
    /// # Errors
    /// [`ParseError::Unknown`].
    pub fn from_id(id: u8) -> Result<Self, ParseError> {
        let mut all = Self::ALL.into_iter();
        all.find(|it| it.id() == id).ok_or(ParseError::Unknown)
    }

    /// The name after `SETHASH --hash=`, and in S-expressions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The one with this name.
    ///
    /// # Errors
    /// [`ParseError::Unknown`].
    pub fn from_name(name: &str) -> Result<Self, ParseError> {
        let mut all = Self::ALL.into_iter();
        all.find(|it| it.name() == name).ok_or(ParseError::Unknown)
    }

    /// Length of a digest.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Hashes `parts` behind each other.
    #[must_use]
    pub fn hash(self, parts: &[&[u8]]) -> Vec<u8> {
        hash(self.implementation(), parts).as_ref().to_vec()
    }

    pub(super) const fn implementation(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha224 => &digest::SHA224,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// A digest with its function: what form 2 of a request to sign carries (`spec/pairing.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    algorithm: HashAlgorithm,
    bytes: Vec<u8>,
}

impl Digest {
    /// Takes a digest.
    ///
    /// # Errors
    /// [`ParseError::Value`] if the function does not make that length.
    pub fn new(algorithm: HashAlgorithm, bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.len() != algorithm.bytes() {
            return Err(ParseError::Value);
        }
        Ok(Self {
            algorithm,
            bytes: bytes.to_vec(),
        })
    }

    /// Hashes `parts` behind each other.
    #[must_use]
    pub fn of(algorithm: HashAlgorithm, parts: &[&[u8]]) -> Self {
        Self {
            algorithm,
            bytes: algorithm.hash(parts),
        }
    }

    /// Reads what [`Digest::encode`] wrote.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(content: &[u8]) -> Result<Self, ParseError> {
        let (id, bytes) = content.split_first().ok_or(ParseError::Truncated)?;
        Self::new(HashAlgorithm::from_id(*id)?, bytes)
    }

    /// The number of the function, and the digest.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [&[self.algorithm.id()], self.bytes.as_slice()].concat()
    }

    /// Its function.
    #[must_use]
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The digest itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

pub(super) fn hash(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> digest::Digest {
    let mut context = digest::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}

pub(super) fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let digest = hash(&digest::SHA1_FOR_LEGACY_USE_ONLY, parts);
    let mut bytes = [0; 20];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_lengths() {
        for algorithm in HashAlgorithm::ALL {
            assert_eq!(HashAlgorithm::from_id(algorithm.id()), Ok(algorithm));
            assert_eq!(HashAlgorithm::from_name(algorithm.name()), Ok(algorithm));
            assert_eq!(algorithm.hash(&[b"a", b"b"]).len(), algorithm.bytes());
            assert_eq!(algorithm.hash(&[b"a", b"b"]), algorithm.hash(&[b"ab"]));
        }
        assert_eq!(HashAlgorithm::from_id(1), Err(ParseError::Unknown));
    }

    #[test]
    fn what_a_keeper_signs() {
        let check = |content: &[u8], expected| {
            assert_eq!(Digest::parse(content).map(|it| it.algorithm()), expected);
        };
        let digest = Digest::of(HashAlgorithm::Sha256, &[b"a"]);
        assert_eq!(Digest::parse(&digest.encode()), Ok(digest));
        check(b"", Err(ParseError::Truncated));
        check(&[8; 32], Err(ParseError::Value));
        check(&[8; 33], Ok(HashAlgorithm::Sha256));
        check(&[8; 34], Err(ParseError::Value));
        check(&[1; 17], Err(ParseError::Unknown));
    }
}
