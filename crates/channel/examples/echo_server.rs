//! Answers each message with itself, over TCP, to the one client it knows.
//!
//! ```text
//! echo_server --listen 127.0.0.1:0 --secret-key-file F --peer-key-file F [--strict]
//! ```
//!
//! Prints `ready ADDRESS`, then serves any number of connections, a thread
//! each. `--strict` is the base profile; without it `bind` and the other
//! default extensions are taken, and a client of the base profile is refused.

mod common;

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keystead_channel::curve::{
    Allowed, CloseCode, Due, Established, Extension, HalfOpen, Identity, Opened, Server,
    ServerHandshake, ServerSetup, Ticket, Timing,
};
use rand_core::OsRng;

use common::{Clock, Failure, Link, Options, exit, say};

fn main() -> ExitCode {
    exit("echo_server", run())
}

fn run() -> Result<(), Failure> {
    let options = Options::parse("--listen")?;
    let (keys, client) = options.read_keys()?;
    let (offer, floor) = options.profile();
    let identity = Identity {
        keys,
        allowed: Allowed::only(client, floor, &mut OsRng),
    };
    // What a client offers above the default is taken too.
    let offer = offer.with(Extension::Pad);
    let setup = ServerSetup::new(vec![Arc::new(identity)], offer, Timing::STREAM)
        .map_err(|error| Failure::Error(error.to_string()))?;
    let listener = TcpListener::bind(&options.address)
        .map_err(|error| Failure::Error(format!("{}: {error}", options.address)))?;
    writeln!(std::io::stdout(), "ready {}", listener.local_addr()?)?;

    let service = Arc::new(Service {
        setup: Arc::new(setup),
        clock: Clock::start(),
        waiting: Mutex::new(Waiting::default()),
    });
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => Service::admit(&service, stream),
            Err(error) => {
                say(&format!("echo_server: error: {error}"));
                // Out of descriptors, most likely: let some connections end.
                std::thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
    Ok(())
}

/// What all connections share.
struct Service {
    setup: Arc<ServerSetup>,
    clock: Clock,
    waiting: Mutex<Waiting>,
}

/// The connections whose handshake is under way.
#[derive(Default)]
struct Waiting {
    half_open: HalfOpen<IpAddr>,
    streams: HashMap<Ticket, TcpStream>,
}

impl Service {
    /// Serves one connection on a thread of its own; drops the oldest
    /// half-open one if there are too many.
    fn admit(service: &Arc<Self>, stream: TcpStream) {
        let (Ok(peer), Ok(handle)) = (stream.peer_addr(), stream.try_clone()) else {
            return;
        };
        let ticket = {
            let mut waiting = service.waiting();
            let (ticket, dropped) = waiting.half_open.enter(peer.ip());
            waiting.streams.insert(ticket, handle);
            if let Some(oldest) = dropped.and_then(|oldest| waiting.streams.remove(&oldest)) {
                let _closed = oldest.shutdown(Shutdown::Both);
            }
            ticket
        };
        let shared = Arc::clone(service);
        let spawned = std::thread::Builder::new().spawn(move || {
            let met = shared.shake_hands(stream);
            shared.leave(ticket);
            let served = met.and_then(|(link, end)| shared.echo(link, end));
            if let Err(Failure::Error(error) | Failure::Usage(error)) = served {
                say(&format!("echo_server: {peer}: {error}"));
            }
        });
        if let Err(error) = spawned {
            service.leave(ticket);
            say(&format!("echo_server: {peer}: {error}"));
        }
    }

    fn shake_hands(&self, stream: TcpStream) -> Result<(Link, Established<Server>), Failure> {
        let mut handshake = ServerHandshake::new(Arc::clone(&self.setup), self.clock.now_ms());
        let mut link = Link::new(stream);
        link.wait(&self.clock, Some(handshake.timeout_ms()))?;
        handshake.note_first_byte(self.clock.now_ms());

        let timeout_ms = Some(handshake.timeout_ms());
        let hello = link.frame(&handshake.accepts(), &self.clock, timeout_ms)?;
        let (next, cookie) = handshake.receive(&hello, self.clock.now_ms(), &mut OsRng)?;
        link.send(&cookie)?;

        let vouch = link.frame(&next.accepts(), &self.clock, Some(next.timeout_ms()))?;
        let end = next.receive(&vouch, self.clock.now_ms())?;
        Ok((link, end))
    }

    fn echo(&self, mut link: Link, mut end: Established<Server>) -> Result<(), Failure> {
        let accepts = end.accepts();
        let mut answer = Vec::new();
        loop {
            let mut frame = link.frame(&accepts, &self.clock, None)?;
            let now_ms = self.clock.now_ms();
            let message = match end.open(&mut frame, now_ms)? {
                Opened::Message(message) => message,
                Opened::KeepAlive => continue,
                Opened::Close(_) => return Ok(()),
            };
            answer.clear();
            let sealed = end.seal(message, now_ms, &mut answer);
            if sealed.is_err() || end.due(now_ms) == Due::Rehandshake {
                end.close(CloseCode::GoingAway, now_ms, &mut answer);
                return link.send(&answer);
            }
            link.send(&answer)?;
        }
    }

    fn leave(&self, ticket: Ticket) {
        let mut waiting = self.waiting();
        waiting.half_open.leave(ticket);
        waiting.streams.remove(&ticket);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change is whole: a thread that died left nothing half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Between two tries to accept, when accepting fails.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
