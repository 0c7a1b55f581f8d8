//! Where trezor-agent writes identities: its identity files (`~/.ssh/agent.config` and the like)
//! and the comments of the public keys that it exports.
//!
//! **Invariant:** what is found is a part of the text, in its order; it means nothing yet.

/// The identities in a text, each with the name of its curve: what stands in `<IDENTITY|CURVE>`.
///
/// As trezor-agent reads it: the shortest text behind a `<` up to a `|`, then the shortest up to a
/// `>`, all within a line.
pub fn identities(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().flat_map(of_line)
}

fn of_line(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once('<')?;
        let (identity, behind) = behind.split_once('|')?;
        let (curve, behind) = behind.split_once('>')?;
        rest = behind;
        Some((identity, curve))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found: Vec<(&str, &str)> = identities(text).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn identity_files_and_exported_keys() {
        check("", &[]);
        check("<ssh://a@b|ed25519>", &[("ssh://a@b", "ed25519")]);
        check(
            "ecdsa-sha2-nistp256 AAAA <ssh://a@b:22|nist256p1>\n# <c|ed25519>\n",
            &[("ssh://a@b:22", "nist256p1"), ("c", "ed25519")],
        );
        check("<a|b> <c|d>", &[("a", "b"), ("c", "d")]);
        check("<a b>\n<c|d", &[]);
        check("<a\n|b>", &[]);
        check("<|>", &[("", "")]);
        check("<Alex <a@b>|ed25519>", &[("Alex <a@b>", "ed25519")]);
    }

    #[test]
    fn every_proper_prefix_finds_nothing() {
        let line = "<ssh://a@b|ed25519>";
        for len in 0..line.len() {
            check(&line[..len], &[]);
        }
    }
}
