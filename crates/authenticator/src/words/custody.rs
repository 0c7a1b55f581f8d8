//! Keys made here, brought here, and taken away again.

use keystead_core::{Name, Purpose};

use super::{Row, plain, spelled, warn};

/// A new key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeKey {
    /// Its name.
    pub name: Name,
    /// Its type, as people type it.
    pub algorithm: &'static str,
    /// What it is for, where that is not SSH.
    pub purposes: Vec<Purpose>,
}

/// A key that comes from the workstation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The name that it will have here.
    pub name: Name,
    /// It is here already, brought by the same workstation: this takes its place.
    pub is_known: bool,
    /// Its type, as SSH names it.
    pub algorithm: String,
    /// `SHA256:…`
    pub fingerprint: String,
    /// What it is for, where that is not SSH.
    pub purposes: Vec<Purpose>,
    /// Seconds after which it is forgotten.
    pub lifetime_s: Option<u32>,
    /// Each use is asked for.
    pub confirm: bool,
    /// Where alone it may be used, a hop each: `host → user@host`.
    pub destinations: Vec<String>,
}

/// Keys that the workstation brought and wants forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remove {
    /// Their names.
    pub names: Vec<Name>,
}

impl MakeKey {
    pub(super) fn rows(&self) -> Vec<Row> {
        vec![
            plain("Make a key", self.what()),
            plain("", "it stays here; the workstation gets its public half"),
        ]
    }

    pub(super) fn line(&self) -> String {
        format!("a new key {}", self.what())
    }

    fn what(&self) -> String {
        let purposes = words_for(&self.purposes);
        format!("{}, type {}{purposes}", self.name, self.algorithm)
    }
}

impl Import {
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = vec![
            plain("Take a key", self.what()),
            plain("Fingerprint", &*self.fingerprint),
            warn(
                "",
                "it was on the workstation: whoever copied it there has it too",
            ),
            plain(
                "Kept",
                match self.lifetime_s {
                    Some(lifetime_s) => format!("for {}, then forgotten", span(lifetime_s)),
                    None => "until it is removed".to_owned(),
                },
            ),
        ];
        if self.is_known {
            rows.push(warn(
                "Replaces",
                "this key as it was brought before, with the limits that it had",
            ));
        }
        if self.confirm {
            rows.push(plain(
                "Used",
                "each time only when you say so: no grant applies",
            ));
        }
        let mut label = "Only for";
        for destination in &self.destinations {
            rows.push(plain(label, spelled(destination)));
            label = "";
        }
        rows
    }

    pub(super) fn line(&self) -> String {
        let purposes = words_for(&self.purposes);
        format!(
            "key {} of the workstation, type {}{purposes}, into custody",
            self.name, self.algorithm
        )
    }

    fn what(&self) -> String {
        let purposes = words_for(&self.purposes);
        format!("{}, type {}{purposes}", self.name, self.algorithm)
    }
}

impl Remove {
    pub(super) fn rows(&self) -> Vec<Row> {
        let first = match self.names.len() {
            1 => "a key that this workstation brought".to_owned(),
            count => format!("{count} keys that this workstation brought"),
        };
        let mut rows = vec![plain("Forget", first)];
        let mut label = "Named";
        for name in &self.names {
            rows.push(plain(label, name.as_str()));
            label = "";
        }
        rows.push(warn("", "they are wiped here, and nobody brings them back"));
        rows
    }

    pub(super) fn line(&self) -> String {
        match self.names.as_slice() {
            [name] => format!("forgetting the key {name}"),
            names => format!("forgetting {} keys", names.len()),
        }
    }
}

/// What a key is for, where that is said.
fn words_for(purposes: &[Purpose]) -> String {
    let words: Vec<&str> = purposes.iter().map(|it| it.as_str()).collect();
    match words.as_slice() {
        [] => String::new(),
        some => format!(", for {}", some.join(" and ")),
    }
}

/// A span of time as people say it.
fn span(seconds: u32) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
