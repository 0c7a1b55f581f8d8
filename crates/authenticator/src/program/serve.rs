//! `run`: answers requests until it is told to end.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use keystead_daemon::FolderDisk;
use keystead_daemon::home::Folders;
use keystead_daemon::process::{Lock, Termination};
use keystead_daemon::socket::Listener;
use keystead_transport::{Address, Net, NetOptions};
use tokio::sync::mpsc;

use super::control;
use super::edge::Edge;
use super::failure::Failure;
use super::passphrase::Source;
use super::print;
use super::terminal::{Keys, Terminal};
use crate::control::Status;
use crate::holder::{Decide, Options};
use crate::namespaces::Namespaces;

/// How `run` was called.
pub(crate) struct Run {
    pub(crate) decide: Decide,
    pub(crate) listen: Vec<Address<SocketAddr>>,
    pub(crate) net: NetOptions,
    pub(crate) namespaces: Namespaces,
    pub(crate) source: Source,
}

/// Serves until a signal, or until it cannot go on.
pub(crate) async fn serve(folders: &Folders, run: Run) -> Result<(), Failure> {
    let _lock = Lock::take(&folders.state)?;
    let disk = FolderDisk::open(&folders.state)?;
    let decide = who_decides(run.decide);
    let listens = !run.listen.is_empty();
    let options = Options {
        decide,
        own_address: own_address(&run.listen),
        listen: run.listen,
        namespaces: run.namespaces,
    };
    let (to_edge, commands) = mpsc::channel(COMMANDS_MAX);
    let net = Net::start(run.net)?;
    let (mut edge, actions) = Edge::load(disk, options, Some(net), commands)?;
    unlock(&mut edge, run.source)?;
    let socket = control::socket(folders);
    tokio::spawn(control::serve(Listener::bind(&socket)?, to_edge));
    if decide == Decide::Ask {
        edge.ask_at(Terminal::open(Keys::Single)?)?;
    }
    let mut termination = Termination::catch()?;
    edge.act(actions);
    if !listens {
        print::line(format_args!("ready unix:{}", socket.display()))?;
    }
    if decide == Decide::Ask {
        let line = waiting_for(&edge.holder_mut().status());
        edge.say(&line);
    }
    let failed = tokio::select! {
        failure = edge.work() => Some(failure),
        signal = termination.wait() => {
            tracing::info!(signal, "ending");
            None
        }
    };
    edge.end().await;
    failed.map_or(Ok(()), Err)
}

/// What the person sees while nothing is asked.
fn waiting_for(status: &Status) -> String {
    let name = &status.name;
    match status.pairings.as_slice() {
        [] => format!("{name} is paired with nobody yet: keystead-authenticator pair LINK"),
        [one] => format!(
            "{name} waits for what {} asks; g lists grants, ^C ends it",
            one.workstation
        ),
        many => format!(
            "{name} waits for what {} workstations ask; g lists grants, ^C ends it",
            many.len()
        ),
    }
}

/// A person can be asked only at a terminal.
fn who_decides(wanted: Decide) -> Decide {
    if wanted != Decide::Ask {
        return wanted;
    }
    match Terminal::open(Keys::Single) {
        Ok(_) => Decide::Ask,
        Err(error) => {
            print::talk(format_args!(
                "no terminal to ask at ({error}): what needs a decision is answered busy; \
                 start it in a terminal, or with --decide approve or refuse"
            ));
            Decide::Nobody
        }
    }
}

/// Once a run; typed, a slip may be mended.
fn unlock(edge: &mut Edge, source: Source) -> Result<(), Failure> {
    if !source.is_there() {
        print::talk(
            "locked: no terminal and no --passphrase-fd; keystead-authenticator unlock opens the keys",
        );
        return Ok(());
    }
    let mut tries_left = if source.fd.is_some() { 1 } else { TRIES };
    loop {
        let passphrase = source.read("Passphrase: ")?;
        tries_left -= 1;
        match edge.holder_mut().open_keys(&passphrase) {
            Ok(()) => return Ok(()),
            Err(error) if tries_left == 0 => {
                return Err(Failure::new(error.to_string(), error.hint()));
            }
            Err(error) => print::talk(error),
        }
    }
}

/// The address by which others reach this machine, where `--listen` names none:
/// that of the route to the outside. Nothing is sent.
fn own_address(listen: &[Address<SocketAddr>]) -> Option<IpAddr> {
    let is_any =
        |it: &&Address<SocketAddr>| matches!(it, Address::Tcp(it) if it.ip().is_unspecified());
    listen.iter().find(is_any)?;
    let probe = UdpSocket::bind("0.0.0.0:0").ok()?;
    probe.connect(OUTSIDE).ok()?;
    probe.local_addr().ok().map(|it| it.ip())
}

/// An address of TEST-NET-1 (RFC 5737): outside, and nobody's.
const OUTSIDE: &str = "192.0.2.1:9";

/// As `su` and `ssh` give.
const TRIES: u32 = 3;

/// Commands that wait for one step: each connection sends one at a time.
const COMMANDS_MAX: usize = 32;
