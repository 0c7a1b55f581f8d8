//! Which Rust files the targets reach, and which of their lines are tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::graph::Graph;
use super::lexer::{Token, blank, closing, tokens};
use crate::failure::{Result, read};

/// One file that a target reaches.
pub(crate) struct Source {
    /// Relative to the root.
    pub(crate) path: PathBuf,
    /// The file with which its target starts.
    pub(crate) start: PathBuf,
    /// Where it stands in the target, from its root.
    pub(crate) module: Vec<String>,
    /// Its text with comments, strings and character literals blanked; the
    /// lines are the same.
    pub(crate) code: String,
    /// For each line: it belongs to tests.
    pub(crate) is_test: Vec<bool>,
}

impl Source {
    pub(crate) fn new(path: PathBuf, text: &str, whole_is_test: bool) -> Self {
        let code = blank(text);
        let is_test = if whole_is_test {
            vec![true; code.lines().count()]
        } else {
            test_lines(&code)
        };
        Self {
            start: path.clone(),
            module: Vec::new(),
            path,
            code,
            is_test,
        }
    }

    /// Lines with code on them that are tests, or are not.
    pub(crate) fn count(&self, tests: bool) -> usize {
        self.code
            .lines()
            .zip(&self.is_test)
            .filter(|(line, is_test)| **is_test == tests && !line.trim().is_empty())
            .count()
    }

    pub(crate) fn line_is_test(&self, line: usize) -> bool {
        self.is_test
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(false)
    }
}

/// Follows `mod` from the file that each target starts with.
pub(crate) fn reached(root: &Path, graph: &Graph) -> Result<Vec<Source>> {
    let mut walk = Walk {
        root,
        seen: BTreeSet::new(),
        sources: Vec::new(),
    };
    for package in graph.ours() {
        let is_for_tests = TEST_PACKAGES.contains(&package.name.as_str());
        for target in &package.targets {
            let path = target.file.strip_prefix(root).unwrap_or(&target.file);
            let modules = path.parent().unwrap_or(Path::new("")).to_owned();
            walk.file(Place {
                file: path.to_owned(),
                modules,
                start: path.to_owned(),
                module: Vec::new(),
                is_test: is_for_tests || target.is_test,
            })?;
        }
    }
    walk.sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.sources)
}

struct Walk<'a> {
    root: &'a Path,
    seen: BTreeSet<PathBuf>,
    sources: Vec<Source>,
}

/// A file that was met.
struct Place {
    file: PathBuf,
    /// Where the files of its modules lie.
    modules: PathBuf,
    start: PathBuf,
    module: Vec<String>,
    is_test: bool,
}

impl Walk<'_> {
    fn file(&mut self, place: Place) -> Result<()> {
        if !self.seen.insert(place.file.clone()) {
            return Ok(());
        }
        let text = read(&self.root.join(&place.file))?;
        let mut source = Source::new(place.file.clone(), &text, place.is_test);
        source.start.clone_from(&place.start);
        source.module.clone_from(&place.module);
        let mut further = Vec::new();
        for module in declared_modules(&source.code, &text) {
            // A missing file is the compiler's to report.
            let Some(file) = module.file(self.root, &place.file, &place.modules) else {
                continue;
            };
            let stem = file.with_extension("");
            further.push(Place {
                modules: if stem.ends_with("mod") {
                    stem.parent().unwrap_or(&stem).to_owned()
                } else {
                    stem
                },
                start: place.start.clone(),
                is_test: place.is_test || source.line_is_test(module.line),
                module: [place.module.clone(), module.outer, vec![module.name]].concat(),
                file,
            });
        }
        self.sources.push(source);
        further.into_iter().try_for_each(|place| self.file(place))
    }
}

/// `mod NAME;`, perhaps with `#[path = "…"]`, perhaps inside `mod OUTER { … }`.
struct Module {
    outer: Vec<String>,
    name: String,
    at: Option<String>,
    line: usize,
}

impl Module {
    fn file(&self, root: &Path, declared_in: &Path, modules: &Path) -> Option<PathBuf> {
        if let Some(at) = &self.at {
            let file = declared_in.parent()?.join(at);
            return root.join(&file).is_file().then_some(file);
        }
        let folder = self
            .outer
            .iter()
            .fold(modules.to_owned(), |f, name| f.join(name));
        [
            folder.join(format!("{}.rs", self.name)),
            folder.join(&self.name).join("mod.rs"),
        ]
        .into_iter()
        .find(|file| root.join(file).is_file())
    }
}

fn declared_modules(code: &str, text: &str) -> Vec<Module> {
    let tokens = tokens(code);
    let mut modules = Vec::new();
    // Names of the inline modules that are open, with the depth of their brace.
    let mut outer: Vec<(String, usize)> = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                outer.retain(|(_, opened)| *opened <= depth);
            }
            "mod" => {
                let Some([name, after]) = tokens.get(at + 1..at + 3) else {
                    continue;
                };
                if after.text == "{" {
                    outer.push((name.text.to_owned(), depth + 1));
                } else if after.text == ";" {
                    modules.push(Module {
                        outer: outer.iter().map(|(name, _)| name.clone()).collect(),
                        name: name.text.to_owned(),
                        at: path_attribute(text, token.line),
                        line: token.line,
                    });
                }
            }
            _ => {}
        }
    }
    modules
}

/// The text of `#[path = "…"]` on the line above.
fn path_attribute(text: &str, line: usize) -> Option<String> {
    let above = text.lines().nth(line.checked_sub(2)?)?;
    let value = above.trim().strip_prefix("#[path = \"")?;
    value.strip_suffix("\"]").map(str::to_owned)
}

/// Marks the lines of every item under `#[cfg(test)]`.
fn test_lines(code: &str) -> Vec<bool> {
    let mut lines = vec![false; code.lines().count()];
    let tokens = tokens(code);
    for (at, window) in tokens.windows(TEST_ATTRIBUTE.len()).enumerate() {
        if window.iter().map(|token| token.text).ne(TEST_ATTRIBUTE) {
            continue;
        }
        let first = window.first().map_or(0, |token| token.line);
        let last = end_of_item(&tokens, at + TEST_ATTRIBUTE.len()).unwrap_or(lines.len());
        for line in lines.iter_mut().take(last).skip(first.saturating_sub(1)) {
            *line = true;
        }
    }
    lines
}

/// The line on which the item that starts at this token ends.
fn end_of_item(tokens: &[Token<'_>], start: usize) -> Option<usize> {
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text {
            ";" => return Some(token.line),
            "{" => {
                return closing(tokens, at)
                    .and_then(|end| tokens.get(end))
                    .map(|t| t.line);
            }
            _ => {}
        }
    }
    None
}

const TEST_ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

/// Packages that are tests from their first line.
const TEST_PACKAGES: [&str; 2] = ["keystead-tests", "keystead-fuzz-targets"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_marked_to_the_end_of_their_item() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n";
        let source = Source::new(PathBuf::from("a.rs"), text, false);
        assert_eq!(source.is_test, [false, true, true, true, true, false]);
        assert_eq!((source.count(false), source.count(true)), (2, 4));
    }

    #[test]
    fn modules_are_found_with_their_folders() {
        let text = "mod a;\nmod b { pub mod c; }\n#[path = \"x/y.rs\"]\nmod d;\n// mod e;\n";
        let found: Vec<(String, Option<String>)> = declared_modules(&blank(text), text)
            .into_iter()
            .map(|m| (format!("{}/{}", m.outer.join("/"), m.name), m.at))
            .collect();
        let expected = [("/a", None), ("b/c", None), ("/d", Some("x/y.rs"))];
        let expected = expected.map(|(name, at)| (name.to_owned(), at.map(str::to_owned)));
        assert_eq!(found, expected);
    }
}
