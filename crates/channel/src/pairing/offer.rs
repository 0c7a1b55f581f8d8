//! The offer: what the QR code and the link say.
//!
//! `offer = {0: 1, 1: b32 C, 2: b16 secret, 3: name, ? 4: relay URL, ? 5: [1*8 "host:port"]}`
//! as `PREFIX#P`, P = base64url without padding (`spec/pairing.md` section 2.1).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_core::{Name, Secret, is_unsafe_to_show};
use keystead_sodium::memory::wipe;

use crate::curve::PublicKey;
use crate::wire::{Fault, Reader, VERSION, Writer, read_name, read_version};

/// An invitation to pair. Whoever sees it can answer it, once and for 2
/// minutes; it holds no secret key.
pub struct Offer {
    client: PublicKey,
    secret: Secret<16>,
    name: Name,
    relay: Option<RelayUrl>,
    addresses: Vec<LocalAddress>,
}

/// The URL of a relay: `http://` or `https://`, host, perhaps port and path;
/// no query, fragment, account or slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayUrl(String);

/// `host:port` for TCP; an IPv6 address stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalAddress(String);

/// Why a text is no offer, or no offer can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// Neither relay nor address: nobody could answer.
    #[error("an offer names a relay or an address")]
    NoWay,
    /// More addresses than [`Offer::ADDRESSES_MAX`].
    #[error("an offer names at most {max} addresses, not {0}", max = Offer::ADDRESSES_MAX)]
    TooManyAddresses(usize),
    /// Not the URL of a relay.
    #[error("not the URL of a relay")]
    RelayUrl,
    /// Not `host:port`.
    #[error("not an address of the form host:port")]
    Address,
    /// The relay's URL leaves no room in a QR code that a terminal can show.
    #[error("the relay's URL is too long for a QR code")]
    TooLongForQr,
    /// Nothing that looks like a link or a QR code's text.
    #[error("not a pairing link")]
    NotALink,
    /// A pairing link that was cut or altered.
    #[error("the pairing link is damaged: {0}")]
    Damaged(#[source] Fault),
    /// Made by a later version.
    #[error("the pairing link is by a newer version ({0})")]
    Newer(u64),
}

impl Offer {
    /// 8 addresses: interfaces of one machine, each with two families.
    pub const ADDRESSES_MAX: usize = 8;
    /// 154 bytes: version 7, level L, byte mode (ISO/IEC 18004 table 7), 45
    /// modules a side with half blocks in 80 × 24.
    pub const QR_BYTES_MAX: usize = 154;

    /// Makes an offer.
    ///
    /// # Errors
    /// [`OfferError::NoWay`] and [`OfferError::TooManyAddresses`].
    pub fn new(
        client: PublicKey,
        secret: Secret<16>,
        name: Name,
        relay: Option<RelayUrl>,
        addresses: Vec<LocalAddress>,
    ) -> Result<Self, OfferError> {
        if relay.is_none() && addresses.is_empty() {
            return Err(OfferError::NoWay);
        }
        if addresses.len() > Self::ADDRESSES_MAX {
            return Err(OfferError::TooManyAddresses(addresses.len()));
        }
        Ok(Self {
            client,
            secret,
            name,
            relay,
            addresses,
        })
    }

    /// C.
    #[must_use]
    pub fn client(&self) -> PublicKey {
        self.client
    }

    /// The one-time secret.
    #[must_use]
    pub fn secret(&self) -> &Secret<16> {
        &self.secret
    }

    /// Nothing of the offer stays but the secret.
    pub(super) fn into_secret(self) -> Secret<16> {
        self.secret
    }

    /// The workstation's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The relay to answer through.
    #[must_use]
    pub fn relay(&self) -> Option<&RelayUrl> {
        self.relay.as_ref()
    }

    /// The addresses to answer at.
    #[must_use]
    pub fn addresses(&self) -> &[LocalAddress] {
        &self.addresses
    }

    /// The whole offer as a link: the relay's URL ‖ `/pair`, or `keystead:pair`,
    /// then `#P`. A browser keeps what follows `#` to itself.
    #[must_use]
    pub fn link(&self) -> String {
        let p = self.text(&self.name, self.relay.as_ref(), &self.addresses);
        match &self.relay {
            Some(relay) => format!("{}/pair#{p}", relay.as_str()),
            None => format!("{QR_PREFIX}#{p}"),
        }
    }

    /// The text of a QR code that fits a terminal of 80 × 24: at most
    /// [`Offer::QR_BYTES_MAX`] bytes. It has no addresses beside a relay; what
    /// is still too long loses addresses from the last one on, then all but
    /// the shortest, then the end of the name.
    ///
    /// # Errors
    /// [`OfferError::TooLongForQr`] when not even that helps: a relay's URL of
    /// more than 43 bytes, or no address but long ones of IPv6.
    pub fn qr_text(&self) -> Result<String, OfferError> {
        let fits = |name: &Name, addresses: &[LocalAddress]| {
            let p = self.text(name, self.relay.as_ref(), addresses);
            let text = format!("{QR_PREFIX}#{p}");
            (text.len() <= Self::QR_BYTES_MAX).then_some(text)
        };
        let shortest = self.addresses.iter().min_by_key(|it| it.as_str().len());
        let (ways, fewest) = match (&self.relay, shortest) {
            (None, Some(shortest)) => (self.addresses.as_slice(), std::slice::from_ref(shortest)),
            _ => ([].as_slice(), [].as_slice()),
        };
        (1..=ways.len())
            .rev()
            .filter_map(|count| ways.get(..count))
            .chain([fewest])
            .find_map(|addresses| fits(&self.name, addresses))
            .or_else(|| shorter(&self.name).find_map(|name| fits(&name, fewest)))
            .ok_or(OfferError::TooLongForQr)
    }

    /// Reads what a person scanned or pasted: a link, a QR code's text, or
    /// what stands behind the `#` alone; quoted, in angle brackets, broken
    /// over lines by a terminal or a mail program.
    ///
    /// # Errors
    /// [`OfferError::NotALink`], [`OfferError::Damaged`] or [`OfferError::Newer`].
    pub fn parse(text: &str) -> Result<Self, OfferError> {
        if text.len() > PASTED_BYTES_MAX {
            return Err(OfferError::NotALink);
        }
        let p = text.rsplit_once('#').map_or(text, |(_, p)| p);
        let mut p: String = p.chars().filter(|it| !is_wrapping(*it)).collect();
        if p.is_empty() {
            return Err(OfferError::NotALink);
        }
        let decoded = URL_SAFE_NO_PAD.decode(p.as_bytes());
        wipe_text(&mut p);
        let mut bytes = decoded.map_err(|_| OfferError::NotALink)?;
        let offer = decode(&bytes);
        wipe(&mut bytes);
        offer.map_err(OfferError::of)
    }

    fn text(&self, name: &Name, relay: Option<&RelayUrl>, addresses: &[LocalAddress]) -> String {
        let optional = [relay.is_some(), !addresses.is_empty()];
        let mut writer = Writer::new();
        writer.map(4 + optional.iter().filter(|there| **there).count());
        writer.key(0).unsigned(VERSION);
        writer.key(1).bytes(self.client.as_bytes());
        writer.key(2).bytes(self.secret.expose());
        writer.key(3).text(name.as_str());
        if let Some(relay) = relay {
            writer.key(4).text(relay.as_str());
        }
        if !addresses.is_empty() {
            writer.key(5).list_of(addresses, |writer, address| {
                writer.text(address.as_str());
            });
        }
        let mut bytes = writer.finish();
        let text = URL_SAFE_NO_PAD.encode(&bytes);
        wipe(&mut bytes);
        text
    }
}

impl OfferError {
    fn of(fault: Fault) -> Self {
        if let Fault::Version(version) = fault {
            Self::Newer(version)
        } else {
            Self::Damaged(fault)
        }
    }
}

impl RelayUrl {
    /// Checks the text; slashes at its end are taken off.
    ///
    /// # Errors
    /// [`OfferError::RelayUrl`].
    pub fn new(text: &str) -> Result<Self, OfferError> {
        let text = text.trim_end_matches('/');
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or(OfferError::RelayUrl)?;
        let host = rest.split('/').next().unwrap_or_default();
        let is_plain = |it: char| it.is_ascii_graphic() && !"#?@\\\"<>^`{|}".contains(it);
        if host.is_empty()
            || host.starts_with(':')
            || text.len() > RELAY_URL_BYTES_MAX
            || !text.chars().all(is_plain)
        {
            return Err(OfferError::RelayUrl);
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl LocalAddress {
    /// Checks the text.
    ///
    /// # Errors
    /// [`OfferError::Address`].
    pub fn new(text: &str) -> Result<Self, OfferError> {
        let (host, port) = text.rsplit_once(':').ok_or(OfferError::Address)?;
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "-._%:".contains(it);
        let has_port =
            port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with(['0', '+']);
        if text.len() > ADDRESS_BYTES_MAX
            || bare.unwrap_or(host).is_empty()
            || !bare.unwrap_or(host).chars().all(is_plain)
            || (bare.is_none() && host.contains(':'))
            || !has_port
        {
            return Err(OfferError::Address);
        }
        Ok(Self(text.to_owned()))
    }

    /// `host:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LocalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn decode(bytes: &[u8]) -> Result<Offer, Fault> {
    let mut reader = Reader::new(bytes);
    let mut fields = reader.fields()?;
    read_version(&mut reader, &mut fields)?;
    fields.required(&mut reader, 1)?;
    let client = PublicKey::new(reader.array()?);
    fields.required(&mut reader, 2)?;
    let secret = Secret::take(&mut reader.array()?);
    fields.required(&mut reader, 3)?;
    let name = read_name(&mut reader)?;
    let mut relay = None;
    if fields.optional(&mut reader, 4)? {
        let text = reader.text(RELAY_URL_BYTES_MAX)?;
        // What `new` would change is not what an encoder writes.
        relay = RelayUrl::new(text).ok().filter(|it| it.as_str() == text);
        if relay.is_none() {
            return Err(Fault::Address);
        }
    }
    let mut addresses = Vec::new();
    if fields.optional(&mut reader, 5)? {
        addresses = reader.list_of(1, Offer::ADDRESSES_MAX, |reader| {
            LocalAddress::new(reader.text(ADDRESS_BYTES_MAX)?).map_err(|_| Fault::Address)
        })?;
    }
    fields.end(&mut reader)?;
    reader.end()?;
    Offer::new(client, secret, name, relay, addresses).map_err(|_| Fault::MissingKey(4))
}

/// The name with its last characters left out, one more each time.
fn shorter(name: &Name) -> impl Iterator<Item = Name> {
    let text = name.as_str();
    let cuts = text.char_indices().map(|(at, _)| at).skip(1);
    let cuts: Vec<usize> = cuts.collect();
    cuts.into_iter()
        .rev()
        .filter_map(|at| Name::new(text.get(..at)?.trim_end()).ok())
}

/// What mail programs, chats and terminals put around and into a long line.
pub(crate) fn is_wrapping(character: char) -> bool {
    character.is_whitespace() || is_unsafe_to_show(character) || "\"'<>`“”‘’".contains(character)
}

fn wipe_text(text: &mut String) {
    let mut bytes = std::mem::take(text).into_bytes();
    wipe(&mut bytes);
}

/// PREFIX where no relay's page stands behind the link.
const QR_PREFIX: &str = "keystead:pair";

/// 512 bytes: a host name, a port and a path.
const RELAY_URL_BYTES_MAX: usize = 512;

/// 262 bytes: a host name of 255 (RFC 1035 section 2.3.4) or an IPv6 address with its zone, and a port.
const ADDRESS_BYTES_MAX: usize = 262;

/// 16 KiB: far more than any link; a pasted book is not decoded.
const PASTED_BYTES_MAX: usize = 16_384;
