//! d mod (p − 1), which a message that adds an RSA key leaves out.
//!
//! **Invariant:** which steps are taken and which memory is touched depends on
//! the lengths alone. The working memory is on the stack, which the caller
//! wipes.

/// Writes `dividend mod (prime − 1)`, big-endian, as long as `prime`.
///
/// `prime` is odd, so that its predecessor is itself without the lowest bit.
/// None when it is longer than a factor of the longest RSA key, or the dividend than such a key:
/// a message has room for numbers that would take seconds.
pub(super) fn modulo_predecessor(dividend: &[u8], prime: &[u8], out: &mut [u8]) -> Option<()> {
    if dividend.len() > DIVIDEND_BYTES_MAX {
        return None;
    }
    let len = prime.len().div_ceil(LIMB_BYTES);
    let mut modulus = [0; LIMBS_MAX];
    let modulus = modulus.get_mut(..len)?;
    for (limb, chunk) in modulus.iter_mut().zip(prime.rchunks(LIMB_BYTES)) {
        *limb = chunk
            .iter()
            .fold(0, |limb, byte| (limb << 8) | u32::from(*byte));
    }
    *modulus.first_mut()? &= !1;

    // One limb more than the modulus: the remainder is doubled before it is reduced.
    let mut remainder = [0; LIMBS_MAX + 1];
    let remainder = remainder.get_mut(..=len)?;
    for byte in dividend {
        for shift in (0..u8::BITS).rev() {
            double(remainder, u32::from(*byte >> shift) & 1);
            reduce(remainder, modulus);
        }
    }
    for (place, byte) in out.iter_mut().rev().zip(bytes_of(remainder)) {
        *place = byte;
    }
    Some(())
}

/// 2 · remainder + bit.
fn double(remainder: &mut [u32], bit: u32) {
    let mut carry = bit;
    for limb in remainder {
        let next = *limb >> (u32::BITS - 1);
        *limb = (*limb << 1) | carry;
        carry = next;
    }
}

/// Takes the modulus away once where that leaves no less than 0.
fn reduce(remainder: &mut [u32], modulus: &[u32]) {
    let mut borrow = 0;
    for (limb, less) in remainder.iter().zip(widened(modulus)) {
        borrow = limb_less(*limb, less, borrow).1;
    }
    // All ones where nothing was borrowed.
    let mask = std::hint::black_box(borrow).wrapping_sub(1);
    let mut borrow = 0;
    for (limb, less) in remainder.iter_mut().zip(widened(modulus)) {
        (*limb, borrow) = limb_less(*limb, less & mask, borrow);
    }
}

/// limb − less − borrow, and what is borrowed for it: 0 or 1.
fn limb_less(limb: u32, less: u32, borrow: u32) -> (u32, u32) {
    let wide = u64::from(limb)
        .wrapping_sub(u64::from(less))
        .wrapping_sub(u64::from(borrow));
    let [b0, b1, b2, b3, sign, ..] = wide.to_le_bytes();
    (u32::from_le_bytes([b0, b1, b2, b3]), u32::from(sign & 1))
}

fn widened(modulus: &[u32]) -> impl Iterator<Item = u32> {
    modulus.iter().copied().chain(std::iter::once(0))
}

/// From the lowest on.
fn bytes_of(limbs: &[u32]) -> impl Iterator<Item = u8> {
    limbs.iter().flat_map(|limb| limb.to_le_bytes())
}

const LIMB_BYTES: usize = 4;

/// Limbs of a factor of at most 4,096 bits. Why: the longest RSA key has 8,192.
const LIMBS_MAX: usize = 4096 / 32;

/// The longest RSA key's modulus, which its private exponent is less than.
const DIVIDEND_BYTES_MAX: usize = super::RSA_BITS_MAX / 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(dividend: &[u8], prime: &[u8], expected: Option<&[u8]>) {
        let mut out = vec![0xaa; prime.len()];
        let done = modulo_predecessor(dividend, prime, &mut out);
        assert_eq!(done.map(|()| &out[..]), expected);
    }

    #[test]
    fn small_numbers() {
        check(&[], &[7], Some(&[0]));
        check(&[5], &[7], Some(&[5]));
        check(&[6], &[7], Some(&[0]));
        check(&[100], &[7], Some(&[4]));
        check(&[1, 0], &[0, 7], Some(&[0, 4]));
        check(
            &[0xff; 9],
            &[0xff, 0xff, 0xff, 0xff, 0xff],
            Some(&[1, 0xff, 0xff, 0xff, 0xff]),
        );
        check(&[1], &[0xff; 512], Some(&[&[0; 511][..], &[1]].concat()));
        check(&[1], &[0xff; 513], None);
        check(&[1; 1025], &[7], None);
    }

    proptest! {
        #[test]
        fn as_the_machine_divides(dividend: u128, prime in 3_u64..) {
            let prime = prime | 1;
            let expected = dividend % u128::from(prime - 1);
            let mut out = [0; 8];
            modulo_predecessor(&dividend.to_be_bytes(), &prime.to_be_bytes(), &mut out);
            prop_assert_eq!(u128::from(u64::from_be_bytes(out)), expected);
        }
    }
}
