//! Keys of words: BIP-39, SLIP-0010, SLIP-0013 and SLIP-0017, and what they do.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, pbkdf2};
use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::Signer;
use k256::elliptic_curve::sec1::ToEncodedPoint;

/// The curves by the device's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    Nist256p1,
    Secp256k1,
    Ed25519,
    Curve25519,
}

impl Curve {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "nist256p1" => Some(Self::Nist256p1),
            "" | "secp256k1" => Some(Self::Secp256k1),
            "ed25519" => Some(Self::Ed25519),
            "curve25519" => Some(Self::Curve25519),
            _ => None,
        }
    }

    const fn label(self) -> &'static [u8] {
        match self {
            Self::Nist256p1 => b"Nist256p1 seed",
            Self::Secp256k1 => b"Bitcoin seed",
            Self::Ed25519 => b"ed25519 seed",
            Self::Curve25519 => b"curve25519 seed",
        }
    }
}

/// The seed of words and passphrase (BIP-39).
pub(super) fn seed(words: &str, passphrase: &str) -> [u8; 64] {
    let salt = format!("mnemonic{passphrase}");
    let mut seed = [0; 64];
    let rounds = NonZeroU32::MIN.saturating_add(2_047);
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA512;
    pbkdf2::derive(
        algorithm,
        rounds,
        salt.as_bytes(),
        words.as_bytes(),
        &mut seed,
    );
    seed
}

/// The path of an identity's text.
pub(super) fn path(text: &str, index: u32, purpose: u32) -> Vec<u32> {
    let hash = digest(&SHA256, &[&index.to_le_bytes(), text.as_bytes()].concat());
    let (words, _) = hash.as_ref().as_chunks::<4>();
    let steps = words.iter().take(4).map(|it| u32::from_le_bytes(*it));
    std::iter::once(purpose)
        .chain(steps)
        .map(|it| it | 0x8000_0000)
        .collect()
}

/// A private key of a path.
pub(super) struct Key {
    curve: Curve,
    secret: [u8; 32],
}

impl Key {
    /// All steps are hardened here; others are none of this device's.
    pub(super) fn of(curve: Curve, seed: &[u8], path: &[u32]) -> Option<Self> {
        let (mut secret, mut chain) = split(curve.label(), seed);
        while !is_key(curve, &secret) {
            let both = [secret, chain].concat();
            (secret, chain) = split(curve.label(), &both);
        }
        for step in path {
            if step & 0x8000_0000 == 0 {
                return None;
            }
            let number = step.to_be_bytes();
            let mut content = [&[0], secret.as_slice(), &number].concat();
            (secret, chain) = loop {
                let (left, right) = split(&chain, &content);
                if let Some(child) = added(curve, &left, &secret) {
                    break (child, right);
                }
                content = [&[1], right.as_slice(), &number].concat();
            };
        }
        Some(Self { curve, secret })
    }

    /// 33 bytes, as a node has them.
    pub(super) fn public(&self) -> Vec<u8> {
        match self.curve {
            Curve::Nist256p1 => p256::SecretKey::from_slice(&self.secret)
                .map(|it| it.public_key().to_encoded_point(true).as_bytes().to_vec())
                .unwrap_or_default(),
            Curve::Secp256k1 => k256::SecretKey::from_slice(&self.secret)
                .map(|it| it.public_key().to_encoded_point(true).as_bytes().to_vec())
                .unwrap_or_default(),
            Curve::Ed25519 => {
                let key = ed25519_dalek::SigningKey::from_bytes(&self.secret);
                [&[0], key.verifying_key().as_bytes().as_slice()].concat()
            }
            Curve::Curve25519 => {
                let point = MontgomeryPoint::mul_base_clamped(self.secret);
                [&[0], point.as_bytes().as_slice()].concat()
            }
        }
    }

    /// 65 bytes over a digest of 32 bytes, or over a message on Ed25519.
    pub(super) fn sign(&self, content: &[u8]) -> Option<Vec<u8>> {
        let signature = match self.curve {
            Curve::Nist256p1 => {
                let key = p256::ecdsa::SigningKey::from_slice(&self.secret).ok()?;
                let (signature, _) = key.sign_prehash_recoverable(content).ok()?;
                let signature = signature.normalize_s().unwrap_or(signature);
                signature.to_bytes().to_vec()
            }
            Curve::Secp256k1 => {
                let key = k256::ecdsa::SigningKey::from_slice(&self.secret).ok()?;
                let (signature, _) = key.sign_prehash_recoverable(content).ok()?;
                let signature = signature.normalize_s().unwrap_or(signature);
                signature.to_bytes().to_vec()
            }
            Curve::Ed25519 => {
                let key = ed25519_dalek::SigningKey::from_bytes(&self.secret);
                key.sign(content).to_bytes().to_vec()
            }
            Curve::Curve25519 => return None,
        };
        Some([&[0], signature.as_slice()].concat())
    }

    /// The point that is shared, behind 0x04.
    pub(super) fn agree(&self, peer: &[u8]) -> Option<Vec<u8>> {
        match self.curve {
            Curve::Nist256p1 => {
                let key = p256::SecretKey::from_slice(&self.secret).ok()?;
                let peer = p256::PublicKey::from_sec1_bytes(peer).ok()?;
                let point = peer.to_projective() * *key.to_nonzero_scalar();
                Some(
                    point
                        .to_affine()
                        .to_encoded_point(false)
                        .as_bytes()
                        .to_vec(),
                )
            }
            Curve::Secp256k1 => {
                let key = k256::SecretKey::from_slice(&self.secret).ok()?;
                let peer = k256::PublicKey::from_sec1_bytes(peer).ok()?;
                let point = peer.to_projective() * *key.to_nonzero_scalar();
                Some(
                    point
                        .to_affine()
                        .to_encoded_point(false)
                        .as_bytes()
                        .to_vec(),
                )
            }
            Curve::Curve25519 => {
                let peer = peer.strip_prefix(&[0x40])?.try_into().ok()?;
                let point = MontgomeryPoint(peer).mul_clamped(self.secret);
                Some([&[4], point.as_bytes().as_slice()].concat())
            }
            Curve::Ed25519 => None,
        }
    }
}

/// HMAC-SHA-512, in halves.
fn split(key: &[u8], content: &[u8]) -> ([u8; 32], [u8; 32]) {
    let key = hmac::Key::new(hmac::HMAC_SHA512, key);
    let mac = hmac::sign(&key, content);
    let (halves, _) = mac.as_ref().as_chunks::<32>();
    match halves {
        [left, right] => (*left, *right),
        _ => unreachable!("SHA-512 has 64 bytes"),
    }
}

fn is_key(curve: Curve, secret: &[u8; 32]) -> bool {
    match curve {
        Curve::Nist256p1 => p256::SecretKey::from_slice(secret).is_ok(),
        Curve::Secp256k1 => k256::SecretKey::from_slice(secret).is_ok(),
        Curve::Ed25519 | Curve::Curve25519 => true,
    }
}

/// A child's key; none where the next try is due.
fn added(curve: Curve, left: &[u8; 32], parent: &[u8; 32]) -> Option<[u8; 32]> {
    match curve {
        Curve::Nist256p1 => {
            let left = p256::SecretKey::from_slice(left).ok()?;
            let parent = p256::SecretKey::from_slice(parent).ok()?;
            let sum = *left.to_nonzero_scalar() + *parent.to_nonzero_scalar();
            let sum: [u8; 32] = sum.to_bytes().into();
            is_key(curve, &sum).then_some(sum)
        }
        Curve::Secp256k1 => {
            let left = k256::SecretKey::from_slice(left).ok()?;
            let parent = k256::SecretKey::from_slice(parent).ok()?;
            let sum = *left.to_nonzero_scalar() + *parent.to_nonzero_scalar();
            let sum: [u8; 32] = sum.to_bytes().into();
            is_key(curve, &sum).then_some(sum)
        }
        Curve::Ed25519 | Curve::Curve25519 => Some(*left),
    }
}
