//! One client's connection: bytes in both directions, and keepers' answers between them.
//!
//! **Invariant:** what passes is not kept: buffers are wiped, and nothing is read ahead of what the
//! conversation takes. A client that leaves takes back what it asked.

use std::future::pending;
use std::pin::Pin;

use keystead_agent::gpg::{Action, Answer, Bring, Conversation, Event, Failure as GpgFailure};
use keystead_formats::assuan::{ErrorCode, LineBuffer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::{Zeroize, Zeroizing};

use super::asking::Asker;
use super::keys_file::KeysFile;
use crate::failure::Failure;

/// One end: where it is read, where it is written.
pub(super) struct End {
    reader: Box<dyn AsyncRead + Unpin>,
    writer: Box<dyn AsyncWrite + Unpin>,
    lines: LineBuffer,
    bytes: Zeroizing<Vec<u8>>,
    /// What is to be written.
    going: Zeroizing<Vec<u8>>,
}

impl End {
    pub(super) fn new(
        reader: impl AsyncRead + Unpin + 'static,
        writer: impl AsyncWrite + Unpin + 'static,
    ) -> Self {
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
            lines: LineBuffer::new(),
            bytes: Zeroizing::new(vec![0; READ_BYTES]),
            going: Zeroizing::new(Vec::with_capacity(READ_BYTES)),
        }
    }

    /// Puts bytes with those that go out together.
    fn put(&mut self, bytes: &Zeroizing<Vec<u8>>) {
        // A vector that grows leaves its bytes behind: one that is wiped takes its place.
        if self.going.len() + bytes.len() > self.going.capacity() {
            let room = 2 * (self.going.len() + bytes.len());
            let mut wider = Zeroizing::new(Vec::with_capacity(room));
            wider.extend_from_slice(&self.going);
            self.going = wider;
        }
        self.going.extend_from_slice(bytes);
    }

    /// Lets them go, in one piece: whoever reads is woken once an answer.
    async fn send(&mut self) {
        if self.going.is_empty() {
            return;
        }
        // An end that is gone is seen when it is read.
        let _ = self.writer.write_all(&self.going).await;
        let _ = self.writer.flush().await;
        self.going.zeroize();
    }

    /// Reads some; 0 at its end or an error, which is the same to us.
    async fn read(&mut self) -> usize {
        self.reader.read(&mut self.bytes).await.unwrap_or(0)
    }
}

/// How a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client left.
    Left,
    /// The client wants the agent to end.
    Killed,
}

/// Carries a conversation to its end. `killing` is called before a client hears that the agent
/// ends.
pub(super) async fn carry(
    mut client: End,
    mut behind: Option<End>,
    mut conversation: Conversation,
    keys: &KeysFile,
    asker: &Asker,
    killing: impl Fn(),
) -> Ended {
    let mut asked: Option<Pin<Box<dyn Future<Output = Answer> + '_>>> = None;
    let mut killed = false;
    let mut is_heard = true;
    let mut came = Vec::new();
    if behind.is_none() {
        came = conversation.step(Event::BehindLeft, &keys.current());
    }
    loop {
        for action in came.drain(..) {
            match action {
                Action::ToClient(bytes) => client.put(&bytes),
                Action::ToBehind(bytes) => {
                    if let Some(behind) = &mut behind {
                        behind.put(&bytes);
                    }
                }
                Action::Ask(ask) => asked = Some(Box::pin(asker.ask(*ask))),
                Action::Bring(bring) => asked = Some(Box::pin(brought(keys, asker, *bring))),
                Action::Say(text) => asker.say(&text),
                Action::Withdraw => asked = None,
                Action::KillAgent => {
                    killed = true;
                    killing();
                }
                Action::HangUp => {
                    client.send().await;
                    let _ = client.writer.shutdown().await;
                    return if killed { Ended::Killed } else { Ended::Left };
                }
            }
        }
        client.send().await;
        if let Some(behind) = &mut behind {
            behind.send().await;
        }
        tokio::select! {
            count = client.read(), if is_heard => {
                let keys = keys.current();
                let mut arrived = client.bytes.get(..count).unwrap_or_default();
                if arrived.is_empty() {
                    is_heard = false;
                    came = conversation.step(Event::ClientLeft, &keys);
                }
                while let Some(line) = client.lines.next_line(&mut arrived) {
                    came.extend(conversation.step(Event::Client(line), &keys));
                }
            }
            count = read(&mut behind) => {
                let keys = keys.current();
                if count == 0 {
                    behind = None;
                    came = conversation.step(Event::BehindLeft, &keys);
                } else if let Some(end) = &mut behind {
                    let mut arrived = end.bytes.get(..count).unwrap_or_default();
                    while let Some(line) = end.lines.next_line(&mut arrived) {
                        // What is longer than Assuan allows is no answer.
                        let event = line.map_or(Event::BehindLeft, Event::Behind);
                        came.extend(conversation.step(event, &keys));
                    }
                }
            }
            answer = answered(&mut asked) => {
                asked = None;
                came = conversation.step(Event::Answered(answer), &keys.current());
            }
        }
    }
}

/// A key that was brought is in the map before gpg hears of it. Room for it is there before its
/// keeper is asked: one that a keeper has made cannot be made again.
async fn brought(keys: &KeysFile, asker: &Asker, bring: Bring) -> Answer {
    let room = match keys.room() {
        Ok(room) => room,
        Err(failure) => return not_kept(failure),
    };
    let answer = asker.bring(bring).await;
    let Answer::Brought(key) = &answer else {
        return answer;
    };
    match keys.put(key, room) {
        Ok(()) => answer,
        Err(failure) => not_kept(failure),
    }
}

fn not_kept(failure: Failure) -> Answer {
    Answer::Failed(GpgFailure {
        code: ErrorCode::GENERAL,
        text: failure.message,
    })
}

async fn read(end: &mut Option<End>) -> usize {
    match end {
        Some(end) => end.read().await,
        None => pending().await,
    }
}

async fn answered(asked: &mut Option<Pin<Box<dyn Future<Output = Answer> + '_>>>) -> Answer {
    match asked {
        Some(asked) => asked.await,
        None => pending().await,
    }
}

/// Four lines of Assuan: most of what a client says fits, and a key's bytes come in few pieces.
const READ_BYTES: usize = 4_096;
