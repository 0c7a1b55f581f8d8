//! SLIP-0013 and SLIP-0017: from an identity to the path of its key.
//!
//! **Invariant**: every step is hardened, so no key tells anything of another one.

use aws_lc_rs::digest;
use keystead_core::Derivation;

use super::node::HARDENED;

/// `m/13'/A'/B'/C'/D'` or `m/17'/…`, where A to D are the first 16 bytes of
/// SHA-256(index ‖ text), the index and the four of them little-endian.
pub(super) fn of(uri: &str, index: u32, derivation: Derivation) -> [u32; STEPS] {
    let hash = hash(uri, index);
    let mut steps = [u32::from(derivation.number()); STEPS];
    let words = hash.chunks_exact(4).filter_map(|it| it.first_chunk());
    for (step, word) in steps.iter_mut().skip(1).zip(words) {
        *step = u32::from_le_bytes(*word);
    }
    steps.map(|step| step | HARDENED)
}

fn hash(uri: &str, index: u32) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&index.to_le_bytes());
    context.update(uri.as_bytes());
    let hash = context.finish();
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// What it is for, and four words of the hash.
const STEPS: usize = 5;
