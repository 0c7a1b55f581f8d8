//! What a signature hashes behind the data: its own fields (RFC 4880 §5.2.4).
//!
//! With it a digest can be proved to be of a certain text: the holder is given text ‖ trailer,
//! hashes it, and reads the trailer's fields; nothing in between is left unread.

use super::digest::HashAlgorithm;
use super::fingerprint::Fingerprint;
use super::packet::Reader;
use super::subpacket::{self, Subpacket};
use crate::ParseError;

/// The hashed fields of a signature over a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// Over bytes or over text with CR LF line ends.
    pub kind: DocumentKind,
    /// The signer's algorithm (RFC 4880 §9.1).
    pub key_algorithm: u8,
    /// The hash function.
    pub hash: HashAlgorithm,
    /// When it is said to be made.
    pub created_unix_s: u32,
    /// When it ends, in seconds behind `created_unix_s`.
    pub expires_after_s: Option<u32>,
    /// Who is said to sign.
    pub issuer: Option<Fingerprint>,
    /// With which user id, if that is said.
    pub signers_user_id: Option<String>,
}

/// RFC 4880 §5.2.1: signatures over documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// 0x00.
    Binary,
    /// 0x01.
    Text,
}

impl Trailer {
    /// Parts what a signature hashes into the document and its own fields.
    ///
    /// # Errors
    /// [`ParseError`]; [`ParseError::Unknown`] for fields that could not be shown in full, among
    /// them notations and policies.
    pub fn split(hashed: &[u8]) -> Result<(&[u8], Self), ParseError> {
        let (rest, end) = hashed
            .split_last_chunk::<END_BYTES>()
            .ok_or(ParseError::Truncated)?;
        let [VERSION, END_MARK, len @ ..] = end else {
            return Err(ParseError::Value);
        };
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| ParseError::Truncated)?;
        let document_len = rest.len().checked_sub(len).ok_or(ParseError::Truncated)?;
        let (document, fields) = rest
            .split_at_checked(document_len)
            .ok_or(ParseError::Truncated)?;
        Ok((document, Self::parse(fields)?))
    }

    fn parse(fields: &[u8]) -> Result<Self, ParseError> {
        let mut reader = Reader::new(fields);
        let [version, kind, key_algorithm, hash_id] = reader.array()?;
        if version != VERSION {
            return Err(ParseError::Unknown);
        }
        let kind = match kind {
            0x00 => DocumentKind::Binary,
            0x01 => DocumentKind::Text,
            _ => return Err(ParseError::Unknown),
        };
        let hash = HashAlgorithm::from_id(hash_id)?;
        let area_len = usize::from(reader.u16()?);
        let area = reader.take(area_len)?;
        reader.finish()?;
        let mut trailer = Self {
            kind,
            key_algorithm,
            hash,
            created_unix_s: 0,
            expires_after_s: None,
            issuer: None,
            signers_user_id: None,
        };
        let subpackets = subpacket::parse_area(area)?;
        let mut seen = Vec::with_capacity(subpackets.len());
        for subpacket in &subpackets {
            if seen.contains(&subpacket.kind) {
                return Err(ParseError::Value);
            }
            seen.push(subpacket.kind);
            trailer.take(subpacket)?;
        }
        if seen.contains(&subpacket::CREATED) {
            Ok(trailer)
        } else {
            Err(ParseError::Value)
        }
    }

    fn take(&mut self, subpacket: &Subpacket<'_>) -> Result<(), ParseError> {
        let body = subpacket.body;
        match subpacket.kind {
            subpacket::CREATED => self.created_unix_s = number(body)?,
            subpacket::SIGNATURE_EXPIRES => self.expires_after_s = Some(number(body)?),
            subpacket::ISSUER if body.len() == KEY_ID_BYTES => (),
            subpacket::ISSUER_FINGERPRINT => match body {
                [subpacket::ISSUER_VERSION, fingerprint @ ..] => {
                    let fingerprint = fingerprint.try_into().map_err(|_| ParseError::Value)?;
                    self.issuer = Some(Fingerprint(fingerprint));
                }
                _ => return Err(ParseError::Unknown),
            },
            subpacket::SIGNERS_USER_ID => {
                let text = std::str::from_utf8(body).map_err(|_| ParseError::Text)?;
                if text.chars().any(keystead_core::is_unsafe_to_show) {
                    return Err(ParseError::Text);
                }
                self.signers_user_id = Some(text.to_owned());
            }
            _ => return Err(ParseError::Unknown),
        }
        Ok(())
    }

    /// The bytes behind the document, as `gpg` 2.2 and later order them: who finds the digest
    /// of document ‖ this equal to the one that gpg asks to sign has proved the document.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut area = Vec::new();
        if let Some(issuer) = &self.issuer {
            subpacket::push_issuer_fingerprint(&mut area, issuer);
        }
        subpacket::push(
            &mut area,
            subpacket::CREATED,
            &self.created_unix_s.to_be_bytes(),
        );
        if let Some(after_s) = self.expires_after_s {
            subpacket::push(
                &mut area,
                subpacket::SIGNATURE_EXPIRES,
                &after_s.to_be_bytes(),
            );
        }
        if let Some(user_id) = &self.signers_user_id {
            subpacket::push(&mut area, subpacket::SIGNERS_USER_ID, user_id.as_bytes());
        }
        let kind = match self.kind {
            DocumentKind::Binary => 0x00,
            DocumentKind::Text => 0x01,
        };
        let mut bytes = fields(kind, self.key_algorithm, self.hash, &area);
        let end = end(&bytes);
        bytes.extend_from_slice(&end);
        bytes
    }
}

fn number(body: &[u8]) -> Result<u32, ParseError> {
    body.try_into()
        .map(u32::from_be_bytes)
        .map_err(|_| ParseError::Value)
}

/// From the version to the end of the hashed subpackets.
pub(super) fn fields(kind: u8, key_algorithm: u8, hash: HashAlgorithm, hashed: &[u8]) -> Vec<u8> {
    let mut bytes = vec![VERSION, kind, key_algorithm, hash.id()];
    bytes.extend_from_slice(&area(hashed));
    bytes
}

/// An area of subpackets with its length.
pub(super) fn area(subpackets: &[u8]) -> Vec<u8> {
    let len = u16::try_from(subpackets.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes()[..], subpackets].concat()
}

/// What is hashed last.
pub(super) fn end(fields: &[u8]) -> [u8; END_BYTES] {
    let len = u32::try_from(fields.len()).unwrap_or(u32::MAX);
    let [a, b, c, d] = len.to_be_bytes();
    [VERSION, END_MARK, a, b, c, d]
}

const VERSION: u8 = 4;
const END_MARK: u8 = 0xff;
/// Version, mark and a length of four bytes.
const END_BYTES: usize = 6;
const KEY_ID_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// Made at second 7.
    const CREATED: &[u8] = &[5, subpacket::CREATED, 0, 0, 0, 7];

    fn hashed(version: u8, kind: u8, area: &[u8]) -> Vec<u8> {
        let mut fields = fields(kind, 22, HashAlgorithm::Sha256, area);
        fields[0] = version;
        [b"text", &*fields, &end(&fields)].concat()
    }

    #[test]
    fn what_could_not_be_shown_in_full_is_no_trailer() {
        let check = |version, kind, more: &[&[u8]], expected| {
            let area = [&[CREATED], more].concat().concat();
            let hashed = hashed(version, kind, &area);
            let read = Trailer::split(&hashed).map(|(document, _)| document);
            assert_eq!(read, expected, "{version} {kind} {more:?}");
        };
        let text = Ok(&b"text"[..]);
        check(4, 0x00, &[], text);
        check(4, 0x01, &[], text);
        check(
            4,
            0x00,
            &[&[9, subpacket::ISSUER, 1, 2, 3, 4, 5, 6, 7, 8]],
            text,
        );
        check(4, 0x00, &[&[2, subpacket::SIGNERS_USER_ID, b'a']], text);
        // Certifications, bindings and revocations are over no document.
        for kind in [
            0x02, 0x10, 0x13, 0x18, 0x19, 0x1f, 0x20, 0x28, 0x30, 0x40, 0x50,
        ] {
            check(4, kind, &[], Err(ParseError::Unknown));
        }
        for version in [2, 3, 5, 6] {
            check(version, 0x00, &[], Err(ParseError::Unknown));
        }
        let unknown = Err(ParseError::Unknown);
        check(4, 0x00, &[&[2, subpacket::POLICY_URL, b'a']], unknown);
        check(4, 0x00, &[&[2, NOTATION, b'a']], unknown);
        check(4, 0x00, &[&[2, 0x80 | NOTATION, b'a']], unknown);
        check(4, 0x00, &[&[2, subpacket::ISSUER, 1]], unknown);
        check(4, 0x00, &[&[2, subpacket::ISSUER_FINGERPRINT, 5]], unknown);
        check(4, 0x00, &[CREATED], Err(ParseError::Value));
        let no_time = Err(ParseError::Value);
        check(4, 0x00, &[&[2, subpacket::SIGNATURE_EXPIRES, 1]], no_time);
        let bidi = &[4, subpacket::SIGNERS_USER_ID, 0xe2, 0x80, 0xae];
        check(4, 0x00, &[bidi], Err(ParseError::Text));
    }

    #[test]
    fn a_trailer_says_when_it_was_made() {
        assert_eq!(
            Trailer::split(&hashed(4, 0x00, &[])),
            Err(ParseError::Value)
        );
        let whole = hashed(4, 0x00, CREATED);
        let (_, trailer) = Trailer::split(&whole).unwrap();
        assert_eq!(trailer.created_unix_s, 7);
    }

    /// RFC 4880 section 5.2.3.16.
    const NOTATION: u8 = 20;
}
