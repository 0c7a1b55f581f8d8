//! What goes back to a program: at once where its socket takes it.
//!
//! **Invariant:** answers leave in their order, and what a program does not read holds up nobody
//! but itself: while some of it waits, no more of its requests are read.

use std::io;

use keystead_daemon::frame::write_frame;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

/// A program's side of its socket.
pub(super) struct Answers {
    way: Way,
    flow: watch::Sender<bool>,
}

enum Way {
    Direct(OwnedWriteHalf),
    /// The socket was full once: a task writes.
    Task(mpsc::UnboundedSender<Vec<u8>>),
    Gone,
}

/// Whether the program reads what it gets: its requests are read only then.
#[derive(Clone)]
pub(super) struct Flow(watch::Receiver<bool>);

impl Flow {
    /// Waits until all that was answered is out.
    pub(super) async fn is_free(&mut self) {
        // An error is a program that is gone; reading it will say so.
        let _ = self.0.wait_for(|is_free| *is_free).await;
    }
}

impl Answers {
    pub(super) fn new(writer: OwnedWriteHalf) -> (Self, Flow) {
        let (flow, seen) = watch::channel(true);
        let way = Way::Direct(writer);
        (Self { way, flow }, Flow(seen))
    }

    /// Sends one message. A program that is gone needs no answer.
    pub(super) fn send(&mut self, message: Vec<u8>) {
        match std::mem::replace(&mut self.way, Way::Gone) {
            Way::Direct(writer) => self.way = self.write(writer, message),
            Way::Task(task) => {
                // Before the task can have it: its own word comes behind this one.
                self.flow.send_replace(false);
                match task.send(message) {
                    Ok(()) => self.way = Way::Task(task),
                    // The program is gone, which reading will say.
                    Err(_) => {
                        self.flow.send_replace(true);
                    }
                }
            }
            Way::Gone => {}
        }
    }

    fn write(&self, writer: OwnedWriteHalf, message: Vec<u8>) -> Way {
        let Some(frame) = framed(&message) else {
            return Way::Gone;
        };
        let written = match writer.try_write(&frame) {
            Ok(written) if written == frame.len() => return Way::Direct(writer),
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => return Way::Gone,
        };
        let rest = frame.get(written..).unwrap_or_default().to_vec();
        let (task, waiting) = mpsc::unbounded_channel();
        self.flow.send_replace(false);
        tokio::spawn(write_on(writer, rest, waiting, self.flow.clone()));
        Way::Task(task)
    }
}

async fn write_on(
    writer: OwnedWriteHalf,
    rest: Vec<u8>,
    waiting: mpsc::UnboundedReceiver<Vec<u8>>,
    flow: watch::Sender<bool>,
) {
    // An error is a program that is gone: only who reads on learns that it hung up.
    let _ = write_all(writer, rest, waiting, &flow).await;
    flow.send_replace(true);
}

async fn write_all(
    mut writer: OwnedWriteHalf,
    rest: Vec<u8>,
    mut waiting: mpsc::UnboundedReceiver<Vec<u8>>,
    flow: &watch::Sender<bool>,
) -> io::Result<()> {
    writer.write_all(&rest).await?;
    loop {
        if waiting.is_empty() {
            flow.send_replace(true);
        }
        let Some(message) = waiting.recv().await else {
            return Ok(());
        };
        write_frame(&mut writer, &message).await?;
    }
}

fn framed(message: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let len = u32::try_from(message.len()).ok()?;
    let mut frame = Zeroizing::new(Vec::with_capacity(message.len() + size_of::<u32>()));
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(message);
    Some(frame)
}

#[cfg(test)]
mod tests {
    use keystead_daemon::frame::{FrameReader, Limits};
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn who_does_not_read_gets_everything_in_order_later() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_reader, writer) = ours.into_split();
        let (mut answers, mut flow) = Answers::new(writer);
        flow.is_free().await;
        let message = |number: u8| vec![number; 100_000];
        for number in 0..20 {
            answers.send(message(number));
        }
        assert!(!*flow.0.borrow(), "some of it waits");
        let mut frames = FrameReader::new(theirs, Limits::SSH_AGENT);
        for number in 0..20 {
            let frame = frames.next().await.unwrap().unwrap();
            assert_eq!(frame.as_slice(), message(number));
        }
        flow.is_free().await;
        answers.send(vec![1]);
        assert_eq!(frames.next().await.unwrap().unwrap().as_slice(), [1]);
        drop(answers);
        assert!(
            frames.next().await.unwrap().is_none(),
            "nothing is kept open"
        );
    }

    #[tokio::test]
    async fn a_program_that_goes_before_it_has_read_is_noticed() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reader, writer) = ours.into_split();
        let (mut answers, mut flow) = Answers::new(writer);
        for _ in 0..20 {
            answers.send(vec![0; 100_000]);
        }
        assert!(!*flow.0.borrow(), "some of it waits");
        drop(theirs);
        flow.is_free().await;
        let mut frames = FrameReader::new(reader, Limits::SSH_AGENT);
        assert!(!matches!(frames.next().await, Ok(Some(_))));
        answers.send(vec![1]);
        flow.is_free().await;
    }

    #[tokio::test]
    async fn a_program_that_is_gone_stops_nobody() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_reader, writer) = ours.into_split();
        let (mut answers, _flow) = Answers::new(writer);
        drop(theirs);
        answers.send(vec![1]);
        answers.send(vec![2]);
    }
}
