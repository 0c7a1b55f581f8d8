//! OpenSSH certificates (`PROTOCOL.certkeys`), recognised and read whole; not trusted here.

use super::key::{Material, PublicKey};
use super::pattern;
use super::wire::{ParseError, Reader, Writer};

/// What a certificate says beside the key it certifies.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What the authority vouches for.
    pub terms: Terms,
    /// The bytes that the authority signed, a prefix of the blob (its length).
    signed_bytes: usize,
    signature: Vec<u8>,
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
        let signed = Signed::read(plain, reader)?;
        let signed_bytes = whole.len() - reader.rest().len();
        let certificate = Self {
            terms: signed.terms,
            signed_bytes,
            signature: reader.string()?.to_vec(),
        };
        Ok((signed.material, certificate))
    }

    /// Did the authority sign this certificate? `blob` is the one it was read from.
    #[must_use]
    pub fn is_signed_in(&self, blob: &[u8]) -> bool {
        let mut reader = Reader::new(blob);
        let Ok(type_name) = reader.name() else {
            return false;
        };
        let end = LENGTH_BYTES + type_name.len() + self.signed_bytes;
        let authority = &self.terms.authority;
        blob.get(..end)
            .is_some_and(|signed| authority.verify(signed, &self.signature).is_ok())
    }
}

/// What an authority vouches for.
#[derive(Clone, PartialEq, Eq)]
pub struct Terms {
    /// The authority's own number; 0 where it does not count.
    pub serial: u64,
    /// For a person or for a host.
    pub role: Role,
    /// Free text of the authority.
    pub key_id: String,
    /// Users or host names it is valid for; empty means all.
    pub principals: Vec<String>,
    /// Unix seconds, first one of validity.
    pub valid_after_unix_s: u64,
    /// Unix seconds, first one after validity; [`u64::MAX`] means for ever.
    pub valid_before_unix_s: u64,
    /// Limits: who does not know one of them must refuse the certificate.
    pub critical_options: Vec<CertificateOption>,
    /// What it permits beyond.
    pub extensions: Vec<CertificateOption>,
    /// The authority's key.
    pub authority: PublicKey,
}

impl Terms {
    /// Is it good for the host of this name now? Whether the authority is trusted is another
    /// question.
    ///
    /// As `sshkey_cert_check_host` of OpenSSH 10.3 with patterns among the principals. Before, the
    /// host's name was taken for the pattern, and a certificate without principals was good for
    /// every name.
    #[must_use]
    pub fn hold_for_host(&self, host: &str, now_unix_s: u64) -> bool {
        let named = |principal: &String| pattern::matches(principal, host);
        self.role == Role::Host
            && self.critical_options.is_empty()
            && self.principals.iter().any(named)
            && (self.valid_after_unix_s..self.valid_before_unix_s).contains(&now_unix_s)
    }
}

/// `SSH_CERT_TYPE_USER` and `SSH_CERT_TYPE_HOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Logs in.
    User,
    /// Is logged in to.
    Host,
}

/// A critical option or an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateOption {
    /// For example `force-command`, `permit-pty`.
    pub name: String,
    /// What belongs to it, in its own encoding; most have nothing.
    pub value: Vec<u8>,
}

impl CertificateOption {
    /// The text in the value, as `force-command` and `source-address` have one; none where the
    /// value is something else.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let mut reader = Reader::new(&self.value);
        let text = reader.text().ok()?;
        reader.is_empty().then_some(text)
    }
}

/// A certificate that an authority is asked to sign: all of it but the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct ToBeCertified {
    /// The key that gets the certificate.
    pub key: PublicKey,
    /// What is vouched for.
    pub terms: Terms,
    nonce: Vec<u8>,
}

impl ToBeCertified {
    /// Reads the bytes whole. Stricter than for a finished certificate, since all that is signed
    /// must be shown: the reserved field is empty, and the nonce has a length as OpenSSH's.
    ///
    /// # Errors
    /// [`ParseError`] for anything that is not a certificate without its signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(bytes);
        let plain = Certificate::plain_type(reader.name()?).ok_or(ParseError::Unknown)?;
        let signed = Signed::read(plain, &mut reader)?;
        reader.finish()?;
        if !signed.reserved.is_empty() || !NONCE_BYTES.contains(&signed.nonce.len()) {
            return Err(ParseError::Value);
        }
        Ok(Self {
            key: PublicKey::plain(signed.material),
            terms: signed.terms,
            nonce: signed.nonce.to_vec(),
        })
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let material = self.key.material();
        let is_of = |(_, plain): &&(&str, &str)| *plain == material.type_name();
        let type_name = TYPES.iter().find(is_of).map_or("", |(name, _)| *name);
        let terms = &self.terms;
        let role = match terms.role {
            Role::User => USER,
            Role::Host => HOST,
        };
        let principals = terms.principals.iter();
        let principals = principals.fold(Writer::new(), |writer, it| writer.string(it.as_bytes()));
        let writer = Writer::new()
            .string(type_name.as_bytes())
            .string(&self.nonce);
        material
            .write(writer)
            .u64(terms.serial)
            .u32(role)
            .string(terms.key_id.as_bytes())
            .string(&principals.into_bytes())
            .u64(terms.valid_after_unix_s)
            .u64(terms.valid_before_unix_s)
            .string(&write_options(&terms.critical_options))
            .string(&write_options(&terms.extensions))
            .string(&[])
            .string(terms.authority.blob())
            .into_bytes()
    }
}

/// Whose certificate, by which authority; the rest is in the words that a holder reads.
impl std::fmt::Debug for ToBeCertified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Terms {
            role,
            key_id,
            authority,
            ..
        } = &self.terms;
        let key = &self.key;
        write!(
            f,
            "ToBeCertified({role:?} {key_id:?} {key:?} by {authority:?})"
        )
    }
}

/// What the signature of a certificate is over, behind the type name.
struct Signed<'a> {
    nonce: &'a [u8],
    material: Material,
    terms: Terms,
    reserved: &'a [u8],
}

impl<'a> Signed<'a> {
    fn read(plain: &str, reader: &mut Reader<'a>) -> Result<Self, ParseError> {
        let nonce = reader.string()?;
        let material = Material::read(plain, reader)?;
        let serial = reader.u64()?;
        let role = match reader.u32()? {
            USER => Role::User,
            HOST => Role::Host,
            _ => return Err(ParseError::Value),
        };
        let key_id = reader.text()?.to_owned();
        let principals = read_principals(reader.string()?)?;
        let valid_after_unix_s = reader.u64()?;
        let valid_before_unix_s = reader.u64()?;
        let critical_options = read_options(reader.string()?)?;
        let extensions = read_options(reader.string()?)?;
        let reserved = reader.string()?;
        let authority = reader.string()?;
        // An authority is never a certificate itself; this also bounds the recursion.
        if Certificate::plain_type(Reader::new(authority).name()?).is_some() {
            return Err(ParseError::Value);
        }
        let terms = Terms {
            serial,
            role,
            key_id,
            principals,
            valid_after_unix_s,
            valid_before_unix_s,
            critical_options,
            extensions,
            authority: PublicKey::from_blob(authority)?,
        };
        Ok(Self {
            nonce,
            material,
            terms,
            reserved,
        })
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
fn read_options(list: &[u8]) -> Result<Vec<CertificateOption>, ParseError> {
    let mut reader = Reader::new(list);
    let mut options: Vec<CertificateOption> = Vec::new();
    while !reader.is_empty() {
        let name = reader.name()?.to_owned();
        let value = reader.string()?.to_vec();
        if options.last().is_some_and(|last| last.name >= name) {
            return Err(ParseError::Value);
        }
        options.push(CertificateOption { name, value });
    }
    Ok(options)
}

fn write_options(options: &[CertificateOption]) -> Vec<u8> {
    options
        .iter()
        .fold(Writer::new(), |writer, option| {
            writer.string(option.name.as_bytes()).string(&option.value)
        })
        .into_bytes()
}

/// `SSH_CERT_TYPE_USER`.
const USER: u32 = 1;
/// `SSH_CERT_TYPE_HOST`.
const HOST: u32 = 2;

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

/// `PROTOCOL.certkeys` speaks of 16 or 32 bytes; `ssh-keygen` draws 32.
const NONCE_BYTES: std::ops::RangeInclusive<usize> = 16..=64;
