//! Where trezor-agent writes identities: its identity files (`~/.ssh/agent.config` and the like)
//! and the comments of the public keys that it exports.
//!
//! **Invariant:** what is found is a part of the text, in its order; it means nothing yet.

/// What stands in `<IDENTITY|CURVE>`, and behind it, where Keystead wrote the comment of a key that
/// is not its identity's first, ` index N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// As it is written, with or without a protocol.
    pub identity: &'a str,
    /// The name of its curve.
    pub curve: &'a str,
    /// 0 where none stands there: trezor-agent has no others.
    pub index: u32,
}

/// The identities in a text.
///
/// As trezor-agent reads it: the shortest text behind a `<` up to a `|`, then the shortest up to a
/// `>`, all within a line.
pub fn identities(text: &str) -> impl Iterator<Item = Named<'_>> {
    text.lines().flat_map(of_line)
}

fn of_line(line: &str) -> impl Iterator<Item = Named<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once('<')?;
        let (identity, behind) = behind.split_once('|')?;
        let (curve, behind) = behind.split_once('>')?;
        rest = behind;
        Some(Named {
            identity,
            curve,
            index: index_in(behind),
        })
    })
}

/// What is no number of this form is something else's text.
fn index_in(behind: &str) -> u32 {
    let number = behind.strip_prefix(" index ");
    let number = number.and_then(|it| it.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found: Vec<(&str, &str)> = identities(text).map(|it| (it.identity, it.curve)).collect();
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
    fn indexes_of_exported_keys() {
        let check = |behind: &str, expected: &[u32]| {
            let text = format!("ssh-ed25519 AAAA <a@b|ed25519>{behind}");
            let found: Vec<u32> = identities(&text).map(|it| it.index).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("", &[0]);
        check(" index 3", &[3]);
        check(" index 4294967295\r", &[4_294_967_295]);
        check(" index 3 <c|d> index 4", &[3, 4]);
        check(" index 4294967296", &[0]);
        check(" index -1", &[0]);
        check(" index", &[0]);
        check("index 3", &[0]);
        check(" indexes 3", &[0]);
        check("\nindex 3", &[0]);
    }

    #[test]
    fn every_proper_prefix_finds_nothing() {
        let line = "<ssh://a@b|ed25519>";
        for len in 0..line.len() {
            check(&line[..len], &[]);
        }
    }
}
