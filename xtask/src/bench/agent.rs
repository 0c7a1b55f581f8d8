//! As much of an SSH agent's client as a measurement needs
//! (draft-ietf-sshm-ssh-agent, sections 3 to 5).

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::failure::{About, Failure, Result};

/// One connection, with the first key that the agent lists.
pub(super) struct Client {
    stream: UnixStream,
    key: Vec<u8>,
    /// Makes each request another one.
    counter: u32,
}

impl Client {
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).about(socket.display())?;
        stream
            .set_read_timeout(Some(WAIT))
            .about(socket.display())?;
        let mut client = Self {
            stream,
            key: Vec::new(),
            counter: 0,
        };
        let answer = client.ask(&[REQUEST_IDENTITIES])?;
        // byte type, u32 count, then each key: string blob, string comment.
        let after = answer
            .strip_prefix(&[IDENTITIES_ANSWER])
            .and_then(|rest| rest.get(4..))
            .ok_or_else(|| Failure::new("the agent lists nothing"))?;
        client.key = take_string(after)?.to_owned();
        Ok(client)
    }

    /// Has a login signed: what ssh would send, for another session each time.
    pub(super) fn sign(&mut self) -> Result<()> {
        self.counter += 1;
        let mut message = vec![SIGN_REQUEST];
        put_string(&mut message, &self.key);
        put_string(&mut message, &self.userauth()?);
        message.extend(0_u32.to_be_bytes());
        let answer = self.ask(&message)?;
        if answer.first() == Some(&SIGN_RESPONSE) {
            Ok(())
        } else {
            Err(Failure::new("the agent did not sign"))
        }
    }

    /// RFC 4252 section 7: what a publickey login signs.
    fn userauth(&self) -> Result<Vec<u8>> {
        let mut session = vec![0; SESSION_ID_BYTES];
        session.splice(..4, self.counter.to_be_bytes());
        let mut blob = Vec::new();
        put_string(&mut blob, &session);
        blob.push(USERAUTH_REQUEST);
        put_string(&mut blob, b"alex");
        put_string(&mut blob, b"ssh-connection");
        put_string(&mut blob, b"publickey");
        blob.push(1);
        put_string(&mut blob, take_string(&self.key)?);
        put_string(&mut blob, &self.key);
        Ok(blob)
    }

    fn ask(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        let mut frame = Vec::new();
        put_string(&mut frame, message);
        self.stream.write_all(&frame).about("the agent")?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).about("the agent")?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > ANSWER_BYTES_MAX {
            return Err(Failure::new("the agent's answer is too long"));
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).about("the agent")?;
        Ok(answer)
    }
}

fn put_string(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend(length.to_be_bytes());
    to.extend(bytes);
}

fn take_string(from: &[u8]) -> Result<&[u8]> {
    let cut = || Failure::new("the agent's answer is cut");
    let (length, rest) = from.split_first_chunk().ok_or_else(cut)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    rest.get(..length).ok_or_else(cut)
}

/// Message numbers: draft-ietf-sshm-ssh-agent, section 6.1.
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// RFC 4252 section 6.
const USERAUTH_REQUEST: u8 = 50;

/// A SHA-256 exchange hash (RFC 4253 section 7.2).
const SESSION_ID_BYTES: usize = 32;

/// What OpenSSH's agent client takes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Longer than a person's minute.
const WAIT: Duration = Duration::from_secs(100);
