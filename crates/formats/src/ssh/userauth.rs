//! What a client asks to have signed to log in: RFC 4252 §7, method `publickey`, and
//! `publickey-hostbound-v00@openssh.com` of OpenSSH `PROTOCOL` §3.1.

use super::key::PublicKey;
use super::signature;
use super::wire::{ParseError, Reader, Writer};

/// The whole of a signed login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAuth {
    /// The first exchange hash of the connection.
    pub session_id: Vec<u8>,
    /// Who logs in there. No control or direction characters; at most [`USER_BYTES_MAX`] bytes.
    pub user: String,
    /// The signature algorithm; it fits the key.
    pub algorithm: String,
    /// The key that logs in, perhaps a certificate.
    pub key: PublicKey,
    /// The host's key: the hostbound method alone names it.
    pub host_key: Option<PublicKey>,
}

impl UserAuth {
    /// Reads a blob whole.
    ///
    /// # Errors
    /// [`ParseError`] for anything that is not one of the two methods to its last byte.
    pub fn parse(blob: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(blob);
        let session_id = reader.string()?;
        if !SESSION_ID_BYTES.contains(&session_id.len()) {
            return Err(ParseError::Value);
        }
        if reader.u8()? != SSH_MSG_USERAUTH_REQUEST {
            return Err(ParseError::Value);
        }
        let user = reader.text()?;
        if user.is_empty() || user.len() > USER_BYTES_MAX {
            return Err(ParseError::Value);
        }
        if reader.name()? != SERVICE {
            return Err(ParseError::Value);
        }
        let hostbound = match reader.name()? {
            METHOD => false,
            METHOD_HOSTBOUND => true,
            _ => return Err(ParseError::Unknown),
        };
        // RFC 4252 §7: TRUE when a signature follows, and only then is anything signed.
        if !reader.bool()? {
            return Err(ParseError::Value);
        }
        let algorithm = reader.name()?;
        let key = PublicKey::from_blob(reader.string()?)?;
        if !algorithm_fits(&key, algorithm) {
            return Err(ParseError::Value);
        }
        let host_key = if hostbound {
            Some(PublicKey::from_blob(reader.string()?)?)
        } else {
            None
        };
        reader.finish()?;
        Ok(Self {
            session_id: session_id.to_vec(),
            user: user.to_owned(),
            algorithm: algorithm.to_owned(),
            key,
            host_key,
        })
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        bytes(
            &self.session_id,
            &self.user,
            &self.algorithm,
            self.key.blob(),
            self.host_key.as_ref().map(PublicKey::blob),
        )
    }
}

/// The one form of the fields.
pub(super) fn bytes(
    session_id: &[u8],
    user: &str,
    algorithm: &str,
    key: &[u8],
    host_key: Option<&[u8]>,
) -> Vec<u8> {
    let method = match host_key {
        Some(_) => METHOD_HOSTBOUND,
        None => METHOD,
    };
    let writer = Writer::new()
        .string(session_id)
        .u8(SSH_MSG_USERAUTH_REQUEST)
        .string(user.as_bytes())
        .string(SERVICE.as_bytes())
        .string(method.as_bytes())
        .bool(true)
        .string(algorithm.as_bytes())
        .string(key);
    match host_key {
        Some(host_key) => writer.string(host_key),
        None => writer,
    }
    .into_bytes()
}

/// The request names the key's own type, or for RSA one of RFC 8332; certificates have names of
/// their own (`PROTOCOL.certkeys`).
fn algorithm_fits(key: &PublicKey, algorithm: &str) -> bool {
    if key.certificate().is_none() {
        return signature::fits(key.material(), algorithm);
    }
    match key.type_name() {
        "ssh-rsa-cert-v01@openssh.com" => matches!(
            algorithm,
            "rsa-sha2-256-cert-v01@openssh.com" | "rsa-sha2-512-cert-v01@openssh.com"
        ),
        other => algorithm == other,
    }
}

/// RFC 4250 §4.1.2.
const SSH_MSG_USERAUTH_REQUEST: u8 = 50;
/// RFC 4252 §5: the service that starts after authentication; there is no other.
const SERVICE: &str = "ssh-connection";
const METHOD: &str = "publickey";
const METHOD_HOSTBOUND: &str = "publickey-hostbound-v00@openssh.com";
/// The session id is an exchange hash (RFC 4253 §7.2): SHA-1, SHA-256, SHA-384 or SHA-512.
pub(crate) const SESSION_ID_BYTES: [usize; 4] = [20, 32, 48, 64];
/// Linux ends at 32 bytes, Windows domains at some 120; a screen can still show this.
pub const USER_BYTES_MAX: usize = 255;
