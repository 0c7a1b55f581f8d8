//! The command line of `gpg-agent`, as GnuPG takes it (gpg-agent(1)).
//!
//! **Invariant:** what does not start an agent, and what cannot be read, is handed to the ordinary
//! gpg-agent word for word, so that it prints what it always printed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The ordinary gpg-agent answers: `--version`, `--gpgconf-list` and the like, nothing at all,
    /// and what is wrong.
    HandOver,
    /// Be an agent.
    Serve(Serve),
}

/// How to be an agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Serve {
    pub(crate) mode: Mode,
    /// `--homedir`; else what the environment says.
    pub(crate) homedir: Option<PathBuf>,
    /// The language of what is printed; else as `SHELL` has it.
    pub(crate) shell: Option<Shell>,
    /// `--no-detach`.
    pub(crate) stays: bool,
    /// What the configuration file may say, too.
    pub(crate) sockets: Sockets,
    /// `--options FILE`; `Some(None)` is `--no-options`.
    pub(crate) configuration: Option<Option<PathBuf>>,
    /// What the ordinary agent behind is told.
    pub(crate) passed: Vec<OsString>,
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
}

/// Where the agent speaks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `--daemon`, perhaps beside a command.
    Daemon(Vec<OsString>),
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

/// Reads the arguments behind the program's name.
pub(crate) fn parse(arguments: &[OsString]) -> Wanted {
    let mut read = Read::default();
    if read.all(arguments).is_none() || read.hands_over {
        return Wanted::HandOver;
    }
    // In this order, as gpg-agent's main has it.
    let mode = if read.pipe {
        Mode::Pipe
    } else if read.supervised {
        Mode::Supervised
    } else if read.daemon {
        Mode::Daemon(read.command)
    } else {
        return Wanted::HandOver;
    };
    Wanted::Serve(Serve {
        mode,
        homedir: read.homedir,
        shell: read.shell,
        stays: read.stays,
        sockets: read.sockets,
        configuration: read.configuration,
        passed: read.passed,
    })
}

/// Takes what a configuration file says of sockets; the command line wins.
///
/// A line is an option's name without hyphens, blanks, its value (gpg(1), "CONFIGURATION").
pub(crate) fn configured(file: &[u8], sockets: &mut Sockets) {
    for line in file.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        let end = line.iter().position(u8::is_ascii_whitespace);
        let Some((name, value)) = line.split_at_checked(end.unwrap_or(line.len())) else {
            continue;
        };
        let value = value.trim_ascii();
        let unquoted = value
            .strip_prefix(b"\"")
            .and_then(|it| it.strip_suffix(b"\""));
        let value = || Some(OsString::from_vec(unquoted.unwrap_or(value).to_vec()));
        match name.strip_prefix(b"--").unwrap_or(name) {
            b"extra-socket" if sockets.extra.is_none() => sockets.extra = value(),
            b"browser-socket" if sockets.browser.is_none() => sockets.browser = value(),
            b"enable-ssh-support" => sockets.tells_ssh = true,
            b"disable-check-own-socket" => sockets.is_unchecked = true,
            _ => {}
        }
    }
}

#[derive(Default)]
struct Read {
    daemon: bool,
    pipe: bool,
    supervised: bool,
    hands_over: bool,
    homedir: Option<PathBuf>,
    shell: Option<Shell>,
    stays: bool,
    sockets: Sockets,
    configuration: Option<Option<PathBuf>>,
    passed: Vec<OsString>,
    command: Vec<OsString>,
}

impl Read {
    /// As GnuPG's own parser: options end at `--` or at the first word that is none. None: a word
    /// that it would complain of.
    fn all(&mut self, arguments: &[OsString]) -> Option<()> {
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_bytes() {
                b"--" => {
                    self.command = words.cloned().collect();
                    return Some(());
                }
                [b'-', b'-', long @ ..] => {
                    let (name, value) = match long.iter().position(|byte| *byte == b'=') {
                        Some(at) => (long.get(..at)?, Some(long.get(at + 1..)?)),
                        None => (long, None),
                    };
                    let option = Known::named(name)?;
                    let value = match (option.value, value) {
                        (Value::None, Some(_)) => return None,
                        (Value::Needed, None) => Some(words.next()?.clone()),
                        (_, value) => value.map(|it| OsString::from_vec(it.to_vec())),
                    };
                    self.take(option.name, value)?;
                }
                [b'-', letters @ ..] if !letters.is_empty() => {
                    letters.iter().try_for_each(|letter| self.letter(*letter))?;
                }
                _ => {
                    self.command = std::iter::once(word).chain(words).cloned().collect();
                    return Some(());
                }
            }
        }
        Some(())
    }

    fn letter(&mut self, letter: u8) -> Option<()> {
        let name = match letter {
            b'c' => "csh",
            b's' => "sh",
            b'v' => "verbose",
            b'q' => "quiet",
            b'h' => "help",
            _ => return None,
        };
        self.take(name, None)
    }

    fn take(&mut self, name: &'static str, value: Option<OsString>) -> Option<()> {
        match name {
            "daemon" => self.daemon = true,
            "server" => self.pipe = true,
            "supervised" => self.supervised = true,
            "no-detach" => self.stays = true,
            "sh" => self.shell = Some(Shell::Bourne),
            "csh" => self.shell = Some(Shell::C),
            "homedir" => self.homedir = value.map(PathBuf::from),
            "extra-socket" => self.sockets.extra = value,
            "browser-socket" => self.sockets.browser = value,
            "enable-ssh-support" => self.sockets.tells_ssh = true,
            "disable-check-own-socket" => self.sockets.is_unchecked = true,
            // They say of sockets what has long been so.
            "steal-socket"
            | "use-standard-socket"
            | "no-use-standard-socket"
            | "write-env-file" => {}
            "gpgconf-list"
            | "gpgconf-test"
            | "use-standard-socket-p"
            | "help"
            | "version"
            | "warranty"
            | "dump-options"
            | "dump-option-table" => self.hands_over = true,
            "options" => {
                self.configuration = Some(value.clone().map(PathBuf::from));
                self.pass(name, value);
            }
            "no-options" => {
                self.configuration = Some(None);
                self.pass(name, None);
            }
            _ => self.pass(name, value),
        }
        Some(())
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

/// An option that gpg-agent has.
struct Known {
    name: &'static str,
    value: Value,
}

#[derive(Clone, Copy)]
enum Value {
    None,
    Needed,
    /// Only behind `=`.
    Possible,
}

impl Known {
    /// By its name, or by as much of it as no other name begins with.
    fn named(name: &[u8]) -> Option<Self> {
        let name = str::from_utf8(name).ok()?;
        let groups = [
            (Value::None, FLAGS),
            (Value::Needed, WITH_VALUE),
            (Value::Possible, WITH_POSSIBLE_VALUE),
        ];
        let all = || {
            let each = |(value, names): (Value, &'static [&'static str])| {
                names.iter().map(move |name| Self { name, value })
            };
            groups.into_iter().flat_map(each)
        };
        if let Some(exact) = all().find(|it| it.name == name) {
            return Some(exact);
        }
        let mut begun = all().filter(|it| !name.is_empty() && it.name.starts_with(name));
        let first = begun.next()?;
        begun.next().is_none().then_some(first)
    }
}

/// Whether `value` of `extra-socket` means that there is none.
pub(crate) fn is_none(value: &OsStr) -> bool {
    value == "none" || value == "/dev/null"
}

/// Options without a value: GnuPG 2.2 and those of 2.4.
const FLAGS: &[&str] = &[
    "allow-emacs-pinentry",
    "allow-loopback-pinentry",
    "allow-mark-trusted",
    "allow-preset-passphrase",
    "batch",
    "csh",
    "daemon",
    "debug-all",
    "debug-pinentry",
    "debug-quick-random",
    "disable-check-own-socket",
    "disable-extended-key-format",
    "disable-scdaemon",
    "dump-option-table",
    "dump-options",
    "enable-extended-key-format",
    "enable-passphrase-history",
    "enable-putty-support",
    "enable-ssh-support",
    "enable-win32-openssh-support",
    "enforce-passphrase-constraints",
    "gpgconf-list",
    "gpgconf-test",
    "gpgconf-versions",
    "grab",
    "help",
    "ignore-cache-for-signing",
    "keep-display",
    "keep-tty",
    "no-allow-external-cache",
    "no-allow-loopback-pinentry",
    "no-allow-mark-trusted",
    "no-detach",
    "no-grab",
    "no-options",
    "no-use-standard-socket",
    "no-user-trustlist",
    "no-verbose",
    "pinentry-formatted-passphrase",
    "quiet",
    "server",
    "sh",
    "steal-socket",
    "supervised",
    "use-standard-socket",
    "use-standard-socket-p",
    "verbose",
    "version",
    "warranty",
];

/// Options with a value.
const WITH_VALUE: &[&str] = &[
    "browser-socket",
    "check-passphrase-pattern",
    "check-sym-passphrase-pattern",
    "debug",
    "debug-level",
    "debug-wait",
    "default-cache-ttl",
    "default-cache-ttl-ssh",
    "display",
    "extra-socket",
    "faked-system-time",
    "homedir",
    "lc-ctype",
    "lc-messages",
    "listen-backlog",
    "log-file",
    "max-cache-ttl",
    "max-cache-ttl-ssh",
    "max-passphrase-days",
    "min-passphrase-len",
    "min-passphrase-nonalpha",
    "options",
    "pinentry-invisible-char",
    "pinentry-program",
    "pinentry-timeout",
    "pinentry-touch-file",
    "s2k-calibration",
    "s2k-count",
    "scdaemon-program",
    "ssh-fingerprint-digest",
    "sys-trustlist-name",
    "ttyname",
    "ttytype",
    "xauthority",
];

/// Options whose value may be left out.
const WITH_POSSIBLE_VALUE: &[&str] = &["auto-expand-secmem", "write-env-file"];

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Wanted {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&words)
    }

    fn plain(mode: Mode) -> Serve {
        Serve {
            mode,
            homedir: None,
            shell: None,
            stays: false,
            sockets: Sockets::default(),
            configuration: None,
            passed: Vec::new(),
        }
    }

    #[track_caller]
    fn check(line: &str, expected: Serve) {
        assert_eq!(parsed(line), Wanted::Serve(expected), "{line}");
    }

    fn passed(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn as_gpg_and_its_tools_start_it() {
        check(
            "--homedir /h --use-standard-socket --daemon",
            Serve {
                homedir: Some("/h".into()),
                ..plain(Mode::Daemon(Vec::new()))
            },
        );
        check(
            "--homedir /h --use-standard-socket --debug-quick-random --daemon",
            Serve {
                homedir: Some("/h".into()),
                passed: passed(&["--debug-quick-random"]),
                ..plain(Mode::Daemon(Vec::new()))
            },
        );
        check("--server", plain(Mode::Pipe));
        check("--supervised", plain(Mode::Supervised));
        check("--supervised --server --daemon", plain(Mode::Pipe));
    }

    #[test]
    fn options_and_what_stands_behind_them() {
        check(
            "-vc --no-detach --extra-socket none --browser-socket=/b --daemon --log-file=-x sh -c true",
            Serve {
                shell: Some(Shell::C),
                stays: true,
                sockets: Sockets {
                    extra: Some("none".into()),
                    browser: Some("/b".into()),
                    ..Sockets::default()
                },
                passed: passed(&["--verbose", "--log-file=-x"]),
                ..plain(Mode::Daemon(passed(&["sh", "-c", "true"])))
            },
        );
        check(
            "--daemon --enable-ssh --sh -- --daemon",
            Serve {
                shell: Some(Shell::Bourne),
                sockets: Sockets {
                    tells_ssh: true,
                    ..Sockets::default()
                },
                ..plain(Mode::Daemon(passed(&["--daemon"])))
            },
        );
        check(
            "--daemon --disable-check-own-socket",
            Serve {
                sockets: Sockets {
                    is_unchecked: true,
                    ..Sockets::default()
                },
                ..plain(Mode::Daemon(Vec::new()))
            },
        );
        check(
            "--daemon --options /o --auto-expand-secmem=5",
            Serve {
                configuration: Some(Some("/o".into())),
                passed: passed(&["--options=/o", "--auto-expand-secmem=5"]),
                ..plain(Mode::Daemon(Vec::new()))
            },
        );
    }

    #[test]
    fn what_the_ordinary_agent_answers() {
        for line in [
            "",
            "-v",
            "--version",
            "--daemon --version",
            "--gpgconf-list",
            "--gpgconf-test --homedir /h",
            "--use-standard-socket-p",
            "--dump-options",
            "-h",
            "--nonsense --daemon",
            "--no --daemon",
            "--daemon=1",
            "--daemon --homedir",
            "-x --daemon",
        ] {
            assert_eq!(parsed(line), Wanted::HandOver, "{line}");
        }
    }

    #[test]
    fn a_configuration_file() {
        let check = |file: &str, expected: (Option<&str>, Option<&str>, bool)| {
            let mut sockets = Sockets::default();
            configured(file.as_bytes(), &mut sockets);
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
        check(
            "extra-socket  /x\n browser-socket \"none\"\r\nextra-socket /y",
            (Some("/x"), Some("none"), false),
        );
        let mut typed = Sockets {
            extra: Some("/typed".into()),
            ..Sockets::default()
        };
        configured(b"extra-socket /filed", &mut typed);
        assert_eq!(typed.extra, Some("/typed".into()));
    }
}
