//! Who asks at the workstation, by the workstation's word.

use keystead_core::Evidence;

use super::{Row, plain, shown, warn};
use crate::entry::{Entry, FILES_MAX};
use crate::show::clip;

/// The program that asks. None of it is proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Its path.
    pub program: Option<String>,
    /// Its command line.
    pub arguments: Vec<String>,
    /// The files that it works on.
    pub files: Vec<String>,
    /// The paths of the programs that started it, the nearest first.
    pub parents: Vec<String>,
    /// Nobody sits at a terminal of it.
    pub is_background: bool,
}

impl Origin {
    /// What a request brings of it.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Self {
        Self {
            program: evidence.process_path.clone(),
            arguments: evidence.arguments.clone(),
            files: evidence.files.clone(),
            parents: evidence.parents.clone(),
            is_background: evidence.is_background,
        }
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        if !self.files.is_empty() {
            let files: Vec<String> = self.files.iter().map(|it| shown(it)).collect();
            let files = clip(&files.join(", "), COMMAND_CHARS_MAX);
            rows.push(plain("File", format!("{files} {THEIR_WORD}")));
        }
        if let Some(program) = &self.program {
            let by = self.started_by();
            rows.push(plain(
                "Program",
                format!("{}{by} {THEIR_WORD}", shown(program)),
            ));
        }
        rows.extend(
            self.command()
                .map(|it| plain("Command", format!("{it} {THEIR_WORD}"))),
        );
        if self.is_background {
            rows.push(warn("", "it runs in the background: nobody sits at it"));
        }
        rows
    }

    /// Its command line; none of one word, which is the program's own name again.
    pub(super) fn command(&self) -> Option<String> {
        if self.arguments.len() < 2 {
            return None;
        }
        let words: Vec<String> = self.arguments.iter().map(|it| shown(it)).collect();
        Some(both_ends(&words.join(" ")))
    }

    /// The programs above it by their last names.
    fn started_by(&self) -> String {
        let parents = self.parents.iter().take(PARENTS_SHOWN_MAX);
        let names: Vec<String> = parents.map(|it| shown(last_name(it))).collect();
        match names.as_slice() {
            [] => String::new(),
            names => format!(", started by {}", names.join(" < ")),
        }
    }

    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.process.clone_from(&self.program);
        entry.background = self.is_background.then_some(true);
        entry.files = self.files.iter().take(FILES_MAX).cloned().collect();
    }
}

/// A long command line without its middle: what it runs stands first, what it works on last.
fn both_ends(text: &str) -> String {
    let count = text.chars().count();
    if count <= COMMAND_CHARS_MAX {
        return text.to_owned();
    }
    let half = COMMAND_CHARS_MAX / 2;
    let first: String = text.chars().take(half).collect();
    let last: String = text.chars().skip(count.saturating_sub(half)).collect();
    format!("{first} … {last}")
}

fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Its spaces break no line (U+00A0).
pub(crate) const THEIR_WORD: &str = "(the\u{a0}workstation's\u{a0}word)";

/// Two lines of a terminal: what follows stays on the screen.
const COMMAND_CHARS_MAX: usize = 130;

/// `git`, a shell and a terminal: what is above tells a person nothing.
const PARENTS_SHOWN_MAX: usize = 3;
