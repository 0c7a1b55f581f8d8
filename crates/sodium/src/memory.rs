//! Memory for secrets: locked, left out of core dumps, wiped.
//!
//! **Invariant:** what a [`Locked`] held is overwritten before its memory can
//! be used for anything else.

mod slab;

use std::ffi::c_void;

use crate::{ffi, start};

pub use slab::Locked;

/// Overwrites `bytes` with zeroes, which no compiler may leave out.
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: the slice is writable for its length; zero is a valid u8.
    unsafe { ffi::sodium_memzero(bytes.as_mut_ptr().cast::<c_void>(), bytes.len()) }
}

/// Runs `work`, then overwrites the part of the stack that it used: other
/// people's cipher code leaves copies of keys there.
///
/// What `work` returns passes through the stack too, so it should be no
/// secret: let a secret be written where it stays.
pub fn with_wiped_stack<T>(work: impl FnOnce() -> T) -> T {
    let outcome = in_own_frame(work);
    // SAFETY: writes only below the current frame, less than the smallest
    // stack that Rust gives a thread by default (2 MiB).
    unsafe { ffi::sodium_stackzero(STACK_BYTES) }
    outcome
}

/// Kept out of the caller's frame, which is not wiped.
#[inline(never)]
fn in_own_frame<T>(work: impl FnOnce() -> T) -> T {
    std::hint::black_box(work())
}

/// Compares in a time that depends on the lengths alone; slices of different
/// lengths are not equal.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    start();
    // SAFETY: both are readable for the one length they share.
    let status = unsafe {
        ffi::sodium_memcmp(
            a.as_ptr().cast::<c_void>(),
            b.as_ptr().cast::<c_void>(),
            a.len(),
        )
    };
    status == 0
}

/// How much of the stack is overwritten. Why: several times what signing,
/// key derivation and sealing use, and a microsecond of work.
const STACK_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_is_equal_and_nothing_else_is() {
        for (a, b, expected) in [
            (&b""[..], &b""[..], true),
            (b"a", b"a", true),
            (b"a", b"b", false),
            (b"a", b"", false),
            (b"", b"a", false),
            (b"ab", b"a", false),
            (b"0123456789abcdef0", b"0123456789abcdef1", false),
        ] {
            assert_eq!(equal(a, b), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn wipe_leaves_zeroes() {
        let mut bytes = [7; 100];
        wipe(&mut bytes);
        assert_eq!(bytes, [0; 100]);
    }

    #[test]
    fn the_outcome_survives_the_wiping_of_the_stack() {
        let outcome = with_wiped_stack(|| vec![std::hint::black_box([7_u8; 4096]); 2]);
        assert_eq!(outcome, [[7; 4096]; 2]);
    }
}
