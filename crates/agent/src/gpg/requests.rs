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
    /// `GETINFO` of something that differs here.
    About(About),
    /// `OPTION pretend-request-origin=…`: what is far away may do less.
    FarAway,
    /// `KILLAGENT`.
    Kill,
    /// `BYE`.
    Bye,
    /// All the rest.
    Other,
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
            "PASSWD" | "EXPORT_KEY" | "DELETE_KEY" | "KEYTOCARD" | "KEYTOTPM" | "KEYATTR" => {
                key().map_or(Self::Other, Self::TakeOut)
            }
            "GETINFO" => match arguments {
                b"pid" => Self::About(About::Pid),
                b"socket_name" => Self::About(About::Socket),
                b"ssh_socket_name" => Self::About(About::SshSocket),
                _ => Self::Other,
            },
            "OPTION" if is_far_away(arguments) => Self::FarAway,
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

/// Only `local` and nothing at all are near (gpg-agent, `parse_request_origin`).
fn is_far_away(arguments: &[u8]) -> bool {
    let text = String::from_utf8_lossy(arguments);
    let (name, value) = text.split_once('=').unwrap_or((&text, ""));
    name.trim() == "pretend-request-origin" && !matches!(value.trim(), "" | "none" | "local")
}
