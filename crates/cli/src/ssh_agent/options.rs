//! The command line of `ssh-agent`, as OpenSSH takes it (ssh-agent(1)).
//!
//! **Invariant:** what OpenSSH 9.2 accepts is accepted and means the same; what it refuses is
//! refused with the same text and exit status. The options of later versions (`-T -u -U`) are
//! accepted too.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `-k`: end the agent that `SSH_AGENT_PID` names.
    Kill(Shell),
    /// `-u` of OpenSSH 10: only clear away what dead agents left in `~/.ssh/agent`. There is
    /// never anything of ours.
    CleanUp,
    /// Be an agent.
    Serve(Serve),
}

/// How to be an agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Serve {
    pub(crate) shell: Shell,
    pub(crate) mode: Mode,
    /// `-a`; else a folder of its own.
    pub(crate) socket: Option<PathBuf>,
    pub(crate) keys: KeyOptions,
}

/// What holds for all keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyOptions {
    /// `-t`; none is without end.
    pub(crate) lifetime_s: Option<u32>,
    /// `-E`.
    pub(crate) fingerprint_hash: Hash,
    /// `-P`: a pattern list of libraries.
    pub(crate) allowed_providers: Option<String>,
    /// `-O allow-remote-pkcs11`.
    pub(crate) allow_remote_pkcs11: bool,
    /// `-O no-restrict-websafe`.
    pub(crate) no_restrict_websafe: bool,
}

/// The language of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    Bourne,
    C,
}

/// Where the agent runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In a process of its own, behind the shell.
    Background,
    /// `-D`.
    Foreground,
    /// `-d`: and it says what it does.
    Debug,
    /// Beside this command, as long as it runs.
    Beside(Vec<OsString>),
}

/// `-E`: the hash of fingerprints that a person is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hash {
    #[default]
    Sha256,
    Md5,
}

/// What was typed wrongly, in OpenSSH's words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) text: String,
    pub(crate) status: u8,
}

impl Mistake {
    /// OpenSSH's `fatal`: a line of its log, which ends with CR LF.
    fn fatal(text: impl std::fmt::Display) -> Self {
        Self {
            text: format!("{text}\r\n"),
            status: FATAL,
        }
    }

    /// The usage behind a complaint.
    fn usage(complaint: impl std::fmt::Display) -> Self {
        Self {
            text: format!("{complaint}{USAGE}"),
            status: 1,
        }
    }
}

/// Reads the arguments behind the program's name. `login_shell` is `SHELL` of the environment.
pub(crate) fn parse(
    arguments: Vec<OsString>,
    login_shell: Option<&OsStr>,
) -> Result<Wanted, Mistake> {
    let mut read = Read::default();
    let command = read.all(arguments)?;
    let is_plain = read.shell.is_none() && !read.kill && read.mode.is_none();
    if !command.is_empty() && !is_plain {
        return Err(Mistake::usage(""));
    }
    let shell = match read.shell {
        Some(shell) => shell,
        None if command.is_empty() && is_csh(login_shell) => Shell::C,
        None => Shell::Bourne,
    };
    if read.clean_up {
        return Ok(Wanted::CleanUp);
    }
    if read.kill {
        return Ok(Wanted::Kill(shell));
    }
    let mode = match read.mode {
        Some(mode) => mode,
        None if command.is_empty() => Mode::Background,
        None => Mode::Beside(command),
    };
    Ok(Wanted::Serve(Serve {
        shell,
        mode,
        socket: read.socket,
        keys: read.keys,
    }))
}

/// What was read so far.
#[derive(Default)]
struct Read {
    shell: Option<Shell>,
    mode: Option<Mode>,
    kill: bool,
    clean_up: bool,
    socket: Option<PathBuf>,
    keys: KeyOptions,
}

impl Read {
    /// As BSD's getopt(3): options end at the first word that is none. Returns the words behind.
    fn all(&mut self, arguments: Vec<OsString>) -> Result<Vec<OsString>, Mistake> {
        let mut words = arguments.into_iter();
        while let Some(word) = words.next() {
            let letters = match word.as_bytes() {
                b"--" => return Ok(words.collect()),
                [b'-', letters @ ..] if !letters.is_empty() => letters,
                _ => return Ok(std::iter::once(word).chain(words).collect()),
            };
            let mut left = letters;
            while let Some((&letter, rest)) = left.split_first() {
                left = rest;
                if !b"EaOPt".contains(&letter) {
                    self.flag(letter)?;
                    continue;
                }
                let value = if left.is_empty() {
                    words.next().ok_or_else(|| without_value(letter))?
                } else {
                    OsString::from_vec(std::mem::take(&mut left).to_vec())
                };
                self.value(letter, value)?;
            }
        }
        Ok(Vec::new())
    }

    fn flag(&mut self, letter: u8) -> Result<(), Mistake> {
        match letter {
            b'c' if self.shell != Some(Shell::Bourne) => self.shell = Some(Shell::C),
            b's' if self.shell != Some(Shell::C) => self.shell = Some(Shell::Bourne),
            b'd' if self.mode.is_none() => self.mode = Some(Mode::Debug),
            b'D' if self.mode.is_none() => self.mode = Some(Mode::Foreground),
            b'c' | b's' | b'd' | b'D' => return Err(Mistake::usage("")),
            b'k' => self.kill = true,
            b'u' => self.clean_up = true,
            // OpenSSH 10: the socket in TMPDIR, where ours always is; no clearing away.
            b'T' | b'U' => {}
            unknown => {
                let shown = String::from_utf8_lossy(&[unknown]).into_owned();
                return Err(Mistake::usage(format_args!(
                    "unknown option -- {shown}\r\n"
                )));
            }
        }
        Ok(())
    }

    fn value(&mut self, letter: u8, value: OsString) -> Result<(), Mistake> {
        let text = value.to_string_lossy();
        match letter {
            b'E' => {
                self.keys.fingerprint_hash = match text.to_ascii_lowercase().as_str() {
                    // It accepts every hash that it has, and shows those as it shows SHA-256.
                    "sha1" | "sha256" | "sha384" | "sha512" => Hash::Sha256,
                    "md5" => Hash::Md5,
                    _ => {
                        return Err(Mistake::fatal(format_args!(
                            "Invalid hash algorithm \"{text}\""
                        )));
                    }
                }
            }
            b'O' => match &*text {
                "no-restrict-websafe" => self.keys.no_restrict_websafe = true,
                "allow-remote-pkcs11" => self.keys.allow_remote_pkcs11 = true,
                _ => return Err(Mistake::fatal("Unknown -O option")),
            },
            b'P' if self.keys.allowed_providers.is_some() => {
                return Err(Mistake::fatal("-P option already specified"));
            }
            b'P' => self.keys.allowed_providers = Some(text.into_owned()),
            b't' => {
                let seconds = lifetime_s(value.as_bytes());
                let seconds = seconds.ok_or_else(|| Mistake::usage("Invalid lifetime\n"))?;
                self.keys.lifetime_s = Some(seconds).filter(|it| *it > 0);
            }
            _ => self.socket = Some(PathBuf::from(value)),
        }
        Ok(())
    }
}

fn without_value(letter: u8) -> Mistake {
    let letter = char::from(letter);
    Mistake::usage(format_args!("option requires an argument -- {letter}\r\n"))
}

fn is_csh(shell: Option<&OsStr>) -> bool {
    shell.is_some_and(|shell| shell.as_bytes().ends_with(b"csh"))
}

/// A time as sshd_config(5) has it, "TIME FORMATS": `1h30m`, seconds without a unit.
fn lifetime_s(text: &[u8]) -> Option<u32> {
    let mut left = text;
    let mut total_s = 0_u32;
    if left.is_empty() {
        return None;
    }
    while !left.is_empty() {
        let (number, rest) = leading_number(left)?;
        let unit_s = match rest.first().map(u8::to_ascii_lowercase) {
            None | Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3_600,
            Some(b'd') => 86_400,
            Some(b'w') => 604_800,
            Some(_) => return None,
        };
        let part_s = number.checked_mul(unit_s)?;
        total_s = total_s
            .checked_add(part_s)
            .filter(|it| *it <= SECONDS_MAX)?;
        left = rest.get(1..).unwrap_or_default();
    }
    Some(total_s)
}

/// A number as strtol(3) reads one, and what is behind it.
fn leading_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.iter().take_while(|it| it.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let number = str::from_utf8(number).ok()?.parse().ok()?;
    Some((number, rest))
}

/// The process that `-k` ends, as `SSH_AGENT_PID` names it; else what is wrong with it, in
/// OpenSSH's words (strtonum(3)).
pub(crate) fn agent_pid(text: &str) -> Result<i32, &'static str> {
    let trimmed = text.trim_ascii_start();
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let is_number = !unsigned.is_empty() && unsigned.bytes().all(|it| it.is_ascii_digit());
    if !is_number {
        return Err("invalid");
    }
    let is_negative = trimmed.starts_with('-');
    match unsigned.parse::<i32>() {
        _ if is_negative => Err("too small"),
        Err(_) => Err("too large"),
        Ok(pid) if pid < AGENT_PID_MIN => Err("too small"),
        Ok(pid) => Ok(pid),
    }
}

/// The exit status of OpenSSH's `fatal`.
const FATAL: u8 = 255;

/// Times are C's `int` there.
const SECONDS_MAX: u32 = 2_147_483_647;

/// Process 1 is nobody's agent.
const AGENT_PID_MIN: i32 = 2;

/// What OpenSSH 9.2 says.
const USAGE: &str = "\
usage: ssh-agent [-c | -s] [-Dd] [-a bind_address] [-E fingerprint_hash]
                 [-O option] [-P allowed_providers] [-t life]
       ssh-agent [-a bind_address] [-E fingerprint_hash] [-O option]
                 [-P allowed_providers] [-t life] command [arg ...]
       ssh-agent [-c | -s] -k
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Wanted, Mistake> {
        parse(line.iter().map(OsString::from).collect(), None)
    }

    #[track_caller]
    fn check_serve(line: &[&str], expected: impl FnOnce(&mut Serve)) {
        let mut serve = Serve {
            shell: Shell::Bourne,
            mode: Mode::Background,
            socket: None,
            keys: KeyOptions::default(),
        };
        expected(&mut serve);
        assert_eq!(parsed(line), Ok(Wanted::Serve(serve)), "{line:?}");
    }

    #[test]
    fn options_alone_together_and_with_their_value_behind() {
        check_serve(&[], |_| ());
        check_serve(&["-s"], |_| ());
        check_serve(&["-TU"], |_| ());
        check_serve(&["-c"], |it| it.shell = Shell::C);
        check_serve(&["-cc", "-D"], |it| {
            it.shell = Shell::C;
            it.mode = Mode::Foreground;
        });
        check_serve(&["-sd"], |it| it.mode = Mode::Debug);
        for line in [&["-a", "x"][..], &["-ax"], &["-sax"], &["-ay", "-a", "x"]] {
            check_serve(line, |it| it.socket = Some("x".into()));
        }
        check_serve(&["-E", "MD5", "-Oallow-remote-pkcs11"], |it| {
            it.keys.fingerprint_hash = Hash::Md5;
            it.keys.allow_remote_pkcs11 = true;
        });
        check_serve(&["-P/usr/lib/*", "-O", "no-restrict-websafe"], |it| {
            it.keys.allowed_providers = Some("/usr/lib/*".to_owned());
            it.keys.no_restrict_websafe = true;
        });
    }

    #[test]
    fn the_command_begins_at_the_first_word_that_is_no_option() {
        let command = |words: &[&str]| Mode::Beside(words.iter().map(OsString::from).collect());
        check_serve(&["sh", "-c", "-k"], |it| {
            it.mode = command(&["sh", "-c", "-k"])
        });
        check_serve(&["--", "-k"], |it| it.mode = command(&["-k"]));
        check_serve(&["-"], |it| it.mode = command(&["-"]));
        check_serve(&["-t5", "x"], |it| {
            it.mode = command(&["x"]);
            it.keys.lifetime_s = Some(5);
        });
    }

    #[test]
    fn csh_is_known_by_its_name_where_no_command_follows() {
        let by = |shell: &str, words: &[&str]| {
            let words = words.iter().map(OsString::from).collect();
            match parse(words, Some(OsStr::new(shell))) {
                Ok(Wanted::Kill(shell)) => shell,
                Ok(Wanted::Serve(serve)) => serve.shell,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(by("/bin/tcsh", &[]), Shell::C);
        assert_eq!(by("csh", &["-k"]), Shell::C);
        assert_eq!(by("/bin/tcsh", &["-s"]), Shell::Bourne);
        assert_eq!(by("/bin/tcsh", &["true"]), Shell::Bourne);
        assert_eq!(by("/bin/zsh", &[]), Shell::Bourne);
    }

    #[test]
    fn only_one_mode_one_language_and_no_command_with_them() {
        let usage = Err(Mistake::usage(""));
        for line in [
            &["-s", "-c"][..],
            &["-cs"],
            &["-dD"],
            &["-DD"],
            &["-k", "true"],
            &["-d", "true"],
            &["-s", "true"],
        ] {
            assert_eq!(parsed(line), usage, "{line:?}");
        }
        assert_eq!(parsed(&["-uu"]), Ok(Wanted::CleanUp));
        assert_eq!(parsed(&["-kc"]), Ok(Wanted::Kill(Shell::C)));
    }

    #[test]
    fn times() {
        for (text, expected) in [
            ("0", None),
            ("5", Some(5)),
            ("5S", Some(5)),
            (" 5", Some(5)),
            ("+5", Some(5)),
            ("1h30m", Some(5_400)),
            ("1w1w", Some(1_209_600)),
            ("1h1", Some(3_601)),
            ("2147483647", Some(2_147_483_647)),
        ] {
            check_serve(&["-t", text], |it| it.keys.lifetime_s = expected);
        }
        let wrong = Err(Mistake::usage("Invalid lifetime\n"));
        for text in ["", "h", "1x", "-5", "3.5", "2147483648", "3551w", "1h 1 "] {
            assert_eq!(parsed(&["-t", text]), wrong, "{text:?}");
        }
    }

    #[test]
    fn process_numbers() {
        for (text, expected) in [
            ("2", Ok(2)),
            (" +7", Ok(7)),
            ("2147483647", Ok(2_147_483_647)),
            ("2147483648", Err("too large")),
            ("99999999999999999999", Err("too large")),
            ("1", Err("too small")),
            ("-3", Err("too small")),
            ("-99999999999999999999", Err("too small")),
            ("", Err("invalid")),
            ("5x", Err("invalid")),
            ("0x10", Err("invalid")),
            ("--5", Err("invalid")),
        ] {
            assert_eq!(agent_pid(text), expected, "{text:?}");
        }
    }
}
