//! What a device's keys, points and signatures are worth: into the encodings of
//! `spec/pairing.md`, and checked.
//!
//! **Invariant:** a key that is no point of its curve, and a signature that is not the key's over
//! just these bytes, come no further than here. Nothing private is here but what a device gave
//! out: a shared point, and the file key that it opens.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hkdf;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256K1_SHA256_FIXED, ED25519, EcdsaVerificationAlgorithm,
    ParsedPublicKey, VerificationAlgorithm,
};
use keystead_core::{Algorithm, Curve, Identity, KeyEntry, KeyId, Name, Purpose, SecretBytes};
use keystead_core::{Derivation, Protocol};

/// The public half of an identity's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublicHalf {
    algorithm: Algorithm,
    /// As on the wire: an SSH blob, a point of 65 bytes, or the 32 of X25519.
    encoded: Vec<u8>,
    /// A point of 65 bytes, or 32 bytes.
    raw: Vec<u8>,
}

impl PublicHalf {
    /// Of the 33 bytes of a node (SLIP-0010): none if they are no key of this identity's kind.
    pub(super) fn of(identity: &Identity, node: &[u8]) -> Option<Self> {
        let algorithm = identity.algorithm();
        let raw = match identity.curve() {
            Curve::Nist256p1 => point(&ECDSA_P256_SHA256_FIXED, node)?,
            Curve::Secp256k1 => point(&ECDSA_P256K1_SHA256_FIXED, node)?,
            // Firmwares have put 0, 1 and OpenPGP's 0x40 before the 32 bytes.
            Curve::Ed25519 | Curve::Curve25519 => match node {
                [0 | 1 | POINT_NATIVE, raw @ ..] if raw.len() == 32 => raw.to_vec(),
                _ => return None,
            },
        };
        let name = algorithm.as_str().as_bytes();
        let encoded = if algorithm == Algorithm::EcdsaP256 {
            ssh(&[name, b"nistp256", &raw])
        } else if algorithm == Algorithm::Ed25519 {
            ssh(&[name, &raw])
        } else {
            raw.clone()
        };
        Some(Self {
            algorithm,
            encoded,
            raw,
        })
    }

    pub(super) fn id(&self) -> KeyId {
        KeyId(sha256(&self.encoded))
    }

    /// As lists show it.
    pub(super) fn entry(&self, identity: &Identity) -> KeyEntry {
        KeyEntry {
            id: self.id(),
            algorithm: self.algorithm.as_str().to_owned(),
            public_key: self.encoded.clone(),
            name: name_of(identity),
            purposes: purposes(identity),
        }
    }

    /// Whether `signature` (r ‖ s, or as of RFC 8032) is this key's over what an `ssh` identity
    /// signs for this blob.
    pub(super) fn has_signed(&self, blob: &[u8], signature: &[u8]) -> bool {
        if self.algorithm == Algorithm::Ed25519 {
            return verifies(&ED25519, &self.raw, blob, signature);
        }
        self.algorithm == Algorithm::EcdsaP256
            && verifies(&ECDSA_P256_SHA256_FIXED, &self.raw, blob, signature)
    }

    /// The same of what a `gpg` identity signs for this digest: an EdDSA key takes it as the
    /// message, an ECDSA key its first 32 bytes.
    pub(super) fn has_signed_digest(&self, hash: &[u8], signature: &[u8]) -> bool {
        if self.algorithm == Algorithm::Ed25519 {
            return verifies(&ED25519, &self.raw, hash, signature);
        }
        let algorithm: &'static EcdsaVerificationAlgorithm =
            if self.algorithm == Algorithm::EcdsaP256 {
                &ECDSA_P256_SHA256_FIXED
            } else if self.algorithm == Algorithm::EcdsaSecp256k1 {
                &ECDSA_P256K1_SHA256_FIXED
            } else {
                return false;
            };
        let Ok(hash) = Digest::import_less_safe(hash, &SHA256) else {
            return false;
        };
        ParsedPublicKey::new(algorithm, &self.raw)
            .is_ok_and(|key| key.verify_digest_sig(&hash, signature).is_ok())
    }

    /// The signature as it stands in SSH (RFC 8709 section 6, RFC 5656 section 3.1.2).
    pub(super) fn ssh_signature(&self, signature: &[u8]) -> Vec<u8> {
        let name = self.algorithm.as_str().as_bytes();
        if self.algorithm == Algorithm::Ed25519 {
            return ssh(&[name, signature]);
        }
        let (r, s) = signature.split_at(signature.len() / 2);
        ssh(&[name, &ssh(&[&mpint(r), &mpint(s)])])
    }

    /// A point that another gave, as the device takes it; none if it has not this key's form.
    pub(super) fn peer(&self, point: &[u8]) -> Option<Vec<u8>> {
        match (self.algorithm, point) {
            (Algorithm::X25519, _) if point.len() == 32 => Some([&[POINT_NATIVE], point].concat()),
            (Algorithm::EcdhP256 | Algorithm::EcdhSecp256k1, [POINT_UNCOMPRESSED, ..])
                if point.len() == 65 =>
            {
                Some(point.to_vec())
            }
            _ => None,
        }
    }

    /// The shared point without the device's 0x04 for X25519; none if it cannot be one.
    pub(super) fn shared(&self, given: &SecretBytes) -> Option<SecretBytes> {
        let bytes = match (self.algorithm, given.expose()) {
            (Algorithm::X25519, [POINT_UNCOMPRESSED, shared @ ..]) if shared.len() == 32 => shared,
            (Algorithm::EcdhP256 | Algorithm::EcdhSecp256k1, shared @ [POINT_UNCOMPRESSED, ..])
                if shared.len() == 65 =>
            {
                shared
            }
            _ => return None,
        };
        let (_, numbers) = bytes.split_at(bytes.len() % 2);
        // RFC 7748 section 6.1: another's point of small order.
        if numbers.iter().all(|byte| *byte == 0) {
            return None;
        }
        Some(SecretBytes::fill(bytes.len(), |to| {
            to.copy_from_slice(bytes)
        }))
    }

    /// The file key of an X25519 stanza (age-encryption.org/v1, "The X25519 recipient type");
    /// none if this wrap is for another key.
    pub(super) fn file_key(
        &self,
        shared: &SecretBytes,
        ephemeral: &[u8],
        wrapped: &[u8],
    ) -> Option<SecretBytes> {
        let salt = [ephemeral, &self.raw].concat();
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &salt).extract(shared.expose());
        let wrap_key = extracted.expand(&[AGE_LABEL], &CHACHA20_POLY1305).ok()?;
        let wrap_key = LessSafeKey::new(UnboundKey::from(wrap_key));
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let mut opened = SecretBytes::fill(wrapped.len(), |to| to.copy_from_slice(wrapped));
        let length = wrap_key
            .open_in_place(nonce, Aad::empty(), opened.expose_mut())
            .ok()?
            .len();
        opened.truncate(length);
        Some(opened)
    }
}

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let hash = digest(&SHA256, bytes);
    hash.as_ref().try_into().unwrap_or_default()
}

/// A point of 65 bytes (SEC 1 section 2.3.4).
fn point(algorithm: &'static EcdsaVerificationAlgorithm, compressed: &[u8]) -> Option<Vec<u8>> {
    let key = ParsedPublicKey::new(algorithm, compressed).ok()?;
    let der = key.as_der().ok()?;
    // A SubjectPublicKeyInfo ends with the point (RFC 5480 section 2).
    let point = der.as_ref().last_chunk::<65>()?;
    (point.first() == Some(&POINT_UNCOMPRESSED)).then(|| point.to_vec())
}

fn verifies(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    algorithm.verify_sig(key, message, signature).is_ok()
}

/// Strings, one behind the other (RFC 4251 section 5).
fn ssh(strings: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for string in strings {
        let length = u32::try_from(string.len()).unwrap_or(u32::MAX);
        out.extend(length.to_be_bytes());
        out.extend_from_slice(string);
    }
    out
}

/// The content of an `mpint` (RFC 4251 section 5) of a positive number.
fn mpint(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = number.get(zeros..).unwrap_or_default();
    let has_high_bit = number.first().is_some_and(|byte| byte & 0x80 != 0);
    let sign: &[u8] = if has_high_bit { &[0] } else { &[] };
    [sign, number].concat()
}

/// What its key is for (`spec/identity.md` section 5).
fn purposes(identity: &Identity) -> Vec<Purpose> {
    match (identity.protocol(), identity.derivation()) {
        (Protocol::Ssh, _) => vec![Purpose::SshLogin, Purpose::SshSig, Purpose::GitCommit],
        (Protocol::Gpg, Derivation::Sign) => vec![Purpose::OpenPgp],
        (Protocol::Gpg, Derivation::Agree) => vec![Purpose::OpenPgpDecrypt],
        (Protocol::Age, _) => vec![Purpose::AgeUnwrap],
        (Protocol::Signify, _) => vec![Purpose::Signify],
        (Protocol::Keystead, _) => Vec::new(),
    }
}

/// The text of the identity, as far as a name has room.
fn name_of(identity: &Identity) -> Name {
    match Name::of_text(identity.rest().as_bytes()).or_else(|| Name::new("key").ok()) {
        Some(name) => name,
        None => unreachable!("the word is a name"),
    }
}

/// SEC 1 section 2.3.3.
const POINT_UNCOMPRESSED: u8 = 0x04;

/// RFC 9580 section 9.2: native points of Curve25519 in OpenPGP, and to a Trezor.
const POINT_NATIVE: u8 = 0x40;

const AGE_LABEL: &[u8] = b"age-encryption.org/v1/X25519";

#[cfg(test)]
mod tests;
