//! A program that runs at a terminal of its own: its streams are kept, its end
//! is waited for, and it ends with the test.

use std::cell::Cell;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::deadline::Deadline;
use crate::failure::{About, Failure, Result};
use crate::terminal::Terminal;

/// What is to be run, and with what.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The program's name or path, then its arguments.
    pub words: Vec<String>,
    /// Whole environment.
    pub variables: Vec<(OsString, OsString)>,
    /// Working folder.
    pub folder: PathBuf,
    /// A file for standard input, instead of the terminal.
    pub input: Option<PathBuf>,
    /// A file for descriptor 3.
    pub third: Option<PathBuf>,
    /// Standard output and error are the terminal too, as where nothing is redirected.
    pub all_at_terminal: bool,
}

/// A program that was started.
pub struct Program {
    words: String,
    child: Child,
    /// What the person saw and can type at.
    pub terminal: Terminal,
    stdout: Arc<Stream>,
    stderr: Arc<Stream>,
    /// How much of the terminal's text the last answer was about.
    answered: Cell<usize>,
}

/// Everything that is known of a program that has ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// Exit status; 128 + N if signal N ended it, as a shell tells it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// What its terminal showed.
    pub terminal: String,
}

impl Program {
    /// Starts it in a session of its own, whose controlling terminal is new.
    ///
    /// It dies with the thread that started it, so that a test that is killed
    /// leaves nothing behind.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(run: &Run) -> Result<Self> {
        let words = run.words.join(" ");
        let terminal = Terminal::open()?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "setsid", "--ctty", "sh", "-c"]);
        command.arg(match (&run.input, &run.third) {
            (None, None) => "shift 2; exec \"$@\"",
            (Some(_), None) => "exec <\"$1\"; shift 2; exec \"$@\"",
            (None, Some(_)) => "exec 3<\"$2\"; shift 2; exec \"$@\"",
            (Some(_), Some(_)) => "exec <\"$1\" 3<\"$2\"; shift 2; exec \"$@\"",
        });
        command
            .arg("sh")
            .arg(run.input.clone().unwrap_or_default())
            .arg(run.third.clone().unwrap_or_default())
            .args(&run.words)
            .env_clear()
            .envs(run.variables.iter().cloned())
            .current_dir(&run.folder)
            .stdin(terminal.program_end()?);
        if run.all_at_terminal {
            command
                .stdout(terminal.program_end()?)
                .stderr(terminal.program_end()?);
        } else {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().about(&words)?;
        let stdout = child.stdout.take().map(Stream::follow).unwrap_or_default();
        let stderr = child.stderr.take().map(Stream::follow).unwrap_or_default();
        Ok(Self {
            words,
            child,
            terminal,
            stdout,
            stderr,
            answered: Cell::new(0),
        })
    }

    /// Its process id: the shell and setsid have become the program.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a stream has something that matches; gives the first group,
    /// or the whole match.
    ///
    /// # Errors
    /// The stream ended without it, or it takes too long.
    pub fn wait_for(&self, stream: &str, expression: &str) -> Result<String> {
        let expression = compile(expression)?;
        self.stream(stream)?
            .wait_for(&expression, 0)
            .map(|(found, _)| found)
            .map_err(|why| Failure::new(format!("{}: {why}\n{}", self.words, self.everything())))
    }

    /// Waits at its terminal for a question behind the last one that was
    /// answered, gives a person time to read it, and types the answer.
    ///
    /// # Errors
    /// It does not ask that, or it takes too long.
    pub fn answer(&self, question: &str, keys: &str) -> Result<()> {
        // A key counts only a second after the question is on the screen; the
        // prompt is written anew each second.
        let expression = compile(&format!(
            "(?s){question}(?-s).*(?s)(.*Approve( all \\d+)?\\?){{2}}"
        ))?;
        let from = self.answered.get();
        let shown = &self.terminal.shown;
        let to = shown
            .wait_for(&expression, from)
            .map_err(|why| Failure::new(format!("{}: {why}\n{}", self.words, self.everything())))?
            .1;
        self.answered.set(to);
        self.terminal.type_in(keys)
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// It takes too long.
    pub fn wait(&mut self) -> Result<Ended> {
        let deadline = Deadline::after(WAIT);
        // Its terminal closes when it ends, unless a program that it started
        // still has it: then the process table tells.
        while self.child.try_wait().about(&self.words)?.is_none() {
            if deadline.is_past() {
                let said = self.everything();
                return Err(Failure::new(format!("{} does not end\n{said}", self.words)));
            }
            self.terminal.shown.wait_for_news(LOOK_AGAIN);
        }
        self.ended()
    }

    /// Sends a signal to it alone.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.as_pid()?, signal).about(&self.words)
    }

    /// Sends a signal to it and to what it started at the same terminal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        kill_process_group(self.as_pid()?, signal).about(&self.words)
    }

    /// True while it has not ended.
    pub fn is_up(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn ended(&mut self) -> Result<Ended> {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.wait().about(&self.words)?;
        for stream in [&self.stdout, &self.stderr, &self.terminal.shown] {
            stream.wait_for_end(DRAIN);
        }
        Ok(Ended {
            status: status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal))
                .unwrap_or(-1),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            terminal: self.terminal.shown.text(),
        })
    }

    fn stream(&self, name: &str) -> Result<&Arc<Stream>> {
        match name {
            "stdout" => Ok(&self.stdout),
            "stderr" => Ok(&self.stderr),
            "terminal" => Ok(&self.terminal.shown),
            _ => Err(Failure::new(format!("no stream {name}"))),
        }
    }

    fn everything(&self) -> String {
        Ended {
            status: 0,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            terminal: self.terminal.shown.text(),
        }
        .said()
    }

    fn as_pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| Failure::new("no process id"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(pid) = self.as_pid()
            && self.is_up()
        {
            // It leads its session and so its group.
            let _ = kill_process_group(pid, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

impl Ended {
    /// The stream of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn stream(&self, name: &str) -> Result<&str> {
        match name {
            "stdout" => Ok(&self.stdout),
            "stderr" => Ok(&self.stderr),
            "terminal" => Ok(&self.terminal),
            _ => Err(Failure::new(format!("no stream {name}"))),
        }
    }

    /// All it said, for a person who looks for what went wrong.
    #[must_use]
    pub fn said(&self) -> String {
        let mut text = String::new();
        for name in ["stdout", "stderr", "terminal"] {
            let mut lines: Vec<&str> = self.stream(name).unwrap_or_default().lines().collect();
            // A prompt that counts seconds is written again and again.
            lines.dedup_by_key(|line| line.replace(|char: char| char.is_ascii_digit(), ""));
            let skipped = lines.len().saturating_sub(LINES_SHOWN);
            for line in lines.iter().skip(skipped) {
                text.push_str(&format!("    {name}: {}\n", line.trim_end()));
            }
        }
        text
    }
}

/// Bytes that come in, kept from the first on.
#[derive(Default)]
pub(crate) struct Stream {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    has_ended: bool,
}

impl Stream {
    pub(crate) fn follow(mut from: impl Read + Send + 'static) -> Arc<Self> {
        let stream = Arc::new(Self::default());
        let writer = Arc::clone(&stream);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                // A terminal that nobody has open any more is an error (EIO).
                let count = from.read(&mut buffer).unwrap_or(0);
                let mut state = writer.lock();
                state.bytes.extend(buffer.iter().take(count));
                state.has_ended = count == 0;
                writer.news.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        stream
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        // A line that a program writes over is a line of its own here.
        String::from_utf8_lossy(&self.lock().bytes)
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .replace(ERASE_LINE, "")
    }

    /// What matches behind the byte `from` of the text, and where the match ends.
    fn wait_for(
        &self,
        expression: &Regex,
        from: usize,
    ) -> std::result::Result<(String, usize), String> {
        let deadline = Deadline::after(WAIT);
        loop {
            let (text, has_ended) = (self.text(), self.lock().has_ended);
            let found = text.get(from..).and_then(|text| expression.captures(text));
            if let Some(found) = found {
                let end = found.get(0).map_or(0, |all| all.end());
                let group = found.get(1).or_else(|| found.get(0));
                let group = group.map(|m| m.as_str().to_owned()).unwrap_or_default();
                return Ok((group, from + end));
            }
            if has_ended {
                return Err(format!("ended without “{expression}”"));
            }
            if deadline.is_past() {
                return Err(format!("no “{expression}” in {} s", WAIT.as_secs()));
            }
            self.wait_for_news(LOOK_AGAIN);
        }
    }

    fn wait_for_end(&self, at_most: Duration) {
        let deadline = Deadline::after(at_most);
        while !self.lock().has_ended && !deadline.is_past() {
            self.wait_for_news(deadline.left());
        }
    }

    pub(crate) fn wait_for_news(&self, at_most: Duration) {
        let state = self.lock();
        if !state.has_ended {
            drop(self.news.wait_timeout(state, at_most));
            return;
        }
        drop(state);
        std::thread::sleep(at_most.min(LOOK_AGAIN));
    }
}

/// A regular expression over lines.
pub(crate) fn compile(expression: &str) -> Result<Regex> {
    Regex::new(&format!("(?m){expression}")).about(expression)
}

/// Longer than anything takes on two busy cores: an authenticator that nobody
/// answers says so after 30 s (`spec/pairing.md` section 1); every other wait is
/// 2 s in the tests.
pub(crate) const WAIT: Duration = Duration::from_secs(45);

/// To the end of the line (ECMA-48 EL).
const ERASE_LINE: &str = "\x1b[K";

/// Of each stream, the last ones.
const LINES_SHOWN: usize = 25;

/// A look at what nothing tells of by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a program wrote before its end is in the pipe by then; a program that
/// it has left running may hold the pipe open.
const DRAIN: Duration = Duration::from_millis(500);
