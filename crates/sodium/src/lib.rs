//! libsodium and locked memory behind safe functions.
//!
//! **Invariant:** this is the only crate of Keystead where `unsafe` may stand,
//! and every use of it says why it is sound. Whoever calls a function of this
//! crate with any bytes of any length gets an answer or, for lengths that only
//! a mistake in the calling code can bring, a panic that its documentation
//! names: never undefined behaviour.
//!
//! libsodium is initialised by whichever function is called first.

pub mod crypto_box;
pub mod hash;
pub mod memory;
pub mod secretbox;
pub mod sign;
pub mod ssh_chacha;
pub mod xchacha;

use std::sync::Once;

use libsodium_sys as ffi;

/// A message was not made with this key, or was altered on the way.
///
/// One value for every cause: who sends forgeries learns nothing from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

impl std::fmt::Display for Forged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("message cannot be authenticated")
    }
}

impl std::error::Error for Forged {}

/// Lets libsodium choose its implementations for this processor.
fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        // SAFETY: no arguments; `Once` keeps threads apart, although
        // libsodium itself allows concurrent calls.
        let status = unsafe { ffi::sodium_init() };
        // A failure leaves the portable implementations chosen, which give
        // the same answers; without randomness libsodium aborts by itself.
        debug_assert!(status >= 0, "libsodium cannot be initialised");
    });
}

/// A length as libsodium's `unsigned long long`; `usize` is never wider on a
/// platform that libsodium supports.
const fn wide(len: usize) -> u64 {
    len as u64
}
