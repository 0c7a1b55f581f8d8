//! Standard input and output as stanzas.
//!
//! **Invariant:** file keys pass through locked memory alone, so no buffer of the standard library
//! is between.

use std::io;
use std::os::fd::BorrowedFd;

use keystead_core::SecretBytes;
use keystead_formats::ParseError;
use keystead_formats::age::plugin::{Answer, Phase, Say};
use keystead_formats::age::{Stanza, StanzaReader};
use rustix::io::{Errno, read, write};
use tokio::net::unix::pipe::Receiver;

use crate::failure::{Failure, Status};

/// What age and this plugin say to each other.
pub(super) struct Conversation {
    reader: StanzaReader,
    arrived: SecretBytes,
    /// What of `arrived` is not read yet.
    from: usize,
    to: usize,
}

impl Conversation {
    pub(super) fn new() -> Self {
        Self {
            reader: StanzaReader::new(),
            arrived: SecretBytes::fill(BUFFER_BYTES, |_| ()),
            from: 0,
            to: 0,
        }
    }

    /// The next stanza.
    fn next(&mut self) -> Result<Stanza, Failure> {
        loop {
            let arrived = self.arrived.expose().get(self.from..self.to);
            let mut rest = arrived.unwrap_or_default();
            let stanza = self.reader.next_stanza(&mut rest);
            self.from = self.to.saturating_sub(rest.len());
            if let Some(stanza) = stanza.map_err(|wrong| of_protocol(&wrong))? {
                return Ok(stanza);
            }
            let read = retry(|| read(input(), self.arrived.expose_mut()))?;
            if read == 0 {
                return Err(hung_up());
            }
            (self.from, self.to) = (0, read);
        }
    }

    /// Hears what age tells, to the end of its turn.
    pub(super) fn hear(
        &mut self,
        mut take: impl FnMut(&Stanza) -> Result<Phase, ParseError>,
    ) -> Result<(), Failure> {
        loop {
            let command = self.next()?;
            let malformed = |wrong| Failure::new(format!("age's command is malformed: {wrong}"));
            match take(&command).map_err(malformed)? {
                Phase::More => {}
                Phase::Done => return Ok(()),
            }
        }
    }

    /// Says something and hears that age has it.
    pub(super) fn say(&mut self, said: &Say<'_>) -> Result<Answer, Failure> {
        send(said)?;
        let answer = self.next()?;
        Answer::parse(&answer).map_err(|wrong| of_protocol(&wrong))
    }

    /// Says that all is said, which is not answered.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        send(&Say::Done)
    }
}

/// Ends when age has ended, which says nothing while it is this plugin's turn: what is asked on
/// its behalf is then taken back.
pub(super) async fn ended() -> Failure {
    // Only watched, never read by: it need not be without blocking.
    let watched = input().try_clone_to_owned();
    // A file in age's place cannot be watched, and does not end.
    let Ok(input) = watched.and_then(Receiver::from_owned_fd_unchecked) else {
        return std::future::pending().await;
    };
    let _ready = input.readable().await;
    hung_up()
}

fn send(said: &Say<'_>) -> Result<(), Failure> {
    let bytes = said.encode();
    let mut rest = bytes.expose();
    while !rest.is_empty() {
        let written = retry(|| write(rustix::stdio::stdout(), rest))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}

fn input() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}

fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, io::Error> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done.map_err(io::Error::from),
        }
    }
}

fn hung_up() -> Failure {
    Failure::new("age has ended").status(Status::NobodyReads)
}

fn of_protocol(wrong: &ParseError) -> Failure {
    Failure::new(format!(
        "age says what is not in its plugin protocol: {wrong}"
    ))
}

/// A pipe's usual portion.
const BUFFER_BYTES: usize = 4_096;
