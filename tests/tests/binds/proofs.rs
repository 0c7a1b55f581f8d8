//! A host's proofs, true and false ones, and what an agent says to them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use keystead_core::KeyType;
use keystead_formats::ssh::agent::Request;
use keystead_formats::ssh::{PublicKey, SessionBind, signature};
use keystead_tests::{About, Failure, Play, Result};
use keystead_vault::{RawSignature, SignOptions, SigningKey};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// A host that can prove itself.
struct Host(SigningKey);

impl Host {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        Self(SigningKey::generate(KeyType::Ed25519, &mut rng).unwrap())
    }

    fn bind(&self, session: u8, forwarding: bool) -> SessionBind {
        let session_id = vec![session; 32];
        let keystead_vault::PublicKey::Ed25519(public) = self.0.public() else {
            panic!("another key")
        };
        let raw = self.0.sign(&session_id, SignOptions::default()).unwrap();
        let RawSignature::Ed25519(raw) = raw else {
            panic!("another key")
        };
        SessionBind {
            host_key: PublicKey::ed25519(public),
            session_id,
            signature: signature::ed25519(&raw),
            forwarding,
        }
    }
}

/// Whether each of them is taken, in order, on one connection.
fn check(socket: &str, name: &str, binds: &[SessionBind], expected: &[bool]) -> Result<()> {
    let other = UnixStream::connect(socket).about("agent")?;
    let connection = UnixStream::connect(socket).about("agent")?;
    let mut taken = Vec::new();
    for bind in binds {
        let contents = bind.encode();
        let request = Request::Extension {
            name: SessionBind::EXTENSION,
            contents: &contents,
        };
        taken.push(ask(&connection, &request.encode())? == SUCCESS);
        if ask(&other, &[LIST])? != LISTED {
            return Err(Failure::new(format!("{name}: others are not served")));
        }
    }
    if taken != expected {
        return Err(Failure::new(format!("{name}: {taken:?}, not {expected:?}")));
    }
    Ok(())
}

fn ask(mut stream: &UnixStream, message: &[u8]) -> Result<u8> {
    stream.set_read_timeout(Some(WAIT)).about("agent")?;
    let length = u32::try_from(message.len()).about("a length")?;
    stream.write_all(&length.to_be_bytes()).about("agent")?;
    stream.write_all(message).about("agent")?;
    let mut head = [0; 5];
    stream.read_exact(&mut head).about("agent")?;
    let [a, b, c, d, kind] = head;
    let rest = u32::from_be_bytes([a, b, c, d]).saturating_sub(1);
    std::io::copy(&mut stream.take(rest.into()), &mut std::io::sink()).about("agent")?;
    Ok(kind)
}

fn check_all(socket: &str) -> Result<()> {
    let (one, two) = (Host::new(1), Host::new(2));
    let hops: Vec<SessionBind> = (0..17).map(|it| one.bind(it, true)).collect();
    let only_the_17th: Vec<bool> = (0..17).map(|it| it < 16).collect();
    check(socket, "17 binds", &hops, &only_the_17th)?;
    check(
        socket,
        "one session with two keys",
        &[one.bind(1, true), two.bind(1, true)],
        &[true, false],
    )?;
    check(
        socket,
        "behind the one that is for a login",
        &[one.bind(1, false), two.bind(2, false)],
        &[true, false],
    )?;
    let mut wrong = one.bind(1, false);
    wrong.session_id[0] ^= 1;
    check(socket, "another session's signature", &[wrong], &[false])?;
    let mut stolen = one.bind(1, false);
    stolen.host_key = two.bind(1, false).host_key;
    check(socket, "another host's signature", &[stolen], &[false])
}

#[test]
fn with_an_agent_of_paired_keys() -> Result<()> {
    let mut play = Play::new()?;
    play.script("with_agent")?;
    check_all(play.variable("SOCKET")?)?;
    play.finish()
}

#[test]
fn in_the_place_of_ssh_agent() -> Result<()> {
    let mut play = Play::new()?;
    play.script("dropped_in")?;
    check_all(play.variable("SSH_AUTH_SOCK")?)?;
    play.finish()
}

/// RFC 9987 section 7.1.
const SUCCESS: u8 = 6;
const LIST: u8 = 11;
const LISTED: u8 = 12;

/// Two busy cores may make an answer late.
const WAIT: Duration = Duration::from_secs(10);
