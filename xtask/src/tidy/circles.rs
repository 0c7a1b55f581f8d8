//! Import circles: no file takes from a file that takes from it, straight or by way of
//! others, so that each can be read before those that use it.
//!
//! A file takes what it names of another file of its crate, in a `use` or a path. Three
//! things are no taking: what tests name; a `pub use`, which is a door; and what a file
//! names of the modules above it, which define for their children.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Findings;
use super::names::Names;
use super::source::Source;

/// Names each arrow of each circle: file -> file, and what is taken.
pub(super) fn check(sources: &[Source], findings: &mut Findings) {
    check_but(KNOWN, sources, findings);
}

/// A known circle that is gone is a finding, too: it must not come back.
fn check_but(known: &[&str], sources: &[Source], findings: &mut Findings) {
    let mut houses: BTreeMap<&Path, House<'_>> = BTreeMap::new();
    for source in sources {
        let house = houses.entry(&source.start).or_default();
        house.files.insert(&source.module, Names::read(source));
    }
    let mut gone: BTreeSet<&str> = known.iter().copied().collect();
    for circle in houses.values().flat_map(House::circles) {
        let all = gone.len();
        gone.retain(|file| !circle.files.contains(*file));
        if gone.len() == all {
            for arrow in circle.arrows {
                findings.add(format!("circle: {arrow}"));
            }
        }
    }
    for file in gone {
        findings.add(format!(
            "circle: {file} is in none: strike it from the list in xtask"
        ));
    }
}

/// Where a module stands, from the crate's root.
type Module = [String];

/// One crate's files.
#[derive(Default)]
struct House<'a> {
    files: BTreeMap<&'a Module, Names<'a>>,
}

/// Who takes what from whom.
type Arrows<'a> = BTreeMap<&'a Module, BTreeMap<&'a Module, BTreeSet<&'a str>>>;

struct Circle {
    files: BTreeSet<String>,
    arrows: Vec<String>,
}

impl<'a> House<'a> {
    fn circles(&self) -> Vec<Circle> {
        let arrows = self.arrows();
        let beyond: BTreeMap<&Module, BTreeSet<&Module>> = arrows
            .keys()
            .map(|module| (*module, reached(&arrows, module)))
            .collect();
        let meets = |a: &Module, b: &Module| {
            let goes =
                |from: &Module, to: &Module| beyond.get(from).is_some_and(|r| r.contains(to));
            goes(a, b) && goes(b, a)
        };
        let mut circles = Vec::new();
        let mut done: BTreeSet<&Module> = BTreeSet::new();
        for first in beyond.keys().filter(|module| meets(module, module)) {
            let round: BTreeSet<&Module> = beyond
                .keys()
                .copied()
                .filter(|other| meets(first, other))
                .collect();
            if done.contains(first) {
                continue;
            }
            circles.push(self.circle(&round, &arrows));
            done.extend(round);
        }
        circles
    }

    fn circle(&self, round: &BTreeSet<&Module>, arrows: &Arrows<'_>) -> Circle {
        let mut lines = Vec::new();
        for from in round {
            for (to, taken) in arrows.get(from).into_iter().flatten() {
                if round.contains(to) {
                    let taken: Vec<&str> = taken.iter().copied().collect();
                    let (from, to) = (self.path(from), self.path(to));
                    lines.push(format!("{from} -> {to}: {}", taken.join(", ")));
                }
            }
        }
        Circle {
            files: round.iter().map(|module| self.path(module)).collect(),
            arrows: lines,
        }
    }

    fn path(&self, module: &Module) -> String {
        let file = self.files.get(module);
        file.map_or_else(String::new, |file| file.path.display().to_string())
    }

    fn arrows(&self) -> Arrows<'_> {
        let mut arrows = Arrows::new();
        for (module, file) in &self.files {
            for path in file.named() {
                if let Some((to, name)) = self.taken(module, &path) {
                    arrows
                        .entry(module)
                        .or_default()
                        .entry(to)
                        .or_default()
                        .insert(name);
                }
            }
        }
        arrows
    }

    /// The file from which this one takes what it names so, and the name.
    fn taken<'b>(&'b self, asker: &Module, path: &[&'b str]) -> Option<(&'b Module, &'b str)> {
        let mut here = asker;
        let mut path = path.to_vec();
        for _ in 0..DOORS_MAX {
            let (module, rest) = self.walk(here, &path)?;
            let (name, further) = rest.split_first()?;
            if !asker.starts_with(module) {
                return Some((module, name));
            }
            // Of a module above: perhaps it has the name from elsewhere.
            let import = self.files.get(module)?.import(name)?;
            path = import.path.iter().chain(further).copied().collect();
            here = module;
        }
        None
    }

    /// Goes down the path as far as it names modules with files.
    fn walk<'b>(&self, here: &Module, path: &[&'b str]) -> Option<(&'a Module, Vec<&'b str>)> {
        let mut at = here.to_vec();
        let mut rest = path.iter().copied().peekable();
        if rest.next_if_eq(&"crate").is_some() {
            at.clear();
        }
        rest.next_if_eq(&"self");
        while rest.next_if_eq(&"super").is_some() {
            at.pop()?;
        }
        while let Some(name) = rest.peek() {
            at.push((*name).to_owned());
            if !self.files.contains_key(at.as_slice()) {
                at.pop();
                break;
            }
            rest.next();
        }
        let (module, _) = self.files.get_key_value(at.as_slice())?;
        Some((module, rest.collect()))
    }
}

/// What can be reached from here in one step or more.
fn reached<'a>(arrows: &Arrows<'a>, from: &Module) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = vec![from];
    while let Some(module) = next.pop() {
        for to in arrows.get(module).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*to) {
                next.push(to);
            }
        }
    }
    reached
}

/// A name that goes through more doors than these goes round.
const DOORS_MAX: usize = 8;

/// Circles that were there when this check came, by a file of each.
const KNOWN: &[&str] = &[
    "crates/authenticator/src/local/sign.rs",
    "crates/channel/src/session/row.rs",
    "crates/formats/src/ssh/key.rs",
];

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Files of one crate, by path, and the arrows that are found.
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        check_but(&[], files, expected);
    }

    fn check_but(known: &[&str], files: &[(&str, &str)], expected: &[&str]) {
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| {
                let mut source = Source::new(PathBuf::from(path), text, false);
                source.start = PathBuf::new();
                source.module = path
                    .trim_end_matches(".rs")
                    .split('/')
                    .filter(|part| *part != "lib")
                    .map(str::to_owned)
                    .collect();
                source
            })
            .collect();
        let mut findings = Findings::default();
        super::check_but(known, &sources, &mut findings);
        assert_eq!(findings.texts(), expected, "{files:?}");
    }

    #[test]
    fn a_circle_is_found_by_imports_and_paths() {
        check(
            &[
                ("a.rs", "use crate::b::B;"),
                ("b.rs", "fn f() { crate::a::g(super::a::X); }"),
            ],
            &["circle: a.rs -> b.rs: B", "circle: b.rs -> a.rs: X, g"],
        );
        check(
            &[
                ("lib.rs", "mod a; mod b; mod c;"),
                ("a.rs", "use super::{b::{self, T as U}, x};"),
                ("b.rs", "use crate::c; fn f() { c::deep::g() }"),
                ("c.rs", "use std::fmt; use crate::a::*;"),
            ],
            &[
                "circle: a.rs -> b.rs: T",
                "circle: b.rs -> c.rs: deep",
                "circle: c.rs -> a.rs: *",
            ],
        );
        check(
            &[("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;")],
            &[],
        );
    }

    #[test]
    fn a_parent_defines_for_its_children_and_opens_doors_to_them() {
        let child = ("a/b.rs", "use super::A; use crate::Root;");
        check(
            &[("a.rs", "mod b; pub use b::B; pub struct A;"), child],
            &[],
        );
        check(&[("a.rs", "mod b; use b::B; pub struct A;"), child], &[]);
        // Through the parent's door it is the sibling's.
        check(
            &[
                ("a.rs", "pub(crate) use b::B; pub use c::C;"),
                ("a/b.rs", "use super::C;"),
                ("a/c.rs", "use super::B;"),
            ],
            &["circle: a/b.rs -> a/c.rs: C", "circle: a/c.rs -> a/b.rs: B"],
        );
        // A door that the file itself goes through.
        check(
            &[
                ("a.rs", "pub use b::B; fn f(b: B) {}"),
                ("a/b.rs", "use crate::c::C;"),
                ("c.rs", "use crate::a::A;"),
            ],
            &[
                "circle: a.rs -> a/b.rs: B",
                "circle: a/b.rs -> c.rs: C",
                "circle: c.rs -> a.rs: A",
            ],
        );
    }

    #[test]
    fn a_known_circle_must_be_there() {
        let circle = [("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")];
        check_but(&["b.rs"], &circle, &[]);
        let gone = "circle: b.rs is in none: strike it from the list in xtask";
        check_but(&["b.rs"], &circle[..1], &[gone]);
    }

    #[test]
    fn tests_and_comments_take_nothing() {
        check(
            &[
                ("a.rs", "use crate::b::B;"),
                (
                    "b.rs",
                    "// crate::a::A\n#[cfg(test)]\nmod tests {\nuse crate::a::A;\n}\n",
                ),
            ],
            &[],
        );
    }
}
