//! Keys of a key server as ssh and gpg know them: blobs, what is asked of the server, and its
//! signatures as either wants them (`spec/session.md` section 8).
//!
//! **Invariant:** the server gets fields and no bytes to be signed; what has no fields is
//! not asked. A signature's name says the algorithm that the fields led to.

use keystead_core::{KeyEntry, Name, Purpose, SignForm};
use keystead_formats::openpgp::digest::Digest;
use keystead_formats::ssh::key::key_id;
use keystead_formats::ssh::signature::{self, RsaHash};
use keystead_formats::ssh::wire::Writer;
use keystead_formats::ssh::{Curve, PublicKey, ToBeSigned};
use keystead_keeper::server::protocol::requests::{
    Entry, KeyPurpose, KeyType, Label, OpenPgp, SignFields, SshLogin, SshSig,
};
use keystead_keeper::server::protocol::{KeyId, Octets, Text};

/// A key of a server that signs for ssh or gpg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldKey {
    /// As the server names it.
    pub id: KeyId,
    /// As programs and lists see it.
    pub entry: KeyEntry,
    kind: KeyType,
}

impl HeldKey {
    /// The key of a list's entry; none where neither can use it: a value that the client
    /// sealed, another purpose, another kind.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        if entry.context.is_some() {
            return None;
        }
        let raw = &entry.public_key.as_ref()?.0;
        let key = match entry.kind {
            KeyType::Ed25519 => PublicKey::ed25519(raw.as_slice().try_into().ok()?),
            KeyType::P256 => PublicKey::ecdsa(Curve::P256, raw).ok()?,
            KeyType::Rsa => rsa(raw)?,
            KeyType::Arbitrary | KeyType::Secp256k1 => return None,
        };
        let is_for = |purpose| entry.purposes.0.contains(&purpose);
        let mut purposes = Vec::new();
        if is_for(KeyPurpose::SshLogin) {
            purposes.push(Purpose::SshLogin);
        }
        if is_for(KeyPurpose::SshSig) {
            purposes.extend([Purpose::SshSig, Purpose::GitCommit]);
        }
        if is_for(KeyPurpose::OpenPgp) {
            purposes.push(Purpose::OpenPgp);
        }
        if purposes.is_empty() {
            return None;
        }
        Some(Self {
            id: entry.key,
            entry: KeyEntry {
                id: key_id(key.blob()),
                algorithm: key.type_name().to_owned(),
                public_key: key.blob().to_vec(),
                name: name_of(entry),
                purposes,
            },
            kind: entry.kind,
        })
    }

    /// What the server is asked to sign, for bytes that a program wants signed.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub fn fields(&self, form: SignForm, content: &[u8]) -> Result<SignFields, NoFields> {
        match form {
            SignForm::Ssh => ssh_fields(&ToBeSigned::parse(content)),
            SignForm::OpenPgp => {
                let digest = Digest::parse(content).map_err(|_| NoFields::Opaque)?;
                Ok(SignFields::OpenPgp(OpenPgp {
                    hash: u32::from(digest.algorithm().id()),
                    digest: Octets(digest.bytes().to_vec()),
                }))
            }
            SignForm::Minisign | _ => Err(NoFields::Minisign),
        }
    }

    /// The server's signature as ssh wants it, or gpg; none if it has another length than the
    /// key's kind gives.
    #[must_use]
    pub fn signature(&self, fields: &SignFields, raw: &[u8]) -> Option<Vec<u8>> {
        if let SignFields::OpenPgp(_) = fields {
            let is_whole = match self.kind {
                KeyType::Ed25519 | KeyType::P256 => raw.len() == OPENPGP_PAIR_BYTES,
                KeyType::Rsa => !raw.is_empty(),
                KeyType::Arbitrary | KeyType::Secp256k1 => false,
            };
            return is_whole.then(|| raw.to_vec());
        }
        match self.kind {
            KeyType::Ed25519 => Some(signature::ed25519(raw.try_into().ok()?)),
            KeyType::P256 => {
                let (r, s) = raw.split_at_checked(Curve::P256.scalar_bytes())?;
                (s.len() == r.len()).then(|| signature::ecdsa(Curve::P256, r, s))
            }
            KeyType::Rsa => Some(signature::rsa(rsa_hash(fields), raw)),
            KeyType::Arbitrary | KeyType::Secp256k1 => None,
        }
    }
}

fn ssh_fields(content: &ToBeSigned) -> Result<SignFields, NoFields> {
    match content {
        ToBeSigned::UserAuth(login) => Ok(SignFields::SshLogin(SshLogin {
            session: Octets(login.session_id.clone()),
            user: Text(login.user.clone()),
            algorithm: Text(login.algorithm.clone()),
            public_key: Octets(login.key.blob().to_vec()),
            host_key: login.host_key.as_ref().map(|it| Octets(it.blob().to_vec())),
        })),
        ToBeSigned::SshSig(signed) => Ok(SignFields::SshSig(SshSig {
            namespace: Text(signed.namespace.clone()),
            hash_name: Text(signed.hash_algorithm.name().to_owned()),
            hash: Octets(signed.hash.clone()),
        })),
        ToBeSigned::Certificate(_) => Err(NoFields::Certificate),
        ToBeSigned::Opaque => Err(NoFields::Opaque),
    }
}

/// Why a server cannot be asked to sign some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFields {
    /// An SSH certificate.
    #[error("a key server signs no certificates")]
    Certificate,
    /// A file with its trusted comment.
    #[error("a key server signs nothing for minisign")]
    Minisign,
    /// Nobody can read it.
    #[error("a key server signs only what it can put together itself, and nobody can read this")]
    Opaque,
}

/// The label of a key that the server holds is open; one that is none can still be told apart.
fn name_of(entry: &Entry) -> Name {
    let label = match &entry.label {
        Label::Open(text) => Name::of_text(text.0.as_bytes()),
        Label::Sealed(_) => None,
    };
    let by_id = || Name::of_text(entry.key.to_string().as_bytes());
    label.or_else(by_id).unwrap_or_else(unnamed)
}

fn unnamed() -> Name {
    match Name::new("key") {
        Ok(name) => name,
        Err(_) => unreachable!("the word is a name"),
    }
}

/// By which hash an RSA key signs: as the login's algorithm says, and an SSHSIG by SHA-512
/// (OpenSSH `PROTOCOL.sshsig`).
fn rsa_hash(fields: &SignFields) -> RsaHash {
    match fields {
        SignFields::SshLogin(login) if login.algorithm.0.starts_with("rsa-sha2-256") => {
            RsaHash::Sha256
        }
        SignFields::SshLogin(_)
        | SignFields::SshSig(_)
        | SignFields::OpenPgp(_)
        | SignFields::Message(..)
        | SignFields::Digest(_) => RsaHash::Sha512,
    }
}

/// The key of an `RSAPublicKey` (RFC 8017 A.1.1), DER, whole.
fn rsa(der: &[u8]) -> Option<PublicKey> {
    let (fields, rest) = element(der, SEQUENCE)?;
    let (n, more) = element(fields, INTEGER)?;
    let (e, end) = element(more, INTEGER)?;
    if !(rest.is_empty() && end.is_empty()) {
        return None;
    }
    let blob = Writer::new()
        .string(b"ssh-rsa")
        .positive_mpint(magnitude(e)?)
        .positive_mpint(magnitude(n)?)
        .into_bytes();
    PublicKey::from_blob(&blob).ok()
}

/// An element of this tag, and what follows it (X.690 section 8.1; lengths by section 10.1).
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            // The shorter form is the only one for shorter elements.
            (Some(usize::from(length)).filter(|it| *it >= 0x80)?, rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = usize::from(u16::from_be_bytes(*length));
            (Some(length).filter(|it| *it >= 0x100)?, rest)
        }
        _ => return None,
    };
    if found != tag {
        return None;
    }
    rest.split_at_checked(length)
}

/// A positive INTEGER without its sign's zero.
fn magnitude(integer: &[u8]) -> Option<&[u8]> {
    match integer {
        [0, rest @ ..] if rest.first().is_some_and(|it| it & 0x80 != 0) => Some(rest),
        [first, ..] if (1..0x80).contains(first) => Some(integer),
        _ => None,
    }
}

/// r ‖ s of 32 bytes each (`spec/pairing.md` section 5.1, form 2).
const OPENPGP_PAIR_BYTES: usize = 64;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;

    /// An `RSAPublicKey` of these fields, DER.
    fn der(n: &[u8], e: &[u8]) -> Vec<u8> {
        let element = |tag: u8, content: &[u8]| {
            let mut out = vec![tag];
            match content.len() {
                length @ 0..=0x7f => out.push(u8::try_from(length).unwrap()),
                length @ 0x80..=0xff => out.extend([0x81, u8::try_from(length).unwrap()]),
                length => {
                    out.push(0x82);
                    out.extend(u16::try_from(length).unwrap().to_be_bytes());
                }
            }
            out.extend(content);
            out
        };
        let fields = [element(INTEGER, n), element(INTEGER, e)].concat();
        element(SEQUENCE, &fields)
    }

    /// 2,048 bits, the highest set: with the zero of its sign.
    fn modulus() -> Vec<u8> {
        let mut n = vec![0x00, 0xc1];
        n.resize(257, 0x33);
        n
    }

    #[test]
    fn an_rsa_key_is_read_whole_or_not_at_all() {
        let whole = der(&modulus(), &[1, 0, 1]);
        let key = rsa(&whole).unwrap();
        assert_eq!(key.type_name(), "ssh-rsa");
        for len in 0..whole.len() {
            assert!(rsa(&whole[..len]).is_none(), "{len}");
        }
        let longer = [whole.as_slice(), &[0]].concat();
        assert!(rsa(&longer).is_none(), "a byte behind it");
        assert!(rsa(&der(&modulus()[1..], &[1, 0, 1])).is_none(), "negative");
        assert!(
            rsa(&der(&modulus(), &[0, 1, 0, 1])).is_none(),
            "a zero too many"
        );
        assert!(rsa(&der(&modulus(), &[])).is_none(), "nothing");
    }

    #[test]
    fn a_longer_form_of_a_length_is_none() {
        assert!(element(&[INTEGER, 0x81, 1, 7], INTEGER).is_none());
        assert!(element(&[INTEGER, 0x82, 0, 1, 7], INTEGER).is_none());
        assert!(element(&[INTEGER, 0x80, 7], INTEGER).is_none());
        let read = element(&[INTEGER, 1, 7, 9], INTEGER);
        assert_eq!(read, Some(([7].as_slice(), [9].as_slice())));
        assert!(element(&[INTEGER, 1, 7], SEQUENCE).is_none());
    }
}
