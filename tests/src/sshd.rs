//! A private `sshd` for the user who runs the test, on a port of its own.

use std::net::TcpListener;
use std::path::Path;
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
    /// Starts it and writes how to reach it as `sshd` to the person's
    /// `.ssh/config`. It lets in the keys in `home/authorized_keys`, as that
    /// file is at each login. `port`: as an earlier one had it.
    ///
    /// # Errors
    /// `sshd` or a port is missing.
    pub fn start(place: &Place, port: Option<u16>) -> Result<Self> {
        if !place.path("host_key").exists() {
            new_key(&place.path("host_key"))?;
        }
        if rustix::process::geteuid().is_root() {
            // Where sshd, as root, shuts its unprivileged half in.
            std::fs::create_dir_all("/run/sshd").about("/run/sshd")?;
        }
        let mut last = Failure::new("no port");
        for _ in 0..PORT_TRIES {
            let port = port.map_or_else(free_port, Ok)?;
            place.write("sshd_config", &server(place, port)?)?;
            let program = find("sshd")?;
            let words = ["-D", "-e", "-f"].map(str::to_owned);
            let mut run = place.run(&[&program.to_string_lossy()]);
            run.words.extend(words);
            run.words
                .push(place.path("sshd_config").to_string_lossy().into_owned());
            let started = Program::start(&run)?;
            match started.wait_for("stderr", "Server listening on ") {
                Ok(_) => {
                    client(place, port)?;
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

fn server(place: &Place, port: u16) -> Result<String> {
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
         UsePAM {}\n",
        place.path("host_key").display(),
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

fn client(place: &Place, port: u16) -> Result<()> {
    let key = place.read("host_key.pub")?;
    let key: Vec<&str> = key.split_whitespace().take(2).collect();
    place.write(
        "home/.ssh/known_hosts",
        &format!("sshd {}\n", key.join(" ")),
    )?;
    let user = Command::new("id").arg("-un").output().about("id")?;
    let home = place.home();
    let known = home.join(".ssh/known_hosts");
    let mut text = format!(
        "Host sshd\n\
         HostName 127.0.0.1\n\
         Port {port}\n\
         HostKeyAlias sshd\n\
         User {}\n\
         UserKnownHostsFile {}\n\
         GlobalKnownHostsFile none\n\
         StrictHostKeyChecking yes\n\
         BatchMode yes\n\
         LogLevel ERROR\n\
         IdentityFile {}\n\n",
        String::from_utf8_lossy(&user.stdout).trim(),
        known.display(),
        home.join(".ssh/id_ed25519").display(),
    );
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
