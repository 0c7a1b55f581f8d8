//! Both ends of a curve channel in one thread.

use std::hint::black_box;
use std::sync::Arc;

use keystead_channel::curve::{
    Allowed, Client, ClientHandshake, ClientSetup, Deframer, Established, ExtensionSet, Identity,
    KeyPair, Offer, Opened, Server, ServerHandshake, ServerSetup, Timing,
};
use rand_core::OsRng;

use crate::Outcome;

/// Long-term keys, and what each end sets up once.
pub(crate) struct Meeting {
    client: Arc<KeyPair>,
    server: Arc<KeyPair>,
    offer: Offer,
    setup: Arc<ServerSetup>,
}

impl Meeting {
    pub(crate) fn new(offer: &Offer) -> Outcome<Self> {
        let client = Arc::new(KeyPair::generate(&mut OsRng));
        let server = Arc::new(KeyPair::generate(&mut OsRng));
        let identity = Identity {
            keys: Arc::clone(&server),
            allowed: Allowed::only(client.public(), ExtensionSet::NONE, &mut OsRng),
        };
        let identities = vec![Arc::new(identity)];
        Ok(Self {
            client,
            server,
            setup: Arc::new(ServerSetup::new(identities, offer.clone(), Timing::STREAM)?),
            offer: offer.clone(),
        })
    }

    /// One whole handshake, its frames through deframers.
    pub(crate) fn meet(&self) -> Outcome<(Established<Client>, Established<Server>)> {
        let setup = ClientSetup {
            keys: Arc::clone(&self.client),
            server: self.server.public(),
            offer: self.offer.clone(),
            floor: ExtensionSet::NONE,
            timing: Timing::STREAM,
        };
        let (mut to_server, mut to_client) = (Deframer::new(), Deframer::new());
        let (client, hello) = ClientHandshake::start(setup, 0, &mut OsRng)?;
        let server = ServerHandshake::new(Arc::clone(&self.setup), 0);
        let hello = to_server.take(&mut &hello[..], &server.accepts())?;
        let (server, cookie) = server.receive(hello.ok_or("no hello")?, 0, &mut OsRng)?;
        let cookie = to_client.take(&mut &cookie[..], &client.accepts())?;
        let (client, vouch) = client.receive(cookie.ok_or("no cookie")?, 0, &mut OsRng)?;
        let vouch = to_server.take(&mut &vouch[..], &server.accepts())?;
        let server = server.receive(vouch.ok_or("no vouch")?, 0)?;
        Ok((client, server))
    }
}

/// Messages from the client to the server, one after the other.
pub(crate) struct Bulk {
    client: Established<Client>,
    server: Established<Server>,
    message: Vec<u8>,
    pipe: Vec<u8>,
    deframer: Deframer,
}

impl Bulk {
    pub(crate) fn new(offer: &Offer, message_bytes: usize) -> Outcome<Self> {
        let (client, server) = Meeting::new(offer)?.meet()?;
        Ok(Self {
            client,
            server,
            message: vec![0xa5; message_bytes],
            pipe: Vec::new(),
            deframer: Deframer::new(),
        })
    }

    pub(crate) fn pass(&mut self) -> Outcome<()> {
        self.pipe.clear();
        self.client.seal(&self.message, 0, &mut self.pipe)?;
        let mut rest = &self.pipe[..];
        let frame = self.deframer.take(&mut rest, &self.server.accepts())?;
        let opened = self.server.open(frame.ok_or("no frame")?, 0)?;
        let bytes = match black_box(opened) {
            Opened::Message(message) => message.len(),
            Opened::KeepAlive | Opened::Close(_) => 0,
        };
        if bytes == self.message.len() {
            Ok(())
        } else {
            Err("another message".into())
        }
    }
}
