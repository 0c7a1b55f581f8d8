//! What this machine knows of secrets: their names, kinds and where they are; never the secret.
//!
//! **Invariant:** the list is sealed under a key that lies in a 0600 file beside it, so names are
//! told without a password and are in no backup that leaves the key out. Each change reads,
//! changes and replaces the whole list under a lock: two commands at once lose nothing.

use std::io;

use keystead_channel::session::{KeyId, ServerId, UserId};
use keystead_core::{SecretBytes, hex};
use keystead_daemon::{Disk, FolderDisk, SystemRng};
use keystead_vault::client::NamesKey;
use keystead_vault::held::Kind;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::state::State;

/// The list, on disk.
pub(crate) struct Names {
    state: State,
}

/// A secret, as far as it is known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Where it is; none for one that is on this machine alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) home: Option<Home>,
    /// 32 hex digits.
    #[serde(with = "digits")]
    pub(crate) key: KeyId,
    /// The person's name for it.
    pub(crate) name: String,
    /// What it is.
    #[serde(with = "kind_name")]
    pub(crate) kind: Kind,
    /// "client-generated", "imported key" or "stored"; none where the server knows the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<String>,
    /// How often the name changed.
    #[serde(default)]
    pub(crate) revision: u32,
    /// By the server's clock, or this machine's.
    #[serde(default)]
    pub(crate) created_unix_ms: u64,
    /// The older one that it replaces.
    #[serde(
        default,
        with = "optional_digits",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) replaces: Option<KeyId>,
    /// The server signs with it.
    #[serde(default)]
    pub(crate) signs: bool,
}

/// Whose account at which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Home {
    #[serde(with = "digits")]
    pub(crate) server: ServerId,
    #[serde(with = "digits")]
    pub(crate) user: UserId,
}

impl Names {
    /// In this person's folder.
    pub(crate) fn open() -> Result<Self, Failure> {
        State::open().map(|state| Self { state })
    }

    /// In any folder.
    #[cfg(test)]
    pub(crate) fn at(folder: std::path::PathBuf) -> Self {
        Self {
            state: State::at(folder),
        }
    }

    /// All that is known.
    pub(crate) fn list(&self) -> Result<Vec<Known>, Failure> {
        self.read(&self.state.disk()?)
    }

    /// Adds one, or replaces what was known of it.
    pub(crate) fn put(&self, known: Known) -> Result<(), Failure> {
        self.change(|list| {
            list.retain(|it| it.key != known.key);
            list.push(known);
        })
    }

    /// Forgets one.
    pub(crate) fn remove(&self, key: KeyId) -> Result<(), Failure> {
        self.change(|list| list.retain(|it| it.key != key))
    }

    /// Takes over what a server's own list says of this account.
    pub(crate) fn take_over(&self, home: Home, entries: Vec<Known>) -> Result<(), Failure> {
        self.change(|list| {
            list.retain(|it| it.home != Some(home));
            list.extend(entries);
        })
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Known>)) -> Result<(), Failure> {
        let mut disk = self.state.disk()?;
        let _held = self.state.lock(LOCK_NAME)?;
        let mut list = self.read(&disk)?;
        let before = list.clone();
        change(&mut list);
        if list == before {
            return Ok(());
        }
        let key = self.key(&mut disk)?;
        let file = Listed {
            version: VERSION,
            secrets: list,
        };
        let text = serde_json::to_vec(&file).map_err(|error| Failure::of(&error))?;
        let sealed = key.seal(&text, &mut SystemRng);
        disk.replace(LIST_NAME, &sealed).map_err(of_disk)
    }

    fn read(&self, disk: &FolderDisk) -> Result<Vec<Known>, Failure> {
        let Some(sealed) = disk.read(LIST_NAME).map_err(of_disk)? else {
            return Ok(Vec::new());
        };
        let damaged = || {
            Failure::new("the list of names here does not open")
                .hint("remove custody/state/names, then `keystead secret list --refresh`")
        };
        let key = disk.read(KEY_NAME).map_err(of_disk)?.ok_or_else(damaged)?;
        let key = NamesKey::from_file(&taken(key)).ok_or_else(damaged)?;
        let text = key.open(&sealed).map_err(|_| damaged())?;
        let file: Listed = serde_json::from_slice(text.expose()).map_err(|_| damaged())?;
        match file.version {
            VERSION => Ok(file.secrets),
            _ => Err(Failure::new("the list of names here is of a newer version")
                .hint("use the newest keystead of this machine")),
        }
    }

    /// The key, drawn when there is none: a list that was there without it opens no more.
    fn key(&self, disk: &mut FolderDisk) -> Result<NamesKey, Failure> {
        let kept = disk.read(KEY_NAME).map_err(of_disk)?;
        if let Some(key) = kept.and_then(|file| NamesKey::from_file(&taken(file))) {
            return Ok(key);
        }
        let key = NamesKey::draw(&mut SystemRng);
        disk.replace(KEY_NAME, key.to_file().expose())
            .map_err(of_disk)?;
        Ok(key)
    }
}

/// The list in its file.
#[derive(Serialize, Deserialize)]
struct Listed {
    version: u32,
    secrets: Vec<Known>,
}

fn taken(mut file: Vec<u8>) -> SecretBytes {
    SecretBytes::take(&mut file)
}

fn of_disk(error: io::Error) -> Failure {
    Failure::new(format!("this machine's list of secrets: {error}"))
        .hint("check that there is room and that the folder is yours")
}

const VERSION: u32 = 1;
const LIST_NAME: &str = "names";
const KEY_NAME: &str = "names.key";
const LOCK_NAME: &str = "names.lock";

/// Ids as hexadecimal digits.
mod digits {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Id;

    pub(super) fn serialize<T: Id, S: Serializer>(id: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, T: Id, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let text = String::deserialize(from)?;
        T::of_hex(&text).ok_or_else(|| Error::custom("no id"))
    }
}

/// The same, for one that may be absent.
mod optional_digits {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Id, KeyId};

    pub(super) fn serialize<S: Serializer>(id: &Option<KeyId>, to: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.collect_str(id),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<KeyId>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let id = |text: String| KeyId::of_hex(&text).ok_or_else(|| Error::custom("no id"));
        text.map(id).transpose()
    }
}

/// Kinds by their names.
mod kind_name {
    use keystead_vault::held::Kind;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
        let text = String::deserialize(from)?;
        let named = Kind::ALL.into_iter().find(|it| it.name() == text);
        named.ok_or_else(|| Error::custom("no kind"))
    }
}

/// An id of the protocol, shown in hexadecimal digits.
pub(crate) trait Id: std::fmt::Display + Sized {
    /// The id that these digits are, whole.
    fn of_hex(text: &str) -> Option<Self>;
}

macro_rules! id {
    ($name:ident) => {
        impl Id for $name {
            fn of_hex(text: &str) -> Option<Self> {
                hex::typed_array(text).map(Self)
            }
        }
    };
}

id!(KeyId);
id!(ServerId);
id!(UserId);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn known(byte: u8, name: &str) -> Known {
        Known {
            home: Some(home(1)),
            key: KeyId([byte; 16]),
            name: name.to_owned(),
            kind: Kind::Arbitrary,
            context: Some("stored".to_owned()),
            revision: 0,
            created_unix_ms: 5,
            replaces: None,
            signs: false,
        }
    }

    fn home(byte: u8) -> Home {
        Home {
            server: ServerId([byte; 16]),
            user: UserId([byte; 32]),
        }
    }

    #[test]
    fn a_list_is_kept_sealed_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::at(folder.path().join("state"));
        assert_eq!(names.list().unwrap(), []);
        names.put(known(1, "canary-name")).unwrap();
        let rsa = Known {
            home: None,
            kind: Kind::Rsa,
            context: None,
            replaces: Some(KeyId([1; 16])),
            ..known(2, "second")
        };
        names.put(rsa.clone()).unwrap();
        assert_eq!(
            names.list().unwrap(),
            [known(1, "canary-name"), rsa.clone()]
        );
        names.put(known(1, "renamed")).unwrap();
        assert_eq!(names.list().unwrap(), [rsa.clone(), known(1, "renamed")]);
        for file in ["names", "names.key"] {
            let path = folder.path().join("state").join(file);
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
            let content = std::fs::read(&path).unwrap();
            assert!(!content.windows(7).any(|it| it == b"renamed"), "{file}");
        }
        names.take_over(home(1), vec![known(3, "third")]).unwrap();
        assert_eq!(names.list().unwrap(), [rsa.clone(), known(3, "third")]);
        names.remove(KeyId([3; 16])).unwrap();
        assert_eq!(names.list().unwrap(), [rsa]);
    }

    #[test]
    fn a_damaged_list_is_told_and_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::at(folder.path().to_owned());
        names.put(known(1, "one")).unwrap();
        let path = folder.path().join("names");
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            assert!(names.list().is_err(), "{len}");
            assert!(names.put(known(2, "two")).is_err(), "{len}");
            assert_eq!(std::fs::read(&path).unwrap(), &whole[..len]);
        }
        std::fs::write(&path, &whole).unwrap();
        std::fs::write(folder.path().join("names.key"), [7; 32]).unwrap();
        assert!(names.list().is_err());
    }

    #[test]
    fn commands_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::thread::scope(|scope| {
            for byte in 0..16 {
                scope.spawn(move || {
                    let names = Names::at(path.to_owned());
                    names.put(known(byte, &format!("n{byte}"))).unwrap();
                });
            }
        });
        assert_eq!(Names::at(path.to_owned()).list().unwrap().len(), 16);
    }

    #[test]
    fn ids_are_their_digits_and_nothing_else() {
        let id = KeyId([0xab; 16]);
        assert_eq!(KeyId::of_hex(&id.to_string()), Some(id));
        let digits = id.to_string();
        for len in 0..digits.len() {
            assert_eq!(KeyId::of_hex(&digits[..len]), None);
        }
        assert_eq!(KeyId::of_hex(&format!("{digits}0")), None);
        assert_eq!(KeyId::of_hex(&digits.replacen("ab", "+b", 1)), None);
        assert_eq!(KeyId::of_hex(&digits.replacen("ab", "xb", 1)), None);
    }
}
