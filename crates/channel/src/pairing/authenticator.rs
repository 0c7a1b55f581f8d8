//! The authenticator's side: from the scanned offer to what is stored.

use std::sync::Arc;

use keystead_core::{AckResponse, Name, PairingId, Secret};
use rand_core::CryptoRngCore;

use super::code::{Code, commitment};
use super::hello::{Hello, HelloError, seal_hello};
use super::{CODE_MS, CONFIRM_MS, HELLO_REPEAT_MS, ME_REQUEST_MS, Offer, PairError, Paired};
use crate::curve::{KeyPair, PublicKey};
use crate::mailbox::{Mailbox, MailboxDirection};

/// An offer was scanned; the hello is on its way.
pub struct Scanned {
    keys: Arc<KeyPair>,
    offer: Offer,
    nonce_s: Secret<32>,
    hello: Vec<u8>,
    repeats_ms: u64,
    gives_up_ms: u64,
}

/// The me request has come; the holder compares the code.
pub struct Answered {
    keys: Arc<KeyPair>,
    client: PublicKey,
    workstation: Name,
    nonce_c: [u8; 16],
    nonce_s: Secret<32>,
    code: Code,
    expires_ms: u64,
}

/// The holder said yes; the workstation's confirm request is waited for.
pub struct Approved {
    keys: Arc<KeyPair>,
    client: PublicKey,
    workstation: Name,
    gives_up_ms: u64,
}

impl Scanned {
    /// Draws S, Ss and nonce_s and makes the hello, whose bytes stay the same.
    ///
    /// # Errors
    /// [`HelloError::LowOrder`] when the offer's key is unusable.
    pub fn answer(
        offer: Offer,
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Self, HelloError> {
        let keys = Arc::new(KeyPair::generate(rng));
        let nonce_s = Secret::fill(|nonce| rng.fill_bytes(nonce));
        let hello = Hello {
            server: keys.public(),
            commitment: commitment(nonce_s.expose()),
        };
        let hello = seal_hello(&hello, &offer.client(), offer.secret(), rng)?;
        Ok(Self {
            keys,
            offer,
            nonce_s,
            hello,
            repeats_ms: now_ms.saturating_add(HELLO_REPEAT_MS),
            gives_up_ms: now_ms.saturating_add(ME_REQUEST_MS),
        })
    }

    /// The offer that is answered.
    #[must_use]
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The pairing's own keys here, S and Ss, and C.
    #[must_use]
    pub fn channel_keys(&self) -> (Arc<KeyPair>, PublicKey) {
        (Arc::clone(&self.keys), self.offer.client())
    }

    /// The offer's mailbox for one direction.
    #[must_use]
    pub fn mailbox(&self, direction: MailboxDirection) -> Mailbox {
        Mailbox::of_offer(self.offer.secret(), direction)
    }

    /// The hello's frame, which goes out at once on every way.
    #[must_use]
    pub fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// Whether the same frame is to go out again (same conn, same number).
    ///
    /// # Errors
    /// [`PairError::NoMeRequest`] when it is time to give up.
    pub fn repeat(&mut self, now_ms: u64) -> Result<Option<&[u8]>, PairError> {
        if now_ms >= self.gives_up_ms {
            return Err(PairError::NoMeRequest);
        }
        if now_ms < self.repeats_ms {
            return Ok(None);
        }
        self.repeats_ms = now_ms.saturating_add(HELLO_REPEAT_MS);
        Ok(Some(&self.hello))
    }

    /// When [`Scanned::repeat`] is due.
    #[must_use]
    pub fn wake_ms(&self) -> u64 {
        self.repeats_ms.min(self.gives_up_ms)
    }

    /// Takes the first me request's nonce: from here on the code is fixed.
    #[must_use]
    pub fn receive_me(self, now_ms: u64, nonce_c: [u8; 16]) -> Answered {
        let client = self.offer.client();
        let code = Code::of(
            self.offer.secret(),
            &client,
            &self.keys.public(),
            &nonce_c,
            self.nonce_s.expose(),
        );
        Answered {
            keys: self.keys,
            client,
            workstation: self.offer.name().clone(),
            nonce_c,
            nonce_s: self.nonce_s,
            code,
            expires_ms: now_ms.saturating_add(CODE_MS),
        }
    }
}

impl Answered {
    /// As [`Scanned::channel_keys`].
    #[must_use]
    pub fn channel_keys(&self) -> (Arc<KeyPair>, PublicKey) {
        (Arc::clone(&self.keys), self.client)
    }

    /// The ack for the me request: nonce_s, shown for this one nonce_c only.
    ///
    /// # Errors
    /// [`PairError::NonceChanged`] for a me request with another nonce.
    pub fn ack(&self, nonce_c: &[u8; 16], own_name: Name) -> Result<AckResponse, PairError> {
        if *nonce_c != self.nonce_c {
            return Err(PairError::NonceChanged);
        }
        Ok(AckResponse {
            pairing: Some((*self.nonce_s.expose(), own_name)),
        })
    }

    /// What both screens show.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the workstation calls itself.
    #[must_use]
    pub fn workstation(&self) -> &Name {
        &self.workstation
    }

    /// Until when the holder must have decided.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        self.expires_ms
    }

    /// The holder said yes: the me response may go out.
    ///
    /// # Errors
    /// [`PairError::CodeExpired`] when the time is up.
    pub fn approve(self, now_ms: u64) -> Result<Approved, PairError> {
        if now_ms >= self.expires_ms {
            return Err(PairError::CodeExpired);
        }
        Ok(Approved {
            keys: self.keys,
            client: self.client,
            workstation: self.workstation,
            // The person there has as long as the code is shown; then the
            // workstation repeats its confirm request.
            gives_up_ms: self.expires_ms.saturating_add(CONFIRM_MS),
        })
    }
}

impl Approved {
    /// As [`Scanned::channel_keys`].
    #[must_use]
    pub fn channel_keys(&self) -> (Arc<KeyPair>, PublicKey) {
        (Arc::clone(&self.keys), self.client)
    }

    /// What the workstation calls itself.
    #[must_use]
    pub fn workstation(&self) -> &Name {
        &self.workstation
    }

    /// When the authenticator stops waiting.
    #[must_use]
    pub fn gives_up_ms(&self) -> u64 {
        self.gives_up_ms
    }

    /// The confirm request has come: the pairing is to be stored, then answered.
    ///
    /// # Errors
    /// [`PairError::ConfirmExpired`] when the time is up.
    pub fn confirm(self, now_ms: u64, pair_key: Secret<32>) -> Result<Paired, PairError> {
        if now_ms >= self.gives_up_ms {
            return Err(PairError::ConfirmExpired);
        }
        let id = PairingId::of(self.client.as_bytes(), self.keys.public().as_bytes());
        Ok(Paired {
            own: self.keys,
            peer: self.client,
            pair_key,
            id,
        })
    }
}
