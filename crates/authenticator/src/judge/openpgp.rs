//! Form 2: the digest of an OpenPGP signature, and what is known of what was hashed.

use keystead_core::{Algorithm, Outcome, Purpose, SignRequest, hex};
use keystead_formats::openpgp::HashAlgorithm;
use keystead_formats::openpgp::digest::Digest;
use keystead_formats::openpgp::trailer::Trailer;

use super::content::object_content;
use super::uses::check_purpose;
use super::{No, Rules, algorithm_of, no};
use crate::words::{Asked, Content, OpenPgp, Origin};

pub(super) fn judge(request: &SignRequest, rules: Rules<'_>, origin: Origin) -> Result<Asked, No> {
    let digest = Digest::parse(&request.content)
        .map_err(|_| no(Outcome::Refuse, "no digest of a hash that OpenPGP has"))?;
    check_purpose(rules.key, Purpose::OpenPgp)?;
    check_strength(&digest, rules)?;
    let (content, trailer) = content(&digest, request.evidence.preimage.as_deref());
    Ok(Asked::OpenPgp(OpenPgp {
        user_id: request.evidence.user_id.clone(),
        hash_name: digest.algorithm().name().to_owned(),
        digest: hex::encode(digest.bytes()),
        content,
        trailer,
        key: rules.key_words.clone(),
        origin,
    }))
}

/// ECDSA on 256 bits takes 32 bytes of a digest, and signs no shorter one; SHA-1 and SHA-224 are
/// shorter, and the first of them can be made to collide.
fn check_strength(digest: &Digest, rules: Rules<'_>) -> Result<(), No> {
    match algorithm_of(rules.key) {
        Some(
            Algorithm::Ed25519 | Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 | Algorithm::Rsa,
        ) => {}
        Some(_) | None => {
            return Err(no(
                Outcome::Unsupported,
                "a key of a type that OpenPGP has not, or not here",
            ));
        }
    }
    match digest.algorithm() {
        HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512 => Ok(()),
        short @ (HashAlgorithm::Sha1 | HashAlgorithm::Sha224) => {
            let (name, bytes) = (short.name(), short.bytes());
            let reason = format!("a digest of {bytes} bytes ({name}) is too short to be signed");
            Err(no(Outcome::Refuse, reason))
        }
    }
}

/// What was hashed, where the bytes that came along have this very hash: a document, and the
/// signature's own fields behind it.
fn content(digest: &Digest, preimage: Option<&[u8]>) -> (Content, Option<Trailer>) {
    let Some(preimage) = preimage else {
        return (Content::NotProved, None);
    };
    if digest.algorithm().hash(&[preimage]) != digest.bytes() {
        return (Content::Differs, None);
    }
    match Trailer::split(preimage) {
        Ok((document, trailer)) => (object_content(document), Some(trailer)),
        Err(_) => {
            let bytes = preimage.len();
            (Content::Unreadable { bytes }, None)
        }
    }
}
