//! seal(k, ad, m) = 24 random bytes ‖ XChaCha20-Poly1305 (`spec/session.md` section 1).
//!
//! **Invariant:** what opens lies in locked memory from its first byte on.

use keystead_core::{Secret, SecretBytes};
use keystead_sodium::{memory, xchacha};
use rand_core::CryptoRngCore;

/// Sealed under another key, in another place, or altered: one value for every cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not open: altered, or another one")]
pub struct NotOpened;

/// Seals `message` under a nonce that is drawn here.
pub(super) fn seal(
    key: &Secret<32>,
    associated: &[&[u8]],
    message: &[u8],
    rng: &mut dyn CryptoRngCore,
) -> Vec<u8> {
    let mut nonce = [0; xchacha::NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let associated = associated.concat();
    let boxed =
        memory::with_wiped_stack(|| xchacha::seal(key.expose(), &nonce, &associated, message));
    let mut sealed = Vec::with_capacity(nonce.len() + boxed.len());
    sealed.extend(nonce);
    sealed.extend(boxed);
    sealed
}

/// Opens what [`seal`] made with the same key and associated data.
pub(super) fn open(
    key: &Secret<32>,
    associated: &[&[u8]],
    sealed: &[u8],
) -> Result<SecretBytes, NotOpened> {
    let (nonce, boxed) = sealed.split_first_chunk().ok_or(NotOpened)?;
    let associated = associated.concat();
    let opened =
        memory::with_wiped_stack(|| xchacha::open(key.expose(), nonce, &associated, boxed))
            .map_err(|_| NotOpened)?;
    let bytes = opened.as_slice();
    Ok(SecretBytes::fill(bytes.len(), |out| {
        out.copy_from_slice(bytes)
    }))
}

/// As [`open`], for a message of exactly `N` bytes.
pub(super) fn open_exact<const N: usize>(
    key: &Secret<32>,
    associated: &[&[u8]],
    sealed: &[u8],
) -> Result<Secret<N>, NotOpened> {
    let opened = open(key, associated, sealed)?;
    let bytes: &[u8; N] = opened.expose().try_into().map_err(|_| NotOpened)?;
    Ok(Secret::fill(|out| out.copy_from_slice(bytes)))
}

/// The parts, one behind the other, in locked memory.
pub(super) fn joined(parts: &[&[u8]]) -> SecretBytes {
    let len = parts.iter().map(|part| part.len()).sum();
    SecretBytes::fill(len, |mut out| {
        for part in parts {
            let Some((place, rest)) = out.split_at_mut_checked(part.len()) else {
                return;
            };
            place.copy_from_slice(part);
            out = rest;
        }
    })
}

/// `len u32` of what follows it.
pub(super) fn length(bytes: &[u8]) -> [u8; 4] {
    // What is sealed or written here is shorter than 4 GiB by far.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}
