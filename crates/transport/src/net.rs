//! The real network behind [`NetAction`] and [`NetEvent`].
//!
//! Invariant: [`Net::apply`] never waits; every queue behind it is bounded.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::connect::Connector;
use crate::link::{self, Links, Listener};
use crate::relay::{self, Call, Job, Line, Site};
use crate::{Address, LinkId, NetAction, NetEvent, RelayUrl};

/// What the network is told at its start.
#[derive(Clone, Debug, Default)]
pub struct NetOptions {
    /// PEM file of the certificate authorities to trust for `https://` relays,
    /// in place of the system's.
    pub ca_file: Option<PathBuf>,
}

/// Why the network could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The CA file cannot be read, or holds no certificate.
    #[error("certificate authorities in {path}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StartError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::CaFile { .. } => "name a readable PEM file with at least one certificate",
        }
    }
}

/// The real network: owns the tasks that hold sockets. Dropped, it closes them all.
pub struct Net {
    runtime: Handle,
    connector: Connector,
    events: mpsc::Sender<NetEvent>,
    relays: HashMap<RelayUrl, Arc<relay::Desk>>,
    listeners: HashMap<Address<SocketAddr>, AbortHandle>,
    links: Links,
}

impl Net {
    /// Starts with nothing open, on the tokio runtime that it is called in.
    ///
    /// The receiver is bounded: who does not read it slows its peers down, and nothing else.
    ///
    /// # Errors
    /// The CA file is not readable or holds no certificate.
    pub fn start(options: NetOptions) -> Result<(Net, mpsc::Receiver<NetEvent>), StartError> {
        let connector = match options.ca_file {
            Some(path) => Connector::with_ca_file(&path)
                .map_err(|source| StartError::CaFile { path, source })?,
            None => Connector::default(),
        };
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let net = Net {
            runtime: Handle::current(),
            connector,
            events,
            relays: HashMap::new(),
            listeners: HashMap::new(),
            links: Links::default(),
        };
        Ok((net, receiver))
    }

    /// Does one action. Never waits; what comes of it is told as events.
    pub fn apply(&mut self, action: NetAction) {
        match action {
            NetAction::RelayOpen { relay } => {
                self.relay(&relay);
            }
            NetAction::RelayClose { relay } => {
                if let Some(desk) = self.relays.remove(&relay) {
                    desk.change(|state| state.closing = true);
                }
            }
            NetAction::Subscribe {
                relay,
                mailbox,
                read_token,
            } => self
                .relay(&relay)
                .change(|state| state.subscribe(mailbox, read_token)),
            NetAction::Unsubscribe { relay, mailbox } => {
                if let Some(desk) = self.relays.get(&relay) {
                    desk.change(|state| {
                        state.unsubscribe(&mailbox);
                    });
                }
            }
            NetAction::Post {
                relay,
                mailbox,
                write_token,
                item,
            } => {
                let item = item.into();
                let job = Job::new(mailbox, Call::Post { write_token, item });
                self.relay(&relay).change(|state| state.outbox.push(job));
            }
            NetAction::Delete {
                relay,
                mailbox,
                read_token,
            } => {
                let job = Job::new(mailbox, Call::Delete { read_token });
                self.relay(&relay).change(|state| state.outbox.push(job));
            }
            NetAction::Listen { address } => self.listen(address),
            NetAction::Unlisten { address } => {
                if let Some(listener) = self.listeners.remove(&address) {
                    listener.abort();
                }
            }
            NetAction::Dial { link, address } => self.dial(link, address),
            NetAction::Send { link, bytes } => self.links.send(link, bytes),
            NetAction::Close { link } => self.links.close(link),
        }
    }

    /// The relay's desk; its task is started where it is not yet.
    fn relay(&mut self, relay: &RelayUrl) -> Arc<relay::Desk> {
        if let Some(desk) = self.relays.get(relay) {
            return Arc::clone(desk);
        }
        let desk = Arc::new(relay::Desk::default());
        self.relays.insert(relay.clone(), Arc::clone(&desk));
        let site = Site {
            relay: relay.clone(),
            desk: Arc::clone(&desk),
            connector: self.connector.clone(),
        };
        self.runtime
            .spawn(relay::serve(Line::new(site, self.events.clone())));
        desk
    }

    fn listen(&mut self, asked: Address<SocketAddr>) {
        let held = self.listeners.get(&asked);
        if held.is_some_and(|listener| !listener.is_finished()) {
            return;
        }
        let events = self.events.clone();
        let links = self.links.clone();
        let key = asked.clone();
        let listening = self.runtime.spawn(async move {
            match Listener::bind(&asked).await {
                Ok((listener, address)) => {
                    let told = events.send(NetEvent::Listening { asked, address }).await;
                    if told.is_ok() {
                        link::accept(links, listener, events).await;
                    }
                }
                Err(error) => {
                    let reason = error.to_string();
                    // Without a reader nobody is left to tell.
                    let _ = events.send(NetEvent::ListenFailed { asked, reason }).await;
                }
            }
        });
        self.listeners.insert(key, listening.abort_handle());
    }

    fn dial(&self, link: LinkId, address: Address<String>) {
        let desk = self.links.open(link);
        self.runtime.spawn(link::dial(
            self.links.clone(),
            link,
            desk,
            address,
            self.events.clone(),
        ));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for desk in self.relays.values() {
            desk.change(|state| state.closing = true);
        }
        for listener in self.listeners.values() {
            listener.abort();
        }
        self.links.close_all();
    }
}

/// Events that wait for deciding code. Why: enough that a burst of items does not
/// stop a reader, little enough that 64 KiB each stay below 20 MiB.
const EVENTS_MAX: usize = 256;
