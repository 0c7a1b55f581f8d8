//! `agent install`: systemd starts the agent when something first speaks to
//! its socket, and age finds its plugin.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keystead_agent::control::SSH_SOCKET_NAME;

use crate::agent_link::folders;
use crate::commands::{file, plugin_link};
use crate::failure::{Failure, Status};
use crate::terminal::{print, say};

/// `agent install [--print]`
pub(crate) fn install(print_only: bool) -> Result<(), Failure> {
    let units = units()?;
    let folder = units_folder()?;
    // All is done before any of it is printed: nobody may be there to read.
    if !print_only {
        for (name, text) in &units {
            file::replace(&folder.join(name), text.as_bytes())?;
        }
    }
    let link = plugin_link::lay(print_only)?;
    if !print_only {
        start_units();
    }
    for (name, text) in &units {
        if !print_only {
            say(format_args!("written to {}:", folder.join(name).display()));
        }
        print(format_args!("# {name}\n{text}"))?;
    }
    link.map_or(Ok(()), print)
}

/// Has systemd know the units, and says whether it does.
fn start_units() {
    if systemctl(&["daemon-reload"]) && systemctl(&["enable", "--now", SOCKET_UNIT]) {
        say(format_args!(
            "systemd listens for the agent; `keystead agent uninstall` undoes it"
        ));
    } else {
        say(format_args!(
            "no systemd of this user answers; where one does:\n  systemctl --user daemon-reload\n  \
             systemctl --user enable --now {SOCKET_UNIT}"
        ));
    }
}

/// `agent uninstall`
pub(crate) fn uninstall() -> Result<(), Failure> {
    let folder = units_folder()?;
    let there = |name: &&str| folder.join(name).exists();
    let is_unlinked = plugin_link::take_away()?;
    if ![SOCKET_UNIT, SERVICE_UNIT].iter().any(there) {
        if !is_unlinked {
            say("nothing is installed");
        }
        return Ok(());
    }
    let stopped = systemctl(&["disable", "--now", SOCKET_UNIT, SERVICE_UNIT]);
    for name in [SOCKET_UNIT, SERVICE_UNIT] {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Ok(()) => say(format_args!("{} removed", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(file::failure(&path, &error)),
        }
    }
    if stopped {
        systemctl(&["daemon-reload"]);
    }
    Ok(())
}

/// The program that installed units start; none where nothing is installed.
pub(crate) fn installed_program() -> Option<PathBuf> {
    let unit = fs::read_to_string(units_folder().ok()?.join(SERVICE_UNIT)).ok()?;
    let mut lines = unit.lines();
    let program = lines.find_map(|line| line.strip_prefix("ExecStart=\""))?;
    let (program, _) = program.split_once('"')?;
    Some(PathBuf::from(program.replace("%%", "%")))
}

/// Both units: name and text.
fn units() -> Result<[(&'static str, String); 2], Failure> {
    let program = quoted(&std::env::current_exe()?)?;
    let socket = escaped(&folders()?.runtime.join(SSH_SOCKET_NAME))?;
    let home = match std::env::var_os("KEYSTEAD_HOME").filter(|home| !home.is_empty()) {
        Some(home) => {
            let home = escaped(&std::path::absolute(PathBuf::from(home))?)?;
            format!("Environment=\"KEYSTEAD_HOME={home}\"\n")
        }
        None => String::new(),
    };
    let socket_unit = format!(
        "[Unit]\nDescription=Keystead agent socket\n\n\
         [Socket]\nListenStream={socket}\nSocketMode=0600\nDirectoryMode=0700\n\n\
         [Install]\nWantedBy=sockets.target\n"
    );
    let service_unit = format!(
        "[Unit]\nDescription=Keystead agent\n\
         Requires={SOCKET_UNIT}\n\n\
         [Service]\nType=notify\nExecStart={program} agent run\n{home}Restart=on-failure\n\
         LimitCORE=0\nNoNewPrivileges=yes\n\n\
         [Install]\nAlso={SOCKET_UNIT}\n"
    );
    Ok([(SOCKET_UNIT, socket_unit), (SERVICE_UNIT, service_unit)])
}

fn units_folder() -> Result<PathBuf, Failure> {
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.filter(|path| path.is_absolute());
    let config = config.or_else(|| Some(std::env::home_dir()?.join(".config")));
    let config = config.ok_or_else(|| Failure::new("no home folder is known"))?;
    Ok(config.join("systemd/user"))
}

/// Whether systemd of this user did it.
fn systemctl(arguments: &[&str]) -> bool {
    let mut command = Command::new("systemctl");
    command.arg("--user").args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A path in a unit: `%` starts a specifier (systemd.unit(5)).
fn escaped(path: &Path) -> Result<String, Failure> {
    let text = path
        .to_str()
        .filter(|text| !text.contains(['\n', '"', '\\', '$']));
    let text = text.ok_or_else(|| {
        let message = format!("{} cannot be written in a systemd unit", path.display());
        Failure::new(message).status(Status::Usage)
    })?;
    Ok(text.replace('%', "%%"))
}

/// A path as a word of a command line (systemd.service(5)).
fn quoted(path: &Path) -> Result<String, Failure> {
    Ok(format!("\"{}\"", escaped(path)?))
}

const SOCKET_UNIT: &str = "keystead-agent.socket";

const SERVICE_UNIT: &str = "keystead-agent.service";
