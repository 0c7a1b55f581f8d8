//! Sealed frames: `n u64 ‖ sub u64 ‖ method u16 ‖ ChaCha20-Poly1305`.
//!
//! **Invariant**: in each direction every frame has the number that follows the one
//! before, and nothing else is opened; after the first frame that does not fit
//! nothing is opened or sealed any more. The method, the sub-session, the direction,
//! the session and its generation are all in the associated data.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use keystead_sodium::memory;

use super::SUITE;
use super::ids::SessionId;
use super::keys::{Direction, TrafficSecret};

/// Which session, and how often it was resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    pub(super) session: SessionId,
    pub(super) generation: u32,
}

/// One direction's key and its next number.
pub(super) struct Direct<D> {
    key: Option<LessSafeKey>,
    epoch: Epoch,
    next: u64,
    direction: std::marker::PhantomData<fn() -> D>,
}

impl<D: Direction> Direct<D> {
    pub(super) fn new(secret: &TrafficSecret<D>, epoch: Epoch, next: u64) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, secret.expose()).ok();
        Self {
            key: key.map(LessSafeKey::new),
            epoch,
            next,
            direction: std::marker::PhantomData,
        }
    }

    /// The number that the next frame has.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Drops the key: nothing is opened or sealed again.
    pub(super) fn close(&mut self) {
        self.key = None;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.key.is_none()
    }

    /// Seals `plain` in place and gives the body of the frame.
    pub(super) fn seal(&mut self, label: Label, plain: Vec<u8>) -> Result<Vec<u8>, Closed> {
        // Wiped however this ends.
        let mut plain = Plain(plain);
        let sub = match label.sub {
            Sub::Own => self.next,
            Sub::Of(sub) => sub,
        };
        let head = head(self.next, sub, label.method);
        // A number is spent even if sealing fails: reuse is worse than a gap.
        let nonce = nonce(self.next);
        self.next = self.next.checked_add(1).ok_or(Closed)?;
        let key = self.key.as_ref().ok_or(Closed)?;
        let associated = Aad::from(associated::<D>(&self.epoch, &head));
        if let Ok(tag) = key.seal_in_place_separate_tag(nonce, associated, &mut plain.0) {
            let mut body = Vec::with_capacity(HEAD_BYTES + plain.0.len() + TAG_BYTES);
            body.extend_from_slice(&head);
            body.extend_from_slice(&plain.0);
            body.extend_from_slice(tag.as_ref());
            Ok(body)
        } else {
            self.close();
            Err(Closed)
        }
    }

    /// Opens a frame's body; anything that does not fit closes the direction.
    pub(super) fn open(&mut self, body: &[u8]) -> Result<Opened, Closed> {
        let opened = self.try_open(body);
        if opened.is_err() {
            self.close();
        }
        opened
    }

    fn try_open(&mut self, body: &[u8]) -> Result<Opened, Closed> {
        let (head, sealed) = body.split_first_chunk::<HEAD_BYTES>().ok_or(Closed)?;
        let (n, rest) = head.split_first_chunk().ok_or(Closed)?;
        let (sub, rest) = rest.split_first_chunk().ok_or(Closed)?;
        let method = rest.first_chunk().ok_or(Closed)?;
        if u64::from_be_bytes(*n) != self.next {
            return Err(Closed);
        }
        let key = self.key.as_ref().ok_or(Closed)?;
        let associated = Aad::from(associated::<D>(&self.epoch, head));
        let mut opened = Opened {
            n: self.next,
            sub: u64::from_be_bytes(*sub),
            method: u16::from_be_bytes(*method),
            plain: Plain(sealed.to_vec()),
        };
        let len = {
            let plain = key.open_in_place(nonce(self.next), associated, &mut opened.plain.0);
            plain.map_err(|_| Closed)?.len()
        };
        opened.plain.0.truncate(len);
        self.next = self.next.checked_add(1).ok_or(Closed)?;
        Ok(opened)
    }
}

/// What stands in a frame's head beside its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label {
    pub(super) sub: Sub,
    pub(super) method: u16,
}

/// Which sub-session a frame belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sub {
    /// Its own: a request.
    Own,
    /// That of the request with this number; 0 also stands for a notice.
    Of(u64),
}

/// A frame that was opened.
pub(super) struct Opened {
    pub(super) n: u64,
    pub(super) sub: u64,
    pub(super) method: u16,
    pub(super) plain: Plain,
}

/// Opened bytes, wiped when they have been read.
pub(super) struct Plain(Vec<u8>);

impl Plain {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        memory::wipe(&mut self.0);
    }
}

/// A frame did not fit, or the session had ended: it ends, without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is closed")]
pub struct Closed;

fn head(n: u64, sub: u64, method: u16) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let [n, sub] = [n.to_be_bytes(), sub.to_be_bytes()];
    let bytes = n.iter().chain(&sub).copied().chain(method.to_be_bytes());
    for (place, byte) in head.iter_mut().zip(bytes) {
        *place = byte;
    }
    head
}

/// 4 zero bytes ‖ n.
fn nonce(n: u64) -> Nonce {
    let mut nonce = [0; 12];
    if let Some(place) = nonce.last_chunk_mut() {
        *place = n.to_be_bytes();
    }
    Nonce::assume_unique_for_key(nonce)
}

/// "keystead/1" ‖ suite ‖ direction ‖ session_id ‖ generation ‖ n ‖ sub ‖ method.
fn associated<D: Direction>(epoch: &Epoch, head: &[u8; HEAD_BYTES]) -> Vec<u8> {
    let mut out = Vec::with_capacity(ASSOCIATED_BYTES);
    out.extend_from_slice(b"keystead/1");
    out.extend_from_slice(&[SUITE, D::BYTE]);
    out.extend_from_slice(&epoch.session.0);
    out.extend_from_slice(&epoch.generation.to_be_bytes());
    out.extend_from_slice(head);
    out
}

/// n, sub, method.
const HEAD_BYTES: usize = 8 + 8 + 2;

/// Poly1305 (RFC 8439 section 2.5).
const TAG_BYTES: usize = 16;

/// All of it, so that one allocation is enough.
const ASSOCIATED_BYTES: usize = 10 + 2 + 16 + 4 + HEAD_BYTES;
