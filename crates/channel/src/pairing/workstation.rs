//! The workstation's side: from the offer to what is stored.

use std::sync::Arc;

use keystead_core::{MeResponse, Name, PairingId, RequestBody, Secret};
use rand_core::CryptoRngCore;

use super::code::{Code, commitment};
use super::hello::{Hello, HelloError, open_hello};
use super::{
    CODE_MS, CONFIRM_MS, LocalAddress, OFFER_MS, Offer, OfferError, PairError, Paired, RelayUrl,
};
use crate::curve::{KeyPair, PublicKey};
use crate::mailbox::{Mailbox, MailboxDirection};

/// An offer is out; the first valid hello takes it.
pub struct Offered {
    keys: Arc<KeyPair>,
    offer: Offer,
    expires_ms: u64,
}

/// What came of a frame.
pub enum Receive {
    /// An authenticator has taken the offer, which is gone.
    Greeted(Greeted),
    /// The frame is no hello for this offer, which stays.
    Ignored(Offered, HelloError),
    /// The offer had expired.
    Ended(PairError),
}

/// An authenticator has answered; the workstation asks who it is.
pub struct Greeted {
    attempt: Attempt,
    nonce_c: [u8; 16],
    commitment: [u8; 32],
}

/// Both screens show the code.
pub struct Compared {
    attempt: Attempt,
    code: Code,
    authenticator: Name,
    expires_ms: u64,
    confirmed_here: bool,
    me: Option<MeResponse>,
}

/// Both persons said yes; the authenticator is to store the pairing first.
pub struct Confirming {
    attempt: Attempt,
    pair_key: Secret<32>,
    me: MeResponse,
    gives_up_ms: u64,
}

/// What another frame of type 0x10 means while a pairing is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherHello {
    /// From the same authenticator: ignored.
    Repeat,
    /// No hello for this offer: ignored.
    Invalid,
    /// Another authenticator knows the one-time secret: the pairing ends with
    /// [`PairError::Race`] and Close 4.
    Race,
}

/// What stays the same from the hello to the end.
struct Attempt {
    keys: Arc<KeyPair>,
    secret: Secret<16>,
    server: PublicKey,
}

impl Offered {
    /// Draws C, Cs and the one-time secret and makes the offer.
    ///
    /// # Errors
    /// As [`Offer::new`].
    pub fn make(
        now_ms: u64,
        name: Name,
        relay: Option<RelayUrl>,
        addresses: Vec<LocalAddress>,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Self, OfferError> {
        let keys = Arc::new(KeyPair::generate(rng));
        let secret = Secret::fill(|bytes| rng.fill_bytes(bytes));
        let offer = Offer::new(keys.public(), secret, name, relay, addresses)?;
        Ok(Self {
            keys,
            offer,
            expires_ms: now_ms.saturating_add(OFFER_MS),
        })
    }

    /// What is shown.
    #[must_use]
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// When it ends, by the clock of `now_ms`.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// The offer's mailbox for one direction.
    #[must_use]
    pub fn mailbox(&self, direction: MailboxDirection) -> Mailbox {
        Mailbox::of_offer(self.offer.secret(), direction)
    }

    /// Takes a frame of type 0x10. The first valid one consumes the offer.
    #[must_use]
    pub fn receive(self, now_ms: u64, frame: &[u8], rng: &mut dyn CryptoRngCore) -> Receive {
        if now_ms >= self.expires_ms {
            return Receive::Ended(PairError::OfferExpired);
        }
        let hello = match open_hello(frame, &self.keys, self.offer.secret()) {
            Ok(hello) => hello,
            Err(error) => return Receive::Ignored(self, error),
        };
        let Hello { server, commitment } = hello;
        let mut nonce_c = [0; 16];
        rng.fill_bytes(&mut nonce_c);
        let attempt = Attempt {
            keys: self.keys,
            secret: self.offer.into_secret(),
            server,
        };
        Receive::Greeted(Greeted {
            attempt,
            nonce_c,
            commitment,
        })
    }
}

impl Greeted {
    /// Which keys to open the channel with: C, Cs and S.
    #[must_use]
    pub fn channel_keys(&self) -> (Arc<KeyPair>, PublicKey) {
        self.attempt.channel_keys()
    }

    /// The me request, which goes first.
    #[must_use]
    pub fn request(&self) -> RequestBody {
        RequestBody::Me {
            nonce_c: Some(self.nonce_c),
        }
    }

    /// Judges another frame of type 0x10.
    #[must_use]
    pub fn other_hello(&self, frame: &[u8]) -> OtherHello {
        self.attempt.other_hello(frame)
    }

    /// Takes the authenticator's nonce and name from its ack and makes the code.
    ///
    /// # Errors
    /// [`PairError::Commitment`] when the nonce is not the one committed to.
    pub fn receive_ack(
        self,
        now_ms: u64,
        nonce_s: &[u8; 32],
        authenticator: Name,
    ) -> Result<Compared, PairError> {
        // Both are public by now, so the comparison need not be constant-time.
        if commitment(nonce_s) != self.commitment {
            return Err(PairError::Commitment);
        }
        let Attempt {
            keys,
            secret,
            server,
        } = &self.attempt;
        let code = Code::of(secret, &keys.public(), server, &self.nonce_c, nonce_s);
        Ok(Compared {
            code,
            authenticator,
            expires_ms: now_ms.saturating_add(CODE_MS),
            confirmed_here: false,
            me: None,
            attempt: self.attempt,
        })
    }
}

impl Compared {
    /// As [`Greeted::channel_keys`].
    #[must_use]
    pub fn channel_keys(&self) -> (Arc<KeyPair>, PublicKey) {
        self.attempt.channel_keys()
    }

    /// As [`Greeted::other_hello`].
    #[must_use]
    pub fn other_hello(&self, frame: &[u8]) -> OtherHello {
        self.attempt.other_hello(frame)
    }

    /// What both screens show.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the authenticator calls itself.
    #[must_use]
    pub fn authenticator(&self) -> &Name {
        &self.authenticator
    }

    /// Until when both persons must have said yes.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// The person here said yes.
    pub fn confirm_here(&mut self) {
        self.confirmed_here = true;
    }

    /// The holder said yes: the me response has come.
    pub fn confirm_there(&mut self, me: MeResponse) {
        self.me = Some(me);
    }

    /// Whether the person here has said yes and only the holder is waited for.
    #[must_use]
    pub fn waits_for_holder(&self) -> bool {
        self.confirmed_here && self.me.is_none()
    }

    /// Goes on once both have said yes; until then the state comes back.
    ///
    /// # Errors
    /// [`PairError::CodeExpired`] when the time is up.
    pub fn step(
        self,
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Result<Confirming, Self>, PairError> {
        if now_ms >= self.expires_ms {
            return Err(PairError::CodeExpired);
        }
        match self {
            Self {
                attempt,
                confirmed_here: true,
                me: Some(me),
                ..
            } => Ok(Ok(Confirming {
                attempt,
                pair_key: Secret::fill(|bytes| rng.fill_bytes(bytes)),
                me,
                gives_up_ms: now_ms.saturating_add(CONFIRM_MS),
            })),
            waiting => Ok(Err(waiting)),
        }
    }
}

impl Confirming {
    /// As [`Greeted::channel_keys`].
    #[must_use]
    pub fn channel_keys(&self) -> (Arc<KeyPair>, PublicKey) {
        self.attempt.channel_keys()
    }

    /// As [`Greeted::other_hello`].
    #[must_use]
    pub fn other_hello(&self, frame: &[u8]) -> OtherHello {
        self.attempt.other_hello(frame)
    }

    /// The confirm request; the same bytes are repeated until it is answered.
    #[must_use]
    pub fn request(&self) -> RequestBody {
        let pair_key = Secret::fill(|copy| *copy = *self.pair_key.expose());
        RequestBody::Confirm { pair_key }
    }

    /// When the workstation gives up.
    #[must_use]
    pub fn gives_up_ms(&self) -> u64 {
        self.gives_up_ms
    }

    /// The authenticator has stored the pairing: now it is stored here.
    #[must_use]
    pub fn store(self) -> (Paired, MeResponse) {
        let client = self.attempt.keys.public();
        let id = PairingId::of(client.as_bytes(), self.attempt.server.as_bytes());
        let paired = Paired {
            own: self.attempt.keys,
            peer: self.attempt.server,
            pair_key: self.pair_key,
            id,
        };
        (paired, self.me)
    }
}

impl Attempt {
    fn channel_keys(&self) -> (Arc<KeyPair>, PublicKey) {
        (Arc::clone(&self.keys), self.server)
    }

    fn other_hello(&self, frame: &[u8]) -> OtherHello {
        match open_hello(frame, &self.keys, &self.secret) {
            Ok(hello) if hello.server == self.server => OtherHello::Repeat,
            Ok(_) => OtherHello::Race,
            Err(_) => OtherHello::Invalid,
        }
    }
}
