//! What is to be remembered of a key that was brought.

use keystead_core::{Certificates, Constraints, PairingId};

use crate::wire::{Malformed, Reader, put_string};

/// Who brought a key, and within which limits it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custody {
    /// The pairing over which it came; none for one that its holder brought.
    pub pairing: Option<PairingId>,
    /// As they came.
    pub constraints: Constraints,
    /// When it is to be forgotten, seconds since 1970.
    pub expires_unix_s: Option<u64>,
}

impl Custody {
    /// Each optional field behind a byte that says whether it is there.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_option(&mut out, self.pairing.as_ref(), |out, pairing| {
            out.extend(pairing.0);
        });
        put_option(&mut out, self.expires_unix_s, |out, unix_s| {
            out.extend(unix_s.to_be_bytes());
        });
        let Constraints {
            lifetime_s,
            confirm,
            destinations,
            sk_provider,
            certificates,
        } = &self.constraints;
        put_option(&mut out, *lifetime_s, |out, lifetime_s| {
            out.extend(lifetime_s.to_be_bytes());
        });
        out.push(u8::from(*confirm));
        put_option(&mut out, destinations.as_ref(), |out, it| {
            put_string(out, it)
        });
        put_option(&mut out, sk_provider.as_ref(), |out, it| {
            put_string(out, it.as_bytes());
        });
        put_option(&mut out, certificates.as_ref(), |out, it| {
            out.push(u8::from(it.only));
            let mut blobs = Vec::new();
            it.blobs
                .iter()
                .for_each(|blob| put_string(&mut blobs, blob));
            put_string(out, &blobs);
        });
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let custody = Self {
            pairing: option(&mut reader, |it| it.array().map(PairingId))?,
            expires_unix_s: option(&mut reader, Reader::u64)?,
            constraints: Constraints {
                lifetime_s: option(&mut reader, Reader::u32)?,
                confirm: flag(&mut reader)?,
                destinations: option(&mut reader, |it| it.string().map(<[u8]>::to_vec))?,
                sk_provider: option(&mut reader, |it| it.text().map(str::to_owned))?,
                certificates: option(&mut reader, read_certificates)?,
            },
        };
        reader.finish()?;
        Ok(custody)
    }
}

fn read_certificates(reader: &mut Reader<'_>) -> Result<Certificates, Malformed> {
    let only = flag(reader)?;
    let mut rest = Reader::new(reader.string()?);
    let mut blobs = Vec::new();
    while !rest.rest().is_empty() {
        blobs.push(rest.string()?.to_vec());
    }
    Ok(Certificates { only, blobs })
}

fn put_option<T>(out: &mut Vec<u8>, field: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    out.push(u8::from(field.is_some()));
    if let Some(field) = field {
        put(out, field);
    }
}

fn option<'a, T>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    flag(reader)?.then(|| read(reader)).transpose()
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_whole_or_not_at_all() {
        let none = Custody {
            pairing: None,
            constraints: Constraints::default(),
            expires_unix_s: None,
        };
        let all = Custody {
            pairing: Some(PairingId([7; 8])),
            constraints: Constraints {
                lifetime_s: Some(60),
                confirm: true,
                destinations: Some(vec![1, 2, 3]),
                sk_provider: Some("internal".into()),
                certificates: Some(Certificates {
                    only: true,
                    blobs: vec![vec![1], vec![], vec![2, 3]],
                }),
            },
            expires_unix_s: Some(1_800_000_000),
        };
        for custody in [none, all] {
            let bytes = custody.encode();
            assert_eq!(Custody::decode(&bytes), Ok(custody));
            for len in 0..bytes.len() {
                assert_eq!(Custody::decode(&bytes[..len]), Err(Malformed));
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(Custody::decode(&longer), Err(Malformed));
        }
    }
}
