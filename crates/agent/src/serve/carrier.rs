//! The task that owns the agent: events to [`Agent::step`], actions to the world.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use keystead_daemon::process::Termination;
use keystead_daemon::socket::{Listener, PeerCred};
use keystead_daemon::{Clock, FolderDisk, Io, SystemClock, SystemRng};
use keystead_keeper::{Net, NetEvent};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::programs;
use crate::agent::{Action, Agent, ClientId, ConnectionId, Event};
use crate::control::Reply;
use crate::peer;

/// What events come from.
pub(super) struct Doors {
    pub(super) programs: Listener,
    pub(super) commands: Listener,
    pub(super) net_events: mpsc::Receiver<NetEvent>,
    pub(super) termination: Termination,
}

/// The agent and what its actions need.
pub(super) struct Carrier {
    agent: Agent,
    net: Net,
    disk: FolderDisk,
    rng: SystemRng,
    home: Option<PathBuf>,
    events: mpsc::Sender<Event>,
    came: mpsc::Receiver<Event>,
    last_id: u64,
    programs: BTreeMap<ConnectionId, mpsc::UnboundedSender<Vec<u8>>>,
    clients: BTreeMap<ClientId, mpsc::UnboundedSender<Reply>>,
    client_tasks: JoinSet<()>,
    stop: bool,
}

impl Carrier {
    pub(super) fn new(agent: Agent, net: Net, disk: FolderDisk, rng: SystemRng) -> Self {
        let (events, came) = mpsc::channel(EVENTS_MAX);
        Self {
            agent,
            net,
            disk,
            rng,
            home: std::env::home_dir(),
            events,
            came,
            last_id: 0,
            programs: BTreeMap::new(),
            clients: BTreeMap::new(),
            client_tasks: JoinSet::new(),
            stop: false,
        }
    }

    /// Until the agent or a signal says stop.
    pub(super) async fn run(mut self, mut doors: Doors) {
        // The keepers open their channels.
        self.step(Event::Tick);
        while !self.stop {
            let wake = self.wake();
            tokio::select! {
                accepted = doors.programs.accept() => match accepted {
                    Ok((stream, peer)) => self.welcome_program(stream, peer),
                    Err(error) => {
                        tracing::error!(%error, "the SSH agent socket is broken");
                        break;
                    }
                },
                accepted = doors.commands.accept() => match accepted {
                    Ok((stream, _)) => self.welcome_client(stream),
                    Err(error) => {
                        tracing::error!(%error, "the control socket is broken");
                        break;
                    }
                },
                Some(event) = self.came.recv() => self.step(event),
                Some(event) = doors.net_events.recv() => self.step(Event::Net(event)),
                () = wake => self.step(Event::Tick),
                signal = doors.termination.wait() => {
                    tracing::info!(signal, "stopped");
                    break;
                }
            }
            while self.client_tasks.try_join_next().is_some() {}
        }
        drop(doors);
        self.end().await;
    }

    /// Withdraws what is open, lets the last replies out, makes the log durable.
    async fn end(&mut self) {
        let open: Vec<ConnectionId> = self.programs.keys().copied().collect();
        for connection in open {
            self.step(Event::HangUp { connection });
        }
        let mut io = Io {
            rng: &mut self.rng,
            disk: &mut self.disk,
        };
        // While the last replies go out, the network takes the last words.
        for action in self.agent.close(SystemClock.now(), &mut io) {
            self.act(action);
        }
        self.clients.clear();
        let out = async { while self.client_tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_REPLIES_WAIT, out).await;
        tokio::time::sleep(LAST_WORDS).await;
    }

    /// Sleeps until the agent wants a tick. The agent's clock counts while the machine sleeps and
    /// the timer's does not, so no sleep is long.
    fn wake(&self) -> impl Future<Output = ()> + use<> {
        let due_ms = self.agent.next_wake_ms();
        let now_ms = SystemClock.now().mono_ms;
        let pause = due_ms.map(|due| Duration::from_millis(due.saturating_sub(now_ms)));
        async move {
            match pause {
                Some(pause) => tokio::time::sleep(pause.min(PAUSE_MAX)).await,
                None => std::future::pending().await,
            }
        }
    }

    fn step(&mut self, event: Event) {
        let gone = if let Event::HangUp { connection } = &event {
            Some(*connection)
        } else {
            None
        };
        if let Event::Leave { client } = &event {
            self.clients.remove(client);
        }
        let mut io = Io {
            rng: &mut self.rng,
            disk: &mut self.disk,
        };
        let actions = self.agent.step(SystemClock.now(), event, &mut io);
        for action in actions {
            self.act(action);
        }
        if let Some(connection) = gone {
            self.programs.remove(&connection);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Answer {
                connection,
                message,
            } => {
                // A program that is gone needs no answer.
                if let Some(answers) = self.programs.get(&connection) {
                    let _ = answers.send(message);
                }
            }
            Action::Close { connection } => {
                self.programs.remove(&connection);
            }
            Action::Look {
                connection,
                pid,
                look,
            } => {
                let (events, home) = (self.events.clone(), self.home.clone());
                tokio::task::spawn_blocking(move || {
                    let seen = peer::look(pid, look, home.as_deref());
                    let _ = events.blocking_send(Event::Look { connection, seen });
                });
            }
            // Terminals are opened and written without waiting; the line stands there before the
            // answer makes the program go on.
            Action::Say { pid, line } => peer::say(pid, &line),
            Action::Reply { client, reply } => {
                if let Some(replies) = self.clients.get(&client) {
                    let _ = replies.send(reply);
                }
            }
            Action::Net(action) => self.net.apply(action),
            Action::Stop => self.stop = true,
        }
    }

    fn welcome_program(&mut self, stream: UnixStream, peer: PeerCred) {
        let connection = ConnectionId(self.next_id());
        let (answers, to_write) = mpsc::unbounded_channel();
        self.programs.insert(connection, answers);
        self.step(Event::Connect {
            connection,
            pid: peer.pid,
        });
        let events = self.events.clone();
        tokio::spawn(programs::program(stream, connection, events, to_write));
    }

    fn welcome_client(&mut self, stream: UnixStream) {
        let client = ClientId(self.next_id());
        let (replies, to_write) = mpsc::unbounded_channel();
        self.clients.insert(client, replies);
        let events = self.events.clone();
        self.client_tasks
            .spawn(programs::client(stream, client, events, to_write));
    }

    const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// Events of connections that wait for the agent; a connection waits when it is full. A frame has
/// at most 256 KiB, so this is at most 16 MiB, and then only by attack.
const EVENTS_MAX: usize = 64;

/// After a sleep of the machine everything that is due is seen within this time.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The network gets this long to send withdrawals, goodbyes and the deletion of an offer's
/// mailbox: a round trip or two; what is lost shows as silence there.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// `keystead agent stop` reads its reply at once; who does not is left.
const LAST_REPLIES_WAIT: Duration = Duration::from_secs(1);
