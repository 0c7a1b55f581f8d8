//! What a file names of others: its imports, and the paths in the rest of its code.

use std::collections::BTreeSet;
use std::path::Path;

use super::lexer::{Token, is_word, tokens};
use super::source::Source;

/// Read once a file; tests are left out.
pub(super) struct Names<'a> {
    pub(super) path: &'a Path,
    imports: Vec<Import<'a>>,
    paths: Vec<Vec<&'a str>>,
}

/// One leaf of a `use`.
pub(super) struct Import<'a> {
    pub(super) path: Vec<&'a str>,
    /// What it is called here.
    name: &'a str,
    /// `pub use`, and the file itself has no use for it.
    is_door: bool,
}

impl<'a> Names<'a> {
    pub(super) fn read(source: &'a Source) -> Self {
        let mut tokens = tokens(&source.code);
        tokens.retain(|token| !source.line_is_test(token.line));
        let mut file = Self {
            path: &source.path,
            imports: Vec::new(),
            paths: Vec::new(),
        };
        let mut words = BTreeSet::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if token.text == "use" && tokens.get(at + 1).is_none_or(|next| next.text != "<") {
                // `pub`, or the end of `pub(crate)`.
                let is_door = matches!(before(&tokens, at), Some("pub" | ")"));
                let end = end_of_use(&tokens, at);
                let tree = tokens.get(at + 1..end).unwrap_or_default();
                leaves(&mut tree.iter(), &[], is_door, &mut file.imports);
                at = end;
            } else {
                let path = path(&tokens, at);
                // A module's name is its own, not the use of what is called alike.
                if before(&tokens, at) != Some("mod") {
                    words.insert(token.text);
                }
                at += (3 * path.len()).saturating_sub(2).max(1);
                if path.len() > 1 {
                    file.paths.push(path);
                }
            }
        }
        for import in &mut file.imports {
            import.is_door &= !words.contains(import.name);
        }
        file
    }

    pub(super) fn import(&self, name: &str) -> Option<&Import<'a>> {
        self.imports.iter().find(|import| import.name == name)
    }

    /// All that it names, from the crate's root or from itself.
    pub(super) fn named(&self) -> Vec<Vec<&'a str>> {
        let imports = self.imports.iter().filter(|import| !import.is_door);
        let mut named: Vec<Vec<&str>> = imports.map(|import| import.path.clone()).collect();
        for path in &self.paths {
            // What the first word of a path is called where it comes from.
            let import = path.first().and_then(|first| self.import(first));
            named.push(match import {
                Some(import) => import
                    .path
                    .iter()
                    .chain(path.iter().skip(1))
                    .copied()
                    .collect(),
                None => path.clone(),
            });
        }
        named
    }
}

fn before<'a>(tokens: &[Token<'a>], at: usize) -> Option<&'a str> {
    tokens.get(at.checked_sub(1)?).map(|token| token.text)
}

/// Where the semicolon stands.
fn end_of_use(tokens: &[Token<'_>], at: usize) -> usize {
    let length = tokens.iter().skip(at).position(|token| token.text == ";");
    length.map_or(tokens.len(), |length| at + length)
}

/// Adds the leaves of one brace of a `use`, to the end of that brace.
fn leaves<'a>(
    tokens: &mut std::slice::Iter<'_, Token<'a>>,
    above: &[&'a str],
    is_door: bool,
    imports: &mut Vec<Import<'a>>,
) {
    let mut path = above.to_vec();
    let mut name = None;
    loop {
        let word = tokens.next().map(|token| token.text);
        match word {
            Some(":") => {}
            Some("{") => {
                leaves(tokens, &path, is_door, imports);
                // Its leaves are in.
                path.truncate(above.len());
            }
            Some("as") => name = tokens.next().map(|token| token.text),
            Some("," | "}") | None => {
                let branch = std::mem::replace(&mut path, above.to_vec());
                if branch.len() > above.len() {
                    imports.push(Import::new(branch, name.take(), is_door));
                }
                if word != Some(",") {
                    return;
                }
            }
            Some(word) => path.push(word),
        }
    }
}

impl<'a> Import<'a> {
    fn new(mut path: Vec<&'a str>, name: Option<&'a str>, is_door: bool) -> Self {
        path.pop_if(|last| *last == "self");
        let last = path.last().copied().unwrap_or_default();
        let name = name.unwrap_or(last);
        Self {
            path,
            name,
            is_door,
        }
    }
}

/// The words from here that `::` joins; none where no path starts.
fn path<'a>(tokens: &[Token<'a>], at: usize) -> Vec<&'a str> {
    let mut path = Vec::new();
    let mut rest = tokens.get(at..).unwrap_or_default();
    while let Some((word, after)) = rest.split_first() {
        if !word.text.starts_with(is_word) {
            break;
        }
        path.push(word.text);
        match after {
            [one, two, further @ ..] if one.text == ":" && two.text == ":" => rest = further,
            _ => break,
        }
    }
    path
}
