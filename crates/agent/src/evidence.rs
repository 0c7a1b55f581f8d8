//! What is shown to a holder beside the bytes to be signed.
//!
//! **Invariant:** binds are passed on as they were proved. A name goes along only if a
//! `known_hosts` file joins it to the very key of the last bind, a preimage only if its hash is
//! the one to be signed.

use keystead_core::{Evidence, Intent, Purpose};
use keystead_formats::ssh::config_names::Config;
use keystead_formats::ssh::destination::Destination;
use keystead_formats::ssh::known_hosts::{Names, names_of};
use keystead_formats::ssh::{SessionBind, ToBeSigned};

/// What is worth looking for at the process that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The path of its program, for the log.
    Program,
    /// Its program, where it comes from, and whether anybody sits there.
    Process,
    /// That, and the names of the host it speaks to.
    Hosts,
    /// That, and the files that its command line names.
    Files,
}

/// What was found at the process that asks; everything may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Path of its program.
    pub process_path: Option<String>,
    /// Its command line.
    pub arguments: Vec<String>,
    /// The programs that it comes from, the nearest first.
    pub parents: Vec<String>,
    /// What the request is one part of.
    pub intent: Option<Intent>,
    /// Nobody sits at a terminal of it.
    pub is_background: bool,
    /// What its `ssh_config` says of names.
    pub config: Config,
    /// `known_hosts` texts.
    pub known_hosts: Vec<String>,
    /// The files that it works on.
    pub files: Vec<String>,
    /// What is in those that are short enough.
    pub buffers: Vec<Vec<u8>>,
}

impl Look {
    /// What to look for.
    #[must_use]
    pub fn at(content: &ToBeSigned, binds: &[SessionBind]) -> Self {
        match content {
            ToBeSigned::UserAuth(_) if binds.is_empty() => Self::Process,
            ToBeSigned::UserAuth(_) => Self::Hosts,
            ToBeSigned::SshSig(_) | ToBeSigned::Certificate(_) => Self::Files,
            ToBeSigned::Opaque => Self::Process,
        }
    }
}

/// Puts the evidence together.
#[must_use]
pub fn evidence(content: &ToBeSigned, binds: &[SessionBind], seen: Seen) -> Evidence {
    let host_names = binds
        .last()
        .map_or_else(Vec::new, |last| names_of_last(last, &seen));
    let preimage = match content {
        ToBeSigned::SshSig(signed) => {
            let mut buffers = seen.buffers.into_iter();
            buffers.find(|it| it.len() <= Evidence::PREIMAGE_BYTES_MAX && signed.is_of(it))
        }
        ToBeSigned::UserAuth(_) | ToBeSigned::Certificate(_) | ToBeSigned::Opaque => None,
    };
    // `git` names a file of its own making, which says nothing to a person.
    let is_git = content.purpose() == Purpose::GitCommit;
    let files = if is_git { Vec::new() } else { seen.files };
    Evidence {
        binds: binds.iter().map(SessionBind::to_evidence).collect(),
        host_names,
        preimage,
        process_path: seen.process_path.filter(|path| is_shown(path)),
        arguments: first(seen.arguments, Evidence::ARGUMENTS_MAX),
        files: first(files, Evidence::FILES_MAX),
        parents: first(seen.parents, Evidence::PARENTS_MAX),
        intent: seen.intent,
        is_background: seen.is_background,
        user_id: None,
    }
}

fn first(mut words: Vec<String>, count: usize) -> Vec<String> {
    words.truncate(count);
    words
}

fn is_shown(path: &str) -> bool {
    path.len() <= PROCESS_PATH_BYTES_MAX && !path.chars().any(keystead_core::is_unsafe_to_show)
}

/// Names as typed first, then the other names of that key; none once the key is revoked.
fn names_of_last(last: &SessionBind, seen: &Seen) -> Vec<String> {
    let arguments: Vec<&str> = seen.arguments.iter().map(String::as_str).collect();
    let typed = Destination::parse(&arguments);
    let typed = typed.map_or_else(Vec::new, |it| seen.config.names(&it).candidates(&it));
    let mut found = Vec::new();
    for text in &seen.known_hosts {
        match names_of(text, &last.host_key, &typed) {
            Names::Known(names) => found.extend(names),
            Names::Revoked => return Vec::new(),
        }
    }
    let is_typed = |name: &String| typed.contains(name);
    let (mut names, others): (Vec<String>, Vec<String>) = found.into_iter().partition(is_typed);
    names.extend(others);
    let mut distinct: Vec<String> = Vec::new();
    for name in names {
        let is_shown = !name.chars().any(keystead_core::is_unsafe_to_show);
        if is_shown && !distinct.contains(&name) && distinct.len() < Evidence::HOST_NAMES_MAX {
            distinct.push(name);
        }
    }
    distinct
}

/// `PATH_MAX` of Linux is 4,096; a screen shows less.
const PROCESS_PATH_BYTES_MAX: usize = 1024;
