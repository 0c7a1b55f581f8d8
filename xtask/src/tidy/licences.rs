//! Licences and duplicate versions against `deny.toml`, which `cargo deny`
//! understands as well; nothing is asked of the network.

use std::collections::BTreeSet;
use std::path::Path;

use super::Findings;
use super::graph::Graph;
use crate::failure::{Result, read};

pub(super) fn check(root: &Path, graph: &Graph, findings: &mut Findings) -> Result<()> {
    let rules = Rules::parse(&read(&root.join("deny.toml"))?);
    let versions = graph.built_versions();
    for package in &graph.packages {
        let expression = package.licence.as_deref().unwrap_or_default();
        if !is_allowed(expression, &|licence| rules.allows(licence)) {
            findings.add(format!(
                "licence: {} {} is under “{expression}”, which deny.toml does not allow",
                package.name, package.version
            ));
        }
    }
    for (name, versions) in &versions {
        let kept: Vec<&str> = versions
            .iter()
            .filter(|version| !rules.skipped.contains(&format!("{name}@{version}")))
            .copied()
            .collect();
        if kept.len() > 1 {
            findings.add(format!("duplicate: {name} in versions {}", kept.join(", ")));
        }
    }
    for skipped in &rules.skipped {
        let (name, version) = skipped.split_once('@').unwrap_or((skipped, ""));
        let is_needed = versions
            .get(name)
            .is_some_and(|versions| versions.len() > 1 && versions.contains(version));
        if !is_needed {
            findings.add(format!("duplicate: deny.toml skips {skipped} for nothing"));
        }
    }
    Ok(())
}

/// What `deny.toml` says, of the keys that it uses.
#[derive(Debug, Default, PartialEq)]
struct Rules {
    licences: BTreeSet<String>,
    /// `name@version` that may stand beside another version.
    skipped: BTreeSet<String>,
}

impl Rules {
    /// Reads `allow = […]` of `[licenses]` and `skip = […]` of `[bans]`.
    fn parse(text: &str) -> Self {
        let mut rules = Self::default();
        let mut section = "";
        let mut list = "";
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                section = name;
                list = "";
            } else if let Some((key, value)) = line.split_once(" = [") {
                list = key;
                rules.take(section, list, value);
            } else {
                rules.take(section, list, line);
            }
            if line.ends_with(']') {
                list = "";
            }
        }
        rules
    }

    fn take(&mut self, section: &str, list: &str, text: &str) {
        match (section, list) {
            ("licenses", "allow") => self.licences.extend(quoted(text)),
            ("bans", "skip") => self.skipped.extend(quoted(text).into_iter().take(1)),
            _ => {}
        }
    }

    fn allows(&self, licence: &str) -> bool {
        self.licences.contains(licence)
    }
}

/// The texts between quotation marks.
fn quoted(text: &str) -> Vec<String> {
    text.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Evaluates an SPDX expression (SPDX specification, annex D): `AND` binds more
/// than `OR`; a slash is the old way to write `OR`.
fn is_allowed(expression: &str, allows: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let result = any_of(&words, &mut at, allows);
    result && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, allows: &dyn Fn(&str) -> bool) -> bool {
    let mut result = all_of(words, at, allows);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all_of(words, at, allows);
    }
    result
}

fn all_of(words: &[&str], at: &mut usize, allows: &dyn Fn(&str) -> bool) -> bool {
    let mut result = one(words, at, allows);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at, allows);
    }
    result
}

fn one(words: &[&str], at: &mut usize, allows: &dyn Fn(&str) -> bool) -> bool {
    let Some(word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if *word == "(" {
        let result = any_of(words, at, allows);
        let is_closed = words.get(*at) == Some(&")");
        *at += 1;
        return result && is_closed;
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return allows(&format!("{word} WITH {exception}"));
    }
    allows(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_evaluated() {
        let allows = |licence: &str| matches!(licence, "MIT" | "ISC" | "A WITH E");
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("MIT AND (GPL-3.0 OR ISC)", true),
            ("MIT OR GPL-3.0 AND BSD", true),
            ("(MIT OR GPL-3.0) AND BSD", false),
            ("A WITH E", true),
            ("MIT WITH E", false),
            ("", false),
            ("MIT AND", false),
            ("(MIT", false),
            ("MIT ISC", false),
        ] {
            assert_eq!(is_allowed(expression, &allows), expected, "{expression}");
        }
    }

    #[test]
    fn the_keys_of_deny_toml_are_read() {
        let rules = Rules::parse(
            "[licenses]\nallow = [\n  \"MIT\",\n  # \"GPL\"\n]\n[bans]\nskip = [\n  \
             { crate = \"a@1.0.0\", reason = \"why\" },\n]\n[sources]\nallow-git = [\"x\"]\n",
        );
        assert_eq!(rules.licences, BTreeSet::from(["MIT".to_owned()]));
        assert_eq!(rules.skipped, BTreeSet::from(["a@1.0.0".to_owned()]));
    }
}
