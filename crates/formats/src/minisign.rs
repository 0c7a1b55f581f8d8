//! Keys and signatures of minisign (its manual, "Signature format"), which signify reads too where
//! the file itself is signed.
//!
//! **Invariant:** what is read is read whole, to the last line end, and written back the same; a
//! comment is one line that can be shown.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest};
use keystead_core::is_unsafe_to_show;

use crate::ssh::signature::VerifyError;
use crate::{ParseError, cbor};

/// A public key with the number that signatures name it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    /// The first eight bytes of SHA-256 of the key for ours; chance for minisign's own.
    pub number: [u8; 8],
    /// Ed25519.
    pub public: [u8; 32],
}

impl PublicKey {
    /// A key of ours (`spec/identity.md` section 7).
    #[must_use]
    pub fn of(public: [u8; 32]) -> Self {
        let mut number = [0; 8];
        for (place, byte) in number.iter_mut().zip(digest(&SHA256, &public).as_ref()) {
            *place = *byte;
        }
        Self { number, public }
    }

    /// The line that `minisign -P` takes.
    #[must_use]
    pub fn line(&self) -> String {
        STANDARD.encode([&ED[..], &self.number, &self.public].concat())
    }

    /// The file that `minisign -p` and `signify -p` take.
    #[must_use]
    pub fn file(&self) -> String {
        // The number is shown as minisign shows it: little-endian, without leading zeros.
        let number = u64::from_le_bytes(self.number);
        let line = self.line();
        format!("{UNTRUSTED}minisign public key {number:X}\n{line}\n")
    }

    /// Reads a line or a file.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > KEY_FILE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let line = match text.strip_prefix(UNTRUSTED) {
            Some(rest) => rest.split_once('\n').ok_or(ParseError::Truncated)?.1,
            None => text,
        };
        let bytes = decode_line::<KEY_BYTES>(line.strip_suffix('\n').unwrap_or(line))?;
        match bytes {
            [b'E', b'd', rest @ ..] => {
                let (number, public) = rest.split_first_chunk().ok_or(ParseError::Truncated)?;
                Ok(Self {
                    number: *number,
                    public: public.try_into().map_err(|_| ParseError::Truncated)?,
                })
            }
            _ => Err(ParseError::Unknown),
        }
    }
}

/// What is signed of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The file: at most [`WHOLE_BYTES_MAX`] of it. signify reads the signature too.
    Whole(Vec<u8>),
    /// Its BLAKE2b-512, as minisign does since 0.10.
    Prehashed([u8; 64]),
}

impl Message {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(data) => data,
            Self::Prehashed(hash) => hash,
        }
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Whole(_) => Algorithm::Whole,
            Self::Prehashed(_) => Algorithm::Prehashed,
        }
    }
}

/// BLAKE2b-512 of a file that is read piece by piece.
#[derive(Default)]
pub struct Prehash(Blake2b512);

impl Prehash {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of all pieces.
    #[must_use]
    pub fn finish(self) -> Message {
        Message::Prehashed(self.0.finalize().into())
    }
}

/// What a holder is asked to sign, twice: the message, and that signature with the comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSign {
    message: Message,
    trusted_comment: String,
}

impl ToSign {
    /// Takes a message and its comment.
    ///
    /// # Errors
    /// [`ParseError::TooLong`], or [`ParseError::Text`] for a comment that is no line or cannot be
    /// shown; a tab can, minisign's own comments have them.
    pub fn new(message: Message, trusted_comment: &str) -> Result<Self, ParseError> {
        if message.bytes().len() > WHOLE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        check_comment(trusted_comment, TRUSTED_COMMENT_BYTES_MAX)?;
        Ok(Self {
            message,
            trusted_comment: trusted_comment.to_owned(),
        })
    }

    /// The content of form 3 of a sign request (`spec/pairing.md`): a canonical map.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::Writer::default()
            .map(3)
            .unsigned(1)
            .bool(self.message.algorithm() == Algorithm::Prehashed)
            .unsigned(2)
            .bytes(self.message.bytes())
            .unsigned(3)
            .text(&self.trusted_comment)
            .into_bytes()
    }

    /// Reads the same; any other encoding of it is refused.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(content: &[u8]) -> Result<Self, ParseError> {
        let mut reader = cbor::Reader::new(content);
        if reader.map()? != 3 {
            return Err(ParseError::Value);
        }
        reader.key(1)?;
        let prehashed = reader.bool()?;
        reader.key(2)?;
        let message = reader.bytes()?;
        reader.key(3)?;
        let comment = reader.text()?;
        reader.finish()?;
        let message = if prehashed {
            Message::Prehashed(message.try_into().map_err(|_| ParseError::Value)?)
        } else {
            Message::Whole(message.to_vec())
        };
        Self::new(message, comment)
    }

    /// What is signed of the file.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// The comment that is signed with it.
    #[must_use]
    pub fn trusted_comment(&self) -> &str {
        &self.trusted_comment
    }

    /// What the first signature is over.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        self.message.bytes()
    }

    /// What the second signature is over.
    #[must_use]
    pub fn global(&self, signature: &[u8; 64]) -> Vec<u8> {
        [signature, self.trusted_comment.as_bytes()].concat()
    }

    /// Takes both signatures, behind each other.
    ///
    /// # Errors
    /// [`VerifyError::False`] if one of them is not the key's.
    pub fn finish(&self, key: &PublicKey, signatures: &[u8]) -> Result<Signature, VerifyError> {
        let (signature, global) = signatures
            .split_first_chunk()
            .ok_or(VerifyError::Malformed(ParseError::Truncated))?;
        let made = Signature {
            algorithm: self.message.algorithm(),
            number: key.number,
            signature: *signature,
            trusted_comment: self.trusted_comment.clone(),
            global: global
                .try_into()
                .map_err(|_| VerifyError::Malformed(ParseError::Value))?,
        };
        made.verify(key, &self.message)?;
        Ok(made)
    }
}

/// Whether the file itself is signed, or its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    /// `Ed`.
    Whole,
    /// `ED`.
    Prehashed,
}

impl Algorithm {
    const fn bytes(self) -> &'static [u8; 2] {
        match self {
            Self::Whole => ED,
            Self::Prehashed => ED_PREHASHED,
        }
    }
}

/// A signature as it stands in a `.minisig` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    algorithm: Algorithm,
    number: [u8; 8],
    signature: [u8; 64],
    trusted_comment: String,
    global: [u8; 64],
}

impl Signature {
    /// The file.
    ///
    /// # Errors
    /// [`ParseError`] for a comment that is no line or cannot be shown.
    pub fn file(&self, untrusted_comment: &str) -> Result<String, ParseError> {
        check_untrusted_comment(untrusted_comment)?;
        let parts = [&self.algorithm.bytes()[..], &self.number, &self.signature];
        let signature = STANDARD.encode(parts.concat());
        let global = STANDARD.encode(self.global);
        let comment = &self.trusted_comment;
        Ok(format!(
            "{UNTRUSTED}{untrusted_comment}\n{signature}\n{TRUSTED}{comment}\n{global}\n"
        ))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(file: &str) -> Result<Self, ParseError> {
        if file.len() > SIGNATURE_FILE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let mut rest = file;
        let mut line = || {
            let (line, behind) = rest.split_once('\n').ok_or(ParseError::Truncated)?;
            rest = behind;
            Ok::<&str, ParseError>(line)
        };
        let untrusted = line()?.strip_prefix(UNTRUSTED).ok_or(ParseError::Text)?;
        check_untrusted_comment(untrusted)?;
        let bytes = decode_line::<SIGNATURE_BYTES>(line()?)?;
        let trusted = line()?.strip_prefix(TRUSTED).ok_or(ParseError::Text)?;
        check_comment(trusted, TRUSTED_COMMENT_BYTES_MAX)?;
        let global = decode_line(line()?)?;
        if !rest.is_empty() {
            return Err(ParseError::LeftOver);
        }
        let (algorithm, bytes) = bytes.split_first_chunk().ok_or(ParseError::Truncated)?;
        let (number, signature) = bytes.split_first_chunk().ok_or(ParseError::Truncated)?;
        Ok(Self {
            algorithm: match algorithm {
                ED => Algorithm::Whole,
                ED_PREHASHED => Algorithm::Prehashed,
                _ => return Err(ParseError::Unknown),
            },
            number: *number,
            signature: signature.try_into().map_err(|_| ParseError::Truncated)?,
            trusted_comment: trusted.to_owned(),
            global,
        })
    }

    /// Is it the key's, over this message and its own comment?
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, key: &PublicKey, message: &Message) -> Result<(), VerifyError> {
        if self.number != key.number || self.algorithm != message.algorithm() {
            return Err(VerifyError::WrongAlgorithm);
        }
        let public = UnparsedPublicKey::new(&ED25519, key.public);
        let global = [&self.signature, self.trusted_comment.as_bytes()].concat();
        public
            .verify(message.bytes(), &self.signature)
            .and_then(|()| public.verify(&global, &self.global))
            .map_err(|_| VerifyError::False)
    }

    /// The comment that is signed.
    #[must_use]
    pub fn trusted_comment(&self) -> &str {
        &self.trusted_comment
    }
}

fn decode_line<const N: usize>(line: &str) -> Result<[u8; N], ParseError> {
    let bytes = STANDARD.decode(line).map_err(|_| ParseError::Text)?;
    bytes.try_into().map_err(|_| ParseError::Value)
}

/// Whether a signature's file can have this comment, before there is a signature.
///
/// # Errors
/// [`ParseError::TooLong`], or [`ParseError::Text`] for one that is no line or cannot be shown.
pub fn check_untrusted_comment(comment: &str) -> Result<(), ParseError> {
    check_comment(comment, UNTRUSTED_COMMENT_BYTES_MAX)
}

fn check_comment(comment: &str, bytes_max: usize) -> Result<(), ParseError> {
    if comment.len() > bytes_max {
        Err(ParseError::TooLong)
    } else if comment.chars().any(|c| c != '\t' && is_unsafe_to_show(c)) {
        Err(ParseError::Text)
    } else {
        Ok(())
    }
}

const ED: &[u8; 2] = b"Ed";
const ED_PREHASHED: &[u8; 2] = b"ED";
const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";
/// Algorithm, number and key.
const KEY_BYTES: usize = 2 + 8 + 32;
/// Algorithm, number and signature.
const SIGNATURE_BYTES: usize = 2 + 8 + 64;
/// What goes to a holder whole; above it, the hash goes (`spec/identity.md` section 7).
pub const WHOLE_BYTES_MAX: usize = 128 * 1024;
/// `COMMENTMAXBYTES` of minisign, less its prefix and line end.
pub const UNTRUSTED_COMMENT_BYTES_MAX: usize = 1_000;
/// What a request can hold beside [`WHOLE_BYTES_MAX`], and a person read; minisign takes 8,192.
pub const TRUSTED_COMMENT_BYTES_MAX: usize = 1_024;
const KEY_FILE_BYTES_MAX: usize = 2_048;
const SIGNATURE_FILE_BYTES_MAX: usize = 4_096;
