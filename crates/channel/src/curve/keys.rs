//! Key pairs, key agreement, and the box keys made from it.
//!
//! **Invariant**: an agreement that gives all zeroes yields no key, at every
//! place where keys agree (`spec/curve.md` section 9); secrets stay in
//! [`Secret`].

use std::fmt;

use keystead_core::{Secret, SecretBytes};
use keystead_sodium::{crypto_box, secretbox};
use rand_core::CryptoRngCore;

use super::nonce::Nonce;
use super::refusal::Refusal;

/// An X25519 public key (C, S, EC or ES).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// Takes the 32 bytes as they travel; whether they are a usable point
    /// shows when keys agree.
    #[must_use]
    pub const fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes as they travel.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A pair of X25519 keys: (C, Cs), (S, Ss); for one handshake (EC, ECs), (ES, ESs).
pub struct KeyPair {
    public: PublicKey,
    secret: Secret<KEY_BYTES>,
}

impl KeyPair {
    /// Draws a new pair.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRngCore) -> Self {
        Self::from_secret(Secret::fill(|bytes| rng.fill_bytes(bytes)))
    }

    /// The pair of a stored secret; its public half is computed.
    #[must_use]
    pub fn from_secret(secret: Secret<KEY_BYTES>) -> Self {
        let public = PublicKey(crypto_box::public_key(secret.expose()));
        Self { public, secret }
    }

    /// The half that everybody may know.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The half to be stored: a channel key, in a file that only its owner reads.
    #[must_use]
    pub const fn secret(&self) -> &Secret<KEY_BYTES> {
        &self.secret
    }

    /// x(self, theirs): the raw output of X25519.
    pub(super) fn agree(&self, theirs: &PublicKey) -> Result<Agreement, Refusal> {
        Secret::try_fill(|x| crypto_box::x25519(self.secret.expose(), &theirs.0, x))
            .map(Agreement)
            .map_err(|crypto_box::LowOrder| Refusal::LowOrder)
    }
}

/// An ephemeral pair (EC or ES): made by a handshake, dropped with it.
///
/// No constructor takes a stored key, and nothing gives the secret out.
pub(super) struct Ephemeral(KeyPair);

impl Ephemeral {
    pub(super) fn generate(rng: &mut dyn CryptoRngCore) -> Self {
        Self(KeyPair::generate(rng))
    }

    pub(super) const fn public(&self) -> PublicKey {
        self.0.public()
    }

    pub(super) fn agree(&self, theirs: &PublicKey) -> Result<Agreement, Refusal> {
        self.0.agree(theirs)
    }
}

/// x(A,B): never all zero.
pub(super) struct Agreement(Secret<KEY_BYTES>);

impl Agreement {
    /// DH(A,B): HSalsa20 of x(A,B), as `crypto_box_beforenm` has it.
    pub(super) fn box_key(&self) -> BoxKey {
        BoxKey(Secret::fill(|key| {
            crypto_box::box_key(self.0.expose(), key)
        }))
    }

    /// The raw output, for the key schedule of `bind`.
    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        self.0.expose()
    }
}

/// DH(A,B): the key of a `crypto_box`. It has no direction: the nonce names it.
pub(super) struct BoxKey(Secret<KEY_BYTES>);

impl BoxKey {
    /// Appends `tag ‖ ciphertext` of the concatenated parts.
    pub(super) fn seal(&self, nonce: &Nonce, parts: &[&[u8]], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; secretbox::TAG_BYTES]);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        let (_, boxed) = out.split_at_mut(start);
        let (tag, message) = boxed.split_at_mut(secretbox::TAG_BYTES);
        tag.copy_from_slice(&secretbox::seal_in_place(self.0.expose(), nonce, message));
    }

    /// Opens `tag ‖ ciphertext`; `None` when it was made otherwise.
    pub(super) fn open(&self, nonce: &Nonce, boxed: &[u8]) -> Option<SecretBytes> {
        let len = boxed.len().checked_sub(secretbox::TAG_BYTES)?;
        let mut opened = Ok(());
        let message = SecretBytes::fill(len, |out| {
            opened = secretbox::open(self.0.expose(), nonce, boxed, out);
        });
        opened.ok().map(|()| message)
    }

    /// The key itself, as the base profile's traffic key.
    pub(super) fn into_secret(self) -> Secret<KEY_BYTES> {
        self.0
    }
}

/// Bytes of an X25519 key, public or secret, and of what two agree on.
pub(super) const KEY_BYTES: usize = 32;
