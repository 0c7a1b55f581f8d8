//! As much JSON (RFC 8259) as `cargo metadata` prints. Numbers stay text.

use crate::failure::{Failure, Result};

/// A value. Members keep their order.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader { rest: text };
        let value = reader.value(0)?;
        reader.skip_blanks();
        if reader.rest.is_empty() {
            Ok(value)
        } else {
            Err(reader.wrong("the end"))
        }
    }

    /// The member of that name; `Null` when there is none.
    pub(crate) fn field(&self, name: &str) -> &Self {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(key, _)| key == name)
                .map_or(&Self::Null, |(_, value)| value),
            _ => &Self::Null,
        }
    }

    /// The text; empty for everything else.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    /// The text, if it is one.
    pub(crate) fn optional_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements; none for everything else.
    pub(crate) fn list(&self) -> &[Self] {
        match self {
            Self::List(elements) => elements,
            _ => &[],
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Json> {
        if depth > DEPTH_MAX {
            return Err(self.wrong("less nesting"));
        }
        self.skip_blanks();
        match self.rest.chars().next() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"') => Ok(Json::Text(self.string()?)),
            Some('t') => self.word("true", Json::Bool(true)),
            Some('f') => self.word("false", Json::Bool(false)),
            Some('n') => self.word("null", Json::Null),
            Some('-' | '0'..='9') => Ok(self.number()),
            _ => Err(self.wrong("a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json> {
        self.expect('{')?;
        let mut members = Vec::new();
        if self.take('}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            let name = self.string()?;
            self.expect(':')?;
            members.push((name, self.value(depth + 1)?));
            if !self.take(',') {
                self.expect('}')?;
                return Ok(Json::Object(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json> {
        self.expect('[')?;
        let mut elements = Vec::new();
        if self.take(']') {
            return Ok(Json::List(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if !self.take(',') {
                self.expect(']')?;
                return Ok(Json::List(elements));
            }
        }
    }

    fn string(&mut self) -> Result<String> {
        self.expect('"')?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, 'b')) => text.push('\u{8}'),
                    Some((_, 'f')) => text.push('\u{c}'),
                    Some((at, 'u')) => {
                        let code = self.rest.get(at + 1..at + 5).unwrap_or_default();
                        let code = u32::from_str_radix(code, 16)
                            .map_err(|_| self.wrong("four hex digits"))?;
                        // Halves of a surrogate pair never stand in what cargo prints.
                        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                        chars.nth(3);
                    }
                    Some((_, escaped)) => text.push(escaped),
                    None => break,
                },
                _ => text.push(char),
            }
        }
        Err(self.wrong("the end of a string"))
    }

    fn number(&mut self) -> Json {
        let end = self
            .rest
            .find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9'))
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        Json::Number(digits.to_owned())
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json> {
        self.rest = self
            .rest
            .strip_prefix(word)
            .ok_or_else(|| self.wrong(word))?;
        Ok(value)
    }

    fn expect(&mut self, char: char) -> Result<()> {
        if self.take(char) {
            Ok(())
        } else {
            Err(self.wrong(&format!("'{char}'")))
        }
    }

    fn take(&mut self, char: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(char) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\r', '\t']);
    }

    fn wrong(&self, expected: &str) -> Failure {
        let found: String = self.rest.chars().take(EXCERPT_CHARS).collect();
        Failure::new(format!("JSON: expected {expected}, found “{found}”"))
    }
}

/// Nested values: cargo prints six levels; more is no answer of cargo's.
const DEPTH_MAX: usize = 64;

/// How much of the wrong text an error shows.
const EXCERPT_CHARS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Json>) {
        assert_eq!(Json::parse(text).ok(), expected, "{text}");
    }

    #[test]
    fn values_are_read() {
        let text = |t: &str| Json::Text(t.to_owned());
        check("null", Some(Json::Null));
        check(" true ", Some(Json::Bool(true)));
        check("-1.5e3", Some(Json::Number("-1.5e3".to_owned())));
        check(r#""a\"\\\nA""#, Some(text("a\"\\\nA")));
        check(r#""\u0041b""#, Some(text("Ab")));
        check("[]", Some(Json::List(vec![])));
        check(
            "[1, []]",
            Some(Json::List(vec![
                Json::Number("1".to_owned()),
                Json::List(vec![]),
            ])),
        );
        check(
            r#"{"a": {}}"#,
            Some(Json::Object(vec![("a".to_owned(), Json::Object(vec![]))])),
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "nul",
            "[1",
            "[1,]",
            "{\"a\"}",
            "\"a",
            "\"\\u00\"",
            "1 2",
            "{a: 1}",
        ] {
            check(text, None);
        }
        check(&"[".repeat(100_000), None);
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        let text = r#"{"packages": [{"name": "a\n", "n": null, "ok": true}]}"#;
        for len in 0..text.len() {
            check(&text[..len], None);
        }
    }
}
