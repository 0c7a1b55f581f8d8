//! The task that owns the agent: events to [`Agent::step`], actions to the world.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use keystead_daemon::socket::{Listener, PeerCred};
use keystead_daemon::{Clock, Disk, Io, SystemClock, SystemRng};
use keystead_keeper::server::Book;
use keystead_keeper::{Net, NetEvent};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::answers::Answers;
use super::ends::{Ends, Word};
use super::hardware::HardwareTasks;
use super::local_child::{LocalChild, LocalProgram};
use super::programs::{self, Out};
use super::servers::ServerTasks;
use super::upstreams::Upstreams;
use crate::agent::Agent;
use crate::event::{Action, Event};
use crate::evidence::Look;
use crate::ids::{ClientId, ConnectionId};
use crate::local_link::LocalDoor;
use crate::notifications::Desktop;
use crate::peer;

/// What events come from.
pub(super) struct Doors {
    pub(super) programs: Listener,
    /// The control socket, where there is one.
    pub(super) commands: Option<Listener>,
    pub(super) net_events: Option<mpsc::Receiver<NetEvent>>,
    pub(super) ends: Ends,
}

/// The agent and what its actions need.
pub(super) struct Carrier {
    agent: Agent,
    net: Option<Net>,
    disk: Box<dyn Disk>,
    rng: SystemRng,
    home: Option<PathBuf>,
    /// The person's file of identities.
    identities: Option<PathBuf>,
    local_program: LocalProgram,
    local: Option<LocalChild>,
    upstreams: Upstreams,
    servers: ServerTasks,
    hardware: HardwareTasks,
    /// For those who have no terminal.
    desktop: Option<Desktop>,
    events: mpsc::Sender<Event>,
    came: mpsc::Receiver<Event>,
    last_id: u64,
    programs: BTreeMap<ConnectionId, Program>,
    clients: BTreeMap<ClientId, mpsc::UnboundedSender<Out>>,
    client_tasks: JoinSet<()>,
    stop: bool,
}

impl Carrier {
    pub(super) fn new(parts: Parts) -> Self {
        let (events, came) = mpsc::channel(EVENTS_MAX);
        let upstreams = Upstreams::new(parts.upstream, events.clone());
        let servers = ServerTasks::new(parts.book, events.clone());
        let hardware = HardwareTasks::new(events.clone());
        Self {
            agent: parts.agent,
            net: parts.net,
            disk: parts.disk,
            rng: SystemRng,
            home: std::env::home_dir(),
            identities: parts.identities,
            local_program: parts.local_program,
            local: None,
            upstreams,
            servers,
            hardware,
            desktop: parts.desktop,
            events,
            came,
            last_id: 0,
            programs: BTreeMap::new(),
            clients: BTreeMap::new(),
            client_tasks: JoinSet::new(),
            stop: false,
        }
    }

    /// Until the agent, a signal or the end of a parent says stop.
    pub(super) async fn run(mut self, mut doors: Doors) {
        // The keepers open their channels.
        self.step(Event::Tick);
        while !self.stop {
            let wake = self.wake();
            tokio::select! {
                came = self.came.recv() => self.take_waiting(came),
                came = from_local(&mut self.local) => {
                    if came.is_none() {
                        // Before the step, which may start the next one.
                        self.local = None;
                    }
                    self.step(Event::Local { bytes: came });
                }
                accepted = doors.programs.accept() => match accepted {
                    Ok((stream, peer)) => self.welcome_program(stream, peer.pid),
                    Err(error) => {
                        tracing::error!(%error, "the SSH agent socket is broken");
                        break;
                    }
                },
                accepted = accept(doors.commands.as_ref()) => match accepted {
                    Ok((stream, _)) => self.welcome_client(stream),
                    Err(error) => {
                        tracing::error!(%error, "the control socket is broken");
                        break;
                    }
                },
                Some(event) = from_net(&mut doors.net_events) => self.step(Event::Net(event)),
                () = wake => self.step(Event::Tick),
                signal = doors.ends.next() => match signal {
                    Word::Stop(why) => {
                        tracing::info!(why, "stopped");
                        break;
                    }
                    Word::Forget => self.step(Event::Forget),
                },
            }
            while self.client_tasks.try_join_next().is_some() {}
        }
        drop(doors);
        self.end().await;
    }

    /// Events that wait are taken in one go: what is between them and the next wait for the
    /// system costs more than most of them do.
    fn take_waiting(&mut self, first: Option<Event>) {
        let mut next = first;
        for _ in 0..EVENTS_MAX {
            let Some(event) = next else {
                return;
            };
            self.step(event);
            next = self.came.try_recv().ok();
        }
        if let Some(event) = next {
            self.step(event);
        }
    }

    /// Withdraws what is open, lets the last replies out, makes the log durable.
    async fn end(&mut self) {
        // What was seen there is written while its sessions are known.
        self.servers.close();
        let open: Vec<ConnectionId> = self.programs.keys().copied().collect();
        for connection in open {
            self.step(Event::HangUp { connection });
        }
        let open: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in open {
            self.step(Event::Leave { client });
        }
        let mut io = Io {
            rng: &mut self.rng,
            disk: &mut *self.disk,
        };
        // While the last replies go out, the network takes the last words.
        for action in self.agent.close(SystemClock.now(), &mut io) {
            self.act(action);
        }
        self.local = None;
        let out = async { while self.client_tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_REPLIES_WAIT, out).await;
        if self.net.is_some() {
            tokio::time::sleep(LAST_WORDS).await;
        }
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
            disk: &mut *self.disk,
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
                if let Some(program) = self.programs.get_mut(&connection) {
                    program.answers.send(message);
                }
            }
            Action::Close { connection } => {
                if let Some(program) = self.programs.remove(&connection) {
                    program.reader.abort();
                }
            }
            look @ (Action::Look { .. } | Action::LookFor { .. } | Action::LookAround { .. }) => {
                self.look(look)
            }
            // Terminals are opened and written without waiting; the line stands there before the
            // answer makes the program go on.
            Action::Say {
                pid,
                line,
                is_asking,
            } => {
                let is_said = peer::say(pid, &line);
                if let Some(desktop) = &mut self.desktop
                    && is_asking
                    && !is_said
                {
                    desktop.show(SystemClock.now().mono_ms, &line);
                }
            }
            Action::Reply { client, reply } => self.reply(client, Out::Line(reply)),
            Action::ServerReply {
                client,
                reply,
                behind,
            } => self.reply(client, Out::Server(reply, behind)),
            Action::KeyReply {
                client,
                reply,
                behind,
            } => self.reply(client, Out::Key(reply, behind)),
            Action::Server(act) => self.servers.act(act),
            Action::Device(act) => self.hardware.act(act),
            Action::DeviceReply { client, reply } => self.reply(client, Out::Device(reply)),
            Action::Upstream { connection, door } => self.upstreams.act(connection, door),
            Action::Local(door) => self.act_local(door),
            Action::Net(action) => {
                if let Some(net) = &mut self.net {
                    net.apply(action);
                }
            }
            Action::Stop => self.stop = true,
        }
    }

    /// Looks at a process, on a thread of its own where that reads files.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no look comes here from nowhere"
    )]
    fn look(&mut self, look: Action) {
        let (events, home) = (self.events.clone(), self.home.clone());
        let tell = move |event: Event| {
            let _ = events.blocking_send(event);
        };
        match look {
            // One link is read faster than a thread is asked to.
            Action::Look {
                connection,
                pid,
                look: look @ Look::Program,
            } => {
                let seen = peer::look(pid, look, None);
                self.step(Event::Look { connection, seen });
            }
            Action::Look {
                connection,
                pid,
                look,
            } => {
                tokio::task::spawn_blocking(move || {
                    let seen = peer::look(pid, look, home.as_deref());
                    tell(Event::Look { connection, seen });
                });
            }
            Action::LookFor { client, pid, look } => {
                tokio::task::spawn_blocking(move || {
                    let seen = peer::look(pid, look, home.as_deref());
                    tell(Event::LookFor { client, seen });
                });
            }
            Action::LookAround { connection, pid } => {
                let file = self.identities.clone();
                tokio::task::spawn_blocking(move || {
                    tell(Event::LookAround {
                        connection,
                        seen: peer::look(pid, Look::Process, None),
                        identities: file.and_then(|file| peer::read_text(&file)),
                    });
                });
            }
            _ => {}
        }
    }

    fn reply(&self, client: ClientId, out: Out) {
        if let Some(replies) = self.clients.get(&client) {
            let _ = replies.send(out);
        }
    }

    fn act_local(&mut self, door: LocalDoor) {
        match door {
            LocalDoor::Start => match self.local_program.start() {
                Ok(child) => self.local = Some(child),
                Err(error) => {
                    let why = format!("keystead-authenticator cannot be started: {error}");
                    self.local = None;
                    // Not from within a step: what it asked is still being said.
                    let events = self.events.clone();
                    tokio::spawn(async move {
                        let _ = events.send(Event::LocalAway { why }).await;
                    });
                }
            },
            LocalDoor::Send(message) => {
                if let Some(child) = &mut self.local {
                    child.send(&message.0);
                }
            }
            LocalDoor::Stop => self.local = None,
        }
    }

    fn welcome_program(&mut self, stream: UnixStream, pid: Option<i32>) {
        let connection = ConnectionId(self.next_id());
        let (reader, writer) = stream.into_split();
        let (answers, flow) = Answers::new(writer);
        self.step(Event::Connect { connection, pid });
        let events = self.events.clone();
        let task = tokio::spawn(programs::program(reader, connection, events, flow));
        let reader = task.abort_handle();
        let program = Program { answers, reader };
        self.programs.insert(connection, program);
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

/// A program that is connected.
struct Program {
    answers: Answers,
    reader: AbortHandle,
}

/// What a carrier carries.
pub(super) struct Parts {
    pub(super) agent: Agent,
    /// The network, where keepers are reached by one.
    pub(super) net: Option<Net>,
    pub(super) disk: Box<dyn Disk>,
    /// The socket of the agent that was there before.
    pub(super) upstream: Option<PathBuf>,
    pub(super) local_program: LocalProgram,
    pub(super) desktop: Option<Desktop>,
    /// The person's file of identities.
    pub(super) identities: Option<PathBuf>,
    /// What is pinned of key servers, where sessions of them can be given.
    pub(super) book: Option<Book>,
}

/// Waits for ever where there is none.
async fn from_local(local: &mut Option<LocalChild>) -> Option<Vec<u8>> {
    match local {
        Some(child) => child.next().await.map(<[u8]>::to_vec),
        None => std::future::pending().await,
    }
}

/// Waits for ever where there is none.
async fn from_net(events: &mut Option<mpsc::Receiver<NetEvent>>) -> Option<NetEvent> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever where there is none.
async fn accept(listener: Option<&Listener>) -> io::Result<(UnixStream, PeerCred)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
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
