//! As much of Rust's lexical structure as the checks need.
//!
//! Invariant: a blanked text has the same lines as its source, so that a line
//! number in one is a line number in the other.

/// A word or one other character, with its line, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// Puts blanks where comments, strings and character literals stand.
pub(crate) fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let in_word = before.is_alphanumeric() || before == '_';
        let hidden = hidden_prefix(rest, in_word);
        let (taken, is_hidden) = if hidden > 0 {
            (hidden, true)
        } else {
            (first.len_utf8(), false)
        };
        let (piece, after) = rest.split_at(taken.min(rest.len()));
        if is_hidden {
            code.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            before = ' ';
        } else {
            code.push_str(piece);
            before = first;
        }
        rest = after;
    }
    code
}

/// How many bytes from here are a comment or a literal; 0 if none starts here.
fn hidden_prefix(rest: &str, in_word: bool) -> usize {
    // Nearly every character is another.
    if !rest.starts_with(['/', '\'', '"', 'b', 'c', 'r']) {
        return 0;
    }
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    if in_word {
        return 0;
    }
    for prefix in ["", "b", "c"] {
        if let Some(text) = rest.strip_prefix(prefix)
            && text.starts_with('"')
        {
            return prefix.len() + string(text);
        }
    }
    for prefix in ["r", "br", "cr"] {
        if let Some(text) = rest.strip_prefix(prefix) {
            let hashes = text.len() - text.trim_start_matches('#').len();
            if text.trim_start_matches('#').starts_with('"') {
                let end = format!("\"{}", "#".repeat(hashes));
                let body = prefix.len() + hashes + 1;
                let inside = rest.get(body..).unwrap_or_default();
                return inside
                    .find(&end)
                    .map_or(rest.len(), |at| body + at + end.len());
            }
        }
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(here) = rest.get(at..) {
        if here.is_empty() {
            break;
        }
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn string(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => {
                chars.next();
            }
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal; a lifetime is none.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest
            .get(2..)
            .and_then(|after| {
                // The escaped character itself may be a quote.
                let skip = after.chars().next().map_or(0, char::len_utf8);
                let end = after.get(skip..)?.find('\'')?;
                Some(2 + skip + end + 1)
            })
            .unwrap_or(rest.len()),
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// Words and single characters of a blanked text.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (at, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let end = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (text, after) = rest.split_at(end);
            tokens.push(Token { text, line: at + 1 });
            rest = after.trim_start();
        }
    }
    tokens
}

/// Where the bracket that opens at this token is closed.
pub(crate) fn closing(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

pub(super) fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(blank(text), expected, "{text}");
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("x \" }", y)"#, "f(        , y)");
        check("r#\"a\" b\"# c", "          c");
        check("br\"a\\\" c", "       c");
        check("b'{' '}' '\\'' '\\n' x", &format!("b{}x", " ".repeat(18)));
        check("&'a str + 'static", "&'a str + 'static");
        check("for\"x\"", "for\"x\"");
        check("\"ü\" x", "    x");
    }

    #[test]
    fn an_open_literal_ends_with_the_text() {
        check("a \"b", "a   ");
        check("a /* b", "a     ");
        check("a r#\"b\"", "a      ");
        check("'\\", "  ");
        check("'", "'");
    }

    #[test]
    fn brackets_are_matched() {
        let tokens = tokens("f { ( ) [ { } ] }");
        assert_eq!(closing(&tokens, 1), Some(tokens.len() - 1));
        assert_eq!(closing(&tokens, 2), Some(3));
        assert_eq!(closing(&tokens[..4], 1), None);
    }
}
