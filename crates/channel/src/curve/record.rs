//! Seals and opens the bodies of Msg and Close under one direction's key.
//!
//! **Invariant**: a key works in its direction alone, and its nonce is the
//! counter of the frame.

use std::marker::PhantomData;

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use keystead_core::Secret;
use keystead_sodium::{hash, secretbox};

use super::direction::Direction;
use super::extension::Aead;
use super::frame::{FrameType, push_header};
use super::keys::KEY_BYTES;
use super::nonce;
use super::refusal::{Refusal, SendError};

/// The key of one direction, for one epoch.
pub(super) struct TrafficKey<D> {
    secret: Secret<KEY_BYTES>,
    /// The same key made ready for `aead`; none means `crypto_secretbox`.
    aead: Option<(Aead, LessSafeKey)>,
    direction: PhantomData<fn() -> D>,
}

impl<D: Direction> TrafficKey<D> {
    pub(super) fn new(secret: Secret<KEY_BYTES>, aead: Option<Aead>) -> Self {
        Self {
            aead: aead.map(|aead| (aead, ready(aead, &secret))),
            secret,
            direction: PhantomData,
        }
    }

    /// The key of the next epoch (section 7, `rekey`).
    pub(super) fn next(&self) -> Self {
        let mut next = hash::blake2b::<KEY_BYTES>(self.secret.expose(), &[b"next"]);
        Self::new(
            Secret::take(&mut next),
            self.aead.as_ref().map(|(aead, _)| *aead),
        )
    }

    /// Appends a whole frame around what `push_plain` appends, which must be
    /// `plain_bytes` long.
    ///
    /// The plaintext is written where its ciphertext will stand: one copy, no
    /// zeroing, no second buffer.
    pub(super) fn seal(
        &self,
        frame_type: FrameType,
        n: u64,
        plain_bytes: usize,
        push_plain: impl FnOnce(&mut Vec<u8>),
        out: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let frame_start = out.len();
        out.reserve(FRAME_OVERHEAD_BYTES + plain_bytes);
        push_header(out, frame_type, N_BYTES + TAG_BYTES + plain_bytes);
        out.extend_from_slice(&n.to_be_bytes());
        let sealed = match &self.aead {
            None => {
                self.seal_box(frame_type, n, push_plain, out);
                Ok(())
            }
            Some((_, key)) => seal_aead::<D>(key, frame_type, n, push_plain, out),
        };
        if sealed.is_err() {
            // No plaintext stays where a frame was promised.
            out.truncate(frame_start);
        }
        sealed
    }

    /// tag ‖ ciphertext of `crypto_secretbox`.
    fn seal_box(
        &self,
        frame_type: FrameType,
        n: u64,
        push_plain: impl FnOnce(&mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(&[0; TAG_BYTES]);
        let start = out.len();
        push_plain(out);
        let (head, plain) = out.split_at_mut(start);
        let nonce = nonce::counted(label::<D>(frame_type), n);
        let tag = secretbox::seal_in_place(self.secret.expose(), &nonce, plain);
        if let Some(place) = head.last_chunk_mut::<TAG_BYTES>() {
            *place = tag;
        }
    }

    /// Opens a box in place.
    pub(super) fn open<'b>(
        &self,
        frame_type: FrameType,
        n: u64,
        boxed: &'b mut [u8],
    ) -> Result<&'b [u8], Refusal> {
        match &self.aead {
            None => {
                let (tag, ciphertext) = boxed
                    .split_first_chunk_mut::<TAG_BYTES>()
                    .ok_or(Refusal::Length)?;
                let nonce = nonce::counted(label::<D>(frame_type), n);
                secretbox::open_in_place(self.secret.expose(), &nonce, tag, ciphertext)
                    .map_err(|keystead_sodium::Forged| Refusal::Box)?;
                Ok(ciphertext)
            }
            Some((_, key)) => key
                .open_in_place(aead_nonce::<D>(n), aad(frame_type, n), boxed)
                .map(|plain| &*plain)
                .map_err(|_| Refusal::Box),
        }
    }

    #[cfg(test)]
    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        self.secret.expose()
    }
}

/// ciphertext ‖ tag of RFC 5116's algorithms.
fn seal_aead<D: Direction>(
    key: &LessSafeKey,
    frame_type: FrameType,
    n: u64,
    push_plain: impl FnOnce(&mut Vec<u8>),
    out: &mut Vec<u8>,
) -> Result<(), SendError> {
    let start = out.len();
    push_plain(out);
    let (_, plain) = out.split_at_mut(start);
    let tag = key
        .seal_in_place_separate_tag(aead_nonce::<D>(n), aad(frame_type, n), plain)
        .map_err(|_| SendError::Ended)?;
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

fn ready(aead: Aead, secret: &Secret<KEY_BYTES>) -> LessSafeKey {
    let algorithm = match aead {
        Aead::Aes256Gcm => &AES_256_GCM,
        Aead::ChaCha20Poly1305 => &CHACHA20_POLY1305,
    };
    match UnboundKey::new(algorithm, secret.expose()) {
        Ok(key) => LessSafeKey::new(key),
        Err(_) => unreachable!("both algorithms take keys of {KEY_BYTES} bytes"),
    }
}

fn label<D: Direction>(frame_type: FrameType) -> &'static [u8; 16] {
    match frame_type {
        FrameType::Close => D::CLOSE_LABEL,
        FrameType::Msg | FrameType::Hello | FrameType::CookieAck | FrameType::Vouch => D::MSG_LABEL,
    }
}

fn aead_nonce<D: Direction>(n: u64) -> Nonce {
    Nonce::assume_unique_for_key(nonce::aead(D::AEAD_LABEL, n))
}

/// `type u8 ‖ n u64`.
fn aad(frame_type: FrameType, n: u64) -> Aad<[u8; 1 + N_BYTES]> {
    let mut bytes = [0; 1 + N_BYTES];
    let (head, tail) = bytes.split_at_mut(1);
    head.copy_from_slice(&[frame_type.byte()]);
    tail.copy_from_slice(&n.to_be_bytes());
    Aad::from(bytes)
}

/// Bytes of a counter on the wire.
pub(super) const N_BYTES: usize = 8;

/// Both kinds of box have a tag of the same length, so frames keep their sizes.
const TAG_BYTES: usize = secretbox::TAG_BYTES;

/// What a frame adds to its plaintext: header, counter, tag.
const FRAME_OVERHEAD_BYTES: usize = 3 + N_BYTES + TAG_BYTES;
