//! SLIP-0010: private keys in a tree, from a seed.
//!
//! **Invariant**: a node's key is a scalar of its curve (32 bytes of no structure for Ed25519
//! and Curve25519), it leaves this module only into a leaf, and key and chain code lie in
//! locked memory.

use aws_lc_rs::hmac;
use k256::elliptic_curve::{CurveArithmetic, Field, FieldBytes, PrimeField, Scalar};
use keystead_core::{Curve, Secret};

use crate::agreement::point;

/// A key, and what its children are derived by.
pub(super) struct Node {
    curve: Curve,
    key: Secret<32>,
    chain: Secret<32>,
}

impl Node {
    /// The master node (SLIP-0010, "Master key generation").
    pub(super) fn master(curve: Curve, seed: &[u8]) -> Self {
        let mut mac = hmac_sha512(label(curve), &[seed]);
        // Once in 2^32 on P-256, once in 2^128 on secp256k1.
        while !is_scalar(curve, left(&mac)) {
            mac = hmac_sha512(label(curve), &[mac.expose()]);
        }
        Self::of(curve, &mac)
    }

    /// The child of a number (SLIP-0010, "Private parent key → private child key").
    ///
    /// # Errors
    /// [`NotHardened`] on Ed25519 and Curve25519, for a number below 2^31.
    pub(super) fn child(&self, index: u32) -> Result<Self, NotHardened> {
        let number = index.to_be_bytes();
        let key = self.key.expose();
        let mut mac = if index >= HARDENED {
            hmac_sha512(self.chain.expose(), &[&[0], key, &number])
        } else {
            let public = point::compressed(self.curve, key).ok_or(NotHardened)?;
            hmac_sha512(self.chain.expose(), &[&public, &number])
        };
        loop {
            if let Some(key) = self.added(left(&mac)) {
                let chain = Secret::fill(|chain| chain.copy_from_slice(right(&mac)));
                return Ok(Self {
                    curve: self.curve,
                    key,
                    chain,
                });
            }
            mac = hmac_sha512(self.chain.expose(), &[&[1], right(&mac), &number]);
        }
    }

    /// Its descendant.
    ///
    /// # Errors
    /// As [`Node::child`].
    pub(super) fn descendant(self, path: &[u32]) -> Result<Self, NotHardened> {
        path.iter().try_fold(self, |node, index| node.child(*index))
    }

    /// The key alone: what becomes a leaf has no children.
    pub(super) fn into_key(self) -> Secret<32> {
        self.key
    }

    #[cfg(test)]
    pub(super) fn key(&self) -> &[u8; 32] {
        self.key.expose()
    }

    #[cfg(test)]
    pub(super) fn chain(&self) -> &[u8; 32] {
        self.chain.expose()
    }

    /// The child's key: the left half of the hash, to which the own key is added where there
    /// are scalars; none where that is no scalar.
    fn added(&self, left: &[u8; 32]) -> Option<Secret<32>> {
        match self.curve {
            Curve::Secp256k1 => sum::<k256::Secp256k1>(self.key.expose(), left),
            Curve::Nist256p1 => sum::<p256::NistP256>(self.key.expose(), left),
            Curve::Ed25519 | Curve::Curve25519 => {
                Some(Secret::fill(|key| key.copy_from_slice(left)))
            }
        }
    }

    fn of(curve: Curve, mac: &Secret<64>) -> Self {
        Self {
            curve,
            key: Secret::fill(|key| key.copy_from_slice(left(mac))),
            chain: Secret::fill(|chain| chain.copy_from_slice(right(mac))),
        }
    }
}

/// These curves have no children but hardened ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the curve has hardened children alone")]
pub(super) struct NotHardened;

fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> Secret<64> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA512, key));
    parts.iter().for_each(|part| context.update(part));
    let tag = context.sign();
    Secret::fill(|mac| {
        mac.iter_mut()
            .zip(tag.as_ref())
            .for_each(|(place, byte)| *place = *byte);
    })
}

fn left(mac: &Secret<64>) -> &[u8; 32] {
    let (left, _) = halves(mac);
    left
}

fn right(mac: &Secret<64>) -> &[u8; 32] {
    let (_, right) = halves(mac);
    right
}

fn halves(mac: &Secret<64>) -> (&[u8; 32], &[u8; 32]) {
    match mac.expose().split_first_chunk() {
        Some((left, right)) => match right.first_chunk() {
            Some(right) => (left, right),
            None => unreachable!("64 bytes are two halves of 32"),
        },
        None => unreachable!("64 bytes are two halves of 32"),
    }
}

fn is_scalar(curve: Curve, bytes: &[u8; 32]) -> bool {
    match curve {
        Curve::Secp256k1 => scalar::<k256::Secp256k1>(bytes).is_some(),
        Curve::Nist256p1 => scalar::<p256::NistP256>(bytes).is_some(),
        Curve::Ed25519 | Curve::Curve25519 => true,
    }
}

/// A number in [1, n − 1].
fn scalar<C: CurveArithmetic>(bytes: &[u8; 32]) -> Option<Scalar<C>> {
    let bytes = FieldBytes::<C>::from_slice(bytes);
    let scalar = Option::<Scalar<C>>::from(Scalar::<C>::from_repr(bytes.clone()))?;
    (!bool::from(scalar.is_zero())).then_some(scalar)
}

/// (a + b) mod n; none where b ≥ n or the sum is 0.
fn sum<C: CurveArithmetic>(a: &[u8; 32], b: &[u8; 32]) -> Option<Secret<32>> {
    let b = FieldBytes::<C>::from_slice(b);
    let b = Option::<Scalar<C>>::from(Scalar::<C>::from_repr(b.clone()))?;
    let sum = scalar::<C>(a)? + b;
    if bool::from(sum.is_zero()) {
        return None;
    }
    let sum = sum.to_repr();
    Some(Secret::fill(|key| {
        key.iter_mut()
            .zip(sum.as_slice())
            .for_each(|(place, byte)| *place = *byte);
    }))
}

/// SLIP-0010, "Master key generation".
const fn label(curve: Curve) -> &'static [u8] {
    match curve {
        Curve::Secp256k1 => b"Bitcoin seed",
        Curve::Nist256p1 => b"Nist256p1 seed",
        Curve::Ed25519 => b"ed25519 seed",
        Curve::Curve25519 => b"curve25519 seed",
    }
}

/// 2^31: from here on children are hardened (BIP-32, "Extended keys").
pub(super) const HARDENED: u32 = 0x8000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ed25519_and_curve25519_have_hardened_children_alone() {
        for curve in [Curve::Ed25519, Curve::Curve25519] {
            let master = Node::master(curve, &[7; 16]);
            for index in [0, 1, HARDENED - 1] {
                assert_eq!(master.child(index).err(), Some(NotHardened));
            }
            assert!(master.child(HARDENED).is_ok());
        }
    }

    #[test]
    fn a_number_that_is_no_scalar_is_never_a_key() {
        let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        let mut n: [u8; 32] =
            std::array::from_fn(|at| u8::from_str_radix(&order[2 * at..2 * at + 2], 16).unwrap());
        assert!(!is_scalar(Curve::Nist256p1, &n));
        assert!(!is_scalar(Curve::Nist256p1, &[0; 32]));
        assert!(!is_scalar(Curve::Nist256p1, &[0xff; 32]));
        n[31] -= 1;
        assert!(is_scalar(Curve::Nist256p1, &n));
        let one: [u8; 32] = std::array::from_fn(|at| u8::from(at == 31));
        assert!(sum::<p256::NistP256>(&one, &n).is_none(), "the sum is 0");
        assert!(sum::<p256::NistP256>(&one, &[0xff; 32]).is_none());
        assert!(
            sum::<p256::NistP256>(&n, &[0; 32]).is_some(),
            "0 may be added"
        );
    }
}
