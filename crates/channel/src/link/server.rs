//! The authenticator's end of a link, and what it listens with.

use std::sync::Arc;

use rand_core::CryptoRngCore;

use super::traffic::Traffic;
use super::{Carrier, LinkEnd, LinkOutput, SendFault};
use crate::curve::{
    Accepts, Allowed, AwaitVouch, CloseCode, Deframer, ExtensionSet, Identity, KeyPair, Offer,
    PublicKey, Refusal, Server, ServerHandshake, ServerSetup, TooManyIdentities,
};

/// What a client may do once it has proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything.
    Paired,
    /// Kinds 1, 6 and 7 alone: the pairing is not stored yet.
    Pairing,
    /// Nothing: the link itself sends Close 3.
    Revoked,
}

/// The pairings of an authenticator at one moment: a snapshot that links are
/// started from. When a pairing's standing changes, the owner makes a new one
/// and ends the links that were started from the old one.
#[derive(Clone)]
pub struct Listener {
    stream: Arc<ServerSetup>,
    items: Arc<ServerSetup>,
    standings: Arc<Vec<(PublicKey, Standing)>>,
}

/// A link as the server has it. Floor `bind` and `pad`.
pub struct ServerLink {
    state: State,
    deframer: Deframer,
    listener: Listener,
}

enum State {
    Hello(ServerHandshake),
    Vouch(Box<AwaitVouch>),
    Open(Box<Traffic<Server>>),
    Ended,
}

impl Listener {
    /// One entry a pairing: S, Ss made for it, the one client C, its standing.
    ///
    /// # Errors
    /// With more than 64 entries: each costs every stranger's Hello one DH.
    pub fn new(
        pairings: Vec<(Arc<KeyPair>, PublicKey, Standing)>,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<Self, TooManyIdentities> {
        let mut identities = Vec::new();
        let mut standings = Vec::new();
        for (keys, client, standing) in pairings {
            standings.push((keys.public(), standing));
            let allowed = Allowed::only(client, ExtensionSet::PAIRING, rng);
            identities.push(Arc::new(Identity { keys, allowed }));
        }
        let setup = |carrier: Carrier| {
            ServerSetup::new(identities.clone(), Offer::pairing(), carrier.timing()).map(Arc::new)
        };
        Ok(Self {
            stream: setup(Carrier::Stream)?,
            items: setup(Carrier::Items)?,
            standings: Arc::new(standings),
        })
    }

    fn standing(&self, own: &PublicKey) -> Option<Standing> {
        let mut known = self.standings.iter();
        known
            .find(|(it, _)| it == own)
            .map(|(_, standing)| *standing)
    }
}

impl ServerLink {
    /// Awaits a Hello.
    #[must_use]
    pub fn start(listener: &Listener, carrier: Carrier, now_ms: u64) -> Self {
        let setup = match carrier {
            Carrier::Stream => &listener.stream,
            Carrier::Items => &listener.items,
        };
        Self {
            state: State::Hello(ServerHandshake::new(Arc::clone(setup), now_ms)),
            deframer: Deframer::new(),
            listener: listener.clone(),
        }
    }

    /// Takes one whole frame, as an item brings it.
    pub fn frame(&mut self, now_ms: u64, frame: &[u8], rng: &mut dyn CryptoRngCore) -> LinkOutput {
        let mut output = LinkOutput::default();
        let mut frame = frame.to_vec();
        self.state
            .take(&self.listener, now_ms, &mut frame, rng, &mut output);
        output
    }

    /// Takes the next bytes of a stream.
    pub fn bytes(&mut self, now_ms: u64, bytes: &[u8], rng: &mut dyn CryptoRngCore) -> LinkOutput {
        let mut output = LinkOutput::default();
        let mut input = bytes;
        if let (State::Hello(handshake), false) = (&mut self.state, bytes.is_empty()) {
            handshake.note_first_byte(now_ms);
        }
        while let Some(accepts) = self.state.accepts() {
            match self.deframer.take(&mut input, &accepts) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    self.state
                        .take(&self.listener, now_ms, frame, rng, &mut output);
                }
                Err(refusal) => self.state.refuse(refusal, &mut output),
            }
        }
        output
    }

    /// The stream has ended.
    pub fn end_of_stream(&mut self) -> LinkOutput {
        let mut output = LinkOutput::default();
        let refusal = match &self.state {
            State::Hello(_) | State::Vouch(_) => Refusal::Truncated,
            State::Open(traffic) => traffic.end_of_stream(),
            State::Ended => return output,
        };
        self.state.refuse(refusal, &mut output);
        output
    }

    /// Sends one message of 1 to 262,144 bytes.
    ///
    /// # Errors
    /// [`SendFault`]; nothing was sent then.
    pub fn send(&mut self, now_ms: u64, message: &[u8]) -> Result<Vec<Vec<u8>>, SendFault> {
        match &mut self.state {
            State::Hello(_) | State::Vouch(_) => Err(SendFault::NotEstablished),
            State::Open(traffic) => traffic.send(now_ms, message),
            State::Ended => Err(SendFault::Ended),
        }
    }

    /// Ends the link; the Close frame is in the output if the handshake was done.
    pub fn close(&mut self, now_ms: u64, code: CloseCode) -> LinkOutput {
        let mut output = LinkOutput::default();
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Hello(_) | State::Vouch(_) => {}
            State::Open(traffic) => output.frames.extend(traffic.close(now_ms, code)),
            State::Ended => return output,
        }
        output.end(LinkEnd::ClosedHere);
        output
    }

    /// What the time asks for.
    pub fn tick(&mut self, now_ms: u64) -> LinkOutput {
        let mut output = LinkOutput::default();
        let handshake_ms = match &self.state {
            State::Hello(handshake) => Some(handshake.timeout_ms()),
            State::Vouch(handshake) => Some(handshake.timeout_ms()),
            State::Open(_) | State::Ended => None,
        };
        if handshake_ms.is_some_and(|timeout_ms| now_ms >= timeout_ms) {
            self.state.refuse(Refusal::Timeout, &mut output);
            return output;
        }
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Open(traffic) => {
                if let Some(traffic) = traffic.tick(now_ms, &mut output) {
                    self.state = State::Open(Box::new(traffic));
                }
            }
            unchanged @ (State::Hello(_) | State::Vouch(_) | State::Ended) => {
                self.state = unchanged;
            }
        }
        output
    }

    /// When [`ServerLink::tick`] is due.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        match &self.state {
            State::Hello(handshake) => Some(handshake.timeout_ms()),
            State::Vouch(handshake) => Some(handshake.timeout_ms()),
            State::Open(traffic) => traffic.wake_ms(),
            State::Ended => None,
        }
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_established(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// C, once it is proved.
    #[must_use]
    pub fn peer(&self) -> Option<PublicKey> {
        match &self.state {
            State::Open(traffic) => Some(traffic.peer()),
            State::Hello(_) | State::Vouch(_) | State::Ended => None,
        }
    }

    /// Which pairing's key the client spoke to, once that is known.
    #[must_use]
    pub fn own(&self) -> Option<PublicKey> {
        match &self.state {
            State::Vouch(handshake) => Some(handshake.own()),
            State::Open(traffic) => Some(traffic.own()),
            State::Hello(_) | State::Ended => None,
        }
    }

    /// export(label) of `spec/curve.md` section 7, once the handshake is done.
    #[must_use]
    pub fn export(&self, label: &[u8]) -> Option<keystead_core::Secret<32>> {
        match &self.state {
            State::Open(traffic) => traffic.export(label),
            State::Hello(_) | State::Vouch(_) | State::Ended => None,
        }
    }
}

impl State {
    /// What may come next; none when nothing may.
    fn accepts(&self) -> Option<Accepts> {
        match self {
            Self::Hello(handshake) => Some(handshake.accepts()),
            Self::Vouch(handshake) => Some(handshake.accepts()),
            Self::Open(traffic) => Some(traffic.accepts()),
            Self::Ended => None,
        }
    }

    fn take(
        &mut self,
        listener: &Listener,
        now_ms: u64,
        frame: &mut [u8],
        rng: &mut dyn CryptoRngCore,
        output: &mut LinkOutput,
    ) {
        match std::mem::replace(self, Self::Ended) {
            Self::Hello(handshake) => match handshake.receive(frame, now_ms, rng) {
                Ok((handshake, cookie_ack)) => {
                    output.frames.push(cookie_ack);
                    *self = Self::Vouch(Box::new(handshake));
                }
                Err(refusal) => output.end(LinkEnd::Refused(refusal)),
            },
            Self::Vouch(handshake) => match handshake.receive(frame, now_ms) {
                Ok(channel) => self.open(listener, now_ms, Traffic::new(channel), output),
                Err(refusal) => output.end(LinkEnd::Refused(refusal)),
            },
            Self::Open(traffic) => {
                if let Some(traffic) = traffic.frame(now_ms, frame, output) {
                    *self = Self::Open(Box::new(traffic));
                }
            }
            Self::Ended => {}
        }
    }

    fn open(
        &mut self,
        listener: &Listener,
        now_ms: u64,
        traffic: Traffic<Server>,
        output: &mut LinkOutput,
    ) {
        match listener.standing(&traffic.own()) {
            Some(Standing::Paired | Standing::Pairing) => {
                output.event(traffic.established());
                *self = Self::Open(Box::new(traffic));
            }
            Some(Standing::Revoked) | None => {
                output
                    .frames
                    .extend(traffic.close(now_ms, CloseCode::Unpaired));
                output.end(LinkEnd::Revoked);
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal, output: &mut LinkOutput) {
        *self = Self::Ended;
        output.end(LinkEnd::Refused(refusal));
    }
}

#[cfg(test)]
mod tests {
    use keystead_core::{Request, RequestBody, RequestId, Secret};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::link::{ClientLink, ClientLinkSetup, LinkEvent};
    use crate::wire::{decode_request, encode_request};

    #[test]
    fn a_pairings_key_stays_in_no_frame_and_no_grown_buffer() {
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        let [client_keys, keys] = [(); 2].map(|()| Arc::new(KeyPair::generate(rng)));
        let pairing = (Arc::clone(&keys), client_keys.public(), Standing::Pairing);
        let listener = Listener::new(vec![pairing], rng).unwrap();
        let mut server = ServerLink::start(&listener, Carrier::Items, 0);
        let setup = ClientLinkSetup {
            keys: client_keys,
            server: keys.public(),
            carrier: Carrier::Items,
            takes_pairing_hellos: false,
        };
        let (mut client, hello) = ClientLink::start(setup, 0, rng).unwrap();
        let cookie = server.frame(0, &hello[0], rng);
        let vouch = client.frame(0, &cookie.frames[0], rng);
        server.frame(0, &vouch.frames[0], rng);
        let confirm = encode_request(&Request {
            id: RequestId([1; 16]),
            unix_s: u64::MAX,
            wait_s: 300,
            want_ack: true,
            body: RequestBody::Confirm {
                pair_key: Secret::fill(|bytes| bytes.fill(0xa5)),
            },
        });
        // One that had grown would have a power of two of its own, above its length.
        assert_eq!(confirm.capacity(), 256);
        let mut frame = client.send(0, &confirm).unwrap().remove(0);
        let mut output = LinkOutput::default();
        server
            .state
            .take(&listener, 0, &mut frame, rng, &mut output);
        let [LinkEvent::Message(message)] = output.events.as_slice() else {
            panic!("{:?}", output.events);
        };
        assert!(decode_request(message).is_ok());
        assert!(!frame.windows(8).any(|it| it == [0xa5; 8]));
    }
}
