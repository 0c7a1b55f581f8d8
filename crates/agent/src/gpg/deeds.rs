//! What is answered for a key that a keeper holds.
//!
//! **Invariant:** what goes to a keeper was read whole, and what comes back is given to gpg only
//! in the form that gpg-agent gives it.

use keystead_core::SecretBytes;
use keystead_formats::assuan::ErrorCode;
use keystead_formats::assuan::line::{self, ClientLine};
use keystead_formats::openpgp::kem::KdfParameters;
use keystead_formats::openpgp::values::{self, Ciphertext};
use keystead_formats::openpgp::{PublicKey, point};

use super::events::Answer;
use super::keys::MappedKey;
use super::requests::Shape;

/// What was inquired, on its way here.
pub(super) struct Inquiry {
    bytes: Vec<u8>,
    bytes_max: usize,
    /// Said at its end: until then the client says the rest of it.
    failed: Option<ErrorCode>,
}

impl Inquiry {
    /// `MAXLEN_CIPHERTEXT` of gpg-agent.
    pub(super) const BYTES_MAX: usize = 4_096;
    /// `MAXLEN_KEYPARAM`.
    pub(super) const PARAMETERS_BYTES_MAX: usize = 1_024;

    pub(super) const fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            bytes_max,
            failed: None,
        }
    }

    /// Takes a line; the whole, or why not, once it is there.
    pub(super) fn take(&mut self, line: &[u8]) -> Option<Result<Vec<u8>, ErrorCode>> {
        match ClientLine::parse(line) {
            Ok(ClientLine::Comment) => None,
            Ok(ClientLine::Data(escaped)) => {
                match line::unescape(escaped) {
                    Err(_) => self.failed = Some(ErrorCode::ASS_SYNTAX),
                    Ok(part) if self.bytes.len() + part.len() > self.bytes_max => {
                        self.failed = Some(ErrorCode::ASS_TOO_MUCH_DATA);
                    }
                    Ok(part) => self.bytes.extend_from_slice(part.expose()),
                }
                None
            }
            Ok(ClientLine::End) if self.failed.is_some() => self.failed.map(Err),
            Ok(ClientLine::End) => Some(Ok(std::mem::take(&mut self.bytes))),
            Ok(ClientLine::Cancel) => Some(Err(ErrorCode::ASS_CANCELED)),
            Ok(ClientLine::Command { .. }) | Err(_) => Some(Err(ErrorCode::ASS_UNEXPECTED_CMD)),
        }
    }
}

/// What is done with a keeper's answer.
pub(super) enum Pending {
    Signature(MappedKey),
    /// gpg to 2.4 wants the shared point.
    Point(MappedKey),
    /// gpg from 2.5 on wants the session key.
    SessionKey(MappedKey, Wrapped),
    /// gpg has it in its keyring already.
    Taken,
    /// gpg wants its public half.
    Made,
}

pub(super) struct Wrapped {
    kdf: KdfParameters,
    wrapped: Vec<u8>,
    param: Vec<u8>,
}

impl Pending {
    /// The S-expression for gpg.
    pub(super) fn finish(self, answer: Answer) -> Result<SecretBytes, ErrorCode> {
        match (self, answer) {
            (Self::Signature(key), Answer::Signed(signature)) => {
                let public = public(&key)?;
                let mut sexp =
                    values::sig_val(&public, &signature).map_err(|_| ErrorCode::INV_RESPONSE)?;
                Ok(SecretBytes::take(&mut sexp))
            }
            (Self::Point(key), Answer::Agreed(shared)) => {
                let curve = public(&key)?.curve().ok_or(ErrorCode::PUBKEY_ALGO)?;
                let shared = point::from_keeper(curve, shared.expose())
                    .map_err(|_| ErrorCode::INV_RESPONSE)?;
                Ok(values::secret_value(shared.expose()))
            }
            (Self::SessionKey(key, wrapped), Answer::Agreed(shared)) => {
                let curve = public(&key)?.curve().ok_or(ErrorCode::PUBKEY_ALGO)?;
                let x =
                    point::shared_x(curve, shared.expose()).map_err(|_| ErrorCode::INV_RESPONSE)?;
                let Wrapped {
                    kdf,
                    wrapped,
                    param,
                } = wrapped;
                let opened = kdf
                    .unwrap(x, &param, &wrapped)
                    .map_err(|_| ErrorCode::DECRYPT_FAILED)?;
                Ok(values::secret_value(opened.expose()))
            }
            (Self::Taken, Answer::Brought(_)) => Ok(SecretBytes::fill(0, |_| ())),
            (Self::Made, Answer::Brought(key)) => {
                Ok(SecretBytes::take(&mut public(&key)?.sexp().encode()))
            }
            _ => Err(ErrorCode::INV_RESPONSE),
        }
    }
}

/// What a ciphertext asks of `key`: the point that the keeper gets, and what is done then.
pub(super) fn agreement(key: &MappedKey, bytes: &[u8]) -> Result<(Pending, Vec<u8>), ErrorCode> {
    if !key.agrees() {
        return Err(ErrorCode::WRONG_KEY_USAGE);
    }
    let curve = public(key)?.curve().ok_or(ErrorCode::PUBKEY_ALGO)?;
    let to_keeper = |sent: &[u8]| point::to_keeper(curve, sent).map_err(|_| ErrorCode::BAD_DATA);
    match Ciphertext::parse(bytes) {
        Ok(Ciphertext::Ecdh { point }) => Ok((Pending::Point(key.clone()), to_keeper(&point)?)),
        Ok(Ciphertext::Kem {
            point,
            kdf,
            wrapped,
            param,
        }) => {
            let point = to_keeper(&point)?;
            let wrapped = Wrapped {
                kdf,
                wrapped,
                param,
            };
            Ok((Pending::SessionKey(key.clone(), wrapped), point))
        }
        Ok(Ciphertext::Other) => Err(ErrorCode::UNSUPPORTED_ALGORITHM),
        Err(_) => Err(ErrorCode::INV_SEXP),
    }
}

/// `READKEY`.
pub(super) fn public_key(key: &MappedKey) -> Result<Vec<u8>, ErrorCode> {
    Ok(public(key)?.sexp().encode())
}

/// `KEYINFO`: of type X, since it lies neither on this disk nor on a card that gpg would ask for.
pub(super) fn key_line(key: &MappedKey, shape: Shape) -> Vec<u8> {
    let text = format!("{} X - - - - - - -", key.keygrip);
    match shape {
        Shape::Status => line::status("KEYINFO", &text),
        Shape::Data => line::data(format!("{text}\n").as_bytes()),
    }
}

/// Why a private key is neither exported, moved nor deleted here.
pub(super) fn stays_where_it_is(key: &MappedKey) -> String {
    match &key.keeper {
        Some(keeper) => format!("keeper {keeper} holds this key"),
        None => "a keeper holds this key".to_owned(),
    }
}

fn public(key: &MappedKey) -> Result<PublicKey, ErrorCode> {
    PublicKey::of_keeper(key.algorithm, &key.public_key).map_err(|_| ErrorCode::PUBKEY_ALGO)
}
