//! A private `sshd` on a port of its own, for this user alone.

use std::net::TcpListener;
use std::path::Path;

use super::stage::{On, Stage};
use crate::failure::{About, Failure, Result, write};
use crate::run::Program;
use crate::setup::{Tools, is_root};

/// Starts it and writes what `ssh -F` needs to reach it as `sshd`.
pub(crate) fn start(stage: &mut Stage, tools: &Tools, public_keys: &str) -> Result<()> {
    let folder = stage.folder().to_owned();
    let sshd = tools.find("sshd")?;
    let user = Program::new("id").arg("-un").output()?;
    let user = user.trim();
    let host_key = folder.join("host_key");
    Program::new(tools.find("ssh-keygen")?)
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "sshd", "-f"])
        .arg(&host_key)
        .output()?;
    write(&folder.join("authorized_keys"), public_keys)?;
    if is_root() {
        // Where sshd, as root, shuts its unprivileged half in.
        std::fs::create_dir_all("/run/sshd").about("/run/sshd")?;
    }
    let mut last = Failure::new("no port");
    for _ in 0..PORT_TRIES {
        let port = free_port()?;
        let configuration = folder.join("sshd_config");
        write(&configuration, &server(&folder, port, &sshd, user)?)?;
        let arguments = ["-D", "-e", "-f", &configuration.to_string_lossy()].map(str::to_owned);
        let mut command = stage.command(&[&sshd.to_string_lossy()]);
        command.args(arguments);
        match stage.start(command, On::Errors, "Server listening on ") {
            Ok(_) => return client(&folder, port, user),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

/// A port that was free a moment ago: sshd cannot be told to take any.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).about("a port on 127.0.0.1")?;
    Ok(listener.local_addr().about("a port on 127.0.0.1")?.port())
}

fn server(folder: &Path, port: u16, sshd: &Path, user: &str) -> Result<String> {
    let folder = folder.display();
    let mut text = format!(
        "ListenAddress 127.0.0.1:{port}\n\
         HostKey {folder}/host_key\n\
         AuthorizedKeysFile {folder}/authorized_keys\n\
         PidFile none\n\
         AllowUsers {user}\n\
         AuthenticationMethods publickey\n\
         PermitRootLogin prohibit-password\n\
         StrictModes no\n\
         MaxStartups 200\n\
         PrintMotd no\n\
         PrintLastLog no\n\
         UsePAM {}\n",
        if is_root() && is_locked(user) {
            "yes"
        } else {
            "no"
        }
    );
    // Newer versions slow down a source that fails; this one is tried on
    // purpose. From 9.8 on, sshd is several programs that look for each other.
    let beside = sshd
        .parent()
        .and_then(Path::parent)
        .map(|usr| usr.join("lib/openssh"))
        .unwrap_or_default();
    let newer = [
        "PerSourcePenalties no".to_owned(),
        format!("SshdSessionPath {}", beside.join("sshd-session").display()),
        format!("SshdAuthPath {}", beside.join("sshd-auth").display()),
    ];
    for line in newer {
        if knows(sshd, &line) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    Ok(text)
}

/// Whether this sshd accepts a line of configuration: an unknown keyword is an
/// error of its own, whatever else is missing.
fn knows(sshd: &Path, line: &str) -> bool {
    let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
    Program::new(sshd)
        .args(["-t", "-f", "/dev/null", "-o", &format!("{keyword}={value}")])
        .captured()
        .is_ok_and(|output| {
            !String::from_utf8_lossy(&output.stderr).contains("Bad configuration option")
        })
}

/// Without PAM, sshd refuses an account whose password is locked.
fn is_locked(user: &str) -> bool {
    Program::new("getent")
        .args(["shadow", user])
        .output()
        .is_ok_and(|line| {
            line.split(':')
                .nth(1)
                .is_some_and(|hash| hash.starts_with('!'))
        })
}

/// Nothing of the person's: no file of theirs is read or written.
fn client(folder: &Path, port: u16, user: &str) -> Result<()> {
    // Where the agent looks, too: it passes the host's names on.
    let home = folder.join("home/.ssh");
    let key = crate::failure::read(&folder.join("host_key.pub"))?;
    let key: Vec<&str> = key.split_whitespace().take(2).collect();
    write(
        &home.join("known_hosts"),
        &format!("sshd {}\n", key.join(" ")),
    )?;
    write(
        &folder.join("ssh_config"),
        &format!(
            "Host sshd\n\
             HostName 127.0.0.1\n\
             Port {port}\n\
             HostKeyAlias sshd\n\
             User {user}\n\
             UserKnownHostsFile {}/home/.ssh/known_hosts\n\
             GlobalKnownHostsFile none\n\
             StrictHostKeyChecking yes\n\
             IdentityFile none\n\
             BatchMode yes\n\
             LogLevel ERROR\n",
            folder.display()
        ),
    )
}

/// Between choosing a port and using it, another program may take it.
const PORT_TRIES: usize = 5;
