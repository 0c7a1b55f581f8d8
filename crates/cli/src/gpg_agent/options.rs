//! The command line of `gpg-agent` and its configuration, as GnuPG takes them (gpg-agent(1)).
//!
//! **Invariant:** this reads as GnuPG's own parser does, so that it knows what would start an agent.
//! What starts none is the ordinary gpg-agent's to print, and so is every complaint.

mod known;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use known::{Known, Value};

/// What the words and files say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    modes: Modes,
    /// `--version`, `--gpgconf-list` and the like: it prints something, and no agent starts.
    pub(crate) prints: bool,
    /// A word that cannot be understood here.
    pub(crate) is_wrong: bool,
    /// `--homedir`; else what the environment says.
    pub(crate) homedir: Option<PathBuf>,
    /// The language of what is printed; else as `SHELL` has it.
    pub(crate) shell: Option<Shell>,
    /// `--no-detach`.
    pub(crate) stays: bool,
    pub(crate) sockets: Sockets,
    pub(crate) configuration: Configuration,
    /// What the ordinary agent behind is told.
    pub(crate) passed: Vec<OsString>,
    /// What stands behind the options.
    pub(crate) command: Vec<OsString>,
}

/// Options of sockets.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sockets {
    /// `extra-socket`: another path, or `none`.
    pub(crate) extra: Option<OsString>,
    /// `browser-socket`.
    pub(crate) browser: Option<OsString>,
    /// `enable-ssh-support`: only what is printed depends on it.
    pub(crate) tells_ssh: bool,
    /// `disable-check-own-socket`: it outlives socket and home folder.
    pub(crate) is_unchecked: bool,
    /// `steal-socket`: from whoever listens there.
    pub(crate) steals: bool,
}

/// Which file a person's own configuration is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) enum Configuration {
    /// `gpg-agent.conf` of the home folder.
    #[default]
    Usual,
    /// The first `--options FILE`.
    File(PathBuf),
    /// `--no-options`, wherever it stands.
    None,
}

/// Where the agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `--daemon`, perhaps beside a command.
    Daemon,
    /// `--server`: over standard input and output.
    Pipe,
    /// `--supervised`: at sockets that were passed.
    Supervised,
}

/// The language of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    Bourne,
    C,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Modes {
    daemon: bool,
    pipe: bool,
    supervised: bool,
}

impl Options {
    /// Reads the words behind the program's name, after the files: words win.
    pub(crate) fn of(words: &[OsString], files: &[Vec<u8>]) -> Self {
        let mut read = Self::default();
        for file in files {
            read.file(file);
        }
        // The ordinary agent reads the same files.
        read.passed.clear();
        read.words(words);
        read
    }

    /// None: the ordinary agent looks whether one is running.
    pub(crate) const fn mode(&self) -> Option<Mode> {
        // In this order, as gpg-agent's main has it.
        if self.modes.pipe {
            Some(Mode::Pipe)
        } else if self.modes.supervised {
            Some(Mode::Supervised)
        } else if self.modes.daemon {
            Some(Mode::Daemon)
        } else {
            None
        }
    }

    /// A line is an option's whole name without hyphens, blanks, its value (gpg(1),
    /// "CONFIGURATION"). What is wrong there is passed over.
    fn file(&mut self, file: &[u8]) {
        for line in file.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            let end = line.iter().position(u8::is_ascii_whitespace);
            let Some((name, value)) = line.split_at_checked(end.unwrap_or(line.len())) else {
                continue;
            };
            let Some(known) = Known::called(name) else {
                continue;
            };
            if OF_WORDS_ALONE.contains(&known.name) {
                continue;
            }
            let value = value.trim_ascii();
            let value = match value.strip_prefix(b"\"") {
                Some(quoted) => quoted.strip_suffix(b"\"").unwrap_or(quoted),
                None => value,
            };
            let value = (!value.is_empty()).then(|| OsString::from_vec(value.to_vec()));
            match (known.value, &value) {
                (Value::None, Some(_)) | (Value::Needed, None) => {}
                (Value::None | Value::Needed | Value::Possible, _) => self.take(known.name, value),
            }
        }
    }

    /// As `arg_parse` of GnuPG: options end at `--` or at the first word that is none.
    fn words(&mut self, words: &[OsString]) {
        let mut rest = words.iter().peekable();
        while let Some(word) = rest.next() {
            match word.as_bytes() {
                b"--" => {
                    self.command = rest.cloned().collect();
                    return;
                }
                [b'-', b'-', long @ ..] => {
                    let next = rest.peek().copied();
                    if self.long(long, next) == Next::IsValue {
                        rest.next();
                    }
                }
                [b'-', letters @ ..] if !letters.is_empty() => {
                    letters.iter().for_each(|letter| self.letter(*letter));
                }
                _ => {
                    self.command = std::iter::once(word).chain(rest).cloned().collect();
                    return;
                }
            }
        }
    }

    fn long(&mut self, long: &[u8], next: Option<&OsString>) -> Next {
        let mut parts = long.splitn(2, |byte| *byte == b'=');
        let known = parts.next().and_then(Known::meant);
        let within = parts.next();
        let Some(Known { name, value }) = known else {
            self.is_wrong = true;
            return Next::IsWord;
        };
        let inside = within.filter(|it| !it.is_empty());
        let inside = inside.map(|it| OsString::from_vec(it.to_vec()));
        let may_follow = match value {
            Value::None => {
                // GnuPG takes any other option that has a value too many, without the value.
                if within.is_some() && name == "no-options" {
                    self.is_wrong = true;
                } else {
                    self.take(name, None);
                }
                return Next::IsWord;
            }
            Value::Needed => true,
            Value::Possible => next.is_some_and(|it| !it.as_bytes().starts_with(b"-")),
        };
        let is_within = within.is_some();
        let behind = next.filter(|_| may_follow && !is_within).cloned();
        let is_behind = behind.is_some();
        let found = inside.or(behind);
        if found.is_none() && matches!(value, Value::Needed) {
            self.is_wrong = true;
        } else {
            self.take(name, found);
        }
        if is_behind {
            Next::IsValue
        } else {
            Next::IsWord
        }
    }

    fn letter(&mut self, letter: u8) {
        match letter {
            b'c' => self.take("csh", None),
            b's' => self.take("sh", None),
            b'v' => self.take("verbose", None),
            b'q' => self.take("quiet", None),
            b'h' | b'?' => self.take("help", None),
            _ => self.is_wrong = true,
        }
    }

    fn take(&mut self, name: &'static str, value: Option<OsString>) {
        match name {
            "daemon" => self.modes.daemon = true,
            "server" => self.modes.pipe = true,
            "supervised" => self.modes.supervised = true,
            "no-detach" => self.stays = true,
            "sh" => self.shell = Some(Shell::Bourne),
            "csh" => self.shell = Some(Shell::C),
            "homedir" => self.homedir = value.map(PathBuf::from),
            "extra-socket" => self.sockets.extra = value,
            "browser-socket" => self.sockets.browser = value,
            "enable-ssh-support" => self.sockets.tells_ssh = true,
            "disable-check-own-socket" => self.sockets.is_unchecked = true,
            "steal-socket" => self.sockets.steals = true,
            // They say what has long been so.
            "use-standard-socket" | "no-use-standard-socket" | "write-env-file" => {}
            "gpgconf-list"
            | "gpgconf-test"
            | "use-standard-socket-p"
            | "help"
            | "version"
            | "warranty"
            | "dump-options"
            | "dump-option-table" => self.prints = true,
            "options" => {
                if let (Configuration::Usual, Some(file)) = (&self.configuration, &value) {
                    self.configuration = Configuration::File(file.into());
                }
                self.pass(name, value);
            }
            "no-options" => {
                self.configuration = Configuration::None;
                self.pass(name, None);
            }
            _ => self.pass(name, value),
        }
    }

    fn pass(&mut self, name: &str, value: Option<OsString>) {
        let mut word = OsString::from(format!("--{name}"));
        if let Some(value) = value {
            // Together: a value may begin with a hyphen.
            word.push("=");
            word.push(value);
        }
        self.passed.push(word);
    }
}

/// What the word behind an option is.
#[derive(PartialEq, Eq)]
enum Next {
    IsValue,
    IsWord,
}

/// Whether `value` of `extra-socket` means that there is none.
pub(crate) fn is_none(value: &OsStr) -> bool {
    value == "none" || value == "/dev/null"
}

/// Which home folder and which file: what a file says of them comes too late.
const OF_WORDS_ALONE: &[&str] = &["homedir", "options", "no-options"];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, file: &str) -> Options {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Options::of(&words, &[file.as_bytes().to_vec()])
    }

    fn plain(mode: Mode) -> Options {
        let mut modes = Modes::default();
        match mode {
            Mode::Daemon => modes.daemon = true,
            Mode::Pipe => modes.pipe = true,
            Mode::Supervised => modes.supervised = true,
        }
        Options {
            modes,
            ..Options::default()
        }
    }

    #[track_caller]
    fn check(line: &str, expected: Options) {
        assert_eq!(read(line, ""), expected, "{line}");
    }

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn as_gpg_and_its_tools_start_it() {
        let in_home = |passed: &[&str]| Options {
            homedir: Some("/h".into()),
            passed: words(passed),
            ..plain(Mode::Daemon)
        };
        check("--homedir /h --use-standard-socket --daemon", in_home(&[]));
        check(
            "--homedir /h --use-standard-socket --debug-quick-random --daemon",
            in_home(&["--debug-quick-random"]),
        );
        check("--server", plain(Mode::Pipe));
        check("--supervised", plain(Mode::Supervised));
        assert_eq!(
            read("--supervised --server --daemon", "").mode(),
            Some(Mode::Pipe)
        );
        assert_eq!(read("-v --homedir /h", "").mode(), None);
    }

    #[test]
    fn options_and_what_stands_behind_them() {
        check(
            "-vc --no-detach --extra-socket none --browser-socket=/b --daemon --log-file=-x sh -c true",
            Options {
                shell: Some(Shell::C),
                stays: true,
                sockets: Sockets {
                    extra: Some("none".into()),
                    browser: Some("/b".into()),
                    ..Sockets::default()
                },
                passed: words(&["--verbose", "--log-file=-x"]),
                command: words(&["sh", "-c", "true"]),
                ..plain(Mode::Daemon)
            },
        );
        check(
            "--daem --enable-ssh --steal --sh -- --daemon",
            Options {
                shell: Some(Shell::Bourne),
                sockets: Sockets {
                    tells_ssh: true,
                    steals: true,
                    ..Sockets::default()
                },
                command: words(&["--daemon"]),
                ..plain(Mode::Daemon)
            },
        );
        check(
            "--daemon --disable-check-own-socket - --server",
            Options {
                sockets: Sockets {
                    is_unchecked: true,
                    ..Sockets::default()
                },
                command: words(&["-", "--server"]),
                ..plain(Mode::Daemon)
            },
        );
    }

    #[test]
    fn values_as_gnupg_finds_them() {
        let with = |passed: &[&str]| Options {
            passed: words(passed),
            ..plain(Mode::Pipe)
        };
        // A value too many is nobody's.
        check("--server=1", plain(Mode::Pipe));
        check("--serv= --verbose=no", with(&["--verbose"]));
        // One that may be left out is the next word, unless that looks like an option.
        check(
            "--auto-expand-secmem 5 --server",
            with(&["--auto-expand-secmem=5"]),
        );
        check(
            "--auto-expand-secmem --server",
            with(&["--auto-expand-secmem"]),
        );
        check(
            "--auto-expand-secmem= --server",
            with(&["--auto-expand-secmem"]),
        );
        check("--write-env-file /f --server", with(&[]));
        // One that is needed is the next word, whatever it is.
        check(
            "--log-file --server --server",
            with(&["--log-file=--server"]),
        );
    }

    #[test]
    fn what_the_ordinary_agent_prints() {
        for line in [
            "--version",
            "--version=1",
            "--daemon --version",
            "--gpgconf-list",
            "--gpgconf-test --homedir /h",
            "--use-standard-socket-p",
            "--dump-options",
            "--nonsense --help",
            "-h",
            "-v?",
        ] {
            assert!(read(line, "").prints, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_understood() {
        for line in [
            "--nonsense --daemon",
            "--no --daemon",
            "--=x",
            "--no-options=1",
            "--daemon --homedir",
            "--homedir= --daemon",
            "-x --daemon",
            "-vx",
        ] {
            let read = read(line, "");
            assert!(read.is_wrong && !read.prints, "{line}");
        }
    }

    #[test]
    fn which_file_is_read() {
        let check = |line: &str, expected: Configuration| {
            assert_eq!(read(line, "").configuration, expected, "{line}");
        };
        let file = || Configuration::File("/a".into());
        check("--daemon", Configuration::Usual);
        check("--options /a --options /b", file());
        check("--options=/a --no-options", Configuration::None);
        check("--no-options --options=/a", Configuration::None);
        check("-- --no-options", Configuration::Usual);
    }

    #[test]
    fn a_configuration_file() {
        let check = |file: &str, expected: (Option<&str>, Option<&str>, bool)| {
            let sockets = read("", file).sockets;
            let text =
                |it: &Option<OsString>| it.as_ref().map(|it| it.to_string_lossy().into_owned());
            let read = (
                text(&sockets.extra),
                text(&sockets.browser),
                sockets.tells_ssh,
            );
            let expected = (
                expected.0.map(str::to_owned),
                expected.1.map(str::to_owned),
                expected.2,
            );
            assert_eq!(read, expected, "{file}");
        };
        check("", (None, None, false));
        check(
            "# extra-socket /x\nenable-ssh-support\n",
            (None, None, true),
        );
        check("enable-ssh-support yes\nenable-ssh", (None, None, false));
        check(
            "extra-socket  /x\n browser-socket \"none\"\r\nextra-socket \"/y",
            (Some("/y"), Some("none"), false),
        );
        let typed = read("--extra-socket /typed", "extra-socket /filed");
        assert_eq!(typed.sockets.extra, Some("/typed".into()));
        // What starts an agent may stand there, too; the ordinary one reads the rest itself.
        let filed = read("", "daemon\nlog-file /l\nhomedir /other\nno-options");
        assert_eq!(filed, plain(Mode::Daemon));
    }

    #[test]
    fn every_cut_of_a_file_is_read() {
        let file = b"# c\npinentry-program \"/a b/p\"\n\tdefault-cache-ttl=60\r\nverbose\n\xff\n";
        for len in 0..=file.len() {
            let cut = file[..len].to_vec();
            let options = Options::of(&words(&["--daemon"]), &[cut]);
            assert!(options.modes.daemon, "{len}");
        }
    }
}
