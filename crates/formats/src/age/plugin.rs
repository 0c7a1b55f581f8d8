//! The plugin protocol (C2SP `age-plugin.md`): what age tells a plugin, and what a plugin says.
//!
//! **Invariant:** commands that are not known here are passed over, as the protocol demands of a
//! phase that age controls; where one identity is wrong, nothing is opened with the others.

use keystead_core::{Secret, SecretBytes};

use super::bech32;
use super::identity::PluginIdentity;
use super::stanza::{self, Stanza};
use super::x25519::{self, FILE_KEY_BYTES, Wrapped};
use crate::ParseError;

/// What age starts a plugin for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// `identity-v1`: opens files.
    Identity,
    /// `recipient-v1`: wraps file keys.
    Recipient,
}

impl Machine {
    /// By the value of `--age-plugin=`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "identity-v1" => Some(Self::Identity),
            "recipient-v1" => Some(Self::Recipient),
            _ => None,
        }
    }
}

/// Whether age has said all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// More comes.
    More,
    /// It is the plugin's turn.
    Done,
}

/// What age tells in `identity-v1`.
#[derive(Default)]
pub struct Unwrap {
    identities: Vec<String>,
    files: Vec<File>,
}

struct File {
    index: u64,
    /// How many stanzas of any type came.
    stanzas: usize,
    tries: Vec<Wrapped>,
    /// Positions of stanzas that are X25519's by their type, and malformed.
    wrong: Vec<usize>,
    /// Position of the first one beyond [`TRIES_MAX`].
    one_too_many: Option<usize>,
}

impl Unwrap {
    /// Takes a command.
    ///
    /// # Errors
    /// [`ParseError`] for a command of this protocol that is malformed, [`ParseError::TooLong`]
    /// for too many.
    pub fn take(&mut self, command: &Stanza) -> Result<Phase, ParseError> {
        match (command.tag(), command.arguments()) {
            ("done", _) => return Ok(Phase::Done),
            ("add-identity", [identity]) => push(&mut self.identities, identity.clone())?,
            ("recipient-stanza", [file, tag, arguments @ ..]) => {
                let file = self.file(file.parse().map_err(|_| ParseError::Value)?)?;
                if tag == x25519::TAG {
                    match Wrapped::parse(arguments, command.body().expose()) {
                        Ok(wrapped) if file.tries.len() < TRIES_MAX => file.tries.push(wrapped),
                        Ok(_) => {
                            file.one_too_many.get_or_insert(file.stanzas);
                        }
                        Err(_) => push(&mut file.wrong, file.stanzas)?,
                    }
                }
                file.stanzas += 1;
            }
            ("add-identity" | "recipient-stanza", _) => return Err(ParseError::Value),
            _ => (),
        }
        Ok(Phase::More)
    }

    /// Files come one behind the other.
    fn file(&mut self, index: u64) -> Result<&mut File, ParseError> {
        match self.files.last() {
            Some(last) if last.index == index => (),
            Some(last) if last.index > index => return Err(ParseError::Value),
            _ => push(
                &mut self.files,
                File {
                    index,
                    stanzas: 0,
                    tries: Vec::new(),
                    wrong: Vec::new(),
                    one_too_many: None,
                },
            )?,
        }
        self.files.last_mut().ok_or(ParseError::Value)
    }

    /// What is to be done: complaints first, then files.
    #[must_use]
    pub fn plan(self) -> UnwrapPlan {
        let mut complaints = Vec::new();
        let identities = read_identities(&self.identities, &mut complaints);
        let are_all_right = complaints.is_empty();
        let mut files = Vec::new();
        for File {
            index,
            tries,
            wrong,
            one_too_many,
            ..
        } in self.files
        {
            let is_right = wrong.is_empty() && one_too_many.is_none();
            let complaint = |stanza, text: String| Complaint::Stanza {
                file: index,
                stanza,
                text,
            };
            let malformed = || "the X25519 stanza is malformed".to_owned();
            complaints.extend(wrong.into_iter().map(|it| complaint(it, malformed())));
            let too_many = || {
                format!(
                    "the file is for more than {TRIES_MAX} X25519 recipients, and a keeper would \
                     be asked for each"
                )
            };
            complaints.extend(one_too_many.map(|it| complaint(it, too_many())));
            if is_right && are_all_right && !tries.is_empty() {
                files.push(ToOpen { index, tries });
            }
        }
        UnwrapPlan {
            identities,
            files,
            complaints,
        }
    }
}

/// What a plugin has to do in `identity-v1`.
#[derive(Debug, PartialEq, Eq)]
pub struct UnwrapPlan {
    /// With which keys, in the order of the identity file.
    pub identities: Vec<PluginIdentity>,
    /// What to open.
    pub files: Vec<ToOpen>,
    /// What to say first.
    pub complaints: Vec<Complaint>,
}

/// A file, with the stanzas of which one may be for a key.
#[derive(Debug, PartialEq, Eq)]
pub struct ToOpen {
    /// As age numbers it.
    pub index: u64,
    /// X25519 stanzas; they name no recipient, so each is tried.
    pub tries: Vec<Wrapped>,
}

/// What age tells in `recipient-v1`.
#[derive(Default)]
pub struct Wrap {
    recipients: usize,
    identities: Vec<String>,
    file_keys: Vec<Secret<FILE_KEY_BYTES>>,
}

impl Wrap {
    /// Takes a command.
    ///
    /// # Errors
    /// As [`Unwrap::take`].
    pub fn take(&mut self, command: &Stanza) -> Result<Phase, ParseError> {
        match (command.tag(), command.arguments()) {
            ("done", _) => return Ok(Phase::Done),
            ("add-recipient", [_]) => self.recipients += 1,
            ("add-identity", [identity]) => push(&mut self.identities, identity.clone())?,
            ("wrap-file-key", []) => {
                let file_key = Secret::try_fill(|place| {
                    let key = command.body().expose();
                    let key: &[u8; FILE_KEY_BYTES] =
                        key.try_into().map_err(|_| ParseError::Value)?;
                    place.copy_from_slice(key);
                    Ok::<(), ParseError>(())
                })?;
                push(&mut self.file_keys, file_key)?;
            }
            ("add-recipient" | "add-identity" | "wrap-file-key", _) => {
                return Err(ParseError::Value);
            }
            // `extension-labels` among them: plain recipients have no labels, and who says
            // nothing has none.
            _ => (),
        }
        Ok(Phase::More)
    }

    /// What is to be done. Our recipients are plain `age1…`, for which age starts no plugin, so
    /// any that comes here is wrong.
    #[must_use]
    pub fn plan(self) -> WrapPlan {
        let mut complaints = Vec::new();
        complaints.extend((0..self.recipients).map(|index| {
            Complaint::Recipient {
                index,
                text:
                    "keystead has no recipients of this kind; `keystead age recipient` prints one \
                   that age itself knows"
                        .to_owned(),
            }
        }));
        let identities = read_identities(&self.identities, &mut complaints);
        WrapPlan {
            identities,
            file_keys: self.file_keys,
            complaints,
        }
    }
}

/// What a plugin has to do in `recipient-v1`: if there is no complaint, to wrap each file key to
/// each identity's recipient.
pub struct WrapPlan {
    /// To whose recipients.
    pub identities: Vec<PluginIdentity>,
    /// What is wrapped.
    pub file_keys: Vec<Secret<FILE_KEY_BYTES>>,
    /// What to say instead.
    pub complaints: Vec<Complaint>,
}

fn read_identities(lines: &[String], complaints: &mut Vec<Complaint>) -> Vec<PluginIdentity> {
    let mut identities = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        match PluginIdentity::parse(line) {
            Ok(identity) => identities.push(identity),
            Err(wrong) => complaints.push(Complaint::Identity {
                index,
                text: match bech32::decode(line) {
                    // As age makes it of `-j` and a plugin's name.
                    Ok((_, bytes)) if bytes.is_empty() => NO_KEY.to_owned(),
                    Ok(_) | Err(_) => format!("the identity cannot be read: {wrong}"),
                },
            }),
        }
    }
    identities
}

const NO_KEY: &str =
    "`-j keystead` names no key; use `-i FILE` with what `keystead age identity NAME` prints";

/// What a plugin says.
pub enum Say<'a> {
    /// Shown to the person.
    Message(&'a str),
    /// A file can be opened.
    FileKey {
        /// Which file.
        file: u64,
        /// With what.
        key: &'a Secret<FILE_KEY_BYTES>,
    },
    /// A file key is wrapped.
    RecipientStanza {
        /// Which file key, in the order they came.
        file: usize,
        /// The stanza.
        wrapped: &'a Wrapped,
    },
    /// Something is wrong.
    Complain(&'a Complaint),
    /// All is said.
    Done,
}

impl Say<'_> {
    /// The bytes that age reads.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        match self {
            Self::Message(text) => stanza::write(&["msg"], text.as_bytes()),
            Self::FileKey { file, key } => {
                stanza::write(&["file-key", &file.to_string()], key.expose())
            }
            Self::RecipientStanza { file, wrapped } => {
                let [tag, ephemeral] = wrapped.arguments();
                let head = ["recipient-stanza", &file.to_string(), &tag, &ephemeral];
                stanza::write(&head, wrapped.body())
            }
            Self::Complain(complaint) => complaint.encode(),
            Self::Done => stanza::write(&["done"], b""),
        }
    }
}

/// One line about what is wrong, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complaint {
    /// With the identity of this position.
    Identity {
        /// Counted from 0 as they came.
        index: usize,
        /// One line.
        text: String,
    },
    /// With the recipient of this position.
    Recipient {
        /// Counted from 0 as they came.
        index: usize,
        /// One line.
        text: String,
    },
    /// With a stanza of a file.
    Stanza {
        /// As age numbers it.
        file: u64,
        /// Counted from 0 within the file.
        stanza: usize,
        /// One line.
        text: String,
    },
    /// With nothing that age named.
    Internal {
        /// One line.
        text: String,
    },
}

impl Complaint {
    fn encode(&self) -> SecretBytes {
        match self {
            Self::Identity { index, text } => {
                stanza::write(&["error", "identity", &index.to_string()], text.as_bytes())
            }
            Self::Recipient { index, text } => {
                stanza::write(&["error", "recipient", &index.to_string()], text.as_bytes())
            }
            Self::Stanza { file, stanza, text } => {
                let (file, stanza) = (file.to_string(), stanza.to_string());
                stanza::write(&["error", "stanza", &file, &stanza], text.as_bytes())
            }
            Self::Internal { text } => stanza::write(&["error", "internal"], text.as_bytes()),
        }
    }
}

/// What age answers to each thing said but `done`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is taken.
    Done,
    /// It could not be shown, or asked for.
    Fail,
    /// This age does not know it.
    Unsupported,
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`ParseError::Unknown`].
    pub fn parse(stanza: &Stanza) -> Result<Self, ParseError> {
        match stanza.tag() {
            "ok" => Ok(Self::Done),
            "fail" => Ok(Self::Fail),
            "unsupported" => Ok(Self::Unsupported),
            _ => Err(ParseError::Unknown),
        }
    }
}

fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), ParseError> {
    if list.len() >= LIST_MAX {
        return Err(ParseError::TooLong);
    }
    list.push(item);
    Ok(())
}

/// Identities of a file, files of a command: all far below in real life.
pub const LIST_MAX: usize = 1_024;

/// 128 X25519 stanzas of a file. Each is a request to the keeper, of which a pairing has 10,000 a
/// day (`channel::link::answers`): more than any team's, and a crafted file takes little of them.
pub const TRIES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::super::stanza::StanzaReader;
    use super::*;
    use keystead_core::KeyId;

    fn commands(text: &str) -> Vec<Stanza> {
        let mut reader = StanzaReader::new();
        let mut rest = text.as_bytes();
        let next = || reader.next_stanza(&mut rest).unwrap();
        std::iter::from_fn(next).collect()
    }

    fn unwrap(text: &str) -> Result<UnwrapPlan, ParseError> {
        let mut machine = Unwrap::default();
        for command in commands(text) {
            if machine.take(&command)? == Phase::Done {
                break;
            }
        }
        Ok(machine.plan())
    }

    fn ours() -> PluginIdentity {
        PluginIdentity {
            key: KeyId([9; 32]),
            identity: None,
        }
    }

    const X25519: &str = "X25519 sFK/FOQOzz2ev7IKgZArO6oVyeOow2krRAXuDVNpV2c\n\
                          dm+Lq8jTXk2avQEX6sSxQgVc0H6kPNVDceeWHX5hc+Q";

    #[test]
    fn files_to_open() {
        let identity = ours().encode();
        let text = format!(
            "-> add-identity {identity}\n\n-> grease-xyz a b\nAAAA\n\
             -> recipient-stanza 0 scrypt abc 18\nAAAA\n-> recipient-stanza 0 {X25519}\n\
             -> recipient-stanza 2 {X25519}\n-> recipient-stanza 2 {X25519}\n\
             -> recipient-stanza 3 ssh-ed25519 abc\nAAAA\n-> done\n\n"
        );
        let plan = unwrap(&text).unwrap();
        assert_eq!(plan.identities, [ours()]);
        assert_eq!(plan.complaints, []);
        let files: Vec<(u64, usize)> = plan
            .files
            .iter()
            .map(|it| (it.index, it.tries.len()))
            .collect();
        assert_eq!(files, [(0, 1), (2, 2)]);
    }

    #[test]
    fn a_wrong_identity_stops_all_a_wrong_stanza_its_file() {
        let identity = ours().encode();
        let text = format!(
            "-> add-identity {identity}\n\n-> recipient-stanza 0 other\n\n\
             -> recipient-stanza 0 X25519 AAAA\nAAAA\n-> recipient-stanza 1 {X25519}\n-> done\n\n"
        );
        let plan = unwrap(&text).unwrap();
        let text = "the X25519 stanza is malformed".to_owned();
        assert_eq!(
            plan.complaints,
            [Complaint::Stanza {
                file: 0,
                stanza: 1,
                text
            }]
        );
        assert_eq!(plan.files.len(), 1);
        let text = format!(
            "-> add-identity {identity}\n\n-> add-identity AGE-PLUGIN-KEYSTEAD-1QQQ\n\n\
             -> recipient-stanza 1 {X25519}\n-> done\n\n"
        );
        let plan = unwrap(&text).unwrap();
        assert!(matches!(
            &plan.complaints[..],
            [Complaint::Identity { index: 1, .. }]
        ));
        assert_eq!(plan.files, []);
    }

    #[test]
    fn a_file_has_so_many_tries() {
        let identity = ours().encode();
        let plan = |count: usize| {
            let file = format!("-> recipient-stanza 0 {X25519}\n").repeat(count);
            let other = format!("-> recipient-stanza 1 {X25519}\n");
            unwrap(&format!(
                "-> add-identity {identity}\n\n-> recipient-stanza 0 scrypt abc 18\nAAAA\n\
                 {file}{other}-> done\n\n"
            ))
            .unwrap()
        };
        let all = plan(128);
        assert_eq!(all.complaints, []);
        assert_eq!(all.files[0].tries.len(), 128);
        for count in [129, 1_200] {
            let plan = plan(count);
            let text = "the file is for more than 128 X25519 recipients, and a keeper would be \
                        asked for each";
            let complaint = Complaint::Stanza {
                file: 0,
                stanza: 129,
                text: text.to_owned(),
            };
            assert_eq!(plan.complaints, [complaint]);
            let left: Vec<u64> = plan.files.iter().map(|it| it.index).collect();
            assert_eq!(left, [1], "{count}");
        }
    }

    #[test]
    fn what_breaks_the_protocol() {
        let check = |text: &str| assert_eq!(unwrap(text), Err(ParseError::Value), "{text}");
        check("-> add-identity\n\n");
        check("-> recipient-stanza 0\n\n");
        check("-> recipient-stanza x y\n\n");
        check("-> recipient-stanza 1 y\n\n-> recipient-stanza 0 y\n\n");
        let many = "-> add-identity x\n\n".repeat(1_025);
        assert_eq!(unwrap(&many), Err(ParseError::TooLong));
    }

    #[test]
    fn file_keys_to_wrap() {
        let identity = ours().encode();
        let text = format!(
            "-> add-identity {identity}\n\n-> extension-labels\n\n\
             -> wrap-file-key\nAAAAAAAAAAAAAAAAAAAAAA\n-> done\n\n"
        );
        let mut wrap = Wrap::default();
        let phases: Result<Vec<Phase>, ParseError> =
            commands(&text).iter().map(|it| wrap.take(it)).collect();
        assert_eq!(
            phases,
            Ok(vec![Phase::More, Phase::More, Phase::More, Phase::Done])
        );
        let plan = wrap.plan();
        assert_eq!(
            (
                plan.identities.len(),
                plan.file_keys.len(),
                plan.complaints.len()
            ),
            (1, 1, 0)
        );
        let mut wrap = Wrap::default();
        let short = commands("-> add-recipient age1keystead1x\n\n-> wrap-file-key\nAAAA\n");
        assert_eq!(wrap.take(&short[0]), Ok(Phase::More));
        assert_eq!(wrap.take(&short[1]), Err(ParseError::Value));
        assert!(matches!(
            &wrap.plan().complaints[..],
            [Complaint::Recipient { index: 0, .. }]
        ));
    }

    #[test]
    fn what_a_plugin_says() {
        let check = |said: Say<'_>, expected: &str| {
            assert_eq!(said.encode().expose(), expected.as_bytes());
        };
        check(Say::Done, "-> done\n\n");
        check(Say::Message("abc"), "-> msg\nYWJj\n");
        let key = Secret::fill(|key| key.fill(0));
        check(
            Say::FileKey { file: 7, key: &key },
            "-> file-key 7\nAAAAAAAAAAAAAAAAAAAAAA\n",
        );
        let text = "abc".to_owned();
        let complaint = Complaint::Stanza {
            file: 1,
            stanza: 2,
            text: text.clone(),
        };
        check(Say::Complain(&complaint), "-> error stanza 1 2\nYWJj\n");
        let complaint = Complaint::Identity {
            index: 3,
            text: text.clone(),
        };
        check(Say::Complain(&complaint), "-> error identity 3\nYWJj\n");
        let complaint = Complaint::Internal { text };
        check(Say::Complain(&complaint), "-> error internal\nYWJj\n");
        let stanza = commands(&format!("-> {X25519}\n"));
        let wrapped = Wrapped::parse(stanza[0].arguments(), stanza[0].body().expose()).unwrap();
        let said = Say::RecipientStanza {
            file: 0,
            wrapped: &wrapped,
        };
        check(said, &format!("-> recipient-stanza 0 {X25519}\n"));
    }

    #[test]
    fn answers() {
        let check = |text: &str, expected| {
            assert_eq!(Answer::parse(&commands(text)[0]), expected);
        };
        check("-> ok\n\n", Ok(Answer::Done));
        check("-> ok yes\n\n", Ok(Answer::Done));
        check("-> fail\n\n", Ok(Answer::Fail));
        check("-> unsupported\n\n", Ok(Answer::Unsupported));
        check("-> what\n\n", Err(ParseError::Unknown));
    }
}
