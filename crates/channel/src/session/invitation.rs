//! The link by which a person is invited to a key server (`spec/session.md` section 10).
//!
//! `{0: 1, 1: "host:port", 2: b16 server_id, 3: b16 token, 4: name, ? 5: b32 H(CA)}` as
//! `keystead:invite#P`, P = base64url without padding.
//!
//! **Invariant**: a link is read whole or not at all, and pins the server before a byte
//! is sent to it: its id, and (of a private authority) the certificate that vouches for it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_core::Secret;
use keystead_sodium::memory;

use super::fields::{self, Message, Value};
use super::ids::{ServerId, sha256};
use super::name::AccountName;
use crate::pairing::{LocalAddress, is_wrapping};
use crate::wire::{Fault, Fields, Reader, VERSION, Writer, read_version};

/// What a person needs to register, once and for one name.
pub struct InvitationLink {
    /// Where the server is reached.
    pub address: ServerAddress,
    /// Which server it must be.
    pub server: ServerId,
    /// What it takes once.
    pub token: Secret<16>,
    /// The name that it was made for.
    pub name: AccountName,
    /// The private authority that vouches for it; without one, the system's are asked.
    pub authority: Option<Authority>,
}

impl InvitationLink {
    /// The link. Whoever sees it can register the name in the person's place.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = fields::encode(self);
        let link = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
        memory::wipe(&mut bytes);
        link
    }

    /// Reads what a person pasted: quoted, in angle brackets, or broken over lines.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        if text.len() > PASTED_BYTES_MAX {
            return Err(LinkError::NotALink);
        }
        let text: String = text.chars().filter(|it| !is_wrapping(*it)).collect();
        let mut text = text.into_bytes();
        let decoded = text
            .strip_prefix(PREFIX.as_bytes())
            .and_then(|p| URL_SAFE_NO_PAD.decode(p).ok());
        memory::wipe(&mut text);
        let mut bytes = decoded.ok_or(LinkError::NotALink)?;
        let link = fields::decode(&bytes);
        memory::wipe(&mut bytes);
        link.map_err(LinkError::of)
    }

    /// Whether `text` is meant to be such a link, be it damaged or not.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        let mut sent = text.chars().filter(|it| !is_wrapping(*it));
        PREFIX.chars().all(|it| sent.next() == Some(it))
    }
}

impl Message for InvitationLink {
    fn count(&self) -> usize {
        5 + usize::from(self.authority.is_some())
    }

    fn write_fields(&self, writer: &mut Writer) {
        writer.key(0).unsigned(VERSION);
        self.address.write(writer.key(1));
        self.server.write(writer.key(2));
        self.token.write(writer.key(3));
        self.name.write(writer.key(4));
        if let Some(Authority(hash)) = &self.authority {
            hash.write(writer.key(5));
        }
    }

    fn read_fields(fields: &mut Fields, reader: &mut Reader<'_>) -> Result<Self, Fault> {
        read_version(reader, fields)?;
        Ok(Self {
            address: Value::take(fields, reader, 1)?,
            server: Value::take(fields, reader, 2)?,
            token: Value::take(fields, reader, 3)?,
            name: Value::take(fields, reader, 4)?,
            authority: <Option<[u8; 32]> as Value>::take(fields, reader, 5)?.map(Authority),
        })
    }

    fn room_of_fields(&self) -> usize {
        self.address.room() + self.token.room() + self.name.room() + ROOM_BYTES
    }
}

/// A private certificate authority: SHA-256 of its certificate (DER).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority(pub [u8; 32]);

impl Authority {
    /// Of the certificate with these bytes.
    #[must_use]
    pub fn of(certificate_der: &[u8]) -> Self {
        Self(sha256(&[certificate_der]))
    }
}

/// `host:port`; an IPv6 address stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress(String);

impl ServerAddress {
    /// Checks the text; the rule is that of pairing's addresses.
    ///
    /// # Errors
    /// [`LinkError::Address`].
    pub fn new(text: &str) -> Result<Self, LinkError> {
        match LocalAddress::new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(LinkError::Address),
        }
    }

    /// `host:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host alone, an IPv6 address without its brackets: what a certificate names.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or("", |(host, _)| host);
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        bare.unwrap_or(host)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Value for ServerAddress {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        Self::new(reader.text(ADDRESS_BYTES_MAX)?).map_err(|_| Fault::Address)
    }

    fn write(&self, writer: &mut Writer) {
        writer.text(&self.0);
    }

    fn room(&self) -> usize {
        self.0.len()
    }
}

/// Why a text is no invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Nothing that looks like one.
    #[error("not an invitation link")]
    NotALink,
    /// Cut or altered.
    #[error("the invitation link is damaged: {0}")]
    Damaged(#[source] Fault),
    /// Made by a later version.
    #[error("the invitation link is by a newer version ({0})")]
    Newer(u64),
    /// Not `host:port`.
    #[error("not an address of the form host:port")]
    Address,
}

impl LinkError {
    fn of(fault: Fault) -> Self {
        if let Fault::Version(version) = fault {
            Self::Newer(version)
        } else {
            Self::Damaged(fault)
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotALink | Self::Damaged(_) => {
                "copy the whole line that `keystead-server invite` printed"
            }
            Self::Newer(_) => "use a newer version of this program",
            Self::Address => "write it as keys.example.org:7443 or [2001:db8::1]:7443",
        }
    }
}

/// What stands before the bytes; a system that knows `keystead:` hands it over whole.
const PREFIX: &str = "keystead:invite#";

/// 262 bytes: as pairing's addresses.
const ADDRESS_BYTES_MAX: usize = 262;

/// 16 KiB: far more than any link; a pasted book is not decoded.
const PASTED_BYTES_MAX: usize = 16_384;

/// 64 bytes: both hashes, and heads.
const ROOM_BYTES: usize = 16 + 32 + 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn link(authority: Option<Authority>) -> InvitationLink {
        InvitationLink {
            address: ServerAddress::new("keys.example.org:7443").unwrap(),
            server: ServerId([1; 16]),
            token: Secret::fill(|bytes| bytes.fill(2)),
            name: AccountName::parse("alex").unwrap(),
            authority,
        }
    }

    /// Made by hand from section 10.
    const GOLDEN: &str = "keystead:invite#pgABAXVrZXlzLmV4YW1wbGUub3JnOjc0NDMCUAEBAQEBAQEBAQEBAQEBAQEDUAICAgICAgICAgICAgICAgIEZGFsZXgFWCADAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw";

    #[test]
    fn a_link_has_its_bytes() {
        let made = link(Some(Authority([3; 32])));
        assert_eq!(made.encode(), GOLDEN);
        let read = InvitationLink::parse(GOLDEN).unwrap();
        assert_eq!(read.encode(), GOLDEN);
        assert_eq!(read.address.host(), "keys.example.org");
        let public = link(None).encode();
        assert!(InvitationLink::parse(&public).unwrap().authority.is_none());
    }

    #[test]
    fn a_link_survives_mail_programs() {
        for around in [
            format!("<{GOLDEN}>"),
            format!(" \"{GOLDEN}\"\n"),
            format!("{}\r\n  {}", &GOLDEN[..40], &GOLDEN[40..]),
            format!("{}\n> {}", &GOLDEN[..11], &GOLDEN[11..]),
        ] {
            assert!(InvitationLink::is_one(&around), "{around}");
            assert_eq!(InvitationLink::parse(&around).unwrap().encode(), GOLDEN);
        }
    }

    #[test]
    fn what_is_cut_or_longer_is_none() {
        for len in 0..GOLDEN.len() {
            assert!(InvitationLink::parse(&GOLDEN[..len]).is_err(), "{len}");
        }
        for more in ["A", "AAAA", "=", "#"] {
            let longer = format!("{GOLDEN}{more}");
            assert!(InvitationLink::parse(&longer).is_err(), "{more}");
        }
        assert!(matches!(
            InvitationLink::parse("https://keys.example.org"),
            Err(LinkError::NotALink)
        ));
        let newer = GOLDEN.replacen("pgAB", "pgAC", 1);
        assert!(matches!(
            InvitationLink::parse(&newer),
            Err(LinkError::Newer(2))
        ));
    }

    #[test]
    fn hosts_stand_alone() {
        for (text, host) in [
            ("a:1", "a"),
            ("[::1]:7443", "::1"),
            ("192.0.2.1:80", "192.0.2.1"),
        ] {
            assert_eq!(ServerAddress::new(text).unwrap().host(), host);
        }
        for text in ["a", "a:0", ":1", "::1:80", "a b:1", "a/b:1", "https://a:1"] {
            assert_eq!(ServerAddress::new(text), Err(LinkError::Address), "{text}");
        }
    }
}
