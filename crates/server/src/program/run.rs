//! `run`: from a folder to a server that serves, and back to a stopped one.
//!
//! **Invariant**: `ready` is said when everything that a first request needs is there, and
//! not before; what ends the process is said in its last line.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keystead_daemon::process::{self, Lock, Notice};
use keystead_daemon::socket;
use keystead_daemon::{Clock, FolderDisk, SystemClock};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::failure::Failure;
use super::known::Known;
use super::{arguments, files, print, upkeep};
use crate::edge::tls::Certificate;
use crate::edge::{self, Listener};
use crate::operator;
use crate::server::Server;
use crate::settings::Settings;
use crate::store::Wanted;

/// Serves from `folder` until a signal.
pub(crate) fn run(folder: &Path, run: &arguments::Run) -> Result<(), Failure> {
    let settings = settings(folder, run)?;
    // Opening a folder makes it.
    files::check(folder)?;
    let mut disk = FolderDisk::open(folder)?;
    let _lock = Lock::take(folder)?;
    upkeep::renew_if_due(&mut disk, folder, &settings, SystemClock.now().unix_s);
    let descriptors = process::raise_descriptor_limit();
    if descriptors < u64::from(settings.connections.max) {
        tracing::info!(
            descriptors,
            "fewer connections than configured are possible"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(folder, settings));
    // What still runs is of connections that were cut.
    runtime.shutdown_timeout(LAST_WAIT);
    ended
}

/// The file's, under what the command line says.
fn settings(folder: &Path, run: &arguments::Run) -> Result<Settings, Failure> {
    let mut settings = Settings::load(folder)?;
    if let Some(listen) = run.listen {
        settings.listen = listen;
    }
    settings.metrics = run.metrics.or(settings.metrics);
    if let Some(database) = &run.database.database {
        settings.database = database.clone();
    }
    Ok(settings.checked(folder)?)
}

async fn serve(folder: &Path, settings: Settings) -> Result<(), Failure> {
    // Caught before anybody is told that the server is ready.
    let mut signals = Signals::catch()?;
    let certificate = Arc::new(Certificate::load(folder, &settings.tls)?);
    let socket = bind(settings.listen)?;
    let metrics = match settings.metrics {
        Some(address) => Some(edge::listen(address)?),
        None => None,
    };
    let server = Server::open(folder, settings, files::master_source(folder)).await?;
    let head = server.store.read(Wanted::new()).await?.head;
    let known = Known::load(&FolderDisk::open(folder)?)?;
    known.check(&server.settings.database, server.server_id, &head)?;
    let server = Arc::new(server);
    let listener = Listener::new(socket, server.clone(), folder, certificate.clone())?;
    let address = listener.address();
    let admin = socket::Listener::bind(&folder.join(operator::SOCKET))?;
    let desk = Arc::new(operator::Desk::new(
        server.clone(),
        certificate.clone(),
        folder.to_owned(),
        files::master_source(folder),
        address,
    ));

    let mut tasks = JoinSet::new();
    tasks.spawn(operator::serve(admin, desk));
    let memory = upkeep::Memory::new(folder)?;
    memory.keep(&server).await?;
    tasks.spawn(upkeep::sweep(server.clone(), memory.clone()));
    tasks.spawn(upkeep::watch(
        server.clone(),
        certificate.clone(),
        folder.to_owned(),
    ));
    upkeep::look(&server, &certificate, SystemClock.now().unix_s);
    let told = metrics.as_ref().map(TcpListener::local_addr).transpose()?;
    if let Some(metrics) = metrics {
        tasks.spawn(edge::tell(metrics, server.clone()));
    }
    say_ready(address, told)?;

    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(listener.run(
        async {
            let _ = stopped.await;
        },
        STOP_WAIT,
    ));
    let broke = loop {
        tokio::select! {
            what = signals.next() => match what {
                Asked::Stop(name) => {
                    tracing::info!(name, "stopping");
                    break None;
                }
                Asked::Reload => upkeep::reload(&server, &certificate),
            },
            fault = server.fault() => break Some(fault),
        }
    };
    if let Some(error) = broke {
        // Whatever is answered now may be lost: nothing is.
        return Err(Failure::from(error));
    }
    stop_serving(&server, &mut signals, stop, serving).await?;
    tasks.shutdown().await;
    memory.keep(&server).await?;
    Ok(server.store.close().await?)
}

/// Lets what is outstanding be answered; a second signal cuts that short.
async fn stop_serving(
    server: &Server,
    signals: &mut Signals,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
) -> Result<(), Failure> {
    process::notify(Notice::Stopping);
    server.is_stopping.store(true, Ordering::Relaxed);
    let _ = stop.send(());
    tokio::select! {
        _ = serving => {}
        () = signals.stop() => tracing::warn!("cut short by a second signal"),
        fault = server.fault() => return Err(Failure::from(fault)),
    }
    Ok(())
}

/// The service manager's socket, or one of our own.
fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let passed = listenfd::ListenFd::from_env().take_tcp_listener(0)?;
    let Some(passed) = passed else {
        return Ok(edge::listen(address)?);
    };
    passed.set_nonblocking(true)?;
    rustix::io::fcntl_setfd(&passed, rustix::io::FdFlags::CLOEXEC).map_err(std::io::Error::from)?;
    Ok(TcpListener::from_std(passed)?)
}

fn say_ready(address: SocketAddr, metrics: Option<SocketAddr>) -> Result<(), Failure> {
    match metrics {
        None => print::line(format_args!("ready https://{address}"))?,
        Some(metrics) => {
            print::line(format_args!("ready https://{address} http://{metrics}"))?;
        }
    }
    process::notify(Notice::Ready);
    Ok(())
}

/// What the system may ask.
enum Asked {
    Stop(&'static str),
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// The next one that ends the program.
    async fn stop(&mut self) {
        while let Asked::Reload = self.next().await {}
    }
}

/// For connections to end when the server stops: below the 30 s of the unit.
const STOP_WAIT: Duration = Duration::from_secs(20);

/// For what runs on other threads when all is over.
const LAST_WAIT: Duration = Duration::from_secs(1);
