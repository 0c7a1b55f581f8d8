//! The workstation's end of a link.

use std::sync::Arc;

use rand_core::CryptoRngCore;

use super::traffic::Traffic;
use super::{Carrier, LinkEnd, LinkEvent, LinkOutput, SendFault};
use crate::curve::{
    Accepts, Client, ClientHandshake, ClientSetup, CloseCode, Deframer, ExtensionSet, KeyPair,
    Offer, PublicKey, Refusal,
};
use crate::pairing::{HELLO_TYPE, hello_accepts};

/// What a client link is started with.
pub struct ClientLinkSetup {
    /// C, Cs of the pairing.
    pub keys: Arc<KeyPair>,
    /// S.
    pub server: PublicKey,
    /// What carries it.
    pub carrier: Carrier,
    /// Whether frames of type 0x10 are handed up ([`LinkEvent::PairingHello`])
    /// instead of refused: only while pairing, where the authenticator may
    /// repeat its hello.
    pub takes_pairing_hellos: bool,
}

/// A link as the client has it. Floor `bind` and `pad`; `rekey` and `aead` are offered.
pub struct ClientLink {
    state: State,
    deframer: Deframer,
    takes_pairing_hellos: bool,
}

enum State {
    Handshake(ClientHandshake),
    Open(Traffic<Client>),
    Ended,
}

impl ClientLink {
    /// Starts a handshake; the Hello frame is in the output.
    ///
    /// # Errors
    /// [`Refusal::LowOrder`] when S is no usable key.
    pub fn start(
        setup: ClientLinkSetup,
        now_ms: u64,
        rng: &mut dyn CryptoRngCore,
    ) -> Result<(Self, Vec<Vec<u8>>), Refusal> {
        let takes_pairing_hellos = setup.takes_pairing_hellos;
        let setup = ClientSetup {
            keys: setup.keys,
            server: setup.server,
            offer: Offer::pairing(),
            floor: ExtensionSet::PAIRING,
            timing: setup.carrier.timing(),
        };
        let (handshake, hello) = ClientHandshake::start(setup, now_ms, rng)?;
        let link = Self {
            state: State::Handshake(handshake),
            deframer: Deframer::new(),
            takes_pairing_hellos,
        };
        Ok((link, vec![hello]))
    }

    /// Takes one whole frame, as an item brings it.
    pub fn frame(&mut self, now_ms: u64, frame: &[u8], rng: &mut dyn CryptoRngCore) -> LinkOutput {
        let mut output = LinkOutput::default();
        if self.takes_pairing_hellos && hello_accepts().body(frame).is_ok() {
            output.event(LinkEvent::PairingHello(frame.to_vec()));
            return output;
        }
        let mut frame = frame.to_vec();
        self.state.take(now_ms, &mut frame, rng, &mut output);
        output
    }

    /// Takes the next bytes of a stream.
    pub fn bytes(&mut self, now_ms: u64, bytes: &[u8], rng: &mut dyn CryptoRngCore) -> LinkOutput {
        let mut output = LinkOutput::default();
        let mut input = bytes;
        while let Some(accepts) = self.state.accepts() {
            let mut cut = self.deframer.take(&mut input, &accepts);
            if self.takes_pairing_hellos && matches!(cut, Err(Refusal::Type)) {
                // The header stays in the deframer and is judged anew.
                cut = self.deframer.take(&mut input, &hello_accepts());
            }
            match cut {
                Ok(None) => break,
                Ok(Some(frame)) if frame.get(2) == Some(&HELLO_TYPE) => {
                    output.event(LinkEvent::PairingHello(frame.to_vec()));
                }
                Ok(Some(frame)) => self.state.take(now_ms, frame, rng, &mut output),
                Err(refusal) => self.state.refuse(refusal, &mut output),
            }
        }
        output
    }

    /// The stream has ended.
    pub fn end_of_stream(&mut self) -> LinkOutput {
        let mut output = LinkOutput::default();
        let refusal = match &self.state {
            State::Handshake(_) => Refusal::Truncated,
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
            State::Handshake(_) => Err(SendFault::NotEstablished),
            State::Open(traffic) => traffic.send(now_ms, message),
            State::Ended => Err(SendFault::Ended),
        }
    }

    /// Ends the link; the Close frame is in the output if the handshake was done.
    pub fn close(&mut self, now_ms: u64, code: CloseCode) -> LinkOutput {
        let mut output = LinkOutput::default();
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Handshake(_) => {}
            State::Open(traffic) => output.frames.extend(traffic.close(now_ms, code)),
            State::Ended => return output,
        }
        output.end(LinkEnd::ClosedHere);
        output
    }

    /// What the time asks for.
    pub fn tick(&mut self, now_ms: u64) -> LinkOutput {
        let mut output = LinkOutput::default();
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Handshake(handshake) if now_ms >= handshake.timeout_ms() => {
                output.end(LinkEnd::Refused(Refusal::Timeout));
            }
            State::Open(traffic) => {
                if let Some(traffic) = traffic.tick(now_ms, &mut output) {
                    self.state = State::Open(traffic);
                }
            }
            unchanged @ (State::Handshake(_) | State::Ended) => self.state = unchanged,
        }
        output
    }

    /// When [`ClientLink::tick`] is due.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        match &self.state {
            State::Handshake(handshake) => Some(handshake.timeout_ms()),
            State::Open(traffic) => traffic.wake_ms(),
            State::Ended => None,
        }
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_established(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether the server has shown that it took this client.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        matches!(&self.state, State::Open(traffic) if traffic.is_heard())
    }

    /// export(label) of `spec/curve.md` section 7, once the handshake is done.
    #[must_use]
    pub fn export(&self, label: &[u8]) -> Option<keystead_core::Secret<32>> {
        match &self.state {
            State::Open(traffic) => traffic.export(label),
            State::Handshake(_) | State::Ended => None,
        }
    }
}

impl State {
    /// What may come next; none when nothing may.
    fn accepts(&self) -> Option<Accepts> {
        match self {
            Self::Handshake(handshake) => Some(handshake.accepts()),
            Self::Open(traffic) => Some(traffic.accepts()),
            Self::Ended => None,
        }
    }

    fn take(
        &mut self,
        now_ms: u64,
        frame: &mut [u8],
        rng: &mut dyn CryptoRngCore,
        output: &mut LinkOutput,
    ) {
        match std::mem::replace(self, Self::Ended) {
            Self::Handshake(handshake) => match handshake.receive(frame, now_ms, rng) {
                Ok((channel, vouch)) => {
                    let traffic = Traffic::new(channel);
                    output.frames.push(vouch);
                    output.event(traffic.established());
                    *self = Self::Open(traffic);
                }
                Err(refusal) => output.end(LinkEnd::Refused(refusal)),
            },
            Self::Open(traffic) => {
                if let Some(traffic) = traffic.frame(now_ms, frame, output) {
                    *self = Self::Open(traffic);
                }
            }
            Self::Ended => {}
        }
    }

    fn refuse(&mut self, refusal: Refusal, output: &mut LinkOutput) {
        *self = Self::Ended;
        output.end(LinkEnd::Refused(refusal));
    }
}
