//! The configuration that `ssh` reads, and the `known_hosts` files that it, the command line and
//! the defaults name.
//!
//! **Invariant:** files are read, commands are not run: `Match exec` and `KnownHostsCommand` count
//! as not known.

use std::path::{Path, PathBuf};

use keystead_formats::ssh::config_names::{Config, ConfigNames, includes};
use keystead_formats::ssh::destination::Destination;

use crate::evidence::Seen;

use super::processes::{Process, Processes};
use super::short::read_text;

/// Adds to `seen` what may hold the host's name.
pub(super) fn look(processes: &Processes, process: &Process, seen: &mut Seen, home: Option<&Path>) {
    let destination = Destination::parse(&process.words()).unwrap_or_default();
    let place = Place {
        processes,
        pid: process.pid,
        homes: homes(home),
    };
    seen.config = place.config(&destination);
    let names = seen.config.names(&destination);
    let typed = destination.known_hosts_files.iter();
    let named = typed.chain(&names.known_hosts_files);
    let mut files: Vec<PathBuf> = Vec::new();
    for file in named {
        let expanded = place.expand(file, &destination, &names);
        files.extend(expanded.iter().flat_map(|file| place.paths(file)));
    }
    for name in ["known_hosts", "known_hosts2"] {
        files.extend(place.homes.iter().map(|home| home.join(".ssh").join(name)));
        files.push(Path::new(SYSTEM_FOLDER).join(format!("ssh_{name}")));
    }
    let mut distinct: Vec<PathBuf> = Vec::new();
    for file in files {
        if !distinct.contains(&file) {
            distinct.push(file);
        }
    }
    let texts = distinct.iter().take(KNOWN_HOSTS_FILES_MAX);
    seen.known_hosts = texts
        .filter_map(|path| read_text(path, KNOWN_HOSTS_BYTES_MAX))
        .collect();
}

/// From where a process and its configuration name files.
struct Place<'a> {
    processes: &'a Processes,
    pid: i32,
    homes: Vec<PathBuf>,
}

impl Place<'_> {
    /// With `-F` that file alone; else the person's, then the system's.
    fn config(&self, destination: &Destination) -> Config {
        let mut config = Config::default();
        let mut left = CONFIG_FILES_MAX;
        let own = self.homes.iter().map(|home| home.join(".ssh"));
        let roots: Vec<(PathBuf, PathBuf)> = match destination.config_file.as_deref() {
            Some("none") => Vec::new(),
            Some(file) => {
                let folder = own.clone().next().unwrap_or_default();
                let paths = self.paths(file).into_iter();
                paths.map(|path| (path, folder.clone())).collect()
            }
            None => own
                .map(|folder| (folder.join("config"), folder))
                .chain([(
                    Path::new(SYSTEM_FOLDER).join("ssh_config"),
                    SYSTEM_FOLDER.into(),
                )])
                .collect(),
        };
        for (path, folder) in roots {
            if let Some(text) = read_text(&path, CONFIG_BYTES_MAX) {
                config.read(&text, &mut |word| self.included(word, &folder, &mut left));
            }
        }
        config
    }

    /// The texts of the files that one word of `Include` names; a relative one is sought in the
    /// folder of the configuration (ssh_config(5)).
    fn included(&self, word: &str, folder: &Path, left: &mut usize) -> Vec<String> {
        let mut texts = Vec::new();
        let bases = match Path::new(word).is_absolute() || word.starts_with("~/") {
            true => self.paths(word),
            false => vec![folder.join(word)],
        };
        for path in bases.iter().flat_map(|base| fitting(base)) {
            if *left == 0 {
                break;
            }
            *left -= 1;
            texts.extend(read_text(&path, CONFIG_BYTES_MAX));
        }
        texts
    }

    /// `~/…` is in the home folder, a relative name in the folder of the process.
    fn paths(&self, file: &str) -> Vec<PathBuf> {
        match file.strip_prefix("~/") {
            Some(below) => self.homes.iter().map(|home| home.join(below)).collect(),
            None => self.processes.file(self.pid, file).into_iter().collect(),
        }
    }

    /// Puts in what `%` and `${…}` stand for (ssh_config(5), TOKENS and ENVIRONMENT VARIABLES);
    /// none where that is not known here.
    fn expand(&self, file: &str, destination: &Destination, names: &ConfigNames) -> Option<String> {
        let mut path = String::new();
        let mut rest = file;
        while let Some(at) = rest.find(['%', '$']) {
            let (before, token) = rest.split_at_checked(at)?;
            path.push_str(before);
            if let Some(variable) = token.strip_prefix("${") {
                let (name, behind) = variable.split_once('}')?;
                path.push_str(&self.processes.variable(self.pid, name)?);
                rest = behind;
            } else if let Some(token) = token.strip_prefix('%') {
                let letter = token.chars().next()?;
                path.push_str(&self.token(letter, destination, names)?);
                rest = token.get(letter.len_utf8()..)?;
            } else {
                path.push('$');
                rest = token.get(1..)?;
            }
        }
        path.push_str(rest);
        Some(path)
    }

    fn token(&self, letter: char, to: &Destination, names: &ConfigNames) -> Option<String> {
        let typed = to.host.as_str();
        let host_name = to
            .host_name
            .as_deref()
            .or(names.host_names.first().map(String::as_str));
        let alias = to.host_key_alias.as_deref();
        let alias = alias.or(names.host_key_aliases.first().map(String::as_str));
        let port = to.port.or(names.ports.first().copied()).unwrap_or(22);
        Some(match letter {
            '%' => "%".to_owned(),
            'd' => self.homes.first()?.to_str()?.to_owned(),
            'h' => host_name.unwrap_or(typed).replace("%h", typed),
            'i' => rustix::process::getuid().as_raw().to_string(),
            'k' => alias.unwrap_or(typed).to_owned(),
            'n' => typed.to_owned(),
            'p' => port.to_string(),
            'r' => to.user.clone()?,
            _ => return None,
        })
    }
}

/// The files of a folder whose names fit the last part of `pattern`, in order.
fn fitting(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().and_then(|it| it.to_str());
    let (Some(name), Some(folder)) = (name, pattern.parent()) else {
        return Vec::new();
    };
    if !name.contains(['*', '?']) {
        return vec![pattern.to_owned()];
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names
        .take(FOLDER_ENTRIES_MAX)
        .filter(|it| includes(name, it))
        .collect();
    names.sort();
    names.into_iter().map(|it| folder.join(it)).collect()
}

/// `ssh` goes by the account's home folder, whatever `HOME` says; a person may mean the other one.
fn homes(home: Option<&Path>) -> Vec<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let accounts = read_text(Path::new("/etc/passwd"), CONFIG_BYTES_MAX).unwrap_or_default();
    let own = accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_own = fields.get(2).is_some_and(|it| it.parse() == Ok(uid));
        fields.get(5).filter(|_| is_own).map(PathBuf::from)
    });
    let mut homes: Vec<PathBuf> = own.into_iter().collect();
    homes.extend(
        home.filter(|it| !homes.iter().any(|own| own == it))
            .map(Path::to_owned),
    );
    homes
}

/// A long one has some thousand lines.
const CONFIG_BYTES_MAX: usize = 256 * 1024;

/// One a host, perhaps, of a few dozen.
const CONFIG_FILES_MAX: usize = 128;

/// A folder of such files.
const FOLDER_ENTRIES_MAX: usize = 4096;

/// Twelve that somebody names, and those of the defaults.
const KNOWN_HOSTS_FILES_MAX: usize = 16;

/// Some 40,000 hosts; more is read by `ssh` and not by us.
const KNOWN_HOSTS_BYTES_MAX: usize = 4 * 1024 * 1024;

const SYSTEM_FOLDER: &str = "/etc/ssh";

#[cfg(test)]
mod tests {
    use super::super::processes::tests::Fake;
    use super::*;

    /// The texts of the `known_hosts` files that are found for a command line, and the names that
    /// are sought in them. Files are in the process's folder; `home` is one below it.
    #[track_caller]
    fn check(line: &str, files: &[(&str, &str)], texts: &[&str], candidates: &[&str]) {
        let fake = Fake::new(&format!("hosts-{}", line.len()));
        let folder = fake.folder("work");
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text.replace("WORK", folder.to_str().unwrap())).unwrap();
        }
        fake.put(30, 1, 30, 0, line);
        fake.link(30, "cwd", &folder);
        fake.write(30, "environ", "A=b\0SITE=here\0");
        let processes = fake.processes();
        let process = processes.read(30).unwrap();
        let mut seen = Seen::default();
        look(&processes, &process, &mut seen, Some(&folder.join("home")));
        // What this machine's own files say is not the test's.
        let own: Vec<&str> = seen.known_hosts.iter().map(|it| it.trim()).collect();
        let found: Vec<&str> = own
            .into_iter()
            .filter(|it| it.starts_with("test-"))
            .collect();
        assert_eq!(found, texts, "{line}");
        let destination = Destination::parse(&process.words()).unwrap();
        let names = seen.config.names(&destination).candidates(&destination);
        for candidate in candidates {
            assert!(
                names.iter().any(|it| it == candidate),
                "{candidate}: {names:?}"
            );
        }
    }

    #[test]
    fn files_of_the_command_line_of_the_configuration_and_of_the_home_folder() {
        check(
            "ssh db",
            &[("home/.ssh/known_hosts", "test-home")],
            &["test-home"],
            &["db"],
        );
        check(
            "ssh -F cfg -p 23 db",
            &[
                (
                    "cfg",
                    "Include ~/.ssh/more/*.conf\nHost *\nUserKnownHostsFile kh-%h-%p",
                ),
                (
                    "home/.ssh/more/b.conf",
                    "Host db\nHostName db.test\nHostKeyAlias alias",
                ),
                ("home/.ssh/more/b.txt", "Host db\nHostName other"),
                ("kh-db.test-23", "test-config"),
            ],
            &["test-config"],
            &["[db.test]:23", "db.test", "alias"],
        );
        check(
            "ssh -oUserKnownHostsFile=~/kh -Fnone db1",
            &[
                ("home/kh", "test-typed"),
                ("home/.ssh/config", "HostName never"),
            ],
            &["test-typed"],
            &["db1"],
        );
        check(
            "ssh -F WORK.cfg db.test",
            &[
                (
                    "WORK.cfg",
                    "UserKnownHostsFile ${SITE}/%k ${NONE}/x \"WORK/a b\" %%",
                ),
                ("here/db.test", "test-variable"),
                ("a b", "test-quoted"),
                ("%", "test-percent"),
            ],
            &["test-variable", "test-quoted", "test-percent"],
            &["db.test"],
        );
    }

    #[test]
    fn files_that_fit_a_pattern() {
        let fake = Fake::new("fitting");
        let folder = fake.folder("more");
        for name in ["b.conf", "a.conf", ".c.conf", "d"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<PathBuf> { fitting(&folder.join(pattern)) };
        assert_eq!(
            names("*.conf"),
            [folder.join("a.conf"), folder.join("b.conf")]
        );
        assert_eq!(names("d"), [folder.join("d")]);
        assert_eq!(names("none/*"), Vec::<PathBuf>::new());
    }
}
