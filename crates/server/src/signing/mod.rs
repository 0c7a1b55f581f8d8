//! Signatures by keys that the server holds (`spec/session.md` section 8).
//!
//! **Invariant**: for an SSH purpose the bytes are built from fields and never read, so a
//! declared purpose cannot be false; a key signs for the purposes that it was made for,
//! and only SSH login and SSHSIG may share one, since a digest that somebody chooses could
//! be that of anything.
//!
//! | key | SSH login, SSHSIG | OpenPGP, digest | message |
//! |---|---|---|---|
//! | Ed25519 | the bytes | the digest as the message (RFC 9580 section 5.2.3.4) | digest 0 alone |
//! | P-256 | SHA-256 of them | the digest | any digest but 0 |
//! | secp256k1 | – | digest only | any digest but 0 |
//! | RSA | SHA-256, SHA-512 by the algorithm; SSHSIG SHA-512 | the digest, with its hash | SHA-2 |

#[cfg(test)]
mod tests;

use aws_lc_rs::digest;
use keystead_channel::session::Status;
use keystead_channel::session::requests::{
    DigestName, KeyPurpose, KeyType, OpenPgp, SignFields, SignPurpose, SshLogin, SshSig,
};
use keystead_formats::ssh::built::{self, Algorithms, LoginFields};
use keystead_formats::ssh::sshsig::HashAlgorithm;
use keystead_vault::held::{Hash, HeldError, HeldKey, Kind, ToSign};
use sha3::{Digest as _, Keccak256};

/// Signs what `fields` declare, with a key of these purposes.
///
/// # Errors
/// [`Status::WrongType`]: not a purpose of this key, or not what such a key signs;
/// [`Status::Malformed`]: fields that the purpose does not have; [`Status::Corrupt`]: the
/// library gives no signature by a key that was checked when it came.
pub fn sign(
    key: &HeldKey,
    purposes: &[KeyPurpose],
    fields: &SignFields,
) -> Result<Vec<u8>, Status> {
    if !purposes.contains(&purpose_of(fields.purpose())) {
        return Err(Status::WrongType);
    }
    match fields {
        SignFields::SshLogin(login) => sign_login(key, login),
        SignFields::SshSig(sig) => sign_sshsig(key, sig),
        SignFields::OpenPgp(asked) => sign_openpgp(key, asked),
        SignFields::Message(message, name) => sign_message(key, &message.bytes.0, *name),
        SignFields::Digest(asked) => {
            let hash = hash_of_length(asked.bytes.0.len()).ok_or(Status::Malformed)?;
            sign_digest(key, hash, &asked.bytes.0)
        }
    }
}

/// Whether a key of this type can be made for these purposes.
///
/// # Errors
/// [`Status::WrongType`]: purposes that may not share a key, or that such a key has not;
/// [`Status::Malformed`]: one of them twice.
pub fn check_purposes(kind: KeyType, purposes: &[KeyPurpose]) -> Result<(), Status> {
    let is_ssh = |it: &KeyPurpose| matches!(it, KeyPurpose::SshLogin | KeyPurpose::SshSig);
    if let [first, second, ..] = purposes
        && (first == second || purposes.len() > SHARED_MAX)
    {
        return Err(Status::Malformed);
    }
    let fits_together = purposes.len() < SHARED_MAX || purposes.iter().all(is_ssh);
    let fits_type = match kind {
        KeyType::Arbitrary => purposes.is_empty(),
        KeyType::Ed25519 | KeyType::P256 | KeyType::Rsa => true,
        KeyType::Secp256k1 => purposes
            .iter()
            .all(|it| matches!(it, KeyPurpose::Message | KeyPurpose::Digest)),
    };
    if fits_together && fits_type {
        Ok(())
    } else {
        Err(Status::WrongType)
    }
}

/// What the vault calls a type of the wire.
#[must_use]
pub const fn kind_of(kind: KeyType) -> Kind {
    match kind {
        KeyType::Arbitrary => Kind::Arbitrary,
        KeyType::Ed25519 => Kind::Ed25519,
        KeyType::P256 => Kind::P256,
        KeyType::Secp256k1 => Kind::Secp256k1,
        KeyType::Rsa => Kind::Rsa,
    }
}

fn sign_login(key: &HeldKey, login: &SshLogin) -> Result<Vec<u8>, Status> {
    let own = key.ssh_blob().map_err(status_of)?;
    let own = own.ok_or(Status::WrongType)?;
    let fields = LoginFields {
        session_id: &login.session.0,
        user: &login.user.0,
        algorithm: &login.algorithm.0,
        public_key: &login.public_key.0,
        host_key: login.host_key.as_ref().map(|blob| blob.0.as_slice()),
    };
    let built = fields.build(&own, algorithms_of(key)?);
    let built = built.map_err(|_| Status::Malformed)?;
    sign_built(key, &built.bytes, built.hash)
}

fn sign_sshsig(key: &HeldKey, sig: &SshSig) -> Result<Vec<u8>, Status> {
    let algorithms = algorithms_of(key)?;
    let bytes = built::sshsig(&sig.namespace.0, &sig.hash_name.0, &sig.hash.0);
    let bytes = bytes.map_err(|_| Status::Malformed)?;
    sign_built(key, &bytes, algorithms.of_sshsig())
}

/// Hash ids of RFC 9580 section 9.5; MD5, SHA-1, RIPEMD and SHA-224 are not signed.
fn sign_openpgp(key: &HeldKey, asked: &OpenPgp) -> Result<Vec<u8>, Status> {
    let hash = match asked.hash {
        8 => Hash::Sha256,
        9 => Hash::Sha384,
        10 => Hash::Sha512,
        _ => return Err(Status::Malformed),
    };
    if asked.digest.0.len() != length_of(hash) {
        return Err(Status::Malformed);
    }
    sign_digest(key, hash, &asked.digest.0)
}

fn sign_message(key: &HeldKey, message: &[u8], name: DigestName) -> Result<Vec<u8>, Status> {
    match (key.kind(), name) {
        (Kind::Ed25519, DigestName::None) => sign_raw(key, &ToSign::Message(message)),
        (_, DigestName::None) | (Kind::Ed25519, _) => Err(Status::WrongType),
        (_, DigestName::Sha256) => hash_and_sign(key, Hash::Sha256, message),
        (_, DigestName::Sha384) => hash_and_sign(key, Hash::Sha384, message),
        (_, DigestName::Sha512) => hash_and_sign(key, Hash::Sha512, message),
        (_, DigestName::Keccak256) => {
            let digest = Keccak256::digest(message);
            sign_digest(key, Hash::Keccak256, &digest)
        }
    }
}

fn sign_built(key: &HeldKey, bytes: &[u8], hash: Option<HashAlgorithm>) -> Result<Vec<u8>, Status> {
    match hash {
        None => sign_raw(key, &ToSign::Message(bytes)),
        Some(HashAlgorithm::Sha256) => hash_and_sign(key, Hash::Sha256, bytes),
        Some(HashAlgorithm::Sha512) => hash_and_sign(key, Hash::Sha512, bytes),
    }
}

fn hash_and_sign(key: &HeldKey, hash: Hash, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let algorithm = match hash {
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
        Hash::Keccak256 => return Err(Status::WrongType),
    };
    let digest = digest::digest(algorithm, bytes);
    sign_digest(key, hash, digest.as_ref())
}

fn sign_digest(key: &HeldKey, hash: Hash, digest: &[u8]) -> Result<Vec<u8>, Status> {
    match key.kind() {
        Kind::Ed25519 => sign_raw(key, &ToSign::Message(digest)),
        Kind::Arbitrary | Kind::P256 | Kind::Secp256k1 | Kind::Rsa => {
            sign_raw(key, &ToSign::Digest(hash, digest))
        }
    }
}

fn sign_raw(key: &HeldKey, what: &ToSign<'_>) -> Result<Vec<u8>, Status> {
    key.sign(what).map_err(status_of)
}

fn status_of(error: HeldError) -> Status {
    match error {
        HeldError::Unfit => Status::WrongType,
        HeldError::Length | HeldError::Range | HeldError::Rsa | HeldError::Broken | _ => {
            Status::Corrupt
        }
    }
}

fn algorithms_of(key: &HeldKey) -> Result<Algorithms, Status> {
    match key.kind() {
        Kind::Ed25519 => Ok(Algorithms::Ed25519),
        Kind::P256 => Ok(Algorithms::P256),
        Kind::Rsa => Ok(Algorithms::Rsa),
        Kind::Arbitrary | Kind::Secp256k1 => Err(Status::WrongType),
    }
}

const fn purpose_of(purpose: SignPurpose) -> KeyPurpose {
    match purpose {
        SignPurpose::SshLogin => KeyPurpose::SshLogin,
        SignPurpose::SshSig => KeyPurpose::SshSig,
        SignPurpose::OpenPgp => KeyPurpose::OpenPgp,
        SignPurpose::Message => KeyPurpose::Message,
        SignPurpose::Digest => KeyPurpose::Digest,
    }
}

const fn length_of(hash: Hash) -> usize {
    match hash {
        Hash::Sha256 | Hash::Keccak256 => 32,
        Hash::Sha384 => 48,
        Hash::Sha512 => 64,
    }
}

/// The hash of the SHA-2 family whose digests are so long: what an RSA signature over a
/// digest names.
const fn hash_of_length(len: usize) -> Option<Hash> {
    match len {
        32 => Some(Hash::Sha256),
        48 => Some(Hash::Sha384),
        64 => Some(Hash::Sha512),
        _ => None,
    }
}

/// Two purposes at most share a key: SSH login and SSHSIG.
const SHARED_MAX: usize = 2;
