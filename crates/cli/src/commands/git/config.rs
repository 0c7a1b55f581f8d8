//! git's configuration of this user, changed by `git config` itself.
//!
//! **Invariant:** each change is remembered before the next one is made, so that
//! [`Record::take_back`] puts the file back as it was: byte for byte, if nobody has touched those
//! lines since, else value by value, and values that somebody set since stay.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keystead_daemon::{Disk, FolderDisk};
use serde::{Deserialize, Serialize};

use super::hunk::Hunk;
use crate::agent_link::folders;
use crate::commands::file;
use crate::failure::Failure;

/// A file of git's configuration.
pub(super) struct Config {
    pub(super) path: PathBuf,
}

impl Config {
    /// The file that is named; else the one that `git config --global` writes.
    pub(super) fn of(named: Option<&Path>) -> Result<Self, Failure> {
        let path = match named {
            Some(path) => std::path::absolute(path)?,
            None => own_path().ok_or_else(|| {
                Failure::new("no home folder is known").hint("name the file with --config")
            })?,
        };
        Ok(Self { path })
    }

    /// All values of a setting in this file, in their order.
    pub(super) fn values(&self, name: &str) -> Result<Vec<String>, Failure> {
        let output = self.git(&["-z", "--get-all", name])?;
        match output.status.code() {
            Some(0) => {
                let text = String::from_utf8(output.stdout).map_err(|_| {
                    Failure::new(format!("{}: {name} is not UTF-8", self.path.display()))
                })?;
                Ok(text.split_terminator('\0').map(str::to_owned).collect())
            }
            // git-config(1): the section or key is invalid, or not there.
            Some(1) => Ok(Vec::new()),
            _ => Err(self.failed(&output.stderr)),
        }
    }

    /// Gives a setting one value.
    pub(super) fn set(&self, name: &str, value: &str) -> Result<(), Failure> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        self.change(&["--replace-all", name, value])
    }

    /// Gives a setting exactly these values.
    fn set_all(&self, name: &str, values: &[String]) -> Result<(), Failure> {
        if let [value] = values {
            return self.set(name, value);
        }
        self.change(&["--unset-all", name])?;
        for value in values {
            self.change(&["--add", name, value])?;
        }
        Ok(())
    }

    /// The file's bytes, one a character, whatever encoding they are in; none where there is no
    /// file.
    fn text(&self) -> Result<Option<String>, Failure> {
        let bytes = file::read(&self.path)?;
        Ok(bytes.map(|bytes| bytes.into_iter().map(char::from).collect()))
    }

    fn change(&self, arguments: &[&str]) -> Result<(), Failure> {
        let output = self.git(arguments)?;
        if output.status.success() {
            return Ok(());
        }
        Err(self.failed(&output.stderr))
    }

    fn git(&self, arguments: &[&str]) -> Result<std::process::Output, Failure> {
        git()
            .arg("config")
            .arg("--file")
            .arg(&self.path)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| no_git(&error))
    }

    fn failed(&self, stderr: &[u8]) -> Failure {
        let said = String::from_utf8_lossy(stderr);
        let said = said.trim().lines().last().unwrap_or("git config failed");
        Failure::new(format!("{}: {said}", self.path.display()))
    }
}

/// What `git setup` did, for `--undo`.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The file of git's configuration.
    pub(super) config: PathBuf,
    /// It was not there before.
    is_new: bool,
    /// The settings, in the order of their first change.
    settings: Vec<Setting>,
    /// The changes of lines, the latest last.
    hunks: Vec<Hunk>,
    /// The file of allowed signers that has our lines.
    pub(super) allowed_signers: PathBuf,
}

/// A setting before and after.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Setting {
    name: String,
    was: Vec<String>,
    is: String,
}

/// How much was put back.
pub(super) enum TakenBack {
    /// Every byte.
    Exactly,
    /// Every value, but for those that were changed since.
    ButFor(Vec<String>),
}

impl Record {
    /// What is remembered; none when nothing is set up.
    pub(super) fn load() -> Result<Option<Self>, Failure> {
        let path = folders()?.state.join(FILE_NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::new(format!("{}: {error}", path.display()))),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Failure::new(format!("{}: {error}", path.display()))
                .hint("a later keystead wrote it: use that one")
        })
    }

    /// Nothing yet.
    pub(super) fn new(config: &Config, allowed_signers: PathBuf) -> Self {
        Self {
            config: config.path.clone(),
            is_new: !config.path.exists(),
            settings: Vec::new(),
            hunks: Vec::new(),
            allowed_signers,
        }
    }

    /// Gives a setting a value, unless it has it.
    pub(super) fn set(
        &mut self,
        config: &Config,
        name: &'static str,
        value: &str,
    ) -> Result<(), Failure> {
        let was = config.values(name)?;
        if was == [value] {
            return Ok(());
        }
        let before = config.text()?.unwrap_or_default();
        match self.settings.iter_mut().find(|it| it.name == name) {
            Some(known) => value.clone_into(&mut known.is),
            None => self.settings.push(Setting {
                name: name.to_owned(),
                was,
                is: value.to_owned(),
            }),
        }
        // First, so that what a crash leaves behind can be put back.
        self.store()?;
        config.set(name, value)?;
        let after = config.text()?.unwrap_or_default();
        self.hunks.extend(Hunk::between(&before, &after));
        self.store()
    }

    /// Puts everything back.
    pub(super) fn take_back(&self) -> Result<TakenBack, Failure> {
        let config = Config {
            path: self.config.clone(),
        };
        let Some(text) = config.text()? else {
            return Ok(TakenBack::ButFor(Vec::new()));
        };
        if let Some(before) = self.text_before(&text)
            && self.stands(&config)?
        {
            self.write(&config, &before)?;
            return Ok(TakenBack::Exactly);
        }
        let mut changed = Vec::new();
        for setting in self.settings.iter().rev() {
            if config.values(&setting.name)? == [setting.is.as_str()] {
                config.set_all(&setting.name, &setting.was)?;
            } else {
                changed.push(setting.name.clone());
            }
        }
        if config.text()?.is_some_and(|text| text.trim().is_empty()) {
            self.write(&config, "")?;
        }
        Ok(TakenBack::ButFor(changed))
    }

    /// Nothing is set up any more.
    pub(super) fn forget() -> Result<(), Failure> {
        let mut disk = disk()?;
        Ok(disk.remove(FILE_NAME)?)
    }

    /// Are all values still those that were set?
    fn stands(&self, config: &Config) -> Result<bool, Failure> {
        for setting in &self.settings {
            if config.values(&setting.name)? != [setting.is.as_str()] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn text_before(&self, text: &str) -> Option<String> {
        let mut text = text.to_owned();
        for hunk in self.hunks.iter().rev() {
            text = hunk.take_back(&text)?;
        }
        Some(text)
    }

    fn write(&self, config: &Config, text: &str) -> Result<(), Failure> {
        if self.is_new && text.is_empty() {
            return Ok(std::fs::remove_file(&config.path)?);
        }
        let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        let bytes = bytes.map_err(|_| Failure::new("what git setup remembers is damaged"))?;
        file::replace(&config.path, &bytes)
    }

    /// Writes it down.
    pub(super) fn store(&self) -> Result<(), Failure> {
        let bytes = serde_json::to_vec(self).map_err(|error| Failure::of(&error))?;
        Ok(disk()?.replace(FILE_NAME, &bytes)?)
    }
}

/// git, without what a hook or an alias of another repository has set for it.
pub(super) fn git() -> Command {
    let mut command = Command::new("git");
    for variable in REPOSITORY_VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// git cannot be run.
pub(super) fn no_git(error: &io::Error) -> Failure {
    Failure::new(format!("git cannot be run: {error}")).hint("install git")
}

/// git-config(1), FILES: `~/.gitconfig` is written unless only the other one is there.
fn own_path() -> Option<PathBuf> {
    if let Some(path) = variable("GIT_CONFIG_GLOBAL") {
        return Some(path);
    }
    let home = std::env::home_dir().filter(|it| it.is_absolute());
    let plain = home.as_ref().map(|it| it.join(".gitconfig"));
    let xdg = variable("XDG_CONFIG_HOME").or_else(|| Some(home?.join(".config")));
    let xdg = xdg.map(|it| it.join("git/config"));
    if plain.as_ref().is_some_and(|it| it.exists()) {
        return plain;
    }
    xdg.filter(|it| it.exists()).or(plain)
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|it| !it.is_empty());
    value.map(PathBuf::from)
}

fn disk() -> Result<FolderDisk, Failure> {
    let folders = folders()?;
    folders
        .make()
        .map_err(|error| Failure::of(&error).hint(error.hint()))?;
    FolderDisk::open(&folders.state).map_err(|error| Failure::of(&error).hint(error.hint()))
}

/// The record's name in the state folder.
const FILE_NAME: &str = "git-setup.json";

/// `git rev-parse --local-env-vars`, the part that names a repository.
const REPOSITORY_VARIABLES: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];
