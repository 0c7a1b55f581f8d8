//! Other programs, run to their end. Those that stay up are in `try_main::stage`.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::failure::{About, Failure, Result};

/// A program with its arguments, folder and environment.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    name: OsString,
    arguments: Vec<OsString>,
    folder: Option<PathBuf>,
    variables: Vec<(OsString, OsString)>,
}

impl Program {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        Self {
            name: name.as_ref().to_owned(),
            arguments: Vec::new(),
            folder: None,
            variables: Vec::new(),
        }
    }

    /// The cargo that started this program.
    pub(crate) fn cargo(root: &Path) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        Self::new(cargo).folder(root)
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((OsString::from(name), value.as_ref().to_owned()));
        self
    }

    /// As typed, for a person.
    pub(crate) fn line(&self) -> String {
        let name = Path::new(&self.name)
            .file_name()
            .unwrap_or(self.name.as_os_str());
        let mut line = name.to_string_lossy().into_owned();
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(&argument.to_string_lossy());
        }
        line
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.name);
        command.args(&self.arguments);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    /// Runs it in sight of the person; true if it ended well.
    pub(crate) fn shown(&self) -> Result<bool> {
        let status = self.command().status().about(self.line())?;
        Ok(status.success())
    }

    /// Runs it in sight of the person; an end with another status is an error.
    pub(crate) fn must(&self) -> Result<()> {
        if self.shown()? {
            Ok(())
        } else {
            Err(Failure::new(format!("{} failed", self.line())))
        }
    }

    /// Runs it in sight of the person and hands over each line of its standard
    /// output as it comes; true if it ended well.
    pub(crate) fn watched(&self, line: &mut dyn FnMut(&str)) -> Result<bool> {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .about(self.line())?;
        if let Some(output) = child.stdout.take() {
            for text in BufReader::new(output).lines() {
                line(&text.about(self.line())?);
            }
        }
        Ok(child.wait().about(self.line())?.success())
    }

    /// Runs it out of sight; what it printed, whatever its status.
    pub(crate) fn captured(&self) -> Result<Output> {
        self.command()
            .stdin(Stdio::null())
            .output()
            .about(self.line())
    }

    /// Runs it out of sight and gives its standard output; another status than
    /// 0 is an error that shows what it said.
    pub(crate) fn output(&self) -> Result<String> {
        let output = self.captured()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(Failure::new(format!(
                "{} failed:\n{}",
                self.line(),
                String::from_utf8_lossy(&output.stderr).trim_end()
            )))
        }
    }

    /// Runs it out of sight; true if it could be started and ended well.
    pub(crate) fn quietly(&self) -> bool {
        self.captured().is_ok_and(|output| output.status.success())
    }
}

/// Finds a program in `PATH`, then where Debian keeps what root runs.
pub(crate) fn find(name: &str, further: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .chain(further.iter().cloned())
        .map(|folder| folder.join(name))
        .find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & ANY_EXECUTE != 0)
}

/// An ordinary user's `PATH` lacks these on Debian, and `sshd` is there.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Mode bits: owner, group or others may execute.
const ANY_EXECUTE: u32 = 0o111;
