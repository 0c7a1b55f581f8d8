//! A link whose handshake is done, the same for both sides.

use keystead_sodium::memory::wipe;

use super::message::{Assembler, parts};
use super::{LinkEnd, LinkEvent, LinkOutput, MESSAGE_BYTES_MAX};
use crate::curve::{
    Accepts, CloseCode, Due, Established, Opened, PublicKey, Refusal, Role, SendError,
};

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendFault {
    /// The handshake is not done.
    #[error("the channel is not established yet")]
    NotEstablished,
    /// There is no empty message, nor one above [`MESSAGE_BYTES_MAX`].
    #[error("a message has 1 to {MESSAGE_BYTES_MAX} bytes, not {0}")]
    Length(usize),
    /// The link has ended.
    #[error("the channel has ended")]
    Ended,
}

/// Messages over an established connection.
pub(super) struct Traffic<R: Role> {
    channel: Established<R>,
    assembler: Assembler,
    renewal_is_told: bool,
}

impl<R: Role> Traffic<R> {
    pub(super) fn new(channel: Established<R>) -> Self {
        Self {
            channel,
            assembler: Assembler::default(),
            renewal_is_told: false,
        }
    }

    pub(super) fn accepts(&self) -> Accepts {
        self.channel.accepts()
    }

    pub(super) fn established(&self) -> LinkEvent {
        LinkEvent::Established {
            peer: self.channel.peer(),
            own: self.channel.own(),
        }
    }

    pub(super) fn peer(&self) -> PublicKey {
        self.channel.peer()
    }

    pub(super) fn own(&self) -> PublicKey {
        self.channel.own()
    }

    pub(super) fn is_heard(&self) -> bool {
        self.channel.is_heard()
    }

    pub(super) fn export(&self, label: &[u8]) -> Option<keystead_core::Secret<32>> {
        self.channel.export(label)
    }

    /// Opens a frame, which is wiped: it may have held a pairing's key. None comes back
    /// when the link has ended.
    pub(super) fn frame(
        mut self,
        now_ms: u64,
        frame: &mut [u8],
        output: &mut LinkOutput,
    ) -> Option<Self> {
        let taken = match self.channel.open(frame, now_ms) {
            Ok(Opened::Message(message)) => {
                let taken = self.assembler.take(message);
                wipe(frame);
                taken
            }
            Ok(Opened::KeepAlive) => Ok(None),
            Ok(Opened::Close(code)) => {
                output.end(LinkEnd::Closed(code));
                return None;
            }
            Err(refusal) => {
                output.end(LinkEnd::Refused(refusal));
                return None;
            }
        };
        match taken {
            Ok(message) => {
                output.events.extend(message.map(LinkEvent::Message));
                Some(self)
            }
            Err(breach) => {
                output
                    .frames
                    .extend(self.close(now_ms, CloseCode::BrokenRules));
                output.end(LinkEnd::Broken(breach));
                None
            }
        }
    }

    pub(super) fn send(&mut self, now_ms: u64, message: &[u8]) -> Result<Vec<Vec<u8>>, SendFault> {
        if message.is_empty() || message.len() > MESSAGE_BYTES_MAX {
            return Err(SendFault::Length(message.len()));
        }
        parts(message, self.channel.message_bytes_max())
            .map(|mut part| {
                let mut frame = Vec::new();
                let sealed = self.channel.seal(&part, now_ms, &mut frame);
                wipe(&mut part);
                match sealed {
                    Ok(()) => Ok(frame),
                    Err(SendError::Ended) => Err(SendFault::Ended),
                    Err(_) => Err(SendFault::Length(message.len())),
                }
            })
            .collect()
    }

    /// The Close frame, if there is still one to send.
    pub(super) fn close(self, now_ms: u64, code: CloseCode) -> Option<Vec<u8>> {
        let mut frame = Vec::new();
        self.channel.close(code, now_ms, &mut frame);
        (!frame.is_empty()).then_some(frame)
    }

    /// What the time asks for. None comes back when the link has ended.
    pub(super) fn tick(mut self, now_ms: u64, output: &mut LinkOutput) -> Option<Self> {
        match self.channel.due(now_ms) {
            Due::Nothing => {}
            Due::KeepAlive => {
                let mut frame = Vec::new();
                if self.channel.seal_keep_alive(now_ms, &mut frame).is_ok() {
                    output.frames.push(frame);
                }
            }
            Due::Dead => {
                output.end(LinkEnd::Silent);
                return None;
            }
            Due::Rehandshake if self.renewal_is_told => {}
            Due::Rehandshake => {
                self.renewal_is_told = true;
                output.event(LinkEvent::Renew);
            }
        }
        Some(self)
    }

    /// When [`Traffic::tick`] is due; none once only a new channel can help.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        (!self.renewal_is_told).then(|| self.channel.next_due_ms())
    }

    /// What the end of the transport means.
    pub(super) fn end_of_stream(&self) -> Refusal {
        match self.channel.end_of_stream() {
            Ok(()) => Refusal::Truncated,
            Err(refusal) => refusal,
        }
    }
}
