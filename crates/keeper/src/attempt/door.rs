//! Where an authenticator may answer an offer: addresses that we listen on, and
//! the offer's mailbox.
//!
//! Invariant: who dials has [`HELLO_MS`] to say a whole hello and 156 bytes to
//! say it in; at most [`CALLERS_MAX`] do so at once, the oldest makes room.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use keystead_channel::mailbox::Mailbox;
use keystead_channel::pairing::HelloReader;
use keystead_transport::{Address, LinkId, NetAction, RelayUrl};

use crate::step::Step;

pub(crate) struct Door {
    listeners: Vec<Listener>,
    callers: BTreeMap<LinkId, Caller>,
    mailbox: Option<([u8; 16], [u8; 32])>,
}

struct Listener {
    asked: Address<SocketAddr>,
    address: Option<Result<Address<SocketAddr>, String>>,
}

/// Who has dialled and not said hello yet.
struct Caller {
    reader: HelloReader,
    until_ms: u64,
}

impl Door {
    pub(crate) fn open(addresses: &[SocketAddr], step: &mut Step<'_, '_>) -> Self {
        let mut listeners: Vec<Listener> = Vec::new();
        for asked in addresses.iter().take(LISTENERS_MAX).copied() {
            let asked = Address::Tcp(asked);
            if listeners.iter().any(|it| it.asked == asked) {
                continue;
            }
            let address = asked.clone();
            step.net(NetAction::Listen { address });
            listeners.push(Listener {
                asked,
                address: None,
            });
        }
        Self {
            listeners,
            callers: BTreeMap::new(),
            mailbox: None,
        }
    }

    pub(crate) fn listening(
        &mut self,
        asked: &Address<SocketAddr>,
        address: Result<Address<SocketAddr>, String>,
    ) {
        if let Some(listener) = self.listeners.iter_mut().find(|it| it.asked == *asked) {
            listener.address = Some(address);
        }
    }

    /// Whether each address has been had or not.
    pub(crate) fn is_ready(&self) -> bool {
        self.listeners.iter().all(|it| it.address.is_some())
    }

    /// Where we listen, `host:port`.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let addresses = self.listeners.iter().filter_map(|it| it.address.as_ref());
        addresses
            .filter_map(|address| address.as_ref().ok())
            .map(ToString::to_string)
            .collect()
    }

    /// Why we do not listen.
    pub(crate) fn trouble(&self) -> String {
        let addresses = self.listeners.iter().filter_map(|it| it.address.as_ref());
        addresses
            .filter_map(|address| address.as_ref().err().cloned())
            .next_back()
            .unwrap_or_else(|| "this machine has none".to_owned())
    }

    /// Reads the offer's mailbox.
    pub(crate) fn read(&mut self, relay: &RelayUrl, mailbox: &Mailbox, step: &mut Step<'_, '_>) {
        let (id, read_token) = (mailbox.id().0, *mailbox.read_token());
        self.mailbox = Some((id, read_token));
        step.net(NetAction::Subscribe {
            relay: relay.clone(),
            mailbox: id,
            read_token,
        });
    }

    pub(crate) fn reads(&self, mailbox: &[u8; 16]) -> bool {
        self.mailbox.as_ref().is_some_and(|(id, _)| id == mailbox)
    }

    pub(crate) fn accepted(&mut self, link: LinkId, step: &mut Step<'_, '_>) {
        while self.callers.len() >= CALLERS_MAX {
            // Ids rise, so the first is the oldest.
            let Some((oldest, _)) = self.callers.pop_first() else {
                break;
            };
            Self::hang_up(oldest, step);
        }
        let caller = Caller {
            reader: HelloReader::default(),
            until_ms: step.now_ms().saturating_add(HELLO_MS),
        };
        self.callers.insert(link, caller);
    }

    /// A caller's whole hello and what came behind it; the caller is then no more one.
    pub(crate) fn take_bytes(
        &mut self,
        link: LinkId,
        bytes: &[u8],
        step: &mut Step<'_, '_>,
    ) -> Option<(Vec<u8>, Vec<u8>)> {
        let caller = self.callers.get_mut(&link)?;
        let mut input = bytes;
        match caller.reader.take(&mut input) {
            Ok(None) => None,
            Ok(Some(hello)) => {
                self.callers.remove(&link);
                Some((hello, input.to_vec()))
            }
            Err(refusal) => {
                tracing::debug!(%refusal, "not a pairing hello");
                self.callers.remove(&link);
                Self::hang_up(link, step);
                None
            }
        }
    }

    pub(crate) fn closed(&mut self, link: LinkId) {
        self.callers.remove(&link);
    }

    /// Hangs up on who takes too long.
    pub(crate) fn tick(&mut self, step: &mut Step<'_, '_>) {
        let now_ms = step.now_ms();
        let callers = self.callers.iter();
        let late: Vec<LinkId> = callers
            .filter_map(|(link, caller)| (now_ms >= caller.until_ms).then_some(*link))
            .collect();
        for link in late {
            self.callers.remove(&link);
            Self::hang_up(link, step);
        }
    }

    pub(crate) fn wake_ms(&self) -> Option<u64> {
        self.callers.values().map(|caller| caller.until_ms).min()
    }

    pub(crate) fn hang_up(link: LinkId, step: &mut Step<'_, '_>) {
        step.net(NetAction::Close { link });
    }

    /// Listens no more; the mailbox is deleted.
    pub(crate) fn close(&mut self, relay: Option<&RelayUrl>, step: &mut Step<'_, '_>) {
        for listener in self.listeners.drain(..) {
            step.net(NetAction::Unlisten {
                address: listener.asked,
            });
        }
        for (link, _) in std::mem::take(&mut self.callers) {
            Self::hang_up(link, step);
        }
        if let (Some(relay), Some((mailbox, read_token))) = (relay, self.mailbox.take()) {
            step.net(NetAction::Unsubscribe {
                relay: relay.clone(),
                mailbox,
            });
            step.net(NetAction::Delete {
                relay: relay.clone(),
                mailbox,
                read_token,
            });
        }
    }
}

/// Addresses listened on. Why: an offer names no more.
const LISTENERS_MAX: usize = 8;

/// Callers without a hello. Why: half-open connections of one source at a listener
/// (`spec/curve.md` section 8); one authenticator is one.
const CALLERS_MAX: usize = 16;

/// First byte to whole hello (`spec/curve.md` section 8).
const HELLO_MS: u64 = 5_000;
