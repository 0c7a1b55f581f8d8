//! Lengths and names: files of one subject, functions one can see whole, one
//! word for each thing.

use std::path::Path;

use super::Findings;
use super::lexer::{Token, closing, tokens};
use super::source::Source;

/// Checks one file.
pub(super) fn check(source: &Source, findings: &mut Findings) {
    let tokens = tokens(&source.code);
    file_length(source, findings);
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            // An associated type's name is the trait's, which may be another's.
            "type" if depth > 0 => continue,
            _ => {}
        }
        function_length(source, &tokens, at, findings);
        declared_name(source, &tokens, at, findings);
    }
}

fn file_length(source: &Source, findings: &mut Findings) {
    let lines = source.is_test.iter().filter(|is_test| !**is_test).count();
    if lines > FILE_LINES_MAX {
        findings.add(format!(
            "length: {} has {lines} lines without tests, at most {FILE_LINES_MAX}",
            source.path.display()
        ));
    }
}

/// Counts what clippy counts: lines of the body with code on them.
fn function_length(source: &Source, tokens: &[Token<'_>], at: usize, findings: &mut Findings) {
    let Some([keyword, name]) = tokens.get(at..at + 2) else {
        return;
    };
    if keyword.text != "fn" || !is_name(name.text) {
        return;
    }
    let Some((open, close)) = body(tokens, at) else {
        return;
    };
    let lines = source
        .code
        .lines()
        .skip(open)
        .take(close.saturating_sub(open + 1))
        .filter(|line| !line.trim().is_empty())
        .count();
    if lines > FUNCTION_LINES_MAX {
        findings.add(format!(
            "length: {}:{}: {} has {lines} lines, at most {FUNCTION_LINES_MAX}",
            source.path.display(),
            keyword.line,
            name.text
        ));
    }
}

/// Lines of the braces round a function's body; none for a declaration alone.
fn body(tokens: &[Token<'_>], start: usize) -> Option<(usize, usize)> {
    let mut at = start;
    loop {
        let token = tokens.get(at)?;
        match token.text {
            ";" => return None,
            "(" | "[" => at = closing(tokens, at)?,
            "{" => {
                let close = tokens.get(closing(tokens, at)?)?;
                return Some((token.line, close.line));
            }
            _ => {}
        }
        at += 1;
    }
}

/// A name that the code declares itself: others' names are theirs.
fn declared_name(source: &Source, tokens: &[Token<'_>], at: usize, findings: &mut Findings) {
    let Some(token) = tokens.get(at) else { return };
    if !DECLARING.contains(&token.text) {
        return;
    }
    let name = match tokens.get(at + 1) {
        Some(next) if next.text == "mut" => tokens.get(at + 2),
        next => next,
    };
    let Some(name) = name.filter(|name| is_name(name.text)) else {
        return;
    };
    if let Some(word) = banned_word(&source.path, name.text) {
        findings.add(format!(
            "name: {}:{}: {} declares the word “{word}”",
            source.path.display(),
            name.line,
            name.text
        ));
    }
    if token.text == "fn" && name.text.starts_with("get_") {
        findings.add(format!(
            "name: {}:{}: {} says get",
            source.path.display(),
            name.line,
            name.text
        ));
    }
}

/// A file's or folder's name declares as well.
pub(super) fn path_name(path: &Path, findings: &mut Findings) {
    for part in path.with_extension("").components() {
        if let Some(word) = banned_word(path, &part.as_os_str().to_string_lossy()) {
            findings.add(format!(
                "name: {} declares the word “{word}”",
                path.display()
            ));
        }
    }
}

fn banned_word(path: &Path, name: &str) -> Option<&'static str> {
    let path = path.to_string_lossy();
    let is_standard = |banned: &str| {
        STANDARD_TERMS
            .iter()
            .any(|term| term.word == banned && path.contains(term.path) && name.contains(term.name))
    };
    let words = words(name);
    BANNED
        .iter()
        .find(|banned| words.iter().any(|word| word == *banned) && !is_standard(banned))
        .copied()
}

/// The words of `snake_case`, `CamelCase` or `kebab-case`, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut lower_before = false;
    let mut new = true;
    for char in name.chars() {
        if char == '_' || char == '-' || char == '.' {
            new = true;
            continue;
        }
        if new || (char.is_uppercase() && lower_before) {
            words.push(String::new());
        }
        new = false;
        lower_before = char.is_lowercase() || char.is_numeric();
        if let Some(word) = words.last_mut() {
            word.extend(char.to_lowercase());
        }
    }
    words
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

const FILE_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 70;

/// Keywords that a new name follows.
const DECLARING: &[&str] = &[
    "fn", "struct", "enum", "union", "trait", "mod", "const", "static", "type", "let",
];

/// Names for things that have another name here (the table in STYLE.md and
/// CONTRIBUTING.md), and names that say nothing.
const BANNED: &[&str] = &[
    "enclave",
    "device",
    "backend",
    "app",
    "phone",
    "whitelist",
    "blacklist",
    "manager",
    "util",
    "utils",
    "helper",
    "helpers",
    "data",
    "info",
];

/// Words that are banned as names of ours and that a standard uses of its own things.
const STANDARD_TERMS: &[Term] = &[
    // What systemd calls itself towards a service (sd_notify(3)).
    Term::new("manager", "", "service_manager"),
    // HKDF's third input (RFC 5869 section 2.3).
    Term::new("info", "", "INFO"),
    // `D` lines, and the names of libgpg-error.
    Term::new("data", "assuan", ""),
    // What Trezor's messages call it; here it is a keeper, or a hardware wallet.
    Term::new("device", "trezor", ""),
];

/// A banned word that may stand in these names, in these paths.
struct Term {
    word: &'static str,
    path: &'static str,
    name: &'static str,
}

impl Term {
    const fn new(word: &'static str, path: &'static str, name: &'static str) -> Self {
        Self { word, path, name }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let source = Source::new(PathBuf::from("a.rs"), text, false);
        let mut findings = Findings::default();
        super::check(&source, &mut findings);
        assert_eq!(findings.texts(), expected, "{text}");
    }

    #[test]
    fn banned_names_are_found_where_they_are_declared() {
        check(
            "struct KeyManager;",
            &["name: a.rs:1: KeyManager declares the word “manager”"],
        );
        check(
            "let mut app_key = 1;",
            &["name: a.rs:1: app_key declares the word “app”"],
        );
        check(
            "mod util;",
            &["name: a.rs:1: util declares the word “util”"],
        );
        check("fn get_key() {}", &["name: a.rs:1: get_key says get"]);
        for fine in [
            "let apply = 1;",
            "x.data(); foreign::Device;",
            "// a helper",
            "\"phone\"",
            "struct Metadata;",
            "impl Body for B { type Data = u8; }",
        ] {
            check(fine, &[]);
        }
    }

    #[test]
    fn a_function_may_have_seventy_lines() {
        let function = |lines: usize| format!("fn f(a: [u8; 4]) {{\n{}}}\n", "a;\n".repeat(lines));
        check(&function(70), &[]);
        check(
            &function(71),
            &["length: a.rs:1: f has 71 lines, at most 70"],
        );
        check(&format!("trait T {{ fn f(); }}\n{}", "\n".repeat(80)), &[]);
    }

    #[test]
    fn a_file_may_have_seven_hundred_lines_before_its_tests() {
        let tests = "#[cfg(test)]\nmod tests {\n\n}\n";
        check(&format!("{}{tests}", "a;\n".repeat(700)), &[]);
        check(
            &format!("{}{tests}", "a;\n".repeat(701)),
            &["length: a.rs has 701 lines without tests, at most 700"],
        );
    }
}
