//! The client's side of the handshake.
//!
//! **Invariant**: ECs is drawn by `start`, used by one `receive`, and gone:
//! a handshake cannot be run twice with one ephemeral key.

use std::sync::Arc;

use keystead_core::Secret;
use keystead_sodium::memory;
use rand_core::CryptoRngCore;

use super::direction::Client;
use super::established::{DirectedKeys, Established, Parties};
use super::extension::{Extension, ExtensionSet, Offer, Profile};
use super::frame::{Accepts, FrameType, push_header};
use super::keys::{Agreement, Ephemeral, KEY_BYTES, KeyPair, PublicKey};
use super::limits::Timing;
use super::list::{self, PROOF_BYTES};
use super::nonce::{self, R16_BYTES};
use super::refusal::Refusal;
use super::schedule::{Said, SessionKeys, TRANSCRIPT_BYTES, Transcript};

/// What a client brings to a handshake.
pub struct ClientSetup {
    /// C, Cs.
    pub keys: Arc<KeyPair>,
    /// S: the one server it will speak to.
    pub server: PublicKey,
    /// What is asked of the server.
    pub offer: Offer,
    /// What the server must choose; less is `Downgrade`.
    pub floor: ExtensionSet,
    /// How long it may take.
    pub timing: Timing,
}

/// A client that has sent Hello and awaits the Cookie ack.
pub struct ClientHandshake {
    setup: ClientSetup,
    ephemeral: Ephemeral,
    ec_s: Agreement,
    ctag: Secret<TAG_BYTES>,
    hello_frame: Vec<u8>,
    timeout_ms: u64,
}

impl ClientHandshake {
    /// Begins: the second value is the Hello frame.
    ///
    /// # Errors
    /// `LowOrder` when S is no usable key, `Downgrade` when the offer cannot
    /// reach the floor.
    pub fn start(
        setup: ClientSetup,
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, Vec<u8>), Refusal> {
        setup.offer.check_floor(setup.floor)?;
        let ephemeral = Ephemeral::generate(rng);
        let ctag = Secret::fill(|tag| rng.fill_bytes(tag));
        let ec_s = ephemeral.agree(&setup.server)?;

        let mut offered = Vec::new();
        list::push_offer(&setup.offer, &mut offered);
        let mut hello_frame = Vec::new();
        push_header(
            &mut hello_frame,
            FrameType::Hello,
            KEY_BYTES + BOX_BYTES + TAG_BYTES + offered.len(),
        );
        hello_frame.extend_from_slice(ephemeral.public().as_bytes());
        ec_s.box_key().seal(
            &nonce::counted(nonce::HELLO, 0),
            &[ctag.expose(), &offered],
            &mut hello_frame,
        );
        let handshake = Self {
            timeout_ms: now_ms.saturating_add(setup.timing.handshake_ms),
            hello_frame: hello_frame.clone(),
            setup,
            ephemeral,
            ec_s,
            ctag,
        };
        Ok((handshake, hello_frame))
    }

    /// What a [`super::Deframer`] may take now: a Cookie ack.
    #[must_use]
    pub fn accepts(&self) -> Accepts {
        Accepts::cookie_ack(self.setup.offer.list_allowed())
    }

    /// From when on the answer is too late.
    #[must_use]
    pub const fn timeout_ms(&self) -> u64 {
        self.timeout_ms
    }

    /// Takes the Cookie ack: the second value is the Vouch frame, behind
    /// which messages may follow at once.
    ///
    /// # Errors
    /// The reason; the connection is to be closed without a byte.
    pub fn receive(
        self,
        frame: &[u8],
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Established<Client>, Vec<u8>), Refusal> {
        if now_ms >= self.timeout_ms {
            return Err(Refusal::Timeout);
        }
        let (r16, boxed) = self
            .accepts()
            .body(frame)?
            .split_first_chunk::<R16_BYTES>()
            .ok_or(Refusal::Length)?;
        let opened = self
            .ec_s
            .box_key()
            .open(&nonce::random(nonce::COOKIE_ACK, r16), boxed)
            .ok_or(Refusal::CookieBox)?;
        let (es, rest) = split::<KEY_BYTES>(opened.expose())?;
        let (ctag, rest) = split::<TAG_BYTES>(rest)?;
        let (stag, chosen) = split::<TAG_BYTES>(rest)?;
        if !memory::equal(ctag, self.ctag.expose()) {
            return Err(Refusal::Ctag);
        }
        let es = PublicKey::new(*es);
        let ec_es = self.ephemeral.agree(&es)?;
        if es == self.ephemeral.public() {
            return Err(Refusal::LowOrder);
        }
        let profile = list::read_choice(chosen, &self.setup.offer)?;
        profile.check_floor(self.setup.floor)?;
        self.vouch(
            frame,
            &Answer {
                es,
                ec_es,
                stag,
                profile,
            },
            now_ms,
            rng,
        )
    }

    fn vouch(
        self,
        cookie_frame: &[u8],
        answer: &Answer<'_>,
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Established<Client>, Vec<u8>), Refusal> {
        let own = self.setup.keys.public();
        let v = self.v(answer.stag, rng)?;
        let mut proof_list = Vec::new();
        let box_key = answer.ec_es.box_key();
        let keys = if answer.profile.has(Extension::Bind) {
            let transcript = Transcript::of(&Said {
                server: self.setup.server,
                hello_frame: &self.hello_frame,
                cookie_frame,
                client: own,
                v: &v,
            });
            let c_es = self.setup.keys.agree(&answer.es)?;
            list::push_proof(&prove(&c_es, &transcript, rng)?, &mut proof_list);
            SessionKeys::bound(&answer.ec_es, &c_es, &self.ec_s, &transcript)
        } else {
            SessionKeys::base(answer.ec_es.box_key())
        };

        let mut frame = Vec::new();
        push_header(
            &mut frame,
            FrameType::Vouch,
            BOX_BYTES + KEY_BYTES + v.len() + proof_list.len(),
        );
        box_key.seal(
            &nonce::counted(nonce::VOUCH, 0),
            &[own.as_bytes(), &v, &proof_list],
            &mut frame,
        );
        let established = Established::new(
            Parties {
                own,
                peer: self.setup.server,
            },
            answer.profile,
            DirectedKeys {
                out: keys.client_to_server,
                incoming: keys.server_to_client,
                export: keys.export,
            },
            self.setup.timing.silence,
            now_ms,
        );
        Ok((established, frame))
    }

    /// V = R16 ‖ Box[EC ‖ Stag](Cs→S): C vouches for EC.
    fn v(&self, stag: &[u8; TAG_BYTES], rng: &mut dyn CryptoRngCore) -> Result<Vec<u8>, Refusal> {
        let r16 = nonce::draw(rng);
        let c_s = self.setup.keys.agree(&self.setup.server)?;
        let mut v = r16.to_vec();
        c_s.box_key().seal(
            &nonce::random(nonce::V, &r16),
            &[self.ephemeral.public().as_bytes(), stag],
            &mut v,
        );
        Ok(v)
    }
}

/// What a Cookie ack said, once it was held to be the server's.
struct Answer<'a> {
    es: PublicKey,
    ec_es: Agreement,
    stag: &'a [u8; TAG_BYTES],
    profile: Profile,
}

/// R16 ‖ Box[T](Cs→ES).
fn prove(
    c_es: &Agreement,
    transcript: &Transcript,
    rng: &mut dyn CryptoRngCore,
) -> Result<[u8; PROOF_BYTES], Refusal> {
    const { assert!(PROOF_BYTES == R16_BYTES + BOX_BYTES + TRANSCRIPT_BYTES) };
    let r16 = nonce::draw(rng);
    let mut proof = r16.to_vec();
    c_es.box_key().seal(
        &nonce::random(nonce::BIND, &r16),
        &[transcript.as_bytes()],
        &mut proof,
    );
    proof.try_into().map_err(|_| Refusal::Length)
}

/// The first `N` bytes of a plaintext; lengths were checked with the frame's.
pub(super) fn split<const N: usize>(plain: &[u8]) -> Result<(&[u8; N], &[u8]), Refusal> {
    plain.split_first_chunk::<N>().ok_or(Refusal::Length)
}

/// Bytes of Ctag and Stag.
pub(super) const TAG_BYTES: usize = 32;

/// What a box adds to its plaintext.
pub(super) const BOX_BYTES: usize = 16;
