//! How the agent's process comes to be. Safe Rust has no `fork`, so this program is started once
//! more; whoever started it waits until it serves.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use keystead_daemon::process;
use keystead_daemon::socket::Listener;
use rustix::process::Pid;
use tokio::runtime::Builder;

use super::answering::Answering;
use super::behind::{Behind, Door};
use super::options::{Configuration, Mode, Options, Shell, Sockets, is_none};
use super::ordinary::{self, Ordinary, Places};
use super::serve::{Open, Served, serve};
use super::socket::Socket;
use super::{FAILED, NAME, failed, pipe};
use crate::commands::agent::trace;
use crate::terminal::{print_raw, say};

/// Becomes an agent, or starts one.
pub(super) fn start(
    wanted: Options,
    mode: Mode,
    places: Places,
    arguments: &[OsString],
) -> ExitCode {
    match mode {
        Mode::Pipe => pipe::serve(&wanted.passed, &places),
        Mode::Supervised => supervised(wanted, places),
        Mode::Daemon => in_background(wanted, &places, arguments),
    }
}

/// `keystead agent gpg …`: what [`in_background`] starts.
pub(crate) fn daemon(arguments: &[OsString], parent: Option<i32>) -> ExitCode {
    let _ = rustix::thread::set_name(c"gpg-agent");
    trace("warn");
    let words = Options::of(arguments, &[]);
    let places = match Places::of(words.homedir.as_deref()) {
        Ok(places) => places,
        Err(error) => return failed(format_args!("no home folder: {error}")),
    };
    let wanted = Options::of(arguments, &files(&words.configuration, &places));
    if let Err(error) = process::harden() {
        return failed(format_args!("cannot be protected: {error}"));
    }
    let homedir = wanted.homedir.as_ref().map(|it| it.as_os_str());
    if ordinary::is_default(homedir) {
        // As gpg-agent makes it; whatever is there already stays as it is.
        let _ = std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&places.homedir);
    }
    let sockets = match open_sockets(&wanted.sockets, &places) {
        Ok(sockets) => sockets,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // Without its number, as gpg-agent says it.
            say(format_args!(
                "{NAME}: a gpg-agent is already running - not starting a new one"
            ));
            return ExitCode::from(FAILED);
        }
        Err(error) => {
            let place = places.standard.display();
            return failed(format_args!("error binding socket to '{place}': {error}"));
        }
    };
    if !wanted.stays {
        process::detach();
    }
    let stays = wanted.stays;
    let is_watched = !wanted.sockets.is_unchecked;
    let served = Served {
        is_watched,
        behind: behind(wanted, &places),
        places,
        sockets,
        parent: parent.and_then(Pid::from_raw),
    };
    run(served, move || ready(stays))
}

/// Starts the agent's process, and tells who asked where ssh finds it; or runs the command beside
/// which it is wanted.
fn in_background(wanted: Options, places: &Places, arguments: &[OsString]) -> ExitCode {
    let own_pid = std::process::id();
    let parent = (!wanted.command.is_empty()).then_some(own_pid);
    if let Err(error) = spawn(arguments, parent) {
        // It has said why.
        return error.map_or(ExitCode::from(FAILED), |error| {
            failed(format_args!("fork failed: {error}"))
        });
    }
    let ssh_socket = places.ssh.display();
    let mut words = wanted.command.into_iter();
    if let Some(program) = words.next() {
        let mut command = Command::new(&program);
        command.args(words);
        if wanted.sockets.tells_ssh {
            command
                .env("SSH_AUTH_SOCK", &places.ssh)
                .env("gnupg_SSH_AUTH_SOCK_by", own_pid.to_string());
        }
        let error = command.exec();
        return failed(format_args!("failed to run the command: {error}"));
    }
    if wanted.sockets.tells_ssh {
        let shell = wanted.shell.unwrap_or_else(login_shell);
        let line = match shell {
            Shell::Bourne => format!("SSH_AUTH_SOCK={ssh_socket}; export SSH_AUTH_SOCK;\n"),
            Shell::C => format!("setenv SSH_AUTH_SOCK {ssh_socket};\n"),
        };
        let _ = print_raw(line.as_bytes());
    }
    ExitCode::SUCCESS
}

/// Starts the process that serves, and waits until it does. None: it ended, and has said why.
fn spawn(arguments: &[OsString], parent: Option<u32>) -> Result<(), Option<io::Error>> {
    let mut child = start_daemon(arguments, parent).map_err(Some)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    if line.is_empty() {
        let _ = child.wait();
        return Err(None);
    }
    Ok(())
}

fn start_daemon(arguments: &[OsString], parent: Option<u32>) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    // By the name of the file it might be a gpg-agent again, and start itself for ever.
    command.arg0("keystead").args(["agent", "gpg"]);
    if let Some(parent) = parent {
        command.arg(format!("--parent={parent}"));
    }
    command
        .arg("--")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
}

/// Sockets of a service manager, by their names (sd_listen_fds(3)); it looks after the process.
fn supervised(wanted: Options, places: Places) -> ExitCode {
    trace("warn");
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(format_args!("{error}")),
    };
    let entered = runtime.enter();
    let passed = match Listener::all_from_service_manager() {
        Ok(passed) => passed,
        Err(error) => return failed(format_args!("{error}")),
    };
    drop(entered);
    let doors = passed.into_iter().map(|(name, listener)| {
        let door = match name.as_str() {
            "extra" => Door::Extra,
            "browser" => Door::Browser,
            "ssh" => Door::Ssh,
            _ => Door::Standard,
        };
        (door, Open::Passed(listener))
    });
    let sockets: Vec<(Door, Open)> = doors.collect();
    if !sockets.iter().any(|(door, _)| *door == Door::Standard) {
        return failed(format_args!("no standard socket provided"));
    }
    let served = Served {
        is_watched: !wanted.sockets.is_unchecked,
        behind: behind(wanted, &places),
        places,
        sockets,
        parent: None,
    };
    let outcome = runtime.block_on(serve(served, || ()));
    runtime.shutdown_background();
    ended(outcome)
}

fn run(served: Served, ready: impl FnOnce()) -> ExitCode {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(format_args!("{error}")),
    };
    let outcome = runtime.block_on(serve(served, ready));
    runtime.shutdown_background();
    ended(outcome)
}

fn ended(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(format_args!("{error}")),
    }
}

fn behind(wanted: Options, places: &Places) -> Behind {
    Behind::new(
        Ordinary::find(),
        places.homedir.clone(),
        wanted.passed,
        places.behind(),
        wanted.stays,
    )
}

fn open_sockets(wanted: &Sockets, places: &Places) -> io::Result<Vec<(Door, Open)>> {
    // The first is refused when somebody listens; the others belong to it, though one whose first
    // was taken away may be listening there yet.
    let standard = match wanted.steals {
        true => steal(&places.standard)?,
        false => Socket::open(&places.standard)?,
    };
    let mut sockets = vec![(Door::Standard, Open::Own(standard))];
    let others = [
        (Door::Extra, &wanted.extra, &places.extra),
        (Door::Browser, &wanted.browser, &places.browser),
        (Door::Ssh, &None, &places.ssh),
    ];
    for (door, named, usual) in others {
        let path = match named {
            Some(value) if is_none(value) => continue,
            Some(value) => places.homedir.join(value),
            None => usual.clone(),
        };
        sockets.push((door, Open::Own(Socket::replace(&path)?)));
    }
    Ok(sockets)
}

/// From whoever listens there; gpg's own agent ends first, since it would take ours away with it.
fn steal(path: &Path) -> io::Result<Socket> {
    if let Some(Answering::Ordinary(process)) = Answering::at(path) {
        process.end(path)?;
    }
    Socket::replace(path)
}

/// What is to be read, of those files that are there.
pub(super) fn files(configuration: &Configuration, places: &Places) -> Vec<Vec<u8>> {
    let own = match configuration {
        Configuration::Usual => Some(places.homedir.join(CONFIGURATION)),
        Configuration::File(file) => Some(file.clone()),
        Configuration::None => None,
    };
    let all = std::iter::once(places.system.join(CONFIGURATION)).chain(own);
    all.flat_map(std::fs::read).collect()
}

fn login_shell() -> Shell {
    let shell = std::env::var_os("SHELL").unwrap_or_default();
    if shell.as_encoded_bytes().ends_with(b"csh") {
        Shell::C
    } else {
        Shell::Bourne
    }
}

/// Tells who waits, and holds neither its pipe nor its terminal any longer.
fn ready(stays: bool) {
    let _ = print_raw(b"ready\n");
    let _ = process::close_stdout();
    if stays {
        return;
    }
    if let Ok(nothing) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stderr(&nothing);
    }
}

/// The name of a configuration file, in the system's folder and in a home folder.
const CONFIGURATION: &str = "gpg-agent.conf";
