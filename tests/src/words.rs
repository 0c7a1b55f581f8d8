//! A line of a script as words: blanks part them, `'…'` keeps them together,
//! `$NAME` stands for a variable outside of quotes.

use std::collections::BTreeMap;

use crate::failure::{Failure, Result};

/// Splits a line and puts values for variables.
pub(crate) fn split(line: &str, variables: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(char) => word.push(char),
                        None => return Err(Failure::new("a quotation mark is missing")),
                    }
                }
            }
            '$' => {
                let mut name = String::new();
                while let Some(next) = chars.peek().filter(|c| c.is_alphanumeric() || **c == '_') {
                    name.push(*next);
                    chars.next();
                }
                let value = variables
                    .get(&name)
                    .ok_or_else(|| Failure::new(format!("nothing has set ${name}")))?;
                word.get_or_insert_default().push_str(value);
            }
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<&[&str]>) {
        let variables = BTreeMap::from([("A".to_owned(), "x y".to_owned())]);
        let words = split(line, &variables).ok();
        let expected = expected.map(|e| e.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        assert_eq!(words, expected, "{line}");
    }

    #[test]
    fn lines_are_split() {
        check("", Some(&[]));
        check("  a  b ", Some(&["a", "b"]));
        check("a 'b  c' d", Some(&["a", "b  c", "d"]));
        check("a'b c'd", Some(&["ab cd"]));
        check("''", Some(&[""]));
        check("$A/b '$A'", Some(&["x y/b", "$A"]));
        check("'a", None);
        check("$B", None);
    }
}
