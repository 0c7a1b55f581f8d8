//! Patterns of `ssh_config(5)` and `known_hosts`: `*` stands for any characters, `?` for one.

/// Does `name` fit `pattern`, byte for byte?
///
/// Takes no memory, and time at most the product of both lengths: only the last `*` is ever tried
/// again.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                p += 1;
                n += 1;
                continue;
            }
            _ => {}
        }
        let Some((after_star, taken)) = retry else {
            return false;
        };
        p = after_star;
        n = taken + 1;
        retry = Some((after_star, n));
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// Does `name` fit a list of patterns? One with `!` in front that fits makes it no, wherever it
/// stands.
pub fn list_matches<'a>(patterns: impl IntoIterator<Item = &'a str>, name: &str) -> bool {
    let mut fits = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(negated, name) => return false,
            Some(_) => {}
            None => fits |= matches(pattern, name),
        }
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let check = |pattern, name, expected| {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        };
        check("", "", true);
        check("", "a", false);
        check("*", "", true);
        check("a*c", "abbc", true);
        check("a*c", "abcb", false);
        check("*.example.org", "db.example.org", true);
        check("*.example.org", "example.org", false);
        check("?b", "ab", true);
        check("?", "", false);
        check("A", "a", false);
        check("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false);
    }

    #[test]
    fn a_negated_pattern_wins() {
        let check = |list: &str, name, expected| {
            assert_eq!(list_matches(list.split(','), name), expected, "{list}");
        };
        check("*.org,!db.org", "db.org", false);
        check("!db.org,*.org", "db.org", false);
        check("!db.org,*.org", "web.org", true);
        check("!db.org", "web.org", false);
    }
}
