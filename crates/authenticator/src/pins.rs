//! Which host key belongs to which name: pinned by the holder's first approval.
//!
//! **Invariant**: a name has one host key. Another one is a changed key, never a
//! second one, until the holder accepts it by name and fingerprint. Names that
//! SSH takes for one are one, however they are written.

use std::collections::BTreeMap;

use keystead_daemon::Disk;
use serde::{Deserialize, Serialize};

use crate::LoadError;

/// All pins, by name.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    version: u32,
    hosts: BTreeMap<String, Pin>,
}

/// One pin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// `SHA256:…` of the host key.
    pub host_key: String,
    /// When it was pinned, seconds since 1970.
    pub time: u64,
    /// The workstation that it came from.
    pub workstation: String,
}

/// What the pins say of the names that a workstation gives for a proved host key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// No name is given, or none that is fit to be shown and kept.
    Nameless,
    /// Pinned to this very key: a fact.
    Pinned(&'a str),
    /// Not pinned: the workstation's word.
    Told(Vec<&'a str>),
    /// Pinned to another key.
    Changed {
        /// The name.
        name: &'a str,
        /// `SHA256:…` of the pinned key.
        pinned: String,
    },
}

impl Pins {
    /// Reads them; none when there is no file yet.
    ///
    /// # Errors
    /// [`LoadError`] names the file.
    pub fn load(disk: &dyn Disk) -> Result<Self, LoadError> {
        let read = disk.read(HOSTS_FILE);
        let Some(text) = read.map_err(|source| LoadError::unreadable(HOSTS_FILE, source))? else {
            return Ok(Self::default());
        };
        let pins: Self = serde_json::from_slice(&text)
            .map_err(|error| LoadError::damaged(HOSTS_FILE, error.to_string()))?;
        if pins.version > VERSION {
            return Err(LoadError::newer(HOSTS_FILE));
        }
        let mut hosts: BTreeMap<String, Pin> = BTreeMap::new();
        for (name, pin) in pins.hosts {
            // The first of several is the one that was looked at as new.
            let known = hosts.entry(plain(&name)).or_insert_with(|| pin.clone());
            if pin.time < known.time {
                *known = pin;
            }
        }
        Ok(Self { hosts, ..pins })
    }

    /// The pin of a name.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Pin> {
        self.hosts.get(&plain(name))
    }

    /// What is known of `host_key` (`SHA256:…`) under the names given.
    #[must_use]
    pub fn look_up<'a>(&self, names: &'a [String], host_key: &str) -> Known<'a> {
        let names = || {
            names
                .iter()
                .map(String::as_str)
                .filter(|it| is_host_name(it))
        };
        let changed = names().find_map(|name| {
            let pin = self.of(name)?;
            (pin.host_key != host_key).then(|| Known::Changed {
                name,
                pinned: pin.host_key.clone(),
            })
        });
        let pinned = || {
            names()
                .find(|name| self.of(name).is_some())
                .map(Known::Pinned)
        };
        changed.or_else(pinned).unwrap_or_else(|| {
            let told: Vec<&str> = names().collect();
            if told.is_empty() {
                Known::Nameless
            } else {
                Known::Told(told)
            }
        })
    }

    /// The pins with one more, or with one replaced; written to disk.
    ///
    /// # Errors
    /// The system's; nothing is pinned then.
    pub fn pin(&mut self, name: &str, pin: Pin, disk: &mut dyn Disk) -> std::io::Result<()> {
        let name = plain(name);
        if self.hosts.len() >= PINS_MAX && !self.hosts.contains_key(&name) {
            return Err(std::io::ErrorKind::QuotaExceeded.into());
        }
        let mut hosts = self.hosts.clone();
        hosts.insert(name, pin);
        self.write(hosts, disk)
    }

    /// The pins without one; written to disk.
    ///
    /// # Errors
    /// The system's; it is still pinned then.
    pub fn forget(&mut self, name: &str, disk: &mut dyn Disk) -> std::io::Result<()> {
        let mut hosts = self.hosts.clone();
        hosts.remove(&plain(name));
        self.write(hosts, disk)
    }

    fn write(&mut self, hosts: BTreeMap<String, Pin>, disk: &mut dyn Disk) -> std::io::Result<()> {
        let pins = Self {
            version: VERSION,
            hosts,
        };
        let mut text = serde_json::to_vec_pretty(&pins).map_err(std::io::Error::other)?;
        text.push(b'\n');
        disk.replace(HOSTS_FILE, &text)?;
        *self = pins;
        Ok(())
    }

    /// All pins by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Pin)> {
        self.hosts.iter().map(|(name, pin)| (name.as_str(), pin))
    }
}

/// A name or address as `known_hosts` has it (`[host]:port` too), of characters that
/// mean nothing to a shell: a name stands in commands that people copy.
fn is_host_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]%".contains(&byte);
    !name.is_empty()
        && !name.starts_with('-')
        && name.len() <= HOST_NAME_BYTES_MAX
        && name.bytes().all(is_plain)
}

/// A name as SSH compares it: in small letters (ssh lowers what is typed), without the dot that
/// ends a full name, and without the port that is usual.
fn plain(name: &str) -> String {
    let usual = name
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix("]:22"));
    let name = usual.unwrap_or(name);
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The pins' name in the state folder.
pub const HOSTS_FILE: &str = "hosts.json";

/// The version of the file that is written.
const VERSION: u32 = 1;

/// 10,000 hosts: a file below 2 MiB that is rewritten for each new one.
const PINS_MAX: usize = 10_000;

/// 253 bytes of DNS name (RFC 1035 section 2.3.4) with brackets and a port.
const HOST_NAME_BYTES_MAX: usize = 262;

#[cfg(test)]
mod tests {
    use super::*;
    use keystead_daemon::MemoryDisk;

    fn pin(host_key: &str) -> Pin {
        Pin {
            host_key: host_key.into(),
            time: 1,
            workstation: "laptop".into(),
        }
    }

    fn pins() -> Pins {
        let mut disk = MemoryDisk::default();
        let mut pins = Pins::default();
        pins.pin("db1", pin("SHA256:one"), &mut disk).unwrap();
        pins
    }

    fn check(names: &[&str], host_key: &str, expected: &Known<'_>) {
        let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(&pins().look_up(&names, host_key), expected, "{names:?}");
    }

    #[test]
    fn names_are_facts_only_where_pinned_to_this_key() {
        check(&[], "SHA256:one", &Known::Nameless);
        check(&["db1"], "SHA256:one", &Known::Pinned("db1"));
        check(&["alias", "db1"], "SHA256:one", &Known::Pinned("db1"));
        check(
            &["db2", "10.0.0.2"],
            "SHA256:two",
            &Known::Told(vec!["db2", "10.0.0.2"]),
        );
    }

    #[test]
    fn one_changed_name_is_enough() {
        let changed = Known::Changed {
            name: "db1",
            pinned: "SHA256:one".into(),
        };
        check(&["db1"], "SHA256:two", &changed);
        check(&["new", "db1"], "SHA256:two", &changed);
    }

    /// Else another key would come in under what a person reads as the same name.
    #[test]
    fn one_name_written_otherwise_is_one_name() {
        for name in ["DB1", "db1.", "[db1]:22", "[Db1.]:22"] {
            let changed = Known::Changed {
                name,
                pinned: "SHA256:one".into(),
            };
            check(&[name], "SHA256:two", &changed);
            check(&[name], "SHA256:one", &Known::Pinned(name));
        }
        for name in ["[db1]:2222", "db1.test", "db1..", "[db1]"] {
            check(&[name], "SHA256:two", &Known::Told(vec![name]));
        }
        let mut disk = MemoryDisk::default();
        let mut pins = pins();
        pins.pin("DB1", pin("SHA256:two"), &mut disk).unwrap();
        assert_eq!(pins.iter().count(), 1);
        pins.forget("Db1", &mut disk).unwrap();
        assert_eq!(pins.iter().count(), 0);
    }

    #[test]
    fn of_two_names_in_an_older_file_the_first_stays() {
        let mut disk = MemoryDisk::default();
        let text = r#"{"version":1,"hosts":{
            "DB1":{"host_key":"SHA256:two","time":2,"workstation":"laptop"},
            "db1":{"host_key":"SHA256:one","time":1,"workstation":"laptop"}}}"#;
        disk.plant(HOSTS_FILE, text.as_bytes());
        let pins = Pins::load(&disk).unwrap();
        assert_eq!(
            pins.iter().collect::<Vec<_>>(),
            [("db1", &pin("SHA256:one"))]
        );
    }

    #[test]
    fn names_that_play_tricks_are_no_names() {
        check(
            &[
                "a\x1b[2J",
                "é",
                "*.test",
                "",
                "a,b",
                "a;reboot",
                "$(reboot)",
                "-o",
                &"x".repeat(263),
            ],
            "SHA256:two",
            &Known::Nameless,
        );
    }

    #[test]
    fn pins_survive_and_a_damaged_file_is_named() {
        let mut disk = MemoryDisk::default();
        let mut pins = Pins::load(&disk).unwrap();
        pins.pin("db1", pin("SHA256:one"), &mut disk).unwrap();
        assert_eq!(Pins::load(&disk).unwrap(), pins);
        let whole = disk.read(HOSTS_FILE).unwrap().unwrap();
        // The last byte is the line break.
        for len in 0..whole.len() - 1 {
            disk.plant(HOSTS_FILE, &whole[..len]);
            let error = Pins::load(&disk).unwrap_err().to_string();
            assert!(
                error.starts_with("the state file hosts.json is damaged: "),
                "{error}"
            );
        }
    }

    #[test]
    fn a_full_disk_pins_nothing() {
        let mut disk = MemoryDisk::default();
        disk.faults.full_above_bytes = Some(10);
        let mut pins = Pins::default();
        assert!(pins.pin("db1", pin("SHA256:one"), &mut disk).is_err());
        assert_eq!(pins, Pins::default());
    }
}
