//! The built server in a folder of its own, with its database; ended by its id.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use keystead_channel::session::{Authority, Pin};
use keystead_keeper::server::{Binds, Endpoint, Trust};
use keystead_tests::{About, Failure, Postgres, Result};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::times::{seconds, since_ms};

/// Where the rows are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A server that can be started again.
pub(crate) struct Server {
    folder: Folder,
    program: PathBuf,
    postgres: Option<Postgres>,
    running: Option<Running>,
}

/// Where its files are.
enum Folder {
    /// Gone with the server.
    Passing(tempfile::TempDir),
    /// Somebody's, for another run.
    Kept(PathBuf),
}

struct Running {
    child: Child,
    /// Open, so that it can go on saying things.
    _lines: Lines<BufReader<ChildStdout>>,
    endpoint: Endpoint,
}

impl Server {
    /// Makes its folder, and its database if that is another process.
    pub(crate) fn new(program: &Path, database: Database) -> Result<Self> {
        let folder = Folder::Passing(tempfile::tempdir().about("a folder")?);
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(Postgres::start_on_disk()?),
        };
        Self::made(program, folder, postgres)
    }

    /// The one that was left in `folder`, or a new one where that is not there.
    pub(crate) fn kept(program: &Path, database: Database, folder: &Path) -> Result<Self> {
        let is_new = !folder.exists();
        let postgres = match database {
            Database::Sqlite => None,
            Database::Postgres => Some(Postgres::keep(&folder.join("postgres"))?),
        };
        let folder = folder.join("server");
        if is_new {
            std::fs::create_dir_all(&folder).about("the folder")?;
            return Self::made(program, Folder::Kept(folder), postgres);
        }
        Ok(Self {
            folder: Folder::Kept(folder),
            program: program.to_owned(),
            postgres,
            running: None,
        })
    }

    fn made(program: &Path, folder: Folder, postgres: Option<Postgres>) -> Result<Self> {
        let this = Self {
            folder,
            program: program.to_owned(),
            postgres,
            running: None,
        };
        let mut init = this.command("init");
        init.args(["--host", "127.0.0.1"]).stdout(Stdio::null());
        if !init.status().about("init")?.success() {
            return Err(Failure::new("init failed"));
        }
        let file = this.folder().join(CONFIGURATION);
        let text = std::fs::read_to_string(&file).about("the configuration")?;
        let text = format!("registration = \"open\"\n{text}{NO_LIMITS}");
        std::fs::write(&file, text).about("the configuration")?;
        Ok(this)
    }

    pub(crate) fn folder(&self) -> &Path {
        match &self.folder {
            Folder::Passing(folder) => folder.path(),
            Folder::Kept(folder) => folder,
        }
    }

    /// As `--database` takes it.
    pub(crate) fn address(&self) -> String {
        match &self.postgres {
            None => "sqlite:keystead.db".to_owned(),
            Some(postgres) => postgres.address(),
        }
    }

    pub(crate) fn endpoint(&self) -> Result<&Endpoint> {
        Ok(&self.running()?.endpoint)
    }

    /// Comes back when it is ready: milliseconds.
    pub(crate) fn start(&mut self) -> Result<f64> {
        let begun = seconds();
        let mut command = self.command("run");
        command.args(["--listen", "127.0.0.1:0", "--database", &self.address()]);
        let mut child = command.stdout(Stdio::piped()).spawn().about("run")?;
        let output = child.stdout.take();
        let output = output.ok_or_else(|| Failure::new("no output"))?;
        let mut lines = BufReader::new(output).lines();
        let line = lines.next().and_then(std::io::Result::ok);
        let line = line.unwrap_or_default();
        let ready_ms = since_ms(begun);
        let address = line.strip_prefix("ready ");
        let address = address.ok_or_else(|| Failure::new(format!("run said {line:?}")))?;
        let authority = CertificateDer::from_pem_file(self.folder().join("ca.pem"));
        let Authority(hash) = Authority::of(&authority.about("ca.pem")?);
        let endpoint = Endpoint::new(address, &Trust::Pinned(hash), Pin::Nothing, Binds::Always);
        self.running = Some(Running {
            child,
            _lines: lines,
            endpoint: endpoint.about("the address")?,
        });
        Ok(ready_ms)
    }

    /// In order: what waits is answered first.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        let id = i32::try_from(running.child.id()).about("its id")?;
        let pid = Pid::from_raw(id).ok_or_else(|| Failure::new("no id"))?;
        kill_process(pid, Signal::TERM).about("the server")?;
        running.child.wait().about("the server").map(drop)
    }

    /// Seconds of CPU so far, of the server and of what keeps its rows.
    pub(crate) fn cpu_s(&self) -> Result<f64> {
        let own = cpu_ticks(self.running()?.child.id())?.own;
        let of_database = match self.postgres.as_ref().and_then(Postgres::pid) {
            None => 0,
            Some(pid) => family_ticks(pid)?,
        };
        Ok((own + of_database) as f64 / TICKS_PER_SECOND)
    }

    /// Resident memory of the server (proc_pid_status(5)).
    pub(crate) fn rss_mib(&self) -> Result<f64> {
        let pid = self.running()?.child.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).about("status")?;
        let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = value.and_then(|it| it.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        kib.map(|kib| kib / 1_024.0)
            .ok_or_else(|| Failure::new("no VmRSS"))
    }

    /// Frees the room of rows that are gone, where the database does not do so at once; it
    /// stays in the files.
    pub(crate) fn vacuum(&self) -> Result<()> {
        match &self.postgres {
            Some(postgres) => postgres.sql("keys", "VACUUM").map(drop),
            None => Ok(()),
        }
    }

    /// Gives the room of rows that are gone back to the disk, of the tables that entries
    /// change.
    pub(crate) fn compact(&self) -> Result<()> {
        let Some(postgres) = &self.postgres else {
            return Ok(());
        };
        for table in [
            "head",
            "writer",
            "chain",
            "session",
            "leaf_index",
            "block",
            "tile",
        ] {
            postgres.sql("keys", &format!("VACUUM FULL {table}"))?;
        }
        Ok(())
    }

    /// What the database would do some minutes after many rows have come.
    pub(crate) fn settle(&self) -> Result<()> {
        let Some(postgres) = &self.postgres else {
            return Ok(());
        };
        for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
            postgres.sql("keys", statement)?;
        }
        Ok(())
    }

    /// What the database takes, indexes and all.
    pub(crate) fn bytes(&self) -> Result<i64> {
        if let Some(postgres) = &self.postgres {
            let text = postgres.sql("keys", "SELECT pg_database_size('keys')")?;
            return text.trim().parse().about("its size");
        }
        let mut sum = 0;
        for entry in std::fs::read_dir(self.folder()).about("the folder")? {
            let entry = entry.about("the folder")?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with("keystead.db")
            {
                sum += entry.metadata().about("a file")?.len();
            }
        }
        i64::try_from(sum).about("its size")
    }

    fn running(&self) -> Result<&Running> {
        let running = self.running.as_ref();
        running.ok_or_else(|| Failure::new("the server does not run"))
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).arg("--dir").arg(self.folder());
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A measurement that failed has said why.
        let _ = self.stop();
    }
}

/// Clock ticks of a process, and of its children that have ended (proc_pid_stat(5)).
struct Ticks {
    parent: u32,
    own: u64,
    ended: u64,
}

fn cpu_ticks(pid: u32) -> Result<Ticks> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).about("stat")?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text
        .rsplit_once(") ")
        .map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
    // state, ppid, …: field 3 stands first here; utime is field 14.
    let number = |field: usize| fields.get(field - 3).and_then(|it| it.parse::<u64>().ok());
    let all = [4, 14, 15, 16, 17].map(|field| number(field).unwrap_or_default());
    let [parent, user, system, user_ended, system_ended] = all;
    Ok(Ticks {
        parent: u32::try_from(parent).unwrap_or_default(),
        own: user + system,
        ended: user_ended + system_ended,
    })
}

/// PostgreSQL: the postmaster, and a process a connection.
fn family_ticks(head: u32) -> Result<u64> {
    let Ticks { own, ended, .. } = cpu_ticks(head)?;
    let mut sum = own + ended;
    for entry in std::fs::read_dir("/proc").about("/proc")?.flatten() {
        let pid = entry.file_name().to_string_lossy().parse::<u32>();
        // One may end meanwhile.
        let ticks = pid.ok().and_then(|pid| cpu_ticks(pid).ok());
        sum += ticks
            .filter(|it| it.parent == head)
            .map_or(0, |it| it.own + it.ended);
    }
    Ok(sum)
}

/// What `init` writes first of all.
const CONFIGURATION: &str = "config.toml";

/// No request limit, no buckets of sources.
const NO_LIMITS: &str = "
[sessions]
requests_max = 0
[guesses]
per_source_s = 0
per_s = 0
[registrations]
per_source_hour = 0
";

/// USER_HZ of Linux, the same on every machine (proc_pid_stat(5)).
const TICKS_PER_SECOND: f64 = 100.0;
