//! What carries: network, disk, clock, terminal and commands around one [`Holder`].
//!
//! **Invariant**: one event at a time goes in, and its actions are done before
//! the next one.

use std::collections::BTreeMap;
use std::time::Duration;

use keystead_daemon::{Clock, FolderDisk, Io, Now, SystemClock, SystemRng};
use keystead_transport::{Net, NetEvent};
use tokio::sync::mpsc;

use super::control::FromCaller;
use super::desktop::Desktop;
use super::failure::Failure;
use super::print;
use super::terminal::Terminal;
use crate::control::Reply;
use crate::holder::{Action, Caller, Event, Holder, Options};
use crate::screen::{Decided, Draw, Screen};

/// A holder in the world.
pub(crate) struct Edge {
    holder: Holder,
    disk: FolderDisk,
    net: Option<(Net, mpsc::Receiver<NetEvent>)>,
    commands: mpsc::Receiver<FromCaller>,
    callers: BTreeMap<Caller, mpsc::Sender<Reply>>,
    asking: Option<Asking>,
    /// Why it cannot go on.
    failure: Option<Failure>,
}

/// The terminal at which a person is asked.
pub(crate) struct Asking {
    screen: Screen,
    terminal: Terminal,
    keys: mpsc::Receiver<(u8, u64)>,
    desktop: Option<Desktop>,
}

/// What made [`Edge::turn`] return.
enum Turn {
    Event(Event),
    Key(u8, u64),
    Idle,
}

impl Edge {
    /// Loads the holder. Without a network, what would go there is left out:
    /// for commands that change files alone.
    pub(crate) fn load(
        mut disk: FolderDisk,
        options: Options,
        net: Option<(Net, mpsc::Receiver<NetEvent>)>,
        commands: mpsc::Receiver<FromCaller>,
    ) -> Result<(Self, Vec<Action>), Failure> {
        let mut io = Io {
            rng: &mut SystemRng,
            disk: &mut disk,
        };
        let (holder, actions) = Holder::load(SystemClock.now(), options, &mut io)?;
        let edge = Self {
            holder,
            disk,
            net,
            commands,
            callers: BTreeMap::new(),
            asking: None,
            failure: None,
        };
        Ok((edge, actions))
    }

    pub(crate) fn holder_mut(&mut self) -> &mut Holder {
        &mut self.holder
    }

    /// From now on a person is asked at this terminal.
    pub(crate) fn ask_at(&mut self, terminal: Terminal) -> Result<(), Failure> {
        let screen = Screen::new(terminal.look());
        let (send, keys) = mpsc::channel(KEYS_MAX);
        let mut reader = terminal.reader()?;
        // A blocking read of a terminal cannot be given up, so it has a thread of its own.
        std::thread::Builder::new()
            .name("keys".into())
            .spawn(move || {
                let mut bytes = [0; 64];
                while let Ok(count @ 1..) = std::io::Read::read(&mut reader, &mut bytes) {
                    // One key is one byte: pasted text and escape sequences decide nothing.
                    if let ([key, ..], 1) = (bytes, count) {
                        let _ = send.try_send((key, SystemClock.now().mono_ms));
                    }
                }
            })?;
        self.asking = Some(Asking {
            screen,
            terminal,
            keys,
            desktop: Desktop::of_session(),
        });
        Ok(())
    }

    /// Works until it fails; never returns otherwise.
    pub(crate) async fn work(&mut self) -> Failure {
        loop {
            if let Some(failure) = self.failure.take() {
                return failure;
            }
            self.once().await;
        }
    }

    /// Works until no pairing is under way.
    pub(crate) async fn work_while_pairing(&mut self) {
        while self.holder.is_pairing() {
            self.once().await;
        }
    }

    /// Ends all channels and gives the network a moment to say so.
    pub(crate) async fn end(&mut self) {
        let mut io = Io {
            rng: &mut SystemRng,
            disk: &mut self.disk,
        };
        let actions = self.holder.end(SystemClock.now(), &mut io);
        self.act(actions);
        if let Some(asking) = &mut self.asking {
            let draws = asking.screen.end();
            asking.draw(draws);
        }
        if self.net.is_some() {
            tokio::time::sleep(LAST_WORDS).await;
        }
    }

    async fn once(&mut self) {
        match self.turn().await {
            Turn::Event(event) => self.step(event),
            Turn::Key(key, pressed_ms) => self.on_key(key, pressed_ms),
            Turn::Idle => {
                let now_ms = SystemClock.now().mono_ms;
                if self.holder.next_wake_ms().is_some_and(|at| now_ms >= at) {
                    self.step(Event::Tick);
                }
                if let Some(asking) = &mut self.asking {
                    let look = asking.terminal.look();
                    let mut draws = asking.screen.resize(look.columns, look.rows, now_ms);
                    draws.extend(asking.screen.tick(now_ms));
                    asking.draw(draws);
                    if let Some(desktop) = &mut asking.desktop {
                        desktop.look(asking.screen.question(), now_ms);
                    }
                }
            }
        }
    }

    async fn turn(&mut self) -> Turn {
        let pause = self.pause();
        let net_event = async {
            match &mut self.net {
                Some((_, events)) => events.recv().await,
                None => std::future::pending().await,
            }
        };
        let key = async {
            match &mut self.asking {
                Some(asking) => asking.keys.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(event) = net_event => Turn::Event(Event::Net(event)),
            Some(from) = self.commands.recv() => match from {
                FromCaller::Command { caller, command, passphrase, replies } => {
                    self.callers.insert(caller, replies);
                    Turn::Event(Event::Command { caller, command, passphrase })
                }
                FromCaller::Gone(caller) => {
                    self.callers.remove(&caller);
                    Turn::Event(Event::Gone(caller))
                }
            },
            Some((key, pressed_ms)) = key => Turn::Key(key, pressed_ms),
            () = tokio::time::sleep(pause) => Turn::Idle,
        }
    }

    /// Until something is due. Timers stand still while the machine sleeps and
    /// the clock does not, so no pause is long.
    fn pause(&self) -> Duration {
        let now_ms = SystemClock.now().mono_ms;
        let due = self
            .holder
            .next_wake_ms()
            .map(|at| Duration::from_millis(at.saturating_sub(now_ms)));
        let longest = match &self.asking {
            Some(asking) if asking.screen.is_asking() => UNTIL_REDRAW,
            Some(_) | None => UNTIL_LOOK,
        };
        due.map_or(longest, |due| due.min(longest))
    }

    pub(crate) fn step(&mut self, event: Event) {
        let mut io = Io {
            rng: &mut SystemRng,
            disk: &mut self.disk,
        };
        let actions = self.holder.step(SystemClock.now(), event, &mut io);
        self.act(actions);
    }

    fn on_key(&mut self, key: u8, pressed_ms: u64) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        if let Some(desktop) = &mut asking.desktop {
            desktop.somebody_is_there();
        }
        if !asking.screen.is_asking() && key == LIST_KEY {
            return self.step(Event::SayGrants);
        }
        let (decided, draws) = asking.screen.key(key, pressed_ms);
        asking.draw(draws);
        if let Some(Decided {
            question,
            answer,
            last,
        }) = decided
        {
            self.step(Event::Decide {
                question,
                answer,
                last,
            });
        }
    }

    pub(crate) fn act(&mut self, actions: Vec<Action>) {
        let Now { mono_ms, .. } = SystemClock.now();
        for action in actions {
            match action {
                Action::Net(action) => {
                    if let Some((net, _)) = &mut self.net {
                        net.apply(action);
                    }
                }
                Action::Reply { caller, reply } => {
                    // A caller that reads nothing loses what it does not read.
                    if let Some(replies) = self.callers.get(&caller) {
                        let _ = replies.try_send(reply);
                    }
                }
                Action::Ask(question) => self.draw(|screen| screen.ask(question, mono_ms)),
                Action::Update(question) => self.draw(|screen| screen.update(question, mono_ms)),
                Action::Settle { question, how } => {
                    self.draw(|screen| screen.settle(question, &how, mono_ms));
                }
                Action::Say(line) => self.say(&line),
                Action::Ready(addresses) => {
                    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                    let line = format!("ready {}", addresses.join(" "));
                    if let Err(failure) = print::line(line) {
                        self.failure = Some(failure);
                    }
                }
                Action::NotReady(message) => {
                    let hint = "choose another --listen ADDR:PORT or unix:PATH";
                    self.failure = Some(Failure::new(message, hint));
                }
            }
        }
    }

    /// Says a line to the person.
    pub(crate) fn say(&mut self, line: &str) {
        match &mut self.asking {
            Some(asking) => {
                let draws = asking.screen.say(line, SystemClock.now().mono_ms);
                asking.draw(draws);
            }
            None => print::talk(line),
        }
    }

    fn draw(&mut self, draw: impl FnOnce(&mut Screen) -> Vec<Draw>) {
        if let Some(asking) = &mut self.asking {
            // The terminal may have another size since the last look.
            let look = asking.terminal.look();
            let now_ms = SystemClock.now().mono_ms;
            let mut draws = asking.screen.resize(look.columns, look.rows, now_ms);
            draws.extend(draw(&mut asking.screen));
            asking.draw(draws);
        }
    }
}

impl Asking {
    fn draw(&mut self, draws: Vec<Draw>) {
        for draw in draws {
            match draw {
                Draw::Text(text) => self.terminal.write(&text),
                Draw::FlushInput => {
                    self.terminal.flush_input();
                    // Read by the thread, not taken yet.
                    while self.keys.try_recv().is_ok() {}
                }
            }
        }
    }
}

/// While nothing is asked: what is granted and blocked.
const LIST_KEY: u8 = b'g';

/// Keys that wait: more than these nobody meant.
const KEYS_MAX: usize = 16;

/// The seconds left are written anew.
const UNTIL_REDRAW: Duration = Duration::from_secs(1);

/// With nothing due: a new day, or a machine that slept, is noticed within this.
const UNTIL_LOOK: Duration = Duration::from_secs(30);

/// 100 ms for the last frames to leave.
const LAST_WORDS: Duration = Duration::from_millis(100);
