//! Security keys (`sk-…@openssh.com`): a handle that only the FIDO token can use.
//!
//! **Invariant**: the handle is read whole, and its public half is the one that is listed.

use keystead_core::SecretBytes;
use keystead_formats::ssh::PublicKey;
use keystead_formats::ssh::key::Material;
use keystead_formats::ssh::wire::{ParseError, Reader, Writer};

/// A security key as `ssh-add` brings it.
pub struct SecurityKey {
    /// What `ssh-sk-helper` is given: the very bytes that came.
    bytes: SecretBytes,
    public: PublicKey,
    application: String,
    flags: u8,
    provider: Option<String>,
}

impl SecurityKey {
    /// Whether a key of this type is one (OpenSSH PROTOCOL.u2f).
    #[must_use]
    pub fn is_type(type_name: &str) -> bool {
        type_name.starts_with("sk-")
    }

    /// Reads type and fields of `SSH_AGENTC_ADD_IDENTITY` (OpenSSH PROTOCOL.u2f, "SSH Agent
    /// protocol extensions"): the public half or a certificate, application, flags, handle, and
    /// a reserved string.
    ///
    /// # Errors
    /// [`ParseError`] for anything left over, cut off, or of another type.
    pub fn parse(bytes: SecretBytes, provider: Option<String>) -> Result<Self, ParseError> {
        let mut reader = Reader::new(bytes.expose());
        let type_name = reader.name()?;
        let plain = match type_name {
            ED25519 => {
                let public = reader.string()?;
                Some(Writer::new().string(ED25519.as_bytes()).string(public))
            }
            ECDSA_P256 => {
                let curve = reader.string()?;
                let point = reader.string()?;
                let writer = Writer::new().string(ECDSA_P256.as_bytes());
                Some(writer.string(curve).string(point))
            }
            ED25519_CERTIFICATE | ECDSA_P256_CERTIFICATE => None,
            _ => return Err(ParseError::Unknown),
        };
        let certificate = match plain {
            Some(_) => None,
            None => Some(read_certificate(type_name, &mut reader)?),
        };
        let application = reader.text()?;
        let flags = reader.u8()?;
        let _handle = reader.string()?;
        let _reserved = reader.string()?;
        reader.finish()?;
        let public = match (certificate, plain) {
            (Some(certificate), _) => certificate,
            (None, Some(plain)) => {
                PublicKey::from_blob(&plain.string(application.as_bytes()).into_bytes())?
            }
            (None, None) => return Err(ParseError::Value),
        };
        let application = application.to_owned();
        Ok(Self {
            bytes,
            public,
            application,
            flags,
            provider,
        })
    }

    /// The public half, or the certificate.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// As it came, for `ssh-sk-helper`.
    #[must_use]
    pub fn bytes(&self) -> &SecretBytes {
        &self.bytes
    }

    /// The library that speaks to the token; `internal` is the helper's own.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }

    /// What it was made for: `ssh:…`, or a web site (OpenSSH PROTOCOL.u2f).
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application
    }

    /// Whether the token wants to be touched (`SSH_SK_USER_PRESENCE_REQD`).
    #[must_use]
    pub fn wants_touch(&self) -> bool {
        self.flags & FLAG_PRESENCE != 0
    }
}

/// A certificate stands in the place of the public half. Of Ed25519 alone OpenSSH writes the
/// public half behind it nevertheless (`ssh_ed25519_sk_serialize_private`).
fn read_certificate(type_name: &str, reader: &mut Reader<'_>) -> Result<PublicKey, ParseError> {
    let certificate = PublicKey::from_blob(reader.string()?)?;
    let repeated = match (type_name, certificate.material()) {
        (ED25519_CERTIFICATE, Material::SkEd25519(public, _)) => reader.string()? == public,
        (ECDSA_P256_CERTIFICATE, Material::SkEcdsaP256(..)) => true,
        _ => false,
    };
    if repeated && certificate.certificate().is_some() {
        Ok(certificate)
    } else {
        Err(ParseError::Value)
    }
}

const ED25519: &str = "sk-ssh-ed25519@openssh.com";

const ECDSA_P256: &str = "sk-ecdsa-sha2-nistp256@openssh.com";

const ED25519_CERTIFICATE: &str = "sk-ssh-ed25519-cert-v01@openssh.com";

const ECDSA_P256_CERTIFICATE: &str = "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com";

const FLAG_PRESENCE: u8 = 0x01;
