//! Plays a script: step after step, until one is not as the script says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::failure::{About, Failure, Result};
use crate::leftover;
use crate::place::{Place, wait_until};
use crate::postgres::Postgres;
use crate::program::{Ended, Program, Run, compile};
use crate::script::{Step, parse};
use crate::sshd::{self, Sshd};
use crate::words::split;

/// Plays `tests/scripts/NAME.script` in a new place.
///
/// # Errors
/// Says which line of which script is not so, and what the program showed.
pub fn play(name: &str) -> Result<()> {
    let mut play = Play::new()?;
    play.script(name)?;
    play.finish()
}

/// A play that goes on: what has been started, and what is known.
pub struct Play {
    // Programs end before their folder goes.
    background: BTreeMap<String, Program>,
    sshds: BTreeMap<String, Sshd>,
    postgres: Option<Postgres>,
    variables: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    unset: Vec<String>,
    last: Ended,
    /// All that programs have said: none of it may hold a secret.
    said: Vec<Ended>,
    place: Place,
}

impl Play {
    /// Opens a new place.
    ///
    /// # Errors
    /// `KEYSTEAD_BIN_DIR` does not name the built programs.
    pub fn new() -> Result<Self> {
        let place = Place::new()?;
        let folder = place
            .path("")
            .to_string_lossy()
            .trim_end_matches('/')
            .to_owned();
        let user = std::process::Command::new("id")
            .arg("-un")
            .output()
            .about("id")?;
        let variables = BTreeMap::from([
            ("PLACE".to_owned(), folder),
            (
                "HOME".to_owned(),
                place.home().to_string_lossy().into_owned(),
            ),
            (
                "STATE".to_owned(),
                place.path("k").to_string_lossy().into_owned(),
            ),
            ("TESTS".to_owned(), env!("CARGO_MANIFEST_DIR").to_owned()),
            (
                "USER".to_owned(),
                String::from_utf8_lossy(&user.stdout).trim().to_owned(),
            ),
        ]);
        Ok(Self {
            background: BTreeMap::new(),
            sshds: BTreeMap::new(),
            postgres: None,
            // For what a script has `sh` do.
            environment: variables.clone(),
            variables,
            unset: Vec::new(),
            last: Ended::default(),
            said: Vec::new(),
            place,
        })
    }

    /// Plays a script in this place.
    ///
    /// # Errors
    /// Says which line is not so, and what the program showed.
    pub fn script(&mut self, name: &str) -> Result<()> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("scripts")
            .join(format!("{name}.script"));
        let text = std::fs::read_to_string(&path).about(path.display())?;
        self.lines(&format!("{name}.script"), &text)
    }

    /// Plays lines; `name` says where they are from.
    ///
    /// # Errors
    /// As [`Play::script`].
    pub fn lines(&mut self, name: &str, text: &str) -> Result<()> {
        for step in parse(text).about(name)? {
            self.step(&step).map_err(|why| {
                Failure::new(format!(
                    "{name}, line {}: {}\n  {why}\n{}",
                    step.line,
                    step.text,
                    self.last.said()
                ))
            })?;
        }
        Ok(())
    }

    /// Ends all programs, sees that none is left, and looks for the passphrase in what they said, at the
    /// most talkative level of tracing, and in what they kept.
    ///
    /// # Errors
    /// It was there, a program panicked, or one goes on.
    pub fn finish(mut self) -> Result<()> {
        let names: Vec<String> = self.background.keys().cloned().collect();
        for name in names {
            self.named(&name)?.signal_all(Signal::KILL)?;
            self.wait(&name)?;
        }
        self.sshds.clear();
        self.postgres = None;
        self.place.stop_agents();
        leftover::none()?;
        for ended in &self.said {
            for (what, word) in [("the passphrase", PASSPHRASE), ("a panic", "panicked at")] {
                let streams = [&ended.stdout, &ended.stderr, &ended.terminal];
                if streams.iter().any(|stream| stream.contains(word)) {
                    return Err(Failure::new(format!("{what} was said:\n{}", ended.said())));
                }
            }
        }
        for folder in [
            self.place.path("k"),
            self.place.path("home/.local"),
            self.place.path("relay"),
        ] {
            without_passphrase(&folder)?;
        }
        Ok(())
    }

    /// The process of a program in the background.
    ///
    /// # Errors
    /// None has that name.
    pub fn pid(&self, name: &str) -> Result<u32> {
        self.named(name).map(Program::pid)
    }

    /// Ends a program in the background, if it has not ended by itself, and
    /// tells all of it.
    ///
    /// # Errors
    /// None has that name, or it does not end.
    pub fn last_of(&mut self, name: &str) -> Result<Ended> {
        if self.background.get_mut(name).is_some_and(Program::is_up) {
            self.named(name)?.signal_all(Signal::TERM)?;
        }
        self.wait(name)?;
        Ok(self.last.clone())
    }

    /// Where it is played.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What a script has kept.
    ///
    /// # Errors
    /// Nothing has set it.
    pub fn variable(&self, name: &str) -> Result<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| Failure::new(format!("nothing has set {name}")))
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let words = split(&step.rest, &self.variables)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match (step.verb.as_str(), words.as_slice()) {
            ("include", [name]) => self.script(name),
            ("env", [assignment]) => self.set(assignment),
            ("unset", [name]) => {
                self.environment.remove(*name);
                self.unset.push((*name).to_owned());
                Ok(())
            }
            ("sshd", []) => self.start_sshd("sshd", ""),
            ("sshd", [name]) => self.start_sshd(name, ""),
            ("sshd", [name, lines]) => self.start_sshd(name, &unescape(lines)),
            ("postgres", []) => {
                let address = self.postgres.insert(Postgres::start()?).address();
                self.set(&format!("DATABASE={address}"))
            }
            ("wait-for", [name, stream, expression]) => {
                self.named(name)?.wait_for(stream, expression).map(|_| ())
            }
            ("wait-for", [name, stream, expression, variable]) => {
                let found = self.named(name)?.wait_for(stream, expression)?;
                self.variables.insert((*variable).to_owned(), found);
                Ok(())
            }
            ("answer", [name, question, keys]) => {
                self.named(name)?.answer(question, &unescape(keys))
            }
            ("type", [name, text]) => self.named(name)?.terminal.type_in(&unescape(text)),
            ("kill", [name]) => self.end(name, Signal::KILL),
            ("stop", [name]) => self.end(name, Signal::TERM),
            ("pause", [name]) => self.named(name)?.signal(Signal::STOP),
            ("resume", [name]) => self.named(name)?.signal(Signal::CONT),
            ("wait", [name]) => self.wait(name),
            ("pid", [name, variable]) => {
                let pid = self.pid(name)?.to_string();
                self.variables.insert((*variable).to_owned(), pid);
                Ok(())
            }
            ("status", [number]) => self.status(number, step.is_negated),
            ("stdout" | "stderr" | "terminal", [expression]) => {
                let text = self.last.stream(&step.verb)?;
                agrees(text, expression, step.is_negated)
            }
            ("keep", [variable, stream, expression]) => self.keep(variable, stream, expression),
            ("file", [file, expression]) => agrees(&self.read(file)?, expression, step.is_negated),
            ("there", [file]) => {
                let is_there = self.in_home(file).exists();
                if is_there == step.is_negated {
                    return Err(Failure::new(format!("there: {is_there}")));
                }
                Ok(())
            }
            ("write" | "append" | "halve", _) => self.change(&step.verb, &words),
            ("until", _) => self.until(&words),
            ("at-once", [number, line @ ..]) => self.at_once(number, line),
            ("at-terminal", _) => self.foreground(&words, true, step.is_negated),
            _ => {
                let line: Vec<&str> = [&[step.verb.as_str()], words.as_slice()].concat();
                self.program(&line, step.is_negated)
            }
        }
    }

    fn program(&mut self, line: &[&str], must_fail: bool) -> Result<()> {
        match line.split_last() {
            Some((last, line)) if last.len() > 1 && last.starts_with('&') => {
                let name = last.trim_start_matches('&');
                let line = match line.split_first() {
                    Some((&"at-terminal", line)) => (line, true),
                    _ => (line, false),
                };
                let program = Program::start(&self.run(line.0, line.1)?)?;
                self.background.insert(name.to_owned(), program);
                Ok(())
            }
            _ => self.foreground(line, false, must_fail),
        }
    }

    fn foreground(&mut self, line: &[&str], all_at_terminal: bool, must_fail: bool) -> Result<()> {
        if line
            .last()
            .is_some_and(|last| last.len() > 1 && last.starts_with('&'))
        {
            let line: Vec<&str> = [&["at-terminal"], line].concat();
            return self.program(&line, must_fail);
        }
        let ended = Program::start(&self.run(line, all_at_terminal)?)?.wait()?;
        self.take(ended);
        if (self.last.status == 0) == must_fail {
            return Err(Failure::new(format!(
                "it ended with status {}",
                self.last.status
            )));
        }
        Ok(())
    }

    fn run(&self, line: &[&str], all_at_terminal: bool) -> Result<Run> {
        let mut words = line.to_vec();
        let mut take = |sign: &str| {
            let at = words
                .iter()
                .position(|word| word.starts_with(sign) && word.len() > sign.len())?;
            let word = words.remove(at);
            Some(self.in_home(word.trim_start_matches(sign)))
        };
        let third = take("3<");
        let input = take("<");
        let mut run = self.place.run(&words);
        run.input = input;
        run.third = third;
        run.all_at_terminal = all_at_terminal;
        if !all_at_terminal {
            // What developers may switch on must not tell secrets either.
            run.variables
                .push(("KEYSTEAD_TRACE".into(), "trace".into()));
        }
        for name in &self.unset {
            run.variables
                .retain(|(known, _)| known.as_os_str() != name.as_str());
        }
        for (name, value) in &self.environment {
            run.variables
                .retain(|(known, _)| known.as_os_str() != name.as_str());
            run.variables.push((name.into(), value.into()));
        }
        Ok(run)
    }

    fn set(&mut self, assignment: &str) -> Result<()> {
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| Failure::new("env NAME=VALUE"))?;
        self.environment.insert(name.to_owned(), value.to_owned());
        self.variables.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn start_sshd(&mut self, name: &str, further: &str) -> Result<()> {
        let port = self.sshds.remove(name).map(|sshd| sshd.port());
        let sshd = Sshd::start(&self.place, name, port, further)?;
        let variable = format!("PORT_{name}");
        self.variables.insert(variable, sshd.port().to_string());
        self.sshds.insert(name.to_owned(), sshd);
        let servers = self.sshds.iter();
        sshd::clients(&self.place, servers.map(|(name, it)| (name.as_str(), it)))
    }

    fn named(&self, name: &str) -> Result<&Program> {
        self.background
            .get(name)
            .ok_or_else(|| Failure::new(format!("no program &{name}")))
    }

    fn end(&mut self, name: &str, signal: Signal) -> Result<()> {
        self.named(name)?.signal(signal)?;
        self.wait(name)
    }

    fn wait(&mut self, name: &str) -> Result<()> {
        let mut program = self
            .background
            .remove(name)
            .ok_or_else(|| Failure::new(format!("no program &{name}")))?;
        let ended = program.wait()?;
        self.take(ended);
        Ok(())
    }

    fn take(&mut self, ended: Ended) {
        self.said.push(ended.clone());
        self.last = ended;
    }

    fn status(&self, expected: &str, must_not: bool) -> Result<()> {
        if (self.last.status.to_string() == expected) != must_not {
            Ok(())
        } else {
            Err(Failure::new(format!(
                "it ended with status {}",
                self.last.status
            )))
        }
    }

    fn keep(&mut self, variable: &str, stream: &str, expression: &str) -> Result<()> {
        let text = self.last.stream(stream)?;
        let expression = compile(expression)?;
        let found = expression
            .captures(text)
            .and_then(|found| found.get(1).or_else(|| found.get(0)))
            .ok_or_else(|| Failure::new("nothing matches"))?;
        self.variables
            .insert(variable.to_owned(), found.as_str().to_owned());
        Ok(())
    }

    fn change(&self, verb: &str, words: &[&str]) -> Result<()> {
        let (path, text) = match words {
            [file, text] => (self.in_home(file), unescape(text)),
            [file] => (self.in_home(file), String::new()),
            _ => return Err(Failure::new("which file?")),
        };
        let before = match verb {
            "write" => Vec::new(),
            _ => std::fs::read(&path).about(path.display())?,
        };
        let bytes = match verb {
            "halve" => before.iter().copied().take(before.len() / 2).collect(),
            _ => [before, text.into_bytes()].concat(),
        };
        std::fs::write(&path, bytes).about(path.display())
    }

    fn until(&mut self, line: &[&str]) -> Result<()> {
        let run = self.run(line, false)?;
        let mut failure = None;
        wait_until("until", || {
            match Program::start(&run).and_then(|mut program| program.wait()) {
                Ok(ended) => {
                    self.last = ended;
                    self.last.status == 0
                }
                Err(why) => {
                    failure = Some(why);
                    true
                }
            }
        })?;
        failure.map_or(Ok(()), Err)
    }

    fn at_once(&mut self, number: &str, line: &[&str]) -> Result<()> {
        let number: usize = number.parse().about(number)?;
        let run = self.run(line, false)?;
        let mut programs = Vec::new();
        for _ in 0..number {
            programs.push(Program::start(&run)?);
        }
        for program in &mut programs {
            let ended = program.wait()?;
            self.take(ended);
            if self.last.status != 0 {
                return Err(Failure::new(format!(
                    "one ended with status {}",
                    self.last.status
                )));
            }
        }
        Ok(())
    }

    fn in_home(&self, file: &str) -> PathBuf {
        self.place.home().join(file)
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.in_home(file);
        let bytes = std::fs::read(&path).about(path.display())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Reads every file of a folder, if there is one.
fn without_passphrase(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().about(path.display())?;
        if kind.is_dir() {
            without_passphrase(&path)?;
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).about(path.display())?;
            if bytes
                .windows(PASSPHRASE.len())
                .any(|w| w == PASSPHRASE.as_bytes())
            {
                return Err(Failure::new(format!(
                    "the passphrase is in {}",
                    path.display()
                )));
            }
        }
    }
    Ok(())
}

fn agrees(text: &str, expression: &str, must_not: bool) -> Result<()> {
    if compile(expression)?.is_match(text) == must_not {
        let what = if must_not {
            "it says so:"
        } else {
            "it does not say so:"
        };
        return Err(Failure::new(format!("{what}\n{text}")));
    }
    Ok(())
}

/// `\n` is a line's end and `^C` that key, in what is typed and written.
fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("^C", "\u{3}")
}

/// How every passphrase of the scripts begins.
const PASSPHRASE: &str = "correct horse";
