//! What is pinned of a server, and how it stands on disk.
//!
//! **Invariant**: a file that is not wholly what was written is no page.

use keystead_channel::session::{AccountName, Pin, ServerId, UserId};
use keystead_core::hex;
use keystead_transport::{Authorities, Trust};
use serde::{Deserialize, Serialize};

use super::endpoint::{Binds, Endpoint};
use super::error::ServerError;
use super::name::ServerName;

/// A server that this machine knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How it is called here.
    pub name: ServerName,
    /// `https://HOST:PORT`.
    pub address: String,
    /// Whose word counts for its certificate.
    pub authority: Authority,
    /// Made of its OPAQUE key; pinned at registration.
    pub server: ServerId,
    /// The key of its log; pinned at registration, followed when the old one vouches.
    pub log_key: [u8; 32],
    /// The account there.
    pub account: AccountName,
    /// Drawn by the server.
    pub user: UserId,
    /// Whether sessions are bound to their TLS connection.
    pub binds: Binds,
}

/// Whose word counts for a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The certificate with this SHA-256 hash.
    Hash([u8; 32]),
    /// These certificates, DER.
    These(Vec<Vec<u8>>),
    /// The system's.
    System,
}

impl Authority {
    /// As TLS wants it.
    #[must_use]
    pub fn trust(&self) -> Trust {
        match self {
            Self::Hash(hash) => Trust::Pinned(*hash),
            Self::These(certificates) => Trust::These(Authorities::these(certificates.clone())),
            Self::System => Trust::System,
        }
    }
}

impl Page {
    /// How the server is reached.
    ///
    /// # Errors
    /// [`ServerError::Trust`].
    pub fn endpoint(&self) -> Result<Endpoint, ServerError> {
        let pin = Pin::Both(self.server, self.log_key);
        let trust = self.authority.trust();
        Ok(Endpoint::new(&self.address, &trust, pin, self.binds)?)
    }

    /// As `pin.json` has it.
    pub(super) fn written(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(&Pinned::of(self))
    }

    /// Reads `pin.json`; none if it is not what was written.
    pub(super) fn read(name: ServerName, file: &[u8]) -> Option<Self> {
        let pinned: Pinned = serde_json::from_slice(file).ok()?;
        pinned.into_page(name)
    }
}

/// `pin.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    version: u32,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authority_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    authorities: Vec<String>,
    server_id: String,
    log_key: String,
    account: String,
    user_id: String,
    bound: bool,
}

impl Pinned {
    fn of(page: &Page) -> Self {
        let (hash, these) = match &page.authority {
            Authority::Hash(hash) => (Some(hex::encode(hash)), Vec::new()),
            Authority::These(certificates) => {
                let digits = certificates.iter().map(|it| hex::encode(it));
                (None, digits.collect())
            }
            Authority::System => (None, Vec::new()),
        };
        Self {
            version: VERSION,
            address: page.address.clone(),
            authority_sha256: hash,
            authorities: these,
            server_id: hex::encode(&page.server.0),
            log_key: hex::encode(&page.log_key),
            account: page.account.as_str().to_owned(),
            user_id: hex::encode(&page.user.0),
            bound: page.binds == Binds::Always,
        }
    }

    fn into_page(self, name: ServerName) -> Option<Page> {
        if self.version != VERSION {
            return None;
        }
        let these: Option<Vec<Vec<u8>>> =
            self.authorities.iter().map(|it| hex::decode(it)).collect();
        let authority = match (self.authority_sha256, these?) {
            (Some(hash), these) if these.is_empty() => Authority::Hash(hex::decode_array(&hash)?),
            (Some(_), _) => return None,
            (None, these) if these.is_empty() => Authority::System,
            (None, these) => Authority::These(these),
        };
        Some(Page {
            name,
            address: self.address,
            authority,
            server: ServerId(hex::decode_array(&self.server_id)?),
            log_key: hex::decode_array(&self.log_key)?,
            account: AccountName::parse(&self.account).ok()?,
            user: UserId(hex::decode_array(&self.user_id)?),
            binds: match self.bound {
                true => Binds::Always,
                false => Binds::Never,
            },
        })
    }
}

/// The number of the file's form.
const VERSION: u32 = 1;
