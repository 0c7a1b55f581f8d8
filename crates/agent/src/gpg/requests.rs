//! What a client's command means for keys that keepers hold.
//!
//! **Invariant:** a command that names no key of the map, or that cannot be read, is the ordinary
//! agent's to answer: whoever keeps to its rules sees no difference.

use keystead_formats::openpgp::Keygrip;

use super::keys::{KeyMap, MappedKey};

/// What a command wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// `SIGKEY`, `SETKEY` with a key of ours.
    Select(&'a MappedKey),
    /// The same with another.
    SelectOther,
    /// `RESET`.
    Reset,
    /// `SETKEYDESC`.
    Describe(&'a [u8]),
    /// `SETHASH`.
    Hash(&'a [u8]),
    /// `PKSIGN`.
    Sign,
    /// `PKDECRYPT`, and the value of `--kem`.
    Decrypt(Option<&'a [u8]>),
    /// `HAVEKEY` with a key of ours among the others.
    Have,
    /// `HAVEKEY --list`.
    HaveList,
    /// `KEYINFO` of a key of ours.
    Tell(&'a MappedKey, Shape),
    /// `KEYINFO --list`.
    TellList(Shape),
    /// `READKEY` of a key of ours; false: its bytes are not wanted.
    Read(&'a MappedKey, bool),
    /// A command that takes, changes or deletes a private key, which is not here.
    TakeOut(&'a MappedKey),
    /// What brings a key, where a keeper was chosen for it.
    Bring(Bringing),
    /// `GETINFO` of something that differs here.
    About(About),
    /// `OPTION pretend-request-origin=…`: what is far away may do less.
    FarAway,
    /// `KILLAGENT`.
    Kill,
    /// `BYE`.
    Bye,
    /// `OPTION` of what gpg-agent takes with any value from who is near.
    Surroundings,
    /// All the rest.
    Other,
}

/// Which command brings a key; when it was made, if gpg says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bringing {
    /// `KEYWRAP_KEY --import`.
    WrappingKey,
    /// `IMPORT_KEY`.
    Import(Option<u32>),
    /// `GENKEY`.
    Generate(Option<u32>),
}

impl Bringing {
    fn of(name: &str, options: &[&[u8]]) -> Option<Self> {
        match name {
            "IMPORT_KEY" => Some(Self::Import(timestamp(options))),
            "GENKEY" => Some(Self::Generate(timestamp(options))),
            _ => {
                let imports = options.contains(&b"--import".as_slice());
                imports.then_some(Self::WrappingKey)
            }
        }
    }
}

/// How `KEYINFO` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A status line a key.
    Status,
    /// `--data`.
    Data,
}

/// What is asked of `GETINFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Which version of this program: the ordinary agent knows no such question.
    Program,
    Pid,
    Socket,
    SshSocket,
}

impl<'a> Request<'a> {
    /// Reads a command. Names are in either case, as libassuan has it.
    pub(super) fn of(name: &str, arguments: &'a [u8], keys: &'a KeyMap) -> Self {
        let Words { options, rest } = Words::of(arguments);
        let first = rest.first().copied().unwrap_or_default();
        let key = || keygrip(first).and_then(|it| keys.find(it));
        let has = |option: &[u8]| options.contains(&option);
        let shape = if has(b"--data") {
            Shape::Data
        } else {
            Shape::Status
        };
        match name.to_ascii_uppercase().as_str() {
            "SIGKEY" | "SETKEY" => key().map_or(Self::SelectOther, Self::Select),
            "RESET" => Self::Reset,
            "SETKEYDESC" => Self::Describe(arguments),
            "SETHASH" => Self::Hash(arguments),
            "PKSIGN" => Self::Sign,
            "PKDECRYPT" => Self::Decrypt(kem(&options)),
            "HAVEKEY" if options.iter().any(|it| it.starts_with(b"--list")) => Self::HaveList,
            "HAVEKEY" => {
                let mut named = rest.iter().filter_map(|it| keygrip(it));
                if named.any(|it| keys.find(it).is_some()) {
                    Self::Have
                } else {
                    Self::Other
                }
            }
            "KEYINFO" if has(b"--list") => Self::TellList(shape),
            "KEYINFO" if has(b"--ssh-list") => Self::Other,
            "KEYINFO" => key().map_or(Self::Other, |key| Self::Tell(key, shape)),
            "READKEY" if has(b"--card") => Self::Other,
            "READKEY" => key().map_or(Self::Other, |key| Self::Read(key, !has(b"--no-data"))),
            // Whether it can be used: its keeper says so when it is.
            "PASSWD" if has(b"--verify") => key().map_or(Self::Other, |_| Self::Have),
            "PASSWD" | "EXPORT_KEY" | "DELETE_KEY" | "KEYTOCARD" | "KEYTOTPM" | "KEYATTR" => {
                key().map_or(Self::Other, Self::TakeOut)
            }
            name @ ("KEYWRAP_KEY" | "IMPORT_KEY" | "GENKEY") if keys.custody().is_some() => {
                Bringing::of(name, &options).map_or(Self::Other, Self::Bring)
            }
            "GETINFO" => match arguments {
                b"keystead" => Self::About(About::Program),
                b"pid" => Self::About(About::Pid),
                b"socket_name" => Self::About(About::Socket),
                b"ssh_socket_name" => Self::About(About::SshSocket),
                _ => Self::Other,
            },
            "OPTION" if is_far_away(arguments) => Self::FarAway,
            "OPTION" if SURROUNDINGS.contains(&option_name(arguments)) => Self::Surroundings,
            "KILLAGENT" => Self::Kill,
            "BYE" => Self::Bye,
            _ => Self::Other,
        }
    }
}

/// Options in front, then the rest, as gpg-agent takes them apart (`skip_options`).
struct Words<'a> {
    options: Vec<&'a [u8]>,
    rest: Vec<&'a [u8]>,
}

impl<'a> Words<'a> {
    fn of(arguments: &'a [u8]) -> Self {
        let words = arguments.split(u8::is_ascii_whitespace);
        let words: Vec<&[u8]> = words.filter(|it| !it.is_empty()).collect();
        let is_option = |word: &&&[u8]| word.starts_with(b"--") && word.len() > b"--".len();
        let count = words.iter().take_while(is_option).count();
        let (options, rest) = words.split_at_checked(count).unwrap_or_default();
        let rest = match rest {
            [b"--", rest @ ..] | rest => rest,
        };
        Self {
            options: options.to_vec(),
            rest: rest.to_vec(),
        }
    }
}

fn keygrip(word: &[u8]) -> Option<Keygrip> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The value of `--kem`; alone it stands for a form that is not OpenPGP's of today.
fn kem<'a>(options: &[&'a [u8]]) -> Option<&'a [u8]> {
    let option = options.iter().find_map(|it| it.strip_prefix(b"--kem"))?;
    Some(option.strip_prefix(b"=").unwrap_or_default())
}

fn option_name(arguments: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| *byte == b'=' || byte.is_ascii_whitespace();
    arguments.split(is_end).next().unwrap_or_default()
}

/// Only `local` and nothing at all are near (gpg-agent, `parse_request_origin`).
fn is_far_away(arguments: &[u8]) -> bool {
    let text = String::from_utf8_lossy(arguments);
    let (name, value) = text.split_once('=').unwrap_or((&text, ""));
    name.trim() == "pretend-request-origin" && !matches!(value.trim(), "" | "none" | "local")
}

/// Options of the client's terminal and kind that `option_handler` of gpg-agent only notes.
const SURROUNDINGS: [&[u8]; 8] = [
    b"agent-awareness",
    b"allow-pinentry-notify",
    b"display",
    b"lc-ctype",
    b"lc-messages",
    b"ttyname",
    b"ttytype",
    b"xauthority",
];

/// The value of `--timestamp`, as gpg writes it: `20261122T153130`, UTC.
fn timestamp(options: &[&[u8]]) -> Option<u32> {
    let text = options
        .iter()
        .find_map(|it| it.strip_prefix(b"--timestamp="))?;
    let (date, time) = std::str::from_utf8(text).ok()?.split_once('T')?;
    let number = |text: &str, from: usize, to: usize| {
        let digits = text.get(from..to)?;
        let is_number = digits.bytes().all(|it| it.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|_| is_number)
    };
    if date.len() != DATE_DIGITS || time.len() != TIME_DIGITS {
        return None;
    }
    let (year, month, day) = (
        number(date, 0, 4)?,
        number(date, 4, 6)?,
        number(date, 6, 8)?,
    );
    let (hour, minute, second) = (
        number(time, 0, 2)?,
        number(time, 2, 4)?,
        number(time, 4, 6)?,
    );
    let is_one = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_one {
        return None;
    }
    // Years begin in March here, so that a leap day is the last of its year.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let before = 365 * year + year / 4 - year / 100 + year / 400;
    let days = before + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970;
    u32::try_from(days * 86_400 + hour * 3_600 + minute * 60 + second).ok()
}

/// `YYYYMMDD`, `HHMMSS`.
const DATE_DIGITS: usize = 8;
const TIME_DIGITS: usize = 6;

/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_key() {
        let check = |text: &str, expected: Option<u32>| {
            let option = format!("--timestamp={text}");
            assert_eq!(timestamp(&[option.as_bytes()]), expected, "{text}");
        };
        check("19700101T000000", Some(0));
        check("20240229T120000", Some(1_709_208_000));
        check("20261122T153130", Some(1_795_361_490));
        check("21000301T000000", Some(4_107_542_400));
        check("19691231T235959", None);
        check("20261322T153130", None);
        check("20261122T246130", None);
        check("20261122", None);
        check("2026112ZT153130", None);
        check("+0261122T153130", None);
        check("", None);
        assert_eq!(timestamp(&[b"--unattended"]), None);
    }
}
