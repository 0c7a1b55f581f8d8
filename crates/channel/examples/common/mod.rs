//! What the two examples share: their options, their key files, and a TCP
//! stream that gives whole frames.
//!
//! The sockets are plain ones and block: the library has none at all.

use std::fmt::Display;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead_channel::curve::{
    Accepts, Deframer, Extension, ExtensionSet, KeyPair, Offer, PublicKey, Refusal,
};
use keystead_core::{Secret, SecretBytes};

/// The command line of either example.
pub(crate) struct Options {
    pub(crate) address: String,
    secret_key_file: PathBuf,
    peer_key_file: PathBuf,
    is_strict: bool,
}

impl Options {
    /// Reads the arguments; `address_option` is `--listen` or `--connect`.
    pub(crate) fn parse(address_option: &str) -> Result<Self, Failure> {
        let usage = || {
            Failure::Usage(format!(
                "{address_option} ADDRESS --secret-key-file FILE --peer-key-file FILE [--strict]"
            ))
        };
        let (mut address, mut secret_key_file, mut peer_key_file) = (None, None, None);
        let mut is_strict = false;
        let mut arguments = std::env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            let place = match argument.to_str() {
                Some("--strict") => {
                    is_strict = true;
                    continue;
                }
                Some(option) if option == address_option => &mut address,
                Some("--secret-key-file") => &mut secret_key_file,
                Some("--peer-key-file") => &mut peer_key_file,
                Some(_) | None => return Err(usage()),
            };
            let value = arguments.next().ok_or_else(usage)?;
            if place.replace(value).is_some() {
                return Err(usage());
            }
        }
        let address = address.and_then(|address| address.into_string().ok());
        Ok(Self {
            address: address.ok_or_else(usage)?,
            secret_key_file: secret_key_file.ok_or_else(usage)?.into(),
            peer_key_file: peer_key_file.ok_or_else(usage)?.into(),
            is_strict,
        })
    }

    /// Own key pair and the peer's public key.
    pub(crate) fn read_keys(&self) -> Result<(Arc<KeyPair>, PublicKey), Failure> {
        let own = KeyPair::from_secret(read_key(&self.secret_key_file)?);
        let peer = read_key(&self.peer_key_file)?;
        Ok((Arc::new(own), PublicKey::new(*peer.expose())))
    }

    /// What is offered or taken, and what must be chosen.
    pub(crate) fn profile(&self) -> (Offer, ExtensionSet) {
        if self.is_strict {
            (Offer::Strict, ExtensionSet::NONE)
        } else {
            let floor = ExtensionSet::NONE.with(Extension::Bind);
            (Offer::standard(), floor)
        }
    }
}

/// Reads 64 hexadecimal digits and perhaps a newline.
fn read_key(path: &PathBuf) -> Result<Secret<32>, Failure> {
    let failed = |reason: &dyn Display| Failure::Error(format!("{}: {reason}", path.display()));
    let malformed = || failed(&"a key file holds 64 hexadecimal digits");
    let mut file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut filled = 0;
    let mut read = Ok(());
    let mut text = SecretBytes::fill(KEY_FILE_BYTES_MAX + 1, |buffer| {
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    read = Err(error);
                    break;
                }
            }
        }
    });
    read.map_err(|error| failed(&error))?;
    text.truncate(filled);
    let digits = text.expose();
    let digits = digits.strip_suffix(b"\n").unwrap_or(digits);
    if digits.len() != 64 {
        return Err(malformed());
    }
    Secret::try_fill(|key| {
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair
                .iter()
                .try_fold(0, |byte, digit| Some(byte << 4 | hex_value(*digit)?))
                .ok_or_else(malformed)?;
        }
        Ok(())
    })
}

fn hex_value(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// A TCP stream whose bytes come as frames.
pub(crate) struct Link {
    stream: TcpStream,
    deframer: Deframer,
    /// What was read and not yet taken: `input[taken..filled]`.
    input: Vec<u8>,
    taken: usize,
    filled: usize,
}

impl Link {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Each frame is answered before the next: waiting to fill packets only delays.
        let _without_delay = stream.set_nodelay(true);
        Self {
            stream,
            deframer: Deframer::new(),
            input: vec![0; INPUT_BYTES],
            taken: 0,
            filled: 0,
        }
    }

    /// The next frame of those that `accepts` takes; `timeout_ms` by [`Clock`].
    pub(crate) fn frame(
        &mut self,
        accepts: &Accepts,
        clock: &Clock,
        timeout_ms: Option<u64>,
    ) -> Result<Vec<u8>, Failure> {
        loop {
            let mut rest = self.input.get(self.taken..self.filled).unwrap_or_default();
            let frame = self
                .deframer
                .take(&mut rest, accepts)?
                .map(|frame| frame.to_vec());
            self.taken = self.filled - rest.len();
            if let Some(frame) = frame {
                return Ok(frame);
            }
            self.wait(clock, timeout_ms)?;
        }
    }

    /// Waits until the peer has sent something.
    pub(crate) fn wait(&mut self, clock: &Clock, timeout_ms: Option<u64>) -> Result<(), Failure> {
        if self.taken < self.filled {
            return Ok(());
        }
        let left_ms = timeout_ms.map(|timeout_ms| timeout_ms.saturating_sub(clock.now_ms()));
        if left_ms == Some(0) {
            return Err(Refusal::Timeout.into());
        }
        self.stream
            .set_read_timeout(left_ms.map(Duration::from_millis))?;
        loop {
            match self.stream.read(&mut self.input) {
                Ok(0) => return Err(Refusal::Truncated.into()),
                Ok(count) => {
                    (self.taken, self.filled) = (0, count);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(error.kind()) => return Err(Refusal::Timeout.into()),
                Err(error) if is_drop(error.kind()) => return Err(Refusal::Truncated.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.stream.write_all(bytes) {
            Err(error) if is_drop(error.kind()) => Err(Refusal::Truncated.into()),
            sent => Ok(sent?),
        }
    }
}

/// What a read gives when its time is over.
fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// What is left of a connection that the peer refused: it just drops it.
fn is_drop(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Milliseconds since the program began: what the library takes as `now_ms`.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the example is the edge where time comes in"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Why the program ends.
pub(crate) enum Failure {
    /// The arguments are wrong: what they should be.
    Usage(String),
    /// One line that says what failed.
    Error(String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Error(if refusal == Refusal::Truncated {
            "the peer dropped the connection: it may not know this key or want another profile"
                .to_owned()
        } else {
            refusal.to_string()
        })
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Error(error.to_string())
    }
}

/// One line on standard error for a failure, and the exit status.
pub(crate) fn exit(program: &str, outcome: Result<(), Failure>) -> ExitCode {
    let (line, status) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(usage)) => (format!("usage: {program} {usage}"), 2),
        Err(Failure::Error(error)) => (format!("{program}: error: {error}"), 1),
    };
    say(&line);
    ExitCode::from(status)
}

/// One line on standard error; if that is closed, nobody listens.
pub(crate) fn say(line: &str) {
    let _written = writeln!(std::io::stderr(), "{line}");
}

/// 64 digits and a newline; one byte more shows that the file is longer.
const KEY_FILE_BYTES_MAX: usize = 65;

/// One read of the socket: about the greatest frame.
const INPUT_BYTES: usize = 64 * 1024;
