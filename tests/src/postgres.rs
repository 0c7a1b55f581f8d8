//! A private PostgreSQL for one test: real, in a throw-away folder, on a port of its own.
//!
//! Invariants: it syncs as a real one does; it listens on this machine alone; it is ended
//! by its id with the value, and dies with the thread that started it.
//!
//! A test's cluster is unpacked from one that an earlier test of this build packed, and lies
//! in memory where there is room: no test turns the machine off, and what a sync costs a
//! disk is the bench's subject alone.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{About, Failure, Result};
use crate::place::find;

/// A database server; up while this lives.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    variables: Vec<(String, String)>,
    child: Option<Child>,
    /// Whether its folder outlives it.
    is_kept: bool,
}

impl Postgres {
    /// Makes a new cluster and starts it.
    ///
    /// # Errors
    /// PostgreSQL is missing, or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same, with these environment variables.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start_with(variables: &[(String, String)]) -> Result<Self> {
        let memory = Path::new(MEMORY);
        let has_room = rustix::fs::statvfs(memory)
            .is_ok_and(|it| it.f_bavail.saturating_mul(it.f_frsize) >= MEMORY_BYTES_MIN);
        let parent = if has_room {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        Self::make(folder(&parent)?, variables)
    }

    /// The same, on the disk, whose price is to be measured.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start_on_disk() -> Result<Self> {
        Self::make(folder(&std::env::temp_dir())?, &[])
    }

    /// The cluster that is in `folder`, or a new one there; it stays there for another time.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn keep(folder: &Path) -> Result<Self> {
        let is_there = folder.join(CLUSTER).exists();
        std::fs::create_dir_all(folder).about(folder.display())?;
        let mut this = Self {
            folder: folder.to_owned(),
            port: free_port()?,
            variables: Vec::new(),
            child: None,
            is_kept: true,
        };
        if is_there {
            this.start_again()?;
        } else {
            belongs(folder)?;
            this.init()?;
        }
        Ok(this)
    }

    /// The same, on a file system of so many MiB, which only root can make.
    ///
    /// # Errors
    /// As [`Postgres::start`], and where no file system can be mounted.
    pub fn start_small(mib: u32) -> Result<Self> {
        let folder = folder(&std::env::temp_dir())?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]);
        let status = command.arg(&folder).status().about("mount")?;
        if !status.success() {
            return Err(Failure::new("no file system was mounted"));
        }
        belongs(&folder)?;
        Self::make(folder, &[])
    }

    /// The folder that it is in, which has room for a file beside it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts it if it ended by itself, as a service manager does.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_if_ended(&mut self) -> Result<()> {
        let child = self.child.as_mut().about_some("postgres")?;
        match child.try_wait().about("postgres")? {
            Some(_) => self.start_again(),
            None => Ok(()),
        }
    }

    fn make(folder: PathBuf, variables: &[(String, String)]) -> Result<Self> {
        let mut this = Self {
            folder,
            port: free_port()?,
            variables: variables.to_vec(),
            child: None,
            is_kept: false,
        };
        this.init()?;
        Ok(this)
    }

    fn init(&mut self) -> Result<()> {
        let packed = packed().filter(|_| self.variables.is_empty());
        if let Some(packed) = packed.as_deref().filter(|packed| packed.exists()) {
            self.unpack(packed)?;
            return self.start_again();
        }
        let words = ["--username=keystead", "--auth=trust", "--encoding=UTF8"];
        let output = self
            .command("initdb")?
            .args(words)
            .args(["--no-locale", "--no-sync", "--pgdata"])
            .arg(self.cluster())
            .output()
            .about("initdb")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure::new(format!("initdb: {said}")));
        }
        self.start_again()?;
        self.sql("postgres", "CREATE DATABASE keys")?;
        match packed {
            Some(packed) => {
                self.stop()?;
                self.pack(&packed)?;
                self.start_again()
            }
            None => Ok(()),
        }
    }

    /// Packs the cluster; of several that do so at once the last one's stays.
    fn pack(&self, packed: &Path) -> Result<()> {
        let partial = packed.with_extension(std::process::id().to_string());
        let mut command = Command::new(find("tar")?);
        command.arg("-cf").arg(&partial);
        command.arg("-C").arg(&self.folder).arg(CLUSTER);
        if !command.status().about("tar")?.success() {
            return Err(Failure::new("tar packed no cluster"));
        }
        std::fs::rename(&partial, packed).about(packed.display())
    }

    fn unpack(&self, packed: &Path) -> Result<()> {
        let mut command = self.command("tar")?;
        let packed = File::open(packed).about(packed.display())?;
        let status = command.args(["-xf", "-"]).stdin(packed).status();
        if !status.about("tar")?.success() {
            return Err(Failure::new("tar unpacked no cluster"));
        }
        Ok(())
    }

    /// Starts it after [`Postgres::stop`] or [`Postgres::kill`].
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> Result<()> {
        let mut child = self
            .command("postgres")?
            .arg("-D")
            .arg(self.cluster())
            .arg("-k")
            .arg(&self.folder)
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "log_min_messages=warning", "-c", "max_connections=60"])
            .stderr(Stdio::piped())
            .spawn()
            .about("postgres")?;
        let stderr = child.stderr.take();
        let mut lines = BufReader::new(stderr.about_some("postgres")?).lines();
        self.child = Some(child);
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line.about("postgres")?;
            said.push_str(&line);
            said.push('\n');
            if line.contains("ready to accept connections") {
                // Its pipe must not fill up.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(());
            }
        }
        Err(Failure::new(format!("postgres ended: {said}")))
    }

    /// Where the database is, over TCP.
    #[must_use]
    pub fn address(&self) -> String {
        format!(
            "postgres://keystead@127.0.0.1:{}/keys?sslmode=disable",
            self.port
        )
    }

    /// A new database in the same cluster, and where it is.
    ///
    /// # Errors
    /// It exists.
    pub fn database(&self, name: &str) -> Result<String> {
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.address().replace("/keys?", &format!("/{name}?")))
    }

    /// The port that it listens at.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process's id, for signals.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// It does not stop.
    pub fn stop(&mut self) -> Result<()> {
        self.end(Signal::INT)
    }

    /// Ends it at once, as a machine that loses its power.
    ///
    /// # Errors
    /// It does not end.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::QUIT)
    }

    /// Runs statements by `psql`, and gives what it prints: bare values, a row a line.
    ///
    /// # Errors
    /// They fail.
    pub fn sql(&self, database: &str, statements: &str) -> Result<String> {
        Self::sql_at(self.port, database, statements)
    }

    /// The same, of whoever knows the port alone.
    ///
    /// # Errors
    /// They fail.
    pub fn sql_at(port: u16, database: &str, statements: &str) -> Result<String> {
        let output = Command::new(find_here("psql")?)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", "127.0.0.1", "-U", "keystead", "-d", database])
            .args(["-p", &port.to_string(), "-c", statements])
            .output()
            .about("psql")?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Failure::new(format!("psql: {said}")))
    }

    /// Runs statements by `psql`, which then keeps its transaction open until what this
    /// gives is dropped.
    ///
    /// # Errors
    /// They fail.
    pub fn sql_held(&self, database: &str, statements: &str) -> Result<Held> {
        let mut child = Command::new(find_here("psql")?)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", "127.0.0.1", "-U", "keystead", "-d", database])
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .about("psql")?;
        let input = child.stdin.as_mut().about_some("psql")?;
        writeln!(input, "{statements}\n\\echo held").about("psql")?;
        input.flush().about("psql")?;
        let output = child.stdout.take().about_some("psql")?;
        let held = Held(child);
        for line in BufReader::new(output).lines() {
            if line.about("psql")? == "held" {
                return Ok(held);
            }
        }
        Err(Failure::new("psql ended"))
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let id = i32::try_from(child.id()).about("postgres")?;
        let pid = Pid::from_raw(id).about_some("postgres")?;
        kill_process(pid, signal).about("postgres")?;
        child.wait().about("postgres").map(drop)
    }

    fn cluster(&self) -> PathBuf {
        self.folder.join(CLUSTER)
    }

    /// One of PostgreSQL's programs, which refuse to run as root.
    fn command(&self, program: &str) -> Result<Command> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "INT"]);
        if rustix::process::geteuid().is_root() {
            command.args(["--reuid", "postgres", "--regid", "postgres"]);
            command.arg("--clear-groups");
        }
        // Set by whoever it runs as: what LD_PRELOAD brings may keep files of its user.
        command.args(["--", "env"]);
        let variables = self.variables.iter();
        command.args(variables.map(|(name, value)| format!("{name}={value}")));
        command.arg(find_here(program)?);
        command.current_dir(&self.folder).stdin(Stdio::null());
        command.stdout(Stdio::null()).env("LC_ALL", "C");
        Ok(command)
    }
}

/// A `psql` that holds what it locked.
pub struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        // Its input ends, and so does it.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.is_kept {
            let _ = self.end(Signal::INT);
            return;
        }
        let _ = self.end(Signal::QUIT);
        // Of a small one; of another it changes nothing.
        let mut command = Command::new("umount");
        command.args(["-q", "-l"]).arg(&self.folder);
        let _ = command.stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where this build keeps a cluster with an empty database `keys`, for each version that is here.
fn packed() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let target = program
        .ancestors()
        .find(|it| it.join(CARGOS_TAG).exists())?;
    let mut initdb = Command::new(find_here("initdb").ok()?);
    let said = initdb.arg("--version").output().ok()?.stdout;
    // "initdb (PostgreSQL) 15.14", and what a distribution adds.
    let said = String::from_utf8(said).ok()?;
    let version = said.split_whitespace().nth(2)?;
    Some(target.join(format!("postgres-{version}.tar")))
}

/// A folder that PostgreSQL's own user may write to.
fn folder(parent: &Path) -> Result<PathBuf> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("keystead-postgres-{}-{number}", std::process::id());
    let folder = parent.join(name);
    std::fs::create_dir(&folder).about(folder.display())?;
    belongs(&folder)?;
    Ok(folder)
}

/// Gives a folder to PostgreSQL's own user.
fn belongs(folder: &Path) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        let status = Command::new("chown")
            .args(["postgres:", "--"])
            .arg(folder)
            .status()
            .about("chown")?;
        if !status.success() {
            return Err(Failure::new("there is no user postgres"));
        }
    }
    Ok(())
}

/// On the path, or where Debian keeps the newest version.
fn find_here(program: &str) -> Result<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir(DEBIANS)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(program)))
        .filter(|path| Path::new(path).is_file())
        .collect();
    versions.sort();
    versions.pop().map_or_else(|| find(program), Ok)
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).about("a port")?;
    Ok(listener.local_addr().about("a port")?.port())
}

trait AboutSome<T> {
    fn about_some(self, what: &str) -> Result<T>;
}

impl<T> AboutSome<T> for Option<T> {
    fn about_some(self, what: &str) -> Result<T> {
        self.ok_or_else(|| Failure::new(format!("{what}: nothing")))
    }
}

/// A file system in memory, where there is one.
const MEMORY: &str = "/dev/shm";

/// A test's cluster grows to some 80 MiB, and several run at once; a container often has
/// 64 MiB there in all.
const MEMORY_BYTES_MIN: u64 = 1 << 30;

/// What cargo puts into its target folder.
const CARGOS_TAG: &str = "CACHEDIR.TAG";

/// In the folder.
const CLUSTER: &str = "cluster";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder a version.
const DEBIANS: &str = "/usr/lib/postgresql";
