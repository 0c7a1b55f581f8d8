//! A throw-away folder with programs that stay up in it.
//!
//! Invariants: programs see an environment of their own, with nothing of the
//! person's in it; the folder and the programs end with the stage.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::guard::{Guard, MARK};
use crate::failure::{About, Failure, Result, write};

/// The folder, and what runs in it.
pub(crate) struct Stage {
    folder: PathBuf,
    variables: Vec<(OsString, OsString)>,
    guard: Guard,
    /// Kept so that each is waited for when the stage ends.
    children: Vec<Child>,
}

impl Stage {
    /// Makes the folder. `path` is the programs' `PATH`.
    pub(crate) fn new(path: OsString, libraries: Option<&Path>) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("keystead-{}", std::process::id()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .about(folder.display())?;
        write(&folder.join(MARK), "")?;
        let guard = Guard::start(&folder)?;
        let mut variables: Vec<(OsString, OsString)> = KEPT_VARIABLES
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)))
            .collect();
        let mut set = |name: &str, value: OsString| variables.push((OsString::from(name), value));
        let (home, temporary) = (folder.join("home"), folder.join("tmp"));
        for folder in [&home, &temporary] {
            std::fs::create_dir(folder).about(folder.display())?;
        }
        set("PATH", path);
        set("HOME", home.into());
        set("TMPDIR", temporary.into());
        set("KEYSTEAD_HOME", folder.join("keystead").into());
        set("GIT_CONFIG_NOSYSTEM", "1".into());
        if let Some(libraries) = libraries {
            set("LD_LIBRARY_PATH", libraries.into());
        }
        Ok(Self {
            folder,
            variables,
            guard,
            children: Vec::new(),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// For all programs from now on.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.push((OsString::from(name), value.into()));
    }

    /// A file that only this user can read.
    pub(crate) fn private_file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .about(path.display())?;
        file.write_all(text.as_bytes()).about(path.display())?;
        Ok(path)
    }

    /// A program with its arguments, to be run in the stage.
    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let (name, arguments) = line.split_first().map_or(("true", line), |(n, a)| (*n, a));
        let mut command = Command::new(name);
        command
            .args(arguments)
            .env_clear()
            .envs(self.variables.iter().cloned())
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// The same, with a passphrase readable as descriptor 3.
    pub(crate) fn command_with_passphrase(&self, passphrase: &Path, line: &[&str]) -> Command {
        let mut command = self.command(&["sh", "-c", "exec 3<\"$0\" && exec \"$@\""]);
        command
            .arg(passphrase)
            .args(line)
            .args(["--passphrase-fd", "3"]);
        command
    }

    /// Runs a program to its end, in sight of the person.
    pub(crate) fn shown(&mut self, mut command: Command) -> Result<()> {
        let mut child = command.spawn().about(name(&command))?;
        self.guard.watch(child.id())?;
        ended_well(&command, child.wait().about(name(&command))?)
    }

    /// Runs a program to its end, out of sight, and gives what it wrote to
    /// standard output; if it fails, the error has what it complained of.
    pub(crate) fn output(&mut self, mut command: Command) -> Result<String> {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .about(name(&command))?;
        self.guard.watch(child.id())?;
        let output = child.wait_with_output().about(name(&command))?;
        ended_well(&command, output.status).map_err(|why| {
            let complaint = String::from_utf8_lossy(&output.stderr);
            Failure::new(format!("{why}\n{}", complaint.trim_end()))
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts a program that stays up, and waits for the line that says so on
    /// the given stream; gives what follows `sign` on that line.
    pub(crate) fn start(&mut self, mut command: Command, on: On, sign: &str) -> Result<String> {
        match on {
            On::Output => command.stdout(Stdio::piped()),
            On::Errors => command.stderr(Stdio::piped()),
        };
        let mut child = command.spawn().about(name(&command))?;
        self.guard.watch(child.id())?;
        let stream: Box<dyn Read + Send> = match (on, child.stdout.take(), child.stderr.take()) {
            (On::Output, Some(output), _) => Box::new(output),
            (On::Errors, _, Some(errors)) => Box::new(errors),
            _ => return Err(Failure::new(format!("{} has no output", name(&command)))),
        };
        self.children.push(child);
        let lines = follow(stream);
        let mut said = String::new();
        loop {
            match lines.recv_timeout(START_WAIT) {
                Ok(line) => {
                    if let Some((_, after)) = line.split_once(sign) {
                        return Ok(after.trim().to_owned());
                    }
                    said.push_str(&line);
                    said.push('\n');
                }
                Err(_) => {
                    let name = name(&command);
                    return Err(Failure::new(format!(
                        "{name} did not start\n{}",
                        said.trim_end()
                    )));
                }
            }
        }
    }

    /// The process id of what was started last.
    pub(crate) fn last_started(&self) -> u32 {
        self.children.last().map_or(0, Child::id)
    }

    /// Starts a program that ends by itself; the caller waits for it.
    pub(crate) fn begin(&mut self, mut command: Command) -> Result<Child> {
        let child = command.spawn().about(name(&command))?;
        self.guard.watch(child.id())?;
        Ok(child)
    }

    /// Ends all programs and removes the folder.
    pub(crate) fn end(mut self) -> Result<()> {
        let result = self.guard.end();
        for child in &mut self.children {
            let _ = child.wait();
        }
        result
    }
}

/// Where a program says that it is up.
#[derive(Clone, Copy)]
pub(crate) enum On {
    Output,
    Errors,
}

/// Hands over the lines of a stream; reads on when nobody listens any more, so
/// that the program never waits for a reader.
fn follow(stream: Box<dyn Read + Send>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream)
            .lines()
            .map_while(std::io::Result::ok)
        {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn ended_well(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "{} ended with {status}",
            name(command)
        )))
    }
}

/// The program's name; of one started by `sh`, the program itself.
fn name(command: &Command) -> String {
    let mut words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if words.first().is_some_and(|word| word == "sh") {
        words.drain(..words.len().min(4));
    }
    words.truncate(2);
    words.join(" ")
}

/// What a program may know of the person: how to show and sort text, and who
/// they are. No folder, no agent, no configuration.
const KEPT_VARIABLES: &[&str] = &[
    "TERM",
    "COLORTERM",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "USER",
    "LOGNAME",
    "NO_COLOR",
];

/// A start takes a second at most, with a passphrase to be hashed.
const START_WAIT: Duration = Duration::from_secs(30);
