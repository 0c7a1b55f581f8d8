//! Points of P-256 and secp256k1 (SEC 1 sections 2.3.3 and 3.2.1).
//!
//! **Invariant**: a point that comes from outside is uncompressed, on its curve, and not the
//! point at infinity, before anything is computed with it.

use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::sec1::{FromEncodedPoint, ModulusSize, ToEncodedPoint};
use k256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey, SecretKey};
use keystead_core::{Curve, SecretBytes};

use super::AgreementError;

/// 2 or 3 ‖ x of a scalar's point; none where it is no scalar, or the curve has no such points.
pub(crate) fn compressed(curve: Curve, scalar: &[u8; 32]) -> Option<[u8; 33]> {
    match curve {
        Curve::Nist256p1 => encoded::<p256::NistP256, 33>(scalar, Form::Compressed),
        Curve::Secp256k1 => encoded::<k256::Secp256k1, 33>(scalar, Form::Compressed),
        Curve::Ed25519 | Curve::Curve25519 => None,
    }
}

/// 4 ‖ x ‖ y, as [`compressed`].
pub(crate) fn uncompressed(curve: Curve, scalar: &[u8; 32]) -> Option<[u8; POINT_BYTES]> {
    match curve {
        Curve::Nist256p1 => encoded::<p256::NistP256, POINT_BYTES>(scalar, Form::Uncompressed),
        Curve::Secp256k1 => encoded::<k256::Secp256k1, POINT_BYTES>(scalar, Form::Uncompressed),
        Curve::Ed25519 | Curve::Curve25519 => None,
    }
}

/// The shared point of a scalar and somebody's point, both 4 ‖ x ‖ y (SEC 1 section 3.3.1,
/// without the hash that stands behind it there).
pub(super) fn shared<C>(scalar: &[u8; 32], peer: &[u8]) -> Result<SecretBytes, AgreementError>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromEncodedPoint<C> + ToEncodedPoint<C>,
    FieldBytesSize<C>: ModulusSize,
{
    if peer.len() != POINT_BYTES || peer.first() != Some(&UNCOMPRESSED) {
        return Err(AgreementError::Peer);
    }
    let peer = PublicKey::<C>::from_sec1_bytes(peer).map_err(|_| AgreementError::Peer)?;
    let own = SecretKey::<C>::from_slice(scalar).map_err(|_| AgreementError::Broken)?;
    let shared = peer.to_projective() * *own.to_nonzero_scalar();
    let shared: AffinePoint<C> = shared.into();
    // The groups have prime order, so neither a scalar nor a point makes infinity here; a
    // product of zeroes is refused whatever the library does.
    if shared.x().iter().all(|byte| *byte == 0) {
        return Err(AgreementError::Zero);
    }
    let shared = shared.to_encoded_point(false);
    Ok(SecretBytes::fill(POINT_BYTES, |place| {
        place
            .iter_mut()
            .zip(shared.as_bytes())
            .for_each(|(place, byte)| *place = *byte);
    }))
}

enum Form {
    Compressed,
    Uncompressed,
}

fn encoded<C, const N: usize>(scalar: &[u8; 32], form: Form) -> Option<[u8; N]>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromEncodedPoint<C> + ToEncodedPoint<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let own = SecretKey::<C>::from_slice(scalar).ok()?;
    let point = own
        .public_key()
        .to_encoded_point(matches!(form, Form::Compressed));
    point.as_bytes().try_into().ok()
}

/// 4 ‖ x ‖ y.
pub(crate) const POINT_BYTES: usize = 65;

/// SEC 1 section 2.3.3.
const UNCOMPRESSED: u8 = 4;
