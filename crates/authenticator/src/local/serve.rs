//! Carries bytes for [`Local`] and does what its actions say; decides nothing.
//!
//! **Invariant**: one thread reads the socket and steps, a read and a write a request; what takes
//! its time has threads of its own, which step in turn when they are done. The socket's end is
//! the end of the process, and of what it started.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use keystead_daemon::{Clock, SystemClock, SystemRng};

use super::askpass::Environment;
use super::frames::Frames;
use super::programs::{self, Running, Touch, lock};
use super::sign::sign_with;
use super::token::Token;
use super::{Action, Done, Event, Io, Job, Local, Options, Slow, Work};

/// Serves the socket that is standard input until it ends.
///
/// # Errors
/// The system's; also when standard input is no socket.
pub fn run(options: Options) -> io::Result<()> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Says whether it is a socket at all.
    socket.peer_addr()?;
    let reading = socket.try_clone()?;
    if options.token {
        return super::token::serve(reading, socket);
    }
    let server = Server::new(options, socket);
    let ended = server.serve(reading);
    // What was started for a request ends with the socket.
    server.state().running.clear();
    ended
}

/// What all threads share.
#[derive(Clone)]
struct Server(Arc<Mutex<State>>);

struct State {
    local: Local,
    socket: UnixStream,
    /// What goes out by the next write.
    out: Vec<u8>,
    askpass: Arc<Environment>,
    running: HashMap<Job, Running>,
    tokens: HashMap<PathBuf, Token>,
    slow: Option<Sender<(Job, Slow)>>,
}

impl Server {
    fn new(options: Options, socket: UnixStream) -> Self {
        Self(Arc::new(Mutex::new(State {
            local: Local::new(options),
            socket,
            out: Vec::new(),
            askpass: Arc::new(Environment::read()),
            running: HashMap::new(),
            tokens: HashMap::new(),
            slow: None,
        })))
    }

    fn serve(&self, mut socket: UnixStream) -> io::Result<()> {
        let mut frames = Frames::new();
        let mut has_timer = false;
        loop {
            let wait = self.wait();
            // Without a timer, which is the rule, a request costs one read and one write.
            if wait.is_some() || has_timer {
                socket.set_read_timeout(wait)?;
            }
            has_timer = wait.is_some();
            let read = match frames.fill(&mut socket) {
                Ok(read) => read,
                Err(error) if is_timer(&error) => {
                    self.step(Event::Tick)?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if read == 0 {
                return Ok(());
            }
            let mut state = self.state();
            while let Some(frame) = frames.next()? {
                self.take(&mut state, Event::Request(frame))?;
            }
            state.flush()?;
        }
    }

    /// How long nothing happens by time alone. What another thread adds has an end that was waited
    /// for before.
    fn wait(&self) -> Option<Duration> {
        let wake_ms = self.state().local.next_wake_ms()?;
        let wait_ms = wake_ms.saturating_sub(SystemClock.now().mono_ms);
        Some(Duration::from_millis(wait_ms.clamp(1, WAIT_MS_MAX)))
    }

    /// One event, from whatever thread.
    fn step(&self, event: Event<'_>) -> io::Result<()> {
        let mut state = self.state();
        self.take(&mut state, event)?;
        state.flush()
    }

    /// The end of something that took its time. The socket's own thread sees when it is gone.
    fn done(&self, job: Job, done: Done) {
        self.state().running.remove(&job);
        if let Err(error) = self.step(Event::Done(job, done)) {
            tracing::warn!("an answer could not be written: {error}");
        }
    }

    /// What a program's end is told to.
    fn end_of(&self, job: Job) -> impl FnOnce(Done) + Send + 'static {
        let server = self.clone();
        move |done| server.done(job, done)
    }

    fn take(&self, state: &mut State, event: Event<'_>) -> io::Result<()> {
        let canonical = |path: &str| {
            let path = std::fs::canonicalize(path).ok()?;
            path.into_os_string().into_string().ok()
        };
        let mut io = Io {
            rng: &mut SystemRng,
            canonical: &canonical,
        };
        for action in state.local.step(SystemClock.now(), event, &mut io) {
            match action {
                Action::Send(message) => state.queue(&message)?,
                Action::Start(job, work) => self.start(state, job, work),
                Action::Stop(job) => drop(state.running.remove(&job)),
                Action::Close(provider) => drop(state.tokens.remove(&provider)),
                Action::End => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        Ok(())
    }

    fn start(&self, state: &mut State, job: Job, work: Work) {
        match work {
            Work::Ask(question) => {
                let running = programs::ask(&state.askpass, question, self.end_of(job));
                state.running.insert(job, running);
            }
            Work::SecurityKey {
                key,
                content,
                notice,
            } => {
                let touch = Touch {
                    key,
                    content,
                    notice,
                };
                let running = programs::touch(&state.askpass, touch, self.end_of(job));
                state.running.insert(job, running);
            }
            Work::Sign(slow) => {
                let queue = state.slow.get_or_insert_with(|| self.slow_threads());
                // The threads end after this process's last sender.
                let _ = queue.send((job, slow));
            }
            Work::Token { provider, work } => {
                let token = state.tokens.entry(provider).or_insert_with_key(|provider| {
                    let server = self.clone();
                    Token::start(provider, move |job, done| server.done(job, done))
                });
                token.send(job, work);
            }
        }
    }

    /// As many as there are processors, so that one long signature holds no other up.
    fn slow_threads(&self) -> Sender<(Job, Slow)> {
        let (sender, receiver) = mpsc::channel::<(Job, Slow)>();
        let receiver = Arc::new(Mutex::new(receiver));
        let threads = thread::available_parallelism().map_or(2, |it| it.get().clamp(2, 8));
        for _ in 0..threads {
            let (server, receiver) = (self.clone(), Arc::clone(&receiver));
            thread::spawn(move || {
                loop {
                    let next = lock(&receiver).recv();
                    let Ok((job, slow)) = next else { break };
                    let signed = sign_with(&slow.key, &slow.content, slow.options);
                    server.done(job, Done::Signed(signed));
                }
            });
        }
        sender
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl State {
    fn queue(&mut self, message: &[u8]) -> io::Result<()> {
        let len = u32::try_from(message.len()).map_err(io::Error::other)?;
        self.out.extend_from_slice(&len.to_be_bytes());
        self.out.extend_from_slice(message);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.socket.write_all(&self.out);
        self.out.clear();
        written
    }
}

fn is_timer(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// 10 s: a socket's timer stands still while the machine sleeps, and a key that is over shall be
/// wiped soon after that. Used it is not, whenever it is found.
const WAIT_MS_MAX: u64 = 10_000;
