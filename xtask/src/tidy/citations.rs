//! A section of `spec/` that is cited is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Findings;
use crate::failure::{Result, read};

pub(super) fn check(root: &Path, files: &[PathBuf], findings: &mut Findings) -> Result<()> {
    let mut specs = Vec::new();
    let is_spec = |it: &&PathBuf| it.starts_with("spec") && it.extension() == Some("md".as_ref());
    for file in files.iter().filter(is_spec) {
        specs.push((file.display().to_string(), read(&root.join(file))?));
    }
    let specs: Vec<_> = specs
        .iter()
        .map(|(file, text)| (file.as_str(), sections(text)))
        .collect();
    let is_read = |file: &&PathBuf| {
        let ending = file.extension().and_then(|it| it.to_str());
        ending.is_some_and(|it| ["rs", "md", "script", "py"].contains(&it))
    };
    for file in files.iter().filter(is_read) {
        let text = read(&root.join(file))?;
        for (at, line) in text.lines().enumerate() {
            for (spec, known) in &specs {
                let cited = cited(line, spec).into_iter();
                for section in cited.filter(|it| !known.contains(it)) {
                    findings.add(format!(
                        "citation: {}:{}: {spec} has no section {section}",
                        file.display(),
                        at + 1
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The numbers of a text's headings: `## 5. Opening a session`, `### 5.1 Registration`.
fn sections(text: &str) -> BTreeSet<&str> {
    let headings = text.lines().filter(|line| line.starts_with("##"));
    headings
        .filter_map(|line| line.split_whitespace().nth(1))
        .map(|number| number.trim_end_matches('.'))
        .collect()
}

/// The first section that each citation on a line names; one of several may follow it.
fn cited<'a>(line: &'a str, spec: &str) -> Vec<&'a str> {
    let quoted = format!("{spec}` section");
    let places = line.match_indices(&quoted);
    let number = |at: usize| {
        let rest = line.get(at..)?.trim_start_matches('s').trim_start();
        let end = rest.find(|it: char| !(it.is_ascii_digit() || it == '.'));
        let number = rest.get(..end.unwrap_or(rest.len()))?.trim_end_matches('.');
        (!number.is_empty()).then_some(number)
    };
    places
        .filter_map(|(at, found)| number(at + found.len()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_what_is_cited() {
        let text = "# Title\n## 5. Opening\ntext\n### 5.1 Registration\n";
        assert_eq!(sections(text), BTreeSet::from(["5", "5.1"]));
        let check = |line: &str, expected: &[&str]| {
            assert_eq!(cited(line, "spec/a.md"), expected, "{line}");
        };
        check("/// x (`spec/a.md` section 5.1).", &["5.1"]);
        check("//! (`spec/a.md` sections 6 to 8): y", &["6"]);
        check("`spec/a.md` section 1, `spec/a.md` section 2", &["1", "2"]);
        check("(`spec/b.md` section 3)", &[]);
        check("`spec/a.md` section", &[]);
    }
}
