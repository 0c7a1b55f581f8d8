//! As much of an SSH agent's client as a measurement needs (RFC 9987).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use keystead_tests::{About, Failure, Result};

/// One connection.
pub(crate) struct Client {
    stream: UnixStream,
    answer: Vec<u8>,
    /// Makes each request another one.
    counter: u32,
}

impl Client {
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).about(socket.display())?;
        stream.set_read_timeout(Some(WAIT)).about("the agent")?;
        Ok(Self {
            stream,
            answer: Vec::new(),
            counter: std::process::id(),
        })
    }

    /// All keys' blobs.
    pub(crate) fn list(&mut self) -> Result<Vec<Vec<u8>>> {
        self.ask(&[0, 0, 0, 1, REQUEST_IDENTITIES])?;
        // byte type, u32 count, then each key: string blob, string comment.
        let mut rest = self
            .answer
            .strip_prefix(&[IDENTITIES_ANSWER])
            .and_then(|rest| rest.get(4..))
            .ok_or_else(|| Failure::new("the agent lists nothing"))?;
        let mut keys = Vec::new();
        while !rest.is_empty() {
            let (blob, after) = take_string(rest)?;
            let (_, after) = take_string(after)?;
            keys.push(blob.to_owned());
            rest = after;
        }
        Ok(keys)
    }

    /// The first key of an algorithm.
    pub(crate) fn key(&mut self, algorithm: &str) -> Result<Vec<u8>> {
        let is_it =
            |blob: &Vec<u8>| take_string(blob).is_ok_and(|(name, _)| name == algorithm.as_bytes());
        let found = self.list()?.into_iter().find(is_it);
        found.ok_or_else(|| Failure::new(format!("the agent has no {algorithm} key")))
    }

    /// Has a login signed: what ssh would send, for another session each time.
    pub(crate) fn sign(&mut self, key: &[u8]) -> Result<()> {
        self.counter = self.counter.wrapping_add(1);
        let mut message = vec![SIGN_REQUEST];
        put_string(&mut message, key);
        put_string(&mut message, &self.userauth(key)?);
        message.extend(0_u32.to_be_bytes());
        let mut frame = Vec::new();
        put_string(&mut frame, &message);
        self.ask(&frame)?;
        match self.answer.first() {
            Some(&SIGN_RESPONSE) => Ok(()),
            _ => Err(Failure::new("the agent did not sign")),
        }
    }

    /// Says again what another program said; the answer is of the kind that it had.
    pub(crate) fn repeat(&mut self, frame: &[u8], answer: u8) -> Result<()> {
        self.ask(frame)?;
        match self.answer.first() {
            Some(kind) if *kind == answer => Ok(()),
            kind => Err(Failure::new(format!("the agent answered {kind:?}"))),
        }
    }

    /// RFC 4252 section 7: what a publickey login signs.
    fn userauth(&self, key: &[u8]) -> Result<Vec<u8>> {
        let mut session = vec![0; SESSION_ID_BYTES];
        session.splice(..4, self.counter.to_be_bytes());
        let mut blob = Vec::new();
        put_string(&mut blob, &session);
        blob.push(USERAUTH_REQUEST);
        put_string(&mut blob, b"alex");
        put_string(&mut blob, b"ssh-connection");
        put_string(&mut blob, b"publickey");
        blob.push(1);
        put_string(&mut blob, take_string(key)?.0);
        put_string(&mut blob, key);
        Ok(blob)
    }

    fn ask(&mut self, frame: &[u8]) -> Result<()> {
        self.stream.write_all(frame).about("the agent")?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).about("the agent")?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > ANSWER_BYTES_MAX {
            return Err(Failure::new("the agent's answer is too long"));
        }
        self.answer.resize(length, 0);
        self.stream.read_exact(&mut self.answer).about("the agent")
    }
}

pub(crate) fn put_string(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend(length.to_be_bytes());
    to.extend(bytes);
}

fn take_string(from: &[u8]) -> Result<(&[u8], &[u8])> {
    let cut = || Failure::new("the agent's answer is cut");
    let (length, rest) = from.split_first_chunk().ok_or_else(cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    rest.split_at_checked(length).ok_or_else(cut)
}

/// Message numbers: RFC 9987 section 7.1.
pub(crate) const SUCCESS: u8 = 6;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
pub(crate) const SIGN_REQUEST: u8 = 13;
pub(crate) const SIGN_RESPONSE: u8 = 14;
pub(crate) const EXTENSION: u8 = 27;

/// RFC 4252 section 6.
const USERAUTH_REQUEST: u8 = 50;

/// A SHA-256 exchange hash (RFC 4253 section 7.2).
const SESSION_ID_BYTES: usize = 32;

/// What OpenSSH's agent client takes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Longer than a person's minute.
const WAIT: Duration = Duration::from_secs(100);
