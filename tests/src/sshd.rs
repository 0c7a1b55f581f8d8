//! A private `sshd` for the user who runs the test, on a port of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{About, Failure, Result};
use crate::place::{Place, find};
use crate::program::Program;

/// The server, up while this lives.
pub struct Sshd {
    port: u16,
    _program: Program,
}

impl Sshd {
    /// Starts the server `name`. It lets in the keys in `home/authorized_keys`,
    /// as that file is at each login; `further` are lines of its configuration
    /// that count before the others. `port`: as an earlier one had it. Its host
    /// key is `host_key` for the server `sshd`, `host_key_NAME` for others; a
    /// script may have made it.
    ///
    /// # Errors
    /// `sshd` or a port is missing.
    pub fn start(place: &Place, name: &str, port: Option<u16>, further: &str) -> Result<Self> {
        if !host_key(place, name).exists() {
            new_key(&host_key(place, name))?;
        }
        if rustix::process::geteuid().is_root() {
            // Where sshd, as root, shuts its unprivileged half in.
            std::fs::create_dir_all("/run/sshd").about("/run/sshd")?;
        }
        let mut last = Failure::new("no port");
        for _ in 0..PORT_TRIES {
            let port = port.map_or_else(free_port, Ok)?;
            let configuration = format!("sshd_config_{name}");
            let text = format!("{further}\n{}", server(place, name, port)?);
            let configuration = place.write(&configuration, &text)?;
            let program = find("sshd")?;
            let words = ["-D", "-e", "-f"].map(str::to_owned);
            let mut run = place.run(&[&program.to_string_lossy()]);
            run.words.extend(words);
            run.words.push(configuration.to_string_lossy().into_owned());
            let started = Program::start(&run)?;
            match started.wait_for("stderr", "Server listening on ") {
                Ok(_) => {
                    return Ok(Self {
                        port,
                        _program: started,
                    });
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// A port that was free a moment ago: sshd cannot be told to take any.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).about("a port")?;
    Ok(listener.local_addr().about("a port")?.port())
}

fn new_key(path: &Path) -> Result<()> {
    let status = Command::new(find("ssh-keygen")?)
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(path)
        .status()
        .about("ssh-keygen")?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| Failure::new("ssh-keygen failed"))
}

/// Where the host key of a server lies.
fn host_key(place: &Place, name: &str) -> PathBuf {
    match name {
        "sshd" => place.path("host_key"),
        name => place.path(&format!("host_key_{name}")),
    }
}

fn server(place: &Place, name: &str, port: u16) -> Result<String> {
    let mut text = format!(
        "ListenAddress 127.0.0.1:{port}\n\
         HostKey {}\n\
         AuthorizedKeysFile {}\n\
         PidFile none\n\
         AuthenticationMethods publickey\n\
         PermitRootLogin prohibit-password\n\
         StrictModes no\n\
         MaxStartups 200\n\
         PrintMotd no\n\
         PrintLastLog no\n\
         LogLevel VERBOSE\n\
         Subsystem sftp internal-sftp\n\
         UsePAM {}\n",
        host_key(place, name).display(),
        place.path("home/authorized_keys").display(),
        if is_locked() { "yes" } else { "no" }
    );
    // Newer versions slow down a source that fails, which scripts do on purpose.
    let line = "PerSourcePenalties no\n";
    let output = Command::new(find("sshd")?)
        .args(["-t", "-f", "/dev/null", "-o", "PerSourcePenalties=no"])
        .output()
        .about("sshd -t")?;
    if !String::from_utf8_lossy(&output.stderr).contains("Bad configuration option") {
        text.push_str(line);
    }
    // An sshd that was unpacked, not installed, has its other halves beside it.
    if let Some(libraries) = std::env::var_os("KEYSTEAD_UNPACKED") {
        let folder = Path::new(&libraries).join("../openssh");
        for (keyword, program) in [
            ("SshdSessionPath", "sshd-session"),
            ("SshdAuthPath", "sshd-auth"),
        ] {
            let path = folder.join(program);
            if path.exists() {
                text.push_str(&format!("{keyword} {}\n", path.display()));
            }
        }
    }
    Ok(text)
}

/// Without PAM, sshd refuses root's account if its password is locked.
fn is_locked() -> bool {
    let shadow = std::fs::read_to_string("/etc/shadow").unwrap_or_default();
    rustix::process::geteuid().is_root() && shadow.lines().any(|line| line.starts_with("root:!"))
}

/// Writes to the person's `.ssh/config` and `known_hosts` how to reach the
/// servers by their names.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn clients<'a>(
    place: &Place,
    servers: impl Iterator<Item = (&'a str, &'a Sshd)>,
) -> Result<()> {
    let user = Command::new("id").arg("-un").output().about("id")?;
    let user = String::from_utf8_lossy(&user.stdout).trim().to_owned();
    let home = place.home();
    let known = home.join(".ssh/known_hosts");
    let (mut text, mut hosts) = (String::new(), String::new());
    for (name, sshd) in servers {
        let public = host_key(place, name).with_extension("pub");
        let key = std::fs::read_to_string(&public).about(public.display())?;
        let key: Vec<&str> = key.split_whitespace().take(2).collect();
        hosts.push_str(&format!("{name} {}\n", key.join(" ")));
        text.push_str(&format!(
            "Host {name}\n\
             HostName 127.0.0.1\n\
             Port {}\n\
             HostKeyAlias {name}\n\
             User {user}\n\
             UserKnownHostsFile {}\n\
             GlobalKnownHostsFile none\n\
             StrictHostKeyChecking yes\n\
             BatchMode yes\n\
             LogLevel ERROR\n\
             IdentityFile {}\n\n",
            sshd.port,
            known.display(),
            home.join(".ssh/id_ed25519").display(),
        ));
    }
    place.write("home/.ssh/known_hosts", &hosts)?;
    // What scripts and `keystead ssh setup` have written stays.
    let path = home.join(".ssh/config");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let kept = before
        .split_once(END_OF_OURS)
        .map_or(before.as_str(), |(_, kept)| kept);
    text.push_str(END_OF_OURS);
    text.push_str(kept);
    std::fs::write(&path, text).about(path.display())
}

/// Parts what is written here from what comes later.
const END_OF_OURS: &str = "# end of the private sshd\n";

/// Between choosing a port and using it, another program may take it.
const PORT_TRIES: usize = 5;
