//! Files: none dead, none naming the machine it was written on.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::Findings;
use super::source::Source;
use crate::failure::{Result, read};

pub(super) fn check(
    root: &Path,
    files: &[PathBuf],
    sources: &[Source],
    findings: &mut Findings,
) -> Result<()> {
    let reached: BTreeSet<&Path> = sources.iter().map(|source| source.path.as_path()).collect();
    let texts = Texts::load(root, files)?;
    let rust_words: HashSet<&str> = texts
        .rust
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    for file in files {
        let is_dead = match file.extension().and_then(|e| e.to_str()) {
            Some("rs") if file.starts_with(OUTSIDE_WORKSPACE) => {
                !texts.manifest_of_outside.contains(&name(file))
            }
            Some("rs") => !reached.contains(file.as_path()),
            Some("script") => !texts.names_script(file, &rust_words),
            Some("json") if file.starts_with("spec/vectors") => !texts.rust.contains(&name(file)),
            _ => false,
        };
        if is_dead {
            findings.add(format!("dead: nothing uses {}", file.display()));
        }
    }
    for (path, text) in &texts.all {
        machine_words(path, text, findings);
    }
    Ok(())
}

struct Texts {
    all: Vec<(PathBuf, String)>,
    /// All Rust sources, one after the other.
    rust: String,
    /// All acceptance scripts, one after the other.
    scripts: String,
    manifest_of_outside: String,
}

impl Texts {
    fn load(root: &Path, files: &[PathBuf]) -> Result<Self> {
        let mut texts = Self {
            all: Vec::new(),
            rust: String::new(),
            scripts: String::new(),
            manifest_of_outside: String::new(),
        };
        for file in files {
            let bytes = std::fs::read(root.join(file)).unwrap_or_default();
            // Captured messages and corpora are not text.
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            match file.extension().and_then(|e| e.to_str()) {
                // The names planted by the self-test are no uses.
                Some("rs") if !file.starts_with("xtask") => texts.rust.push_str(&text),
                Some("script") => texts.scripts.push_str(&text),
                _ => {}
            }
            texts.all.push((file.clone(), text));
        }
        let manifest = root.join(OUTSIDE_WORKSPACE).join("Cargo.toml");
        if manifest.exists() {
            texts.manifest_of_outside = read(&manifest)?;
        }
        Ok(texts)
    }

    /// A test names it (`scripts!` takes the bare name), or another script includes it.
    fn names_script(&self, file: &Path, rust_words: &HashSet<&str>) -> bool {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        rust_words.contains(stem.as_ref()) || self.scripts.contains(&format!("include {stem}"))
    }
}

fn name(file: &Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Paths of one machine, and hosts that packages were fetched from: who reads
/// the file elsewhere has neither.
fn machine_words(path: &Path, text: &str, findings: &mut Findings) {
    if path == Path::new("Cargo.lock") {
        for line in text.lines().filter(|line| line.starts_with("source = ")) {
            if !line.starts_with(REGISTRY) {
                findings.add(format!("machine: Cargo.lock: {line}"));
            }
        }
        return;
    }
    for (start, end) in MACHINE_WORDS {
        let word = format!("{start}{end}");
        // Nearly no file has one.
        if !text.contains(&word) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if line.contains(&word) {
                findings.add(format!(
                    "machine: {}:{}: names {word}",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
}

/// libFuzzer's thin package: it needs nightly, so it is no member.
const OUTSIDE_WORKSPACE: &str = "fuzz/libfuzzer";

/// What cargo writes for its own registry, wherever it really fetched from.
const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/";

/// Each in two pieces, so that this file does not name them.
const MACHINE_WORDS: [(&str, &str); 8] = [
    ("/work", "/"),
    ("/root", "/"),
    ("/home/", "runner"),
    ("/tmp", "/plan"),
    ("index.crates", ".io"),
    ("static.crates", ".io"),
    ("deb.", "debian.org"),
    ("registry.", "npmjs.org"),
];
