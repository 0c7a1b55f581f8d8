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
