//! The pairing hello: frame type 0x10, the only frame before a channel.
//!
//! `R16 ‖ secretbox_{kh}[ sealed_box_C[ {0: 1, 1: S, 2: commitment} ] ]`
//! (`spec/pairing.md` section 2.2). The outer box proves the one-time
//! secret without a scalar multiplication for who lacks it; the inner one
//! keeps S from whoever learns the secret later.

use keystead_core::{Secret, SecretBytes};
use keystead_sodium::hash::blake2b;
use keystead_sodium::{crypto_box, secretbox};
use rand_core::CryptoRngCore;

use crate::curve::{Accepts, Deframer, KeyPair, PublicKey, Refusal};
use crate::wire::{Fault, Reader, Writer, read_version};

/// What an authenticator says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// S, made for this pairing.
    pub server: PublicKey,
    /// `H("keystead-pair-commit", nonce_s)`.
    pub commitment: [u8; 32],
}

/// Why a frame is no hello for this offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelloError {
    /// Not a frame of type 0x10 with 156 bytes.
    #[error("not a pairing hello")]
    Frame,
    /// Its sender does not know the one-time secret.
    #[error("the sender does not know the one-time secret")]
    Secret,
    /// It was sealed to another key.
    #[error("the hello is for another workstation")]
    Key,
    /// What is in it is no hello.
    #[error("the hello cannot be read: {0}")]
    Unreadable(#[source] Fault),
    /// The offer's key is one that nothing can be sealed to.
    #[error("the offer's key is unusable")]
    LowOrder,
}

/// The frame that answers an offer. Draws R16, then the sealed box's secret.
///
/// # Errors
/// [`HelloError::LowOrder`] when C is a point of low order.
pub fn seal_hello(
    hello: &Hello,
    client: &PublicKey,
    secret: &Secret<16>,
    rng: &mut dyn CryptoRngCore,
) -> Result<Vec<u8>, HelloError> {
    let mut r16 = [0; R16_BYTES];
    rng.fill_bytes(&mut r16);
    let ephemeral = Secret::fill(|bytes| rng.fill_bytes(bytes));
    let sealed = crypto_box::seal_with(ephemeral.expose(), client.as_bytes(), &encode(hello))
        .map_err(|_| HelloError::LowOrder)?;

    let mut boxed = vec![0; sealed.len() + secretbox::TAG_BYTES];
    let key = hello_key(secret, client);
    secretbox::seal(key.expose(), &nonce(&r16), &sealed, &mut boxed);

    let len = u16::try_from(HELLO_LEN).unwrap_or(u16::MAX).to_be_bytes();
    Ok([&len, [HELLO_TYPE].as_slice(), &r16, &boxed].concat())
}

/// Reads the frame that answers an offer.
///
/// # Errors
/// [`HelloError`]; the sender never learns which.
pub fn open_hello(
    frame: &[u8],
    client: &KeyPair,
    secret: &Secret<16>,
) -> Result<Hello, HelloError> {
    let body = hello_accepts().body(frame).map_err(|_| HelloError::Frame)?;
    let (r16, boxed) = body.split_first_chunk().ok_or(HelloError::Frame)?;
    let key = hello_key(secret, &client.public());
    let mut opened = Ok(());
    let sealed = SecretBytes::fill(boxed.len().saturating_sub(secretbox::TAG_BYTES), |out| {
        opened = secretbox::open(key.expose(), &nonce(r16), boxed, out);
    });
    opened.map_err(|_| HelloError::Secret)?;
    let plain = crypto_box::open(
        client.public().as_bytes(),
        client.secret().expose(),
        sealed.expose(),
    )
    .map_err(|_| HelloError::Key)?;
    decode(&plain).map_err(HelloError::Unreadable)
}

/// What a deframer takes where a pairing hello must come.
#[must_use]
pub fn hello_accepts() -> Accepts {
    Accepts::only(HELLO_TYPE, HELLO_LEN..=HELLO_LEN)
}

/// Cuts the pairing hello from the front of a stream that an authenticator dialled.
#[derive(Default)]
pub struct HelloReader(Deframer);

impl HelloReader {
    /// Takes bytes from the front of `input`; the hello's frame as soon as it
    /// is whole. What follows it stays in `input`, for the curve channel.
    ///
    /// # Errors
    /// As [`Deframer::take`]: the stream is to be closed.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let frame = self.0.take(input, &hello_accepts())?;
        Ok(frame.map(|frame| frame.to_vec()))
    }
}

/// kh = `BLAKE2b-256(key = secret, "keystead-pair-hello" ‖ C)`.
fn hello_key(secret: &Secret<16>, client: &PublicKey) -> Secret<32> {
    let parts = [b"keystead-pair-hello".as_slice(), client.as_bytes()];
    Secret::fill(|key| *key = blake2b::<32>(secret.expose(), &parts))
}

/// `kspairh1 ‖ R16` (`spec/curve.md` section 2).
fn nonce(r16: &[u8; R16_BYTES]) -> [u8; secretbox::NONCE_BYTES] {
    let mut nonce = [0; secretbox::NONCE_BYTES];
    let bytes = b"kspairh1".iter().chain(r16);
    nonce
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    nonce
}

fn encode(hello: &Hello) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.map(3).key(0).unsigned(crate::wire::VERSION);
    writer.key(1).bytes(hello.server.as_bytes());
    writer.key(2).bytes(&hello.commitment);
    writer.finish()
}

fn decode(bytes: &[u8]) -> Result<Hello, Fault> {
    let mut reader = Reader::new(bytes);
    let mut fields = reader.fields()?;
    read_version(&mut reader, &mut fields)?;
    fields.required(&mut reader, 1)?;
    let server = PublicKey::new(reader.array()?);
    fields.required(&mut reader, 2)?;
    let commitment = reader.array()?;
    fields.end(&mut reader)?;
    reader.end()?;
    Ok(Hello { server, commitment })
}

const R16_BYTES: usize = 16;

/// Frame type, in the range that `spec/curve.md` section 3 leaves to what runs before Hello.
pub const HELLO_TYPE: u8 = 0x10;

/// `len`: type 1, R16 16, box's tag 16, sealed box 48, CBOR 73; the frame has two bytes more.
const HELLO_LEN: usize = 154;

/// Bytes of the whole frame.
pub const HELLO_FRAME_BYTES: usize = HELLO_LEN + 2;
