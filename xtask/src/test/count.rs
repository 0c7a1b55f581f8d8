//! How many passed, failed and were left out, read from what the runners print.

use std::path::Path;

use crate::failure::Result;
use crate::json::Json;
use crate::run::Program;

/// The sums of all steps.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) left_out: Vec<String>,
    pub(super) failed_steps: Vec<String>,
}

impl Count {
    /// A step that is one test.
    pub(super) fn one(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.failed_steps.push(name.to_owned());
        }
    }

    pub(super) fn many(&mut self, passed: usize, failed: usize) {
        self.passed += passed;
        self.failed += failed;
    }

    pub(super) fn left_out(&mut self, name: String) {
        self.left_out.push(name);
    }

    /// The closing line.
    pub(super) fn line(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failed,
            self.left_out.len()
        )
    }
}

/// Passed and failed, of nextest's JUnit report.
pub(super) fn report(xml: &str) -> Option<(usize, usize)> {
    let start = xml.find("<testsuites ")?;
    let element = xml.get(start..)?.split('>').next()?;
    let tests = attribute(element, "tests")?;
    let failed = attribute(element, "failures")? + attribute(element, "errors")?;
    Some((tests.checked_sub(failed)?, failed))
}

fn attribute(element: &str, name: &str) -> Option<usize> {
    let (_, after) = element.split_once(&format!(" {name}=\""))?;
    after.split('"').next()?.parse().ok()
}

/// Passed and failed, of `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
pub(super) fn doc_result(line: &str) -> Option<(usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word: &str| {
        counts
            .split("; ")
            .find_map(|part| part.strip_suffix(word))
            .and_then(|number| number.trim().parse().ok())
    };
    Some((number("passed")?, number("failed")?))
}

/// Tests that need root: but for parts of others, `#[ignore]` means nothing else.
pub(super) fn ignored(root: &Path) -> Result<Vec<String>> {
    let list = Program::cargo(root)
        .args([
            "nextest",
            "list",
            "--workspace",
            "--locked",
            "--tests",
            "--run-ignored",
            "only",
        ])
        .args(["--message-format", "json", "--filterset", NO_PARTS])
        .output()?;
    let matches = Json::Text("matches".to_owned());
    let mut names = Vec::new();
    if let Json::Object(suites) = Json::parse(&list)?.field("rust-suites") {
        for (_, suite) in suites {
            let Json::Object(cases) = suite.field("testcases") else {
                continue;
            };
            for (name, case) in cases {
                let is_part = *case.field("filter-match").field("status") != matches;
                if *case.field("ignored") == Json::Bool(true) && !is_part {
                    names.push(format!("{} {name}", suite.field("package-name").text()));
                }
            }
        }
    }
    Ok(names)
}

/// A test that needs a process of its own has an ignored part, which it starts.
pub(super) const NO_PARTS: &str = "not test(/(^|::)part_/)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_counted() {
        let xml = "<?xml version=\"1.0\"?>\n<testsuites name=\"nextest-run\" tests=\"12\" \
                   failures=\"2\" errors=\"1\" uuid=\"x\">\n<testsuite tests=\"1\">";
        assert_eq!(report(xml), Some((9, 3)));
        assert_eq!(report("<testsuites tests=\"1\">"), None);
        assert_eq!(report(""), None);
    }

    #[test]
    fn a_line_of_doc_tests_is_counted() {
        let line = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(doc_result(line), Some((3, 1)));
        assert_eq!(doc_result("running 3 tests"), None);
    }

    #[test]
    fn the_last_line_says_all_three() {
        let mut count = Count::default();
        count.many(3, 0);
        count.one("fmt", true);
        count.one("tidy", false);
        count.left_out("x".to_owned());
        assert_eq!(count.line(), "4 passed, 1 failed, 1 skipped");
    }
}
