//! The agent's own process. Safe Rust has no `fork`, so this program is started once more, with
//! the listening socket as its standard input; until it serves, connections wait in the socket.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

use keystead_agent::serve::{DropIn, FingerprintHash, Interrupt, drop_in};
use keystead_daemon::home::{self, Folders};
use keystead_daemon::process;

use super::options::{Hash, KeyOptions, Mode, Serve};
use super::socket::{Place, Socket};
use super::{Ended, PID_VARIABLE, SOCKET_VARIABLE, set};
use crate::arguments;
use crate::commands::agent::trace;
use crate::terminal::{print_raw, say, say_raw};

/// Becomes an agent, or starts one.
pub(super) fn start(wanted: Serve) -> Result<(), Ended> {
    let Serve {
        shell,
        mode,
        socket,
        keys,
    } = wanted;
    let Socket { listener, place } = Socket::open(socket)?;
    let path = place.path.display().to_string();
    let own_pid = std::process::id();
    match mode {
        Mode::Debug | Mode::Foreground => {
            trace(if mode == Mode::Debug { "debug" } else { "warn" });
            let socket = set(shell, SOCKET_VARIABLE, &path);
            print_raw(format!("{socket}echo Agent pid {own_pid};\n").as_bytes())?;
            let options = options(listener, &place, keys, Interrupt::Stop);
            Err(served(drop_in(options, || ()), &place))
        }
        Mode::Background => {
            let agent = spawn(listener, &place, &keys, None)?;
            let socket = set(shell, SOCKET_VARIABLE, &path);
            let pid = set(shell, PID_VARIABLE, &agent.id().to_string());
            let said = format!("{socket}{pid}echo Agent pid {};\n", agent.id());
            Ok(print_raw(said.as_bytes())?)
        }
        Mode::Beside(command) => {
            let agent = spawn(listener, &place, &keys, Some(own_pid))?;
            let mut words = command.into_iter();
            let program = words.next().unwrap_or_default();
            // The command takes this process over: its number is the agent's parent.
            let error = Command::new(&program)
                .args(words)
                .env(SOCKET_VARIABLE, &place.path)
                .env(PID_VARIABLE, agent.id().to_string())
                .exec();
            Err(Ended::system(program.display(), &error))
        }
    }
}

/// Starts the process that serves, and waits until it does.
fn spawn(
    listener: UnixListener,
    place: &Place,
    keys: &KeyOptions,
    parent: Option<u32>,
) -> Result<Child, Ended> {
    let started = std::env::current_exe().and_then(|program| {
        let mut command = Command::new(program);
        command
            // By the name of the file it might be an ssh-agent again, and start itself for ever.
            .arg0("keystead")
            .args(["agent", "drop-in"])
            .args(words(place, keys, parent))
            .stdin(OwnedFd::from(listener))
            .stdout(Stdio::piped());
        command.spawn()
    });
    let mut child = started.map_err(|error| {
        place.remove();
        Ended::system("fork", &error)
    })?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        // No line: it ended, and has said why.
        let _ = BufReader::new(stdout).read_line(&mut line);
    }
    if line.is_empty() {
        let _ = child.wait();
        place.remove();
        return Err(Ended {
            text: String::new(),
            status: 1,
        });
    }
    Ok(child)
}

/// `keystead agent drop-in …`: what [`spawn`] starts; its standard input is the listening socket.
pub(crate) fn serve(typed: &arguments::DropIn) -> ExitCode {
    // The file may be setgid, and was started anew.
    if let Err(error) = process::drop_group() {
        say(format_args!("ssh-agent: setgid: {error}"));
        return ExitCode::FAILURE;
    }
    process::detach();
    // What ps(1) and pgrep(1) show: the name of what this stands in for.
    let _ = rustix::thread::set_name(c"ssh-agent");
    trace("warn");
    let place = Place {
        path: typed.socket.clone(),
        own_folder: typed.own_folder.clone(),
    };
    let listener = match take_stdin() {
        Ok(listener) => listener,
        Err(error) => {
            say(format_args!("ssh-agent: no socket: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let keys = KeyOptions {
        lifetime_s: typed.lifetime_s,
        fingerprint_hash: if typed.md5 { Hash::Md5 } else { Hash::Sha256 },
        allowed_providers: typed.providers.clone(),
        allow_remote_pkcs11: typed.allow_remote_pkcs11,
        no_restrict_websafe: typed.no_restrict_websafe,
    };
    let mut options = options(listener, &place, keys, Interrupt::Ignore);
    options.parent = typed.parent;
    let ended = served(drop_in(options, ready), &place);
    say_raw(&ended.text);
    ExitCode::from(ended.status)
}

/// Tells who waits, and holds neither its pipe nor its terminal any longer.
fn ready() {
    let _ = print_raw(b"ready\n");
    let _ = process::close_stdout();
    if let Ok(nothing) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stderr(&nothing);
    }
}

/// The socket that is standard input; `/dev/null` stands there from now on.
fn take_stdin() -> io::Result<UnixListener> {
    let listener = io::stdin().as_fd().try_clone_to_owned()?;
    let nothing = OpenOptions::new().read(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    Ok(UnixListener::from(listener))
}

/// The agent has ended: OpenSSH's handler of signals leaves with status 2.
fn served(outcome: Result<(), keystead_agent::serve::ServeError>, place: &Place) -> Ended {
    place.remove();
    match outcome {
        Ok(()) => Ended {
            text: String::new(),
            status: ENDED_BY_SIGNAL,
        },
        Err(error) => {
            let failure = crate::failure::Failure::of(&error);
            Ended::with(format_args!("ssh-agent: {}", failure.message))
        }
    }
}

fn options(
    listener: UnixListener,
    place: &Place,
    keys: KeyOptions,
    interrupt: Interrupt,
) -> DropIn {
    DropIn {
        listener,
        socket: place.path.clone(),
        folders: folders(place),
        lifetime_s: keys.lifetime_s,
        fingerprint_hash: match keys.fingerprint_hash {
            Hash::Sha256 => FingerprintHash::Sha256,
            Hash::Md5 => FingerprintHash::Md5,
        },
        allowed_providers: keys.allowed_providers,
        allow_remote_pkcs11: keys.allow_remote_pkcs11,
        restrict_websafe: !keys.no_restrict_websafe,
        parent: None,
        interrupt,
    }
}

/// Where the log goes. Without a home folder it lies beside the socket.
fn folders(place: &Place) -> Folders {
    Folders::of(home::Program::Agent).unwrap_or_else(|_| {
        let beside = place.path.parent().map(PathBuf::from).unwrap_or_default();
        Folders {
            config: beside.clone(),
            state: beside.clone(),
            runtime: beside,
        }
    })
}

/// The options as [`arguments::DropIn`] reads them.
fn words(place: &Place, keys: &KeyOptions, parent: Option<u32>) -> Vec<OsString> {
    // It leaves this folder.
    let whole = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let mut words: Vec<OsString> = vec!["--socket".into(), whole(&place.path).into()];
    let mut option = |name: &str, value: Option<OsString>| {
        if let Some(value) = value {
            // Together: a value may begin with a hyphen.
            let mut word = OsString::from(format!("--{name}="));
            word.push(value);
            words.push(word);
        }
    };
    let own_folder = place.own_folder.as_ref();
    option("own-folder", own_folder.map(|it| whole(it).into()));
    let number = |it: u32| it.to_string().into();
    option("lifetime-s", keys.lifetime_s.map(number));
    option("parent", parent.map(number));
    let providers = keys.allowed_providers.clone();
    option("providers", providers.map(OsString::from));
    let mut flag = |name: &str, is_set: bool| {
        if is_set {
            words.push(name.into());
        }
    };
    flag("--md5", keys.fingerprint_hash == Hash::Md5);
    flag("--allow-remote-pkcs11", keys.allow_remote_pkcs11);
    flag("--no-restrict-websafe", keys.no_restrict_websafe);
    words
}

/// The exit status of OpenSSH's agent when a signal or its command's end has ended it.
const ENDED_BY_SIGNAL: u8 = 2;
