//! The agent in the place of `ssh-agent`: nothing paired, nobody to ask, one socket.
//!
//! **Invariant:** nothing is shared with any other agent but the folder of the logs, in which each
//! has its own; no signature leaves before its entry there.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use keystead_daemon::home::Folders;
use keystead_daemon::process;
use keystead_daemon::socket::Listener;
use keystead_daemon::{Clock, Io, SystemClock, SystemRng};

use super::carrier::{Carrier, Doors, Parts};
use super::ends::Ends;
use super::error::ServeError;
use super::local_child::LocalProgram;
use super::logs;
use crate::agent::{Agent, Here, Setup};
use crate::keeps::NoKeepers;
use crate::settings::{AddTo, Settings};

/// How it is called.
#[derive(Debug)]
pub struct DropIn {
    /// The socket, bound by who started us.
    pub listener: UnixListener,
    /// Its path.
    pub socket: PathBuf,
    /// Where the log goes.
    pub folders: Folders,
    /// The lifetime of keys that come without one (`-t`).
    pub lifetime_s: Option<u32>,
    /// How `ssh-askpass` names keys (`-E`).
    pub fingerprint_hash: FingerprintHash,
    /// Libraries that may be loaded for tokens, as patterns (`-P`).
    pub allowed_providers: Option<String>,
    /// Forwarded programs may bring tokens (`-O allow-remote-pkcs11`).
    pub allow_remote_pkcs11: bool,
    /// FIDO keys of web sites sign only what SSH signs (off by `-O no-restrict-websafe`).
    pub restrict_websafe: bool,
    /// The process with which the agent ends.
    pub parent: Option<i32>,
    /// What ^C does.
    pub interrupt: Interrupt,
}

/// How a key is named to a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FingerprintHash {
    /// `SHA256:…`.
    #[default]
    Sha256,
    /// `MD5:…`.
    Md5,
}

/// What ^C does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// It ends the agent (`-d`, `-D`).
    Stop,
    /// It is for another program of that terminal.
    Ignore,
}

/// Runs until a signal, or the end of its parent. `ready` is called once programs are served.
///
/// # Errors
/// [`ServeError`], when it cannot start.
pub fn drop_in(options: DropIn, ready: impl FnOnce()) -> Result<(), ServeError> {
    process::harden().map_err(|source| ServeError::Process { source })?;
    let runtime = super::runtime()?;
    let served = runtime.block_on(serve(options, ready));
    // A look at a process must not hold the exit up.
    runtime.shutdown_background();
    served
}

async fn serve(options: DropIn, ready: impl FnOnce()) -> Result<(), ServeError> {
    let _ = process::raise_descriptor_limit();
    let stops = options.interrupt == Interrupt::Stop;
    let ends = Ends::catch(stops, options.parent);
    let ends = ends.map_err(|source| ServeError::Process { source })?;
    let local_program = LocalProgram {
        arguments: local_arguments(&options),
    };
    let beside = options.socket.parent().unwrap_or(Path::new("/"));
    let now = SystemClock.now();
    let (log_folder, mut disk) = logs::open(&options.folders.state, beside, now)?;
    let setup = Setup {
        settings: Settings {
            add_to: AddTo::Local,
            ..Settings::default()
        },
        host_name: super::host_name(),
        ssh_auth_sock: options.socket.clone(),
        state_folder: log_folder.clone(),
        pid: std::process::id(),
        here: Here {
            upstream: None,
            lifetime_s: options.lifetime_s,
            allow_remote_tokens: options.allow_remote_pkcs11,
        },
    };
    let mut io = Io {
        rng: &mut SystemRng,
        disk: &mut disk,
    };
    let agent = Agent::with(now, setup, Box::new(NoKeepers), &mut io)?;
    let programs = Listener::passed(options.listener, options.socket)?.admitting_root();
    ready();
    let doors = Doors {
        programs,
        commands: None,
        net_events: None,
        ends,
    };
    let parts = Parts {
        agent,
        net: None,
        disk: Box::new(disk),
        upstream: None,
        local_program,
        desktop: None,
        identities: None,
        book: None,
    };
    Carrier::new(parts).run(doors).await;
    logs::close(&log_folder);
    Ok(())
}

/// What the local authenticator has to know; nothing of it is secret.
fn local_arguments(options: &DropIn) -> Vec<String> {
    let mut arguments = Vec::new();
    if let Some(providers) = &options.allowed_providers {
        arguments.extend(["--providers".to_owned(), providers.clone()]);
    }
    if !options.restrict_websafe {
        arguments.push("--no-restrict-websafe".to_owned());
    }
    if options.fingerprint_hash == FingerprintHash::Md5 {
        arguments.extend(["--fingerprint-hash".to_owned(), "md5".to_owned()]);
    }
    arguments
}
