//! What a key server signs for SSH, built from fields (`spec/session.md` section 8).
//!
//! **Invariant**: nothing is parsed. The bytes have one form for their fields, and no
//! fields of one form give the bytes of the other: an SSHSIG begins with letters, a login
//! with the length of its session id. So what was declared is what is signed.

use super::sshsig::{HashAlgorithm, NAMESPACE_BYTES_MAX, SshSig};
use super::userauth::{self, SESSION_ID_BYTES, USER_BYTES_MAX};
use super::wire::{ParseError, Writer};

/// The fields of a login (RFC 4252 section 7, OpenSSH `PROTOCOL` section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginFields<'a> {
    /// The first exchange hash of the connection.
    pub session_id: &'a [u8],
    /// Who logs in there.
    pub user: &'a str,
    /// The signature algorithm, or that of the certificate.
    pub algorithm: &'a str,
    /// The blob of the key that logs in, or of a certificate over it.
    pub public_key: &'a [u8],
    /// The blob of the host's key: makes it the hostbound method.
    pub host_key: Option<&'a [u8]>,
}

impl LoginFields<'_> {
    /// The bytes that are signed, for the key whose own blob is `own`.
    ///
    /// # Errors
    /// [`ParseError::Value`]: a length that no login has; an algorithm that the key does not
    /// sign with; a blob that is neither the key's own nor begins as its certificates do.
    pub fn build(&self, own: &[u8], algorithms: Algorithms) -> Result<Built, ParseError> {
        let user_fits = (1..=USER_BYTES_MAX).contains(&self.user.len());
        let session_fits = SESSION_ID_BYTES.contains(&self.session_id.len());
        let host_fits = self.host_key.is_none_or(|blob| !blob.is_empty());
        if !(user_fits && session_fits && host_fits) {
            return Err(ParseError::Value);
        }
        let (hash, form) = algorithms.judge(self.algorithm)?;
        let is_of_key = match form {
            Form::Plain => self.public_key == own,
            Form::Certificate(type_name) => {
                let head = Writer::new().string(type_name.as_bytes()).into_bytes();
                self.public_key.starts_with(&head)
            }
        };
        if !is_of_key {
            return Err(ParseError::Value);
        }
        let bytes = userauth::bytes(
            self.session_id,
            self.user,
            self.algorithm,
            self.public_key,
            self.host_key,
        );
        Ok(Built { bytes, hash })
    }
}

/// Bytes to be signed, and by which hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The hash that the algorithm has; none for Ed25519, which takes the bytes whole.
    pub hash: Option<HashAlgorithm>,
}

/// The kinds of keys that sign for SSH here, with the algorithms that each has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithms {
    /// RFC 8709.
    Ed25519,
    /// RFC 5656.
    P256,
    /// RFC 8332: SHA-256 or SHA-512, never SHA-1.
    Rsa,
}

impl Algorithms {
    /// By which hash a key of this kind signs an SSHSIG: RSA by SHA-512, as
    /// `PROTOCOL.sshsig` wants it of `ssh-keygen`.
    #[must_use]
    pub const fn of_sshsig(self) -> Option<HashAlgorithm> {
        match self {
            Self::Ed25519 => None,
            Self::P256 => Some(HashAlgorithm::Sha256),
            Self::Rsa => Some(HashAlgorithm::Sha512),
        }
    }

    fn judge(self, algorithm: &str) -> Result<(Option<HashAlgorithm>, Form), ParseError> {
        let listed = match self {
            Self::Ed25519 => ED25519,
            Self::P256 => P256,
            Self::Rsa => RSA,
        };
        let found = listed.iter().find(|(name, ..)| *name == algorithm);
        let (_, hash, form) = found.ok_or(ParseError::Value)?;
        Ok((*hash, *form))
    }
}

/// What the blob of the key is.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// The key's own.
    Plain,
    /// A certificate of this type.
    Certificate(&'static str),
}

/// The bytes of an SSHSIG from its fields.
///
/// # Errors
/// [`ParseError::Unknown`] for another hash than sha256 and sha512;
/// [`ParseError::Value`] for an empty or long namespace, or a hash of another length.
pub fn sshsig(namespace: &str, hash_name: &str, hash: &[u8]) -> Result<Vec<u8>, ParseError> {
    let hash_algorithm = HashAlgorithm::from_name(hash_name)?;
    let namespace_fits = (1..=NAMESPACE_BYTES_MAX).contains(&namespace.len());
    if !namespace_fits || hash.len() != hash_algorithm.bytes() {
        return Err(ParseError::Value);
    }
    let signed = SshSig {
        namespace: namespace.to_owned(),
        hash_algorithm,
        hash: hash.to_vec(),
    };
    Ok(signed.encode())
}

type Listed = (&'static str, Option<HashAlgorithm>, Form);

const ED25519: &[Listed] = &[
    ("ssh-ed25519", None, Form::Plain),
    (ED25519_CERT, None, Form::Certificate(ED25519_CERT)),
];

const P256: &[Listed] = &[
    (
        "ecdsa-sha2-nistp256",
        Some(HashAlgorithm::Sha256),
        Form::Plain,
    ),
    (
        P256_CERT,
        Some(HashAlgorithm::Sha256),
        Form::Certificate(P256_CERT),
    ),
];

const RSA: &[Listed] = &[
    ("rsa-sha2-256", Some(HashAlgorithm::Sha256), Form::Plain),
    ("rsa-sha2-512", Some(HashAlgorithm::Sha512), Form::Plain),
    (
        "rsa-sha2-256-cert-v01@openssh.com",
        Some(HashAlgorithm::Sha256),
        Form::Certificate(RSA_CERT),
    ),
    (
        "rsa-sha2-512-cert-v01@openssh.com",
        Some(HashAlgorithm::Sha512),
        Form::Certificate(RSA_CERT),
    ),
];

/// OpenSSH `PROTOCOL.certkeys`: the types of certificates.
const ED25519_CERT: &str = "ssh-ed25519-cert-v01@openssh.com";
const P256_CERT: &str = "ecdsa-sha2-nistp256-cert-v01@openssh.com";
const RSA_CERT: &str = "ssh-rsa-cert-v01@openssh.com";

#[cfg(test)]
mod tests {
    use super::super::{PublicKey, userauth::UserAuth};
    use super::*;

    const SESSION: [u8; 32] = [3; 32];

    fn own() -> PublicKey {
        PublicKey::ed25519(&[7; 32])
    }

    fn fields<'a>(own: &'a PublicKey, host: Option<&'a PublicKey>) -> LoginFields<'a> {
        LoginFields {
            session_id: &SESSION,
            user: "alex",
            algorithm: "ssh-ed25519",
            public_key: own.blob(),
            host_key: host.map(PublicKey::blob),
        }
    }

    #[test]
    fn what_is_built_reads_as_its_fields() {
        let (own, host) = (own(), PublicKey::ed25519(&[9; 32]));
        for host in [None, Some(&host)] {
            let fields = fields(&own, host);
            let built = fields.build(own.blob(), Algorithms::Ed25519).unwrap();
            let read = UserAuth::parse(&built.bytes).unwrap();
            assert_eq!(read.encode(), built.bytes);
            assert_eq!((read.user.as_str(), &read.key), ("alex", &own));
            assert_eq!(read.host_key.as_ref(), host);
            assert_eq!(built.hash, None);
        }
        let hash = [5; 64];
        let built = sshsig("git", "sha512", &hash).unwrap();
        let read = SshSig::parse(&built).unwrap();
        assert_eq!(
            (read.namespace.as_str(), read.hash.as_slice()),
            ("git", &hash[..])
        );
    }

    #[test]
    fn a_login_that_is_none_is_not_built() {
        let own = own();
        let good = fields(&own, None);
        let check = |fields: LoginFields<'_>, kind, expected: bool| {
            let built = fields.build(own.blob(), kind);
            assert_eq!(built.is_ok(), expected, "{fields:?}");
        };
        check(good, Algorithms::Ed25519, true);
        for len in 0..=65 {
            let session_id = &vec![1; len];
            let fields = LoginFields { session_id, ..good };
            check(fields, Algorithms::Ed25519, [20, 32, 48, 64].contains(&len));
        }
        let long = "u".repeat(USER_BYTES_MAX + 1);
        for user in ["", &long] {
            check(LoginFields { user, ..good }, Algorithms::Ed25519, false);
        }
        let other = PublicKey::ed25519(&[8; 32]);
        for public_key in [other.blob(), &[], &own.blob()[..4]] {
            let fields = LoginFields { public_key, ..good };
            check(fields, Algorithms::Ed25519, false);
        }
        let host_key = Some([].as_slice());
        check(LoginFields { host_key, ..good }, Algorithms::Ed25519, false);
    }

    #[test]
    fn algorithms_are_the_keys_own() {
        let check = |algorithm, kind: Algorithms, expected: Result<_, ParseError>| {
            assert_eq!(kind.judge(algorithm).map(|(hash, _)| hash), expected);
        };
        let (sha256, sha512) = (Some(HashAlgorithm::Sha256), Some(HashAlgorithm::Sha512));
        check("ssh-ed25519", Algorithms::Ed25519, Ok(None));
        check(ED25519_CERT, Algorithms::Ed25519, Ok(None));
        check("ecdsa-sha2-nistp256", Algorithms::P256, Ok(sha256));
        check("rsa-sha2-256", Algorithms::Rsa, Ok(sha256));
        check("rsa-sha2-512", Algorithms::Rsa, Ok(sha512));
        check("ssh-rsa", Algorithms::Rsa, Err(ParseError::Value));
        check("rsa-sha2-512", Algorithms::Ed25519, Err(ParseError::Value));
        check("ssh-ed25519", Algorithms::P256, Err(ParseError::Value));
        check(
            "ecdsa-sha2-nistp384",
            Algorithms::P256,
            Err(ParseError::Value),
        );
        check("", Algorithms::Rsa, Err(ParseError::Value));
    }

    #[test]
    fn a_certificate_has_its_own_type_in_front() {
        let own = own();
        let certificate = Writer::new().string(ED25519_CERT.as_bytes()).raw(b"rest");
        let certificate = certificate.into_bytes();
        let check = |algorithm, public_key: &[u8], expected: bool| {
            let fields = LoginFields {
                algorithm,
                public_key,
                ..fields(&own, None)
            };
            let built = fields.build(own.blob(), Algorithms::Ed25519);
            assert_eq!(built.is_ok(), expected);
        };
        check(ED25519_CERT, &certificate, true);
        check(ED25519_CERT, own.blob(), false);
        check("ssh-ed25519", &certificate, false);
    }

    #[test]
    fn an_sshsig_that_is_none_is_not_built() {
        let check = |namespace, name, len: usize, expected: Result<(), ParseError>| {
            assert_eq!(sshsig(namespace, name, &vec![1; len]).map(drop), expected);
        };
        let long = "n".repeat(NAMESPACE_BYTES_MAX + 1);
        check("git", "sha256", 32, Ok(()));
        check("git", "sha512", 64, Ok(()));
        check("git", "sha512", 32, Err(ParseError::Value));
        check("git", "sha256", 64, Err(ParseError::Value));
        check("git", "sha1", 20, Err(ParseError::Unknown));
        check("", "sha256", 32, Err(ParseError::Value));
        check(&long, "sha256", 32, Err(ParseError::Value));
    }
}
