//! `spec/vectors/curve.json`, byte for byte.

use std::sync::Arc;

use keystead_channel::curve::{
    Allowed, AwaitVouch, Client, ClientHandshake, ClientSetup, CloseCode, Deframer, Established,
    ExtensionSet, Identity, KeyPair, Offer, Opened, PublicKey, Refusal, Server, ServerHandshake,
    ServerSetup, Timing,
};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};

use super::common::{NOW, Script, hex, hex32, key_pair, rng};

const CURVE: &str = include_str!("../../../../spec/vectors/curve.json");

pub(crate) fn curve() -> Value {
    serde_json::from_str(CURVE).unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex(value.as_str().unwrap())
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn secret(table: &Value, name: &str) -> [u8; 32] {
    hex32(table["keys"][name]["sk"].as_str().unwrap())
}

/// Both ends of the table, with the randomness it names.
pub(crate) struct Ends {
    table: Value,
    offer: Offer,
    floor: ExtensionSet,
    r_bind: Vec<u8>,
}

impl Ends {
    pub(crate) fn new(offer: Offer, r_bind: &[u8]) -> Self {
        Self {
            table: curve(),
            offer,
            floor: ExtensionSet::NONE,
            r_bind: r_bind.to_vec(),
        }
    }

    pub(crate) fn keys(&self, name: &str) -> Arc<KeyPair> {
        key_pair(secret(&self.table, name))
    }

    pub(crate) fn secret(&self, name: &str) -> [u8; 32] {
        secret(&self.table, name)
    }

    fn script(&self, names: &[&Value], rest: &[u8]) -> Script {
        let mut parts: Vec<Vec<u8>> = names.iter().map(|name| bytes(name)).collect();
        parts.push(rest.to_vec());
        Script::new(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    pub(crate) fn hello(&self) -> (ClientHandshake, Vec<u8>) {
        let mut script = self.script(&[&self.table["keys"]["EC"]["sk"], &self.table["Ctag"]], &[]);
        let setup = ClientSetup {
            keys: self.keys("C"),
            server: self.keys("S").public(),
            offer: self.offer.clone(),
            floor: self.floor,
            timing: Timing::STREAM,
        };
        let started = ClientHandshake::start(setup, NOW, &mut script).unwrap();
        assert!(script.is_used_up());
        started
    }

    pub(crate) fn await_hello(&self) -> ServerHandshake {
        let identity = Identity {
            keys: self.keys("S"),
            allowed: Allowed::only(self.keys("C").public(), self.floor, &mut rng(0)),
        };
        let setup = ServerSetup::new(vec![Arc::new(identity)], self.offer.clone(), Timing::STREAM);
        ServerHandshake::new(Arc::new(setup.unwrap()), NOW)
    }

    pub(crate) fn cookie(&self, hello: &[u8]) -> Result<(AwaitVouch, Vec<u8>), Refusal> {
        let mut script = self.script(
            &[
                &self.table["keys"]["ES"]["sk"],
                &self.table["Stag"],
                &self.table["R_cookie"],
            ],
            &[],
        );
        let answered = self.await_hello().receive(hello, NOW, &mut script)?;
        assert!(script.is_used_up());
        Ok(answered)
    }

    pub(crate) fn vouch(
        &self,
        client: ClientHandshake,
        cookie: &[u8],
    ) -> Result<(Established<Client>, Vec<u8>), Refusal> {
        let mut script = self.script(&[&self.table["R_vouch"]], &self.r_bind);
        let vouched = client.receive(cookie, NOW, &mut script)?;
        assert!(script.is_used_up());
        Ok(vouched)
    }

    pub(crate) fn meet(&self) -> (Established<Client>, Established<Server>, [Vec<u8>; 3]) {
        let (client, hello) = self.hello();
        let (server, cookie) = self.cookie(&hello).unwrap();
        let (client, vouch) = self.vouch(client, &cookie).unwrap();
        let server = server.receive(&vouch, NOW).unwrap();
        (client, server, [hello, cookie, vouch])
    }
}

fn base_ends() -> Ends {
    Ends::new(Offer::Strict, &[])
}

/// Both ends after the messages of the table; `client` has sent counters 0
/// and 1 and received 0.
fn after_messages(ends: &Ends) -> (Established<Client>, Established<Server>) {
    let (mut client, mut server, _) = ends.meet();
    for message in ends.table["messages"].as_array().unwrap() {
        let plain = bytes(&message["plain"]);
        assert_eq!(sha256(&plain), bytes(&message["plain_sha256"]));
        let is_from_client = message["dir"] == "c2s";
        let mut frame = vec![];
        match (is_from_client, plain.is_empty()) {
            (true, false) => client.seal(&plain, NOW, &mut frame).unwrap(),
            (true, true) => client.seal_keep_alive(NOW, &mut frame).unwrap(),
            (false, _) => server.seal(&plain, NOW, &mut frame).unwrap(),
        }
        assert_eq!(frame, bytes(&message["frame"]));
        assert_eq!(sha256(&frame), bytes(&message["frame_sha256"]));
        let opened = if is_from_client {
            server.open(&mut frame, NOW).unwrap()
        } else {
            client.open(&mut frame, NOW).unwrap()
        };
        let expected = if plain.is_empty() {
            Opened::KeepAlive
        } else {
            Opened::Message(&plain)
        };
        assert_eq!(opened, expected);
    }
    (client, server)
}

#[test]
fn the_rule_gives_the_keys() {
    let table = curve();
    for name in ["C", "S", "EC", "ES", "EU", "intruder"] {
        let stream = Sha512::digest(format!("keystead-curve-vector:{name}:0"));
        assert_eq!(stream[..32], secret(&table, name), "{name}");
        let public = key_pair(secret(&table, name)).public();
        assert_eq!(public.as_bytes()[..], bytes(&table["keys"][name]["pk"]));
    }
}

#[test]
fn handshake_of_the_base_profile() {
    let ends = base_ends();
    let (client, server, frames) = ends.meet();
    let expected = ends.table["transcript"].as_array().unwrap();
    assert_eq!(frames.len(), expected.len());
    for (frame, expected) in frames.iter().zip(expected) {
        assert_eq!(*frame, bytes(&expected["frame"]));
    }
    assert_eq!(server.peer(), ends.keys("C").public());
    assert_eq!(client.peer(), ends.keys("S").public());
    assert!(server.is_heard() && !client.is_heard());
    assert!(client.export(b"test").is_none() && server.export(b"test").is_none());
}

#[test]
fn messages_of_the_base_profile() {
    after_messages(&base_ends());
}

#[test]
fn every_reject_is_refused_with_its_reason() {
    let ends = base_ends();
    let table = curve();
    let rejects = table["reject"].as_array().unwrap();
    assert_eq!(rejects.len(), 8);
    for reject in rejects {
        let mut frame = bytes(&reject["frame"]);
        let by_deframer = |accepts| {
            let mut rest = &frame[..];
            let mut deframer = Deframer::new();
            deframer
                .take(&mut rest, &accepts)
                .map(|taken| taken.is_some())
        };
        let refusal = match reject["state"].as_str().unwrap() {
            "await_hello" => {
                let refusal = ends.cookie(&frame).err();
                if refusal == Some(Refusal::Length) {
                    let accepts = ends.await_hello().accepts();
                    assert_eq!(by_deframer(accepts), Err(Refusal::Length));
                }
                refusal
            }
            "await_cookie" => ends.vouch(ends.hello().0, &frame).err(),
            "await_vouch" => {
                let (_, hello) = ends.hello();
                let (server, _) = ends.cookie(&hello).unwrap();
                server.receive(&frame, NOW).err()
            }
            "established_after_c2s_2" => {
                let (mut client, mut server) = after_messages(&ends);
                if reject["receiver"] == "server" {
                    assert_eq!(by_deframer(server.accepts()), Err(Refusal::Length));
                    server.open(&mut frame, NOW).err()
                } else {
                    reflected(&mut client, &mut server, &mut frame)
                }
            }
            state => panic!("unknown state {state}"),
        };
        let name = format!("{:?}", refusal.expect("refused"));
        assert_eq!(
            name,
            reject["refusal"].as_str().unwrap(),
            "{}",
            reject["id"]
        );
    }
}

/// The client's message 2 comes back to it when it awaits message 2.
fn reflected(
    client: &mut Established<Client>,
    server: &mut Established<Server>,
    frame: &mut [u8],
) -> Option<Refusal> {
    // It is a good message where it was meant to go.
    let opened = server
        .open(&mut frame.to_vec(), NOW)
        .map(|opened| match opened {
            Opened::Message(message) => message.len(),
            Opened::KeepAlive | Opened::Close(_) => 0,
        });
    assert_eq!(opened, Ok(1000));
    let mut answer = vec![];
    server.seal(b"1", NOW, &mut answer).unwrap();
    assert_eq!(client.open(&mut answer, NOW), Ok(Opened::Message(b"1")));
    client.open(frame, NOW).err()
}

#[test]
fn a_reflected_message_out_of_turn_is_a_replay() {
    let ends = base_ends();
    let table = curve();
    let reject = &table["reject"][6];
    assert_eq!(reject["id"], "msg-reflect");
    let (mut client, _) = after_messages(&ends);
    let refusal = client.open(&mut bytes(&reject["frame"]), NOW).err();
    assert_eq!(refusal, Some(Refusal::Replay));
}

#[test]
fn close_of_the_base_profile_uses_its_own_label() {
    let ends = base_ends();
    let (client, mut server) = after_messages(&ends);
    let mut frame = vec![];
    client.close(CloseCode::Unpaired, NOW, &mut frame);
    assert_eq!(frame.len(), 28);
    let nonce = super::model::nonce("keystead-end-c2s", &2_u64.to_be_bytes());
    let es = ends.keys("ES").public();
    let plain = super::model::open(&ends.secret("EC"), es.as_bytes(), &nonce, &frame[11..]);
    assert_eq!(plain, [3]);
    assert_eq!(
        server.open(&mut frame, NOW),
        Ok(Opened::Close(CloseCode::Unpaired))
    );
    assert_eq!(server.end_of_stream(), Ok(()));
}

#[test]
fn keys_print_as_hex_and_only_the_public_half() {
    assert_eq!(format!("{:?}", PublicKey::new([0xab; 32])), "ab".repeat(32));
}
