//! The agent's own process: its sockets, the ordinary agent behind, what ends it.
//!
//! **Invariant:** once it has said `ready`, whoever connects is answered. Its sockets go before it
//! does, and only if they are still its own; the ordinary agent goes before it does, too.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use keystead_agent::gpg::{Conversation, Own};
use keystead_daemon::socket::{Listener, PeerCred};
use rustix::process::{Pid, Signal, test_kill_process};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::LocalSet;

use super::asking::{Asker, Links};
use super::behind::{Behind, Door};
use super::connection::{End, Ended, carry};
use super::keys_file::KeysFile;
use super::ordinary::Places;
use super::socket::{Place, Socket};
use super::watch::{Found, Watch};

/// What serves.
pub(super) struct Served {
    pub(super) places: Places,
    pub(super) sockets: Vec<(Door, Open)>,
    pub(super) behind: Behind,
    /// The process with which it ends.
    pub(super) parent: Option<Pid>,
    /// It ends with its socket and its home folder.
    pub(super) is_watched: bool,
}

/// A socket of ours, or the service manager's.
pub(super) enum Open {
    Own(Socket),
    Passed(Listener),
}

struct Server {
    own_places: Vec<Place>,
    places: Places,
    behind: Behind,
    keys: KeysFile,
    links: Rc<Links>,
    watch: Watch,
    connections: Cell<usize>,
    stopping: Cell<bool>,
    /// The ordinary agent is to be started anew.
    wanted: Notify,
    /// A connection has ended.
    left: Notify,
    killed: Notify,
}

/// Serves until it is ended. `ready` is called once clients may connect.
pub(super) async fn serve(served: Served, ready: impl FnOnce()) -> io::Result<()> {
    let mut own_places = Vec::new();
    let mut listeners = Vec::new();
    for (door, open) in served.sockets {
        let listener = match open {
            Open::Passed(listener) => listener,
            Open::Own(Socket { listener, place }) => {
                own_places.push(place.clone());
                Listener::passed(listener, place.path).map_err(io::Error::other)?
            }
        };
        listeners.push((door, listener));
    }
    // The first is the one that gpg knows.
    let watch = if served.is_watched {
        Watch::begin(&served.places.homedir, own_places.first().cloned())
    } else {
        Watch::nothing()
    };
    let server = Rc::new(Server {
        own_places,
        watch,
        keys: KeysFile::of(&served.places.homedir),
        links: Rc::default(),
        places: served.places,
        behind: served.behind,
        connections: Cell::new(0),
        stopping: Cell::new(false),
        wanted: Notify::new(),
        left: Notify::new(),
        killed: Notify::new(),
    });
    let keeping = LocalSet::new();
    keeping.spawn_local(server.clone().keep_behind());
    let tasks = LocalSet::new();
    for (door, listener) in listeners {
        tasks.spawn_local(server.clone().accept(door, listener));
    }
    ready();
    let until_end = tasks.run_until(server.until_end(served.parent));
    let outcome = keeping.run_until(until_end).await;
    server.remove_sockets();
    // Whoever is connected still holds the ordinary agent.
    drop(tasks);
    keeping.run_until(server.behind.end()).await;
    outcome
}

impl Server {
    /// Runs the ordinary agent; again, when somebody connects after it has died.
    async fn keep_behind(self: Rc<Self>) {
        loop {
            self.behind.run().await;
            self.wanted.notified().await;
        }
    }

    async fn accept(self: Rc<Self>, door: Door, listener: Listener) {
        loop {
            match listener.accept().await {
                Ok(_) if self.stopping.get() => {}
                Ok((stream, peer)) => {
                    self.connections.set(self.connections.get() + 1);
                    tokio::task::spawn_local(self.clone().converse(door, stream, peer));
                }
                Err(error) => {
                    tracing::warn!(%error, "a socket takes no more connections");
                    return;
                }
            }
        }
    }

    async fn converse(self: Rc<Self>, door: Door, stream: UnixStream, peer: PeerCred) {
        if self.behind.is_to_start() {
            self.wanted.notify_one();
        }
        let behind = self.behind.connect(door).await;
        if door == Door::Ssh {
            if let (Ok(mut behind), mut stream) = (behind, stream) {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
            }
        } else {
            let conversation = Conversation::new(Own {
                pid: std::process::id(),
                client_pid: peer.pid,
                socket: Some(self.places.standard.clone()),
                ssh_socket: Some(self.places.ssh.clone()),
                restricted: door != Door::Standard,
            });
            let asker = Asker {
                client_pid: peer.pid,
                links: self.links.clone(),
            };
            let end = |stream: UnixStream| {
                let (reader, writer) = stream.into_split();
                End::new(reader, writer)
            };
            let killing = || self.remove_sockets();
            let (client, behind) = (end(stream), behind.ok().map(end));
            let ended = carry(client, behind, conversation, &self.keys, &asker, killing).await;
            if ended == Ended::Killed {
                self.killed.notify_one();
            }
        }
        self.connections.set(self.connections.get() - 1);
        self.left.notify_one();
    }

    /// As gpg-agent(1) has it under "SIGNALS".
    async fn until_end(&self, parent: Option<Pid>) -> io::Result<()> {
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut dump = signal(SignalKind::user_defined1())?;
        let mut card = signal(SignalKind::user_defined2())?;
        let mut asked_to_end = 0;
        loop {
            match self.watch.look() {
                Found::Whole => {}
                // Who is connected still may be answered.
                Found::NoSocket => self.stopping.set(true),
                Found::NoHome => return Ok(()),
            }
            if self.stopping.get() && self.connections.get() == 0 {
                return Ok(());
            }
            tokio::select! {
                () = self.watch.notice() => {}
                () = self.killed.notified() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => {
                    asked_to_end += 1;
                    self.stopping.set(true);
                    if asked_to_end == TERMS_MAX {
                        return Ok(());
                    }
                }
                _ = hang_up.recv() => self.behind.signal(Signal::HUP),
                _ = dump.recv() => self.behind.signal(Signal::USR1),
                _ = card.recv() => self.behind.signal(Signal::USR2),
                () = self.left.notified() => {}
                () = ended(parent) => return Ok(()),
            }
        }
    }

    fn remove_sockets(&self) {
        for place in &self.own_places {
            place.remove();
        }
    }
}

/// Looks now and then, as gpg-agent does.
async fn ended(parent: Option<Pid>) {
    let Some(parent) = parent else {
        return std::future::pending().await;
    };
    while test_kill_process(parent).is_ok() {
        tokio::time::sleep(TICK).await;
    }
}

/// gpg-agent ends at the third SIGTERM, whoever is connected.
const TERMS_MAX: usize = 3;

/// `TIMERTICK_INTERVAL` of gpg-agent.
const TICK: Duration = Duration::from_secs(4);
