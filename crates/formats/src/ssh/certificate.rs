//! OpenSSH certificates (`PROTOCOL.certkeys`), recognised and read whole; not trusted here.

use super::key::{Material, PublicKey};
use super::wire::{ParseError, Reader};

/// What a certificate says beside the key it certifies.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// For a person or for a host.
    pub role: Role,
    /// Free text of the authority.
    pub key_id: String,
    /// Users or host names it is valid for; empty means all.
    pub principals: Vec<String>,
    /// Unix seconds, first one of validity.
    pub valid_after_unix_s: u64,
    /// Unix seconds, first one after validity.
    pub valid_before_unix_s: u64,
    /// The authority's key.
    pub authority: PublicKey,
    /// The bytes that the authority signed, a prefix of the blob (its length).
    signed_bytes: usize,
    signature: Vec<u8>,
}

/// `SSH_CERT_TYPE_USER` and `SSH_CERT_TYPE_HOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Logs in.
    User,
    /// Is logged in to.
    Host,
}

impl Certificate {
    /// The plain type that a certificate type certifies.
    #[must_use]
    pub fn plain_type(type_name: &str) -> Option<&'static str> {
        TYPES
            .iter()
            .find(|(certificate, _)| *certificate == type_name)
            .map(|(_, plain)| *plain)
    }

    /// Reads what follows the type name.
    pub(crate) fn read(
        plain: &str,
        reader: &mut Reader<'_>,
    ) -> Result<(Material, Self), ParseError> {
        let whole = reader.rest();
        let _nonce = reader.string()?;
        let material = Material::read(plain, reader)?;
        let _serial = reader.u64()?;
        let role = match reader.u32()? {
            1 => Role::User,
            2 => Role::Host,
            _ => return Err(ParseError::Value),
        };
        let key_id = reader.text()?.to_owned();
        let principals = read_principals(reader.string()?)?;
        let valid_after_unix_s = reader.u64()?;
        let valid_before_unix_s = reader.u64()?;
        read_options(reader.string()?)?;
        read_options(reader.string()?)?;
        let _reserved = reader.string()?;
        let authority = reader.string()?;
        // An authority is never a certificate itself; this also bounds the recursion.
        if Certificate::plain_type(Reader::new(authority).name()?).is_some() {
            return Err(ParseError::Value);
        }
        let authority = PublicKey::from_blob(authority)?;
        let signed_bytes = whole.len() - reader.rest().len();
        let signature = reader.string()?.to_vec();
        let certificate = Self {
            role,
            key_id,
            principals,
            valid_after_unix_s,
            valid_before_unix_s,
            authority,
            signed_bytes,
            signature,
        };
        Ok((material, certificate))
    }

    /// Did the authority sign this certificate? `blob` is the one it was read from.
    #[must_use]
    pub fn is_signed_in(&self, blob: &[u8]) -> bool {
        let mut reader = Reader::new(blob);
        let Ok(type_name) = reader.name() else {
            return false;
        };
        let end = LENGTH_BYTES + type_name.len() + self.signed_bytes;
        blob.get(..end)
            .is_some_and(|signed| self.authority.verify(signed, &self.signature).is_ok())
    }
}

fn read_principals(list: &[u8]) -> Result<Vec<String>, ParseError> {
    let mut reader = Reader::new(list);
    let mut principals = Vec::new();
    while !reader.is_empty() {
        if principals.len() == PRINCIPALS_MAX {
            return Err(ParseError::TooLong);
        }
        principals.push(reader.text()?.to_owned());
    }
    Ok(principals)
}

/// Critical options and extensions: pairs of name and value, in ascending order.
fn read_options(list: &[u8]) -> Result<(), ParseError> {
    let mut reader = Reader::new(list);
    let mut last: Option<&str> = None;
    while !reader.is_empty() {
        let name = reader.name()?;
        let _value = reader.string()?;
        if last.is_some_and(|last| last >= name) {
            return Err(ParseError::Value);
        }
        last = Some(name);
    }
    Ok(())
}

/// `PROTOCOL.certkeys`: certificate type, type of the key inside.
const TYPES: [(&str, &str); 7] = [
    ("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"),
    (
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "ecdsa-sha2-nistp256",
    ),
    (
        "ecdsa-sha2-nistp384-cert-v01@openssh.com",
        "ecdsa-sha2-nistp384",
    ),
    (
        "ecdsa-sha2-nistp521-cert-v01@openssh.com",
        "ecdsa-sha2-nistp521",
    ),
    ("ssh-rsa-cert-v01@openssh.com", "ssh-rsa"),
    (
        "sk-ssh-ed25519-cert-v01@openssh.com",
        "sk-ssh-ed25519@openssh.com",
    ),
    (
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ),
];

/// `SSHKEY_CERT_MAX_PRINCIPALS` of OpenSSH.
const PRINCIPALS_MAX: usize = 256;

/// The length in front of the type name.
const LENGTH_BYTES: usize = 4;
