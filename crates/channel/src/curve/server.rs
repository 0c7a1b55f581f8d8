//! The server's side of the handshake.
//!
//! **Invariant**: what a Vouch proves is decided once, at its end: each
//! comparison is made whatever the others gave, and C is looked up whether it
//! proved anything or not.

use std::sync::Arc;

use keystead_core::{Secret, SecretBytes};
use keystead_sodium::memory;
use rand_core::CryptoRngCore;

use super::allowed::Allowed;
use super::client::{BOX_BYTES, TAG_BYTES, split};
use super::direction::Server;
use super::established::{DirectedKeys, Established, Parties};
use super::extension::{Offer, Profile};
use super::frame::{Accepts, FrameType, push_header};
use super::keys::{Agreement, Ephemeral, KEY_BYTES, KeyPair, PublicKey};
use super::limits::{IDENTITIES_MAX, Timing};
use super::list::{self, PROOF_BYTES};
use super::nonce::{self, R16_BYTES};
use super::refusal::Refusal;
use super::schedule::{Said, SessionKeys, TRANSCRIPT_BYTES, Transcript};

/// One long-term key of a server, and who may speak to it: one a pairing.
pub struct Identity {
    /// S, Ss.
    pub keys: Arc<KeyPair>,
    /// The clients admitted, each with its floor.
    pub allowed: Allowed,
}

/// What a server brings to its handshakes.
pub struct ServerSetup {
    identities: Vec<Arc<Identity>>,
    offer: Offer,
    timing: Timing,
}

impl ServerSetup {
    /// A server with these keys, that takes of each Hello's offer what is in `offer`.
    ///
    /// # Errors
    /// With more than [`IDENTITIES_MAX`] keys.
    pub fn new(
        identities: Vec<Arc<Identity>>,
        offer: Offer,
        timing: Timing,
    ) -> Result<Self, TooManyIdentities> {
        if identities.len() > IDENTITIES_MAX {
            return Err(TooManyIdentities);
        }
        Ok(Self {
            identities,
            offer,
            timing,
        })
    }

    /// Tries a Hello's box on every key, without stopping at the one that opens.
    fn open_hello(&self, ec: &PublicKey, boxed: &[u8]) -> Result<OpenedHello, Refusal> {
        let nonce = nonce::counted(nonce::HELLO, 0);
        let mut opened = None;
        let mut refusal = Refusal::HelloBox;
        for identity in &self.identities {
            match identity.keys.agree(ec) {
                Ok(ec_s) => {
                    if let Some(plain) = ec_s.box_key().open(&nonce, boxed) {
                        opened = Some(OpenedHello {
                            identity: Arc::clone(identity),
                            ec_s,
                            plain,
                        });
                    }
                }
                // The point is bad whatever the key.
                Err(low_order) => refusal = low_order,
            }
        }
        opened.ok_or(refusal)
    }
}

/// More keys than one server may try a Hello on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server has at most {IDENTITIES_MAX} keys")]
pub struct TooManyIdentities;

/// A server that awaits Hello.
pub struct ServerHandshake {
    setup: Arc<ServerSetup>,
    timeout_ms: u64,
    hello_timeout_ms: Option<u64>,
}

impl ServerHandshake {
    /// Begins, when the transport stands.
    #[must_use]
    pub fn new(setup: Arc<ServerSetup>, now_ms: u64) -> Self {
        Self {
            timeout_ms: now_ms.saturating_add(setup.timing.handshake_ms),
            hello_timeout_ms: None,
            setup,
        }
    }

    /// Tells that the first byte came: from now on the whole Hello has less time.
    pub fn note_first_byte(&mut self, now_ms: u64) {
        let timeout_ms = now_ms.saturating_add(self.setup.timing.hello_ms);
        self.hello_timeout_ms.get_or_insert(timeout_ms);
    }

    /// What a [`super::Deframer`] may take now: a Hello.
    #[must_use]
    pub fn accepts(&self) -> Accepts {
        Accepts::hello(self.setup.offer.list_allowed())
    }

    /// From when on the Hello is too late.
    #[must_use]
    pub fn timeout_ms(&self) -> u64 {
        self.hello_timeout_ms
            .map_or(self.timeout_ms, |hello_ms| hello_ms.min(self.timeout_ms))
    }

    /// Takes the Hello: the second value is the Cookie ack frame.
    ///
    /// # Errors
    /// The reason; the connection is to be closed without a byte.
    pub fn receive(
        self,
        frame: &[u8],
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(AwaitVouch, Vec<u8>), Refusal> {
        if now_ms >= self.timeout_ms() {
            return Err(Refusal::Timeout);
        }
        let (ec, boxed) = split::<KEY_BYTES>(self.accepts().body(frame)?)?;
        let ec = PublicKey::new(*ec);
        let hello = self.setup.open_hello(&ec, boxed)?;
        let (ctag, offered) = split::<TAG_BYTES>(hello.plain.expose())?;
        let profile = list::choose(offered, &self.setup.offer)?;

        let ephemeral = Ephemeral::generate(rng);
        let stag = Secret::<TAG_BYTES>::fill(|tag| rng.fill_bytes(tag));
        let r16 = nonce::draw(rng);
        let mut chosen = Vec::new();
        list::push_choice(&profile, &mut chosen);
        let mut cookie_frame = Vec::new();
        push_header(
            &mut cookie_frame,
            FrameType::CookieAck,
            R16_BYTES + BOX_BYTES + KEY_BYTES + 2 * TAG_BYTES + chosen.len(),
        );
        cookie_frame.extend_from_slice(&r16);
        hello.ec_s.box_key().seal(
            &nonce::random(nonce::COOKIE_ACK, &r16),
            &[ephemeral.public().as_bytes(), ctag, stag.expose(), &chosen],
            &mut cookie_frame,
        );
        let next = AwaitVouch {
            setup: self.setup,
            identity: hello.identity,
            ec,
            ec_s: hello.ec_s,
            ephemeral,
            stag,
            profile,
            hello_frame: frame.to_vec(),
            cookie_frame: cookie_frame.clone(),
            timeout_ms: self.timeout_ms,
        };
        Ok((next, cookie_frame))
    }
}

/// A server that has sent Cookie ack and awaits Vouch.
pub struct AwaitVouch {
    setup: Arc<ServerSetup>,
    identity: Arc<Identity>,
    ec: PublicKey,
    ec_s: Agreement,
    ephemeral: Ephemeral,
    stag: Secret<TAG_BYTES>,
    profile: Profile,
    hello_frame: Vec<u8>,
    cookie_frame: Vec<u8>,
    timeout_ms: u64,
}

impl AwaitVouch {
    /// What a [`super::Deframer`] may take now: a Vouch.
    #[must_use]
    pub fn accepts(&self) -> Accepts {
        Accepts::vouch(self.setup.offer.list_allowed())
    }

    /// From when on the Vouch is too late.
    #[must_use]
    pub const fn timeout_ms(&self) -> u64 {
        self.timeout_ms
    }

    /// The server's key that the client chose by its Hello.
    #[must_use]
    pub fn own(&self) -> PublicKey {
        self.identity.keys.public()
    }

    /// Takes the Vouch: from here on the client is who it says it is.
    ///
    /// # Errors
    /// The reason; the connection is to be closed without a byte.
    pub fn receive(self, frame: &[u8], now_ms: u64) -> Result<Established<Server>, Refusal> {
        if now_ms >= self.timeout_ms {
            return Err(Refusal::Timeout);
        }
        let body = self.accepts().body(frame)?;
        let ec_es = self.ephemeral.agree(&self.ec)?;
        let box_key = ec_es.box_key();
        let opened = box_key
            .open(&nonce::counted(nonce::VOUCH, 0), body)
            .ok_or(Refusal::VouchBox)?;
        let (client, rest) = split::<KEY_BYTES>(opened.expose())?;
        let (v, proof_list) = split::<V_BYTES>(rest)?;
        let client = PublicKey::new(*client);

        let (ec_is_same, stag_is_same) = self.open_v(&client, v)?;
        let floor = self.identity.allowed.floor(&client);
        let proof = self.read_proof(proof_list, &client, v, &ec_es);
        let profile_reaches_floor = floor.map(|floor| self.profile.check_floor(floor));

        let is_bound = matches!(proof, Ok(Proof::Absent | Proof::Holds(_)));
        let keys = match proof {
            Ok(Proof::Absent) => Ok(SessionKeys::base(box_key)),
            Ok(Proof::Holds(keys)) => Ok(keys),
            Ok(Proof::Fails) => Err(Refusal::Bind),
            Err(refusal) => Err(refusal),
        };
        // One verdict; only its name, which stays here, tells the causes apart.
        if !(ec_is_same & stag_is_same & is_bound & (profile_reaches_floor == Some(Ok(())))) {
            return Err(match (ec_is_same, stag_is_same, profile_reaches_floor) {
                (false, _, _) => Refusal::EcMismatch,
                (true, false, _) => Refusal::Stag,
                (true, true, None) => Refusal::NotAllowed,
                (true, true, Some(Err(downgrade))) => downgrade,
                (true, true, Some(Ok(()))) => keys.err().unwrap_or(Refusal::Bind),
            });
        }
        let keys = keys?;
        let mut established = Established::new(
            Parties {
                own: self.own(),
                peer: client,
            },
            self.profile,
            DirectedKeys {
                out: keys.server_to_client,
                incoming: keys.client_to_server,
                export: keys.export,
            },
            self.setup.timing.silence,
            now_ms,
        );
        established.note_heard(now_ms);
        Ok(established)
    }

    /// Opens V; whether its EC, and its Stag, are this handshake's.
    fn open_v(&self, client: &PublicKey, v: &[u8; V_BYTES]) -> Result<(bool, bool), Refusal> {
        let (r16, boxed) = split::<R16_BYTES>(v)?;
        let c_s = self.identity.keys.agree(client)?;
        let opened = c_s
            .box_key()
            .open(&nonce::random(nonce::V, r16), boxed)
            .ok_or(Refusal::V)?;
        let (ec, stag) = split::<KEY_BYTES>(opened.expose())?;
        Ok((
            memory::equal(ec, self.ec.as_bytes()),
            memory::equal(stag, self.stag.expose()),
        ))
    }

    /// Reads the list of Vouch and, with `bind`, its proof.
    fn read_proof(
        &self,
        proof_list: &[u8],
        client: &PublicKey,
        v: &[u8; V_BYTES],
        ec_es: &Agreement,
    ) -> Result<Proof, Refusal> {
        let Some(proof) = list::read_proof(proof_list, &self.profile)? else {
            return Ok(Proof::Absent);
        };
        let transcript = Transcript::of(&Said {
            server: self.own(),
            hello_frame: &self.hello_frame,
            cookie_frame: &self.cookie_frame,
            client: *client,
            v,
        });
        let c_es = self.ephemeral.agree(client)?;
        if opens_to(proof, &c_es, &transcript) {
            let keys = SessionKeys::bound(ec_es, &c_es, &self.ec_s, &transcript);
            Ok(Proof::Holds(keys))
        } else {
            Ok(Proof::Fails)
        }
    }
}

struct OpenedHello {
    identity: Arc<Identity>,
    ec_s: Agreement,
    plain: SecretBytes,
}

enum Proof {
    /// `bind` was not chosen, and no proof came.
    Absent,
    Holds(SessionKeys),
    Fails,
}

/// Whether R16 ‖ Box[T] opens under DH(C,ES) to this very T.
fn opens_to(proof: &[u8; PROOF_BYTES], c_es: &Agreement, transcript: &Transcript) -> bool {
    let Some((r16, boxed)) = proof.split_first_chunk::<R16_BYTES>() else {
        return false;
    };
    let opened = c_es.box_key().open(&nonce::random(nonce::BIND, r16), boxed);
    opened.is_some_and(|t| t.len() == TRANSCRIPT_BYTES && transcript.is(t.expose()))
}

/// V: R16 ‖ Box[EC ‖ Stag].
const V_BYTES: usize = R16_BYTES + BOX_BYTES + KEY_BYTES + TAG_BYTES;
