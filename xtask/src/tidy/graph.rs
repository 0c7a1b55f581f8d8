//! The packages and who depends on whom, as `cargo metadata` and `cargo tree` tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::json::Json;
use crate::run::Program;

/// One package, ours or not.
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    /// No registry: a member of this workspace.
    pub(crate) ours: bool,
    pub(crate) targets: Vec<Target>,
    /// What its manifest names, but for tests.
    pub(crate) declares: BTreeSet<String>,
}

/// A library, program, test, example or benchmark.
pub(crate) struct Target {
    pub(crate) is_test: bool,
    /// The file it starts with, whole.
    pub(crate) file: PathBuf,
}

/// All packages that this machine's build of the workspace consists of.
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
    /// From a package's id to those it needs to be built and to run.
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    /// Asks cargo, which reads what it has already fetched and asks nobody.
    pub(crate) fn load(root: &Path) -> Result<Self> {
        let text = Program::cargo(root)
            .args(["metadata", "--format-version", "1", "--offline"])
            .args(["--filter-platform", PLATFORM])
            .output()?;
        Self::from_metadata(&Json::parse(&text)?)
    }

    fn from_metadata(metadata: &Json) -> Result<Self> {
        let packages: Vec<Package> = metadata
            .field("packages")
            .list()
            .iter()
            .map(Package::from_metadata)
            .collect();
        if packages.is_empty() {
            return Err(Failure::new("cargo metadata names no package"));
        }
        let mut edges = BTreeMap::new();
        for node in metadata.field("resolve").field("nodes").list() {
            let needed = node
                .field("deps")
                .list()
                .iter()
                .filter(|edge| edge.field("dep_kinds").list().iter().any(is_needed))
                .map(|edge| edge.field("pkg").text().to_owned())
                .collect();
            edges.insert(node.field("id").text().to_owned(), needed);
        }
        Ok(Self { packages, edges })
    }

    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.ours)
    }

    /// The shortest way from one of our packages to a package of that name.
    pub(crate) fn path(&self, from: &str, to: &str) -> Option<Vec<&str>> {
        let start = self.ours().find(|package| package.name == from)?;
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut frontier = vec![start.id.as_str()];
        while !frontier.is_empty() {
            let mut next = Vec::new();
            for id in frontier {
                if self.name(id) == to && id != start.id {
                    return Some(self.way_back(&came_from, id));
                }
                for needed in self.edges.get(id).into_iter().flatten() {
                    if *needed != start.id && !came_from.contains_key(needed.as_str()) {
                        came_from.insert(needed, id);
                        next.push(needed.as_str());
                    }
                }
            }
            frontier = next;
        }
        None
    }

    fn way_back<'a>(
        &'a self,
        came_from: &BTreeMap<&'a str, &'a str>,
        last: &'a str,
    ) -> Vec<&'a str> {
        let mut way = vec![self.name(last)];
        let mut id = last;
        while let Some(before) = came_from.get(id) {
            way.push(self.name(before));
            id = before;
        }
        way.reverse();
        way
    }

    fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.packages
            .iter()
            .find(|package| package.id == id)
            .map_or(id, |package| &package.name)
    }

    /// Versions of each package that our programs and their builds contain.
    pub(crate) fn built_versions(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = self.ours().map(|package| package.id.as_str()).collect();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(self.edges.get(id).into_iter().flatten().map(String::as_str));
            }
        }
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in self
            .packages
            .iter()
            .filter(|p| seen.contains(p.id.as_str()))
        {
            versions
                .entry(&package.name)
                .or_default()
                .insert(&package.version);
        }
        versions
    }
}

impl Package {
    fn from_metadata(package: &Json) -> Self {
        Self {
            id: package.field("id").text().to_owned(),
            name: package.field("name").text().to_owned(),
            version: package.field("version").text().to_owned(),
            licence: package.field("license").optional_text().map(str::to_owned),
            ours: *package.field("source") == Json::Null,
            targets: package
                .field("targets")
                .list()
                .iter()
                .map(Target::from_metadata)
                .collect(),
            declares: package
                .field("dependencies")
                .list()
                .iter()
                .filter(|dependency| *dependency.field("kind") != Json::Text("dev".to_owned()))
                .map(|dependency| dependency.field("name").text().to_owned())
                .collect(),
        }
    }
}

impl Target {
    fn from_metadata(target: &Json) -> Self {
        let kinds = target.field("kind").list();
        Self {
            is_test: kinds
                .iter()
                .any(|kind| matches!(kind.text(), "test" | "bench" | "example")),
            file: PathBuf::from(target.field("src_path").text()),
        }
    }
}

fn is_needed(dep_kind: &Json) -> bool {
    *dep_kind.field("kind") != Json::Text("dev".to_owned())
}

/// The packages that one of ours is built of, with the features it asks for
/// itself: `cargo metadata` joins the features that all members ask for.
pub(crate) fn tree(root: &Path, package: &str, edges: &str) -> Result<BTreeSet<String>> {
    let text = Program::cargo(root)
        .args([
            "tree",
            "--offline",
            "--target",
            PLATFORM,
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}", "--package", package, "--edges", edges])
        .output()?;
    Ok(text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some(format!("{} {}", words.next()?, words.next()?))
        })
        .collect())
}

/// What is checked and counted is the build for Linux on this common processor.
pub(crate) const PLATFORM: &str = "x86_64-unknown-linux-gnu";
