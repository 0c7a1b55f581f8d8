//! What `git` leaves lying about while it works through a list of commits.
//!
//! **Invariant:** counts only, and only of steps whose name is known: a file that is none of
//! git's counts for nothing.

/// How many signatures the steps of a list need, each commit being signed (git-rebase(1),
/// INTERACTIVE MODE; `sequencer/todo` of git-cherry-pick(1) has the same form).
///
/// Tried with git 2.47: `reword` commits and then amends; each `squash` and `fixup` amends once;
/// `exec` does what nobody knows.
#[must_use]
pub fn signatures_of(steps: &str) -> u32 {
    let count = steps.lines().map(signatures_of_step);
    count.fold(0, u32::saturating_add)
}

/// The same of one step.
#[must_use]
pub fn signatures_of_step(step: &str) -> u32 {
    match step.split_ascii_whitespace().next() {
        Some(
            "pick" | "p" | "edit" | "e" | "squash" | "s" | "fixup" | "f" | "merge" | "m" | "revert",
        ) => 1,
        Some("reword" | "r") => 2,
        _ => 0,
    }
}

/// The verb of a `git` command line and what stands behind it, options before it passed over
/// (git(1), OPTIONS).
#[must_use]
pub fn verb<'a>(arguments: &[&'a str]) -> Option<&'a str> {
    let mut rest = arguments.iter().copied().skip(1);
    while let Some(argument) = rest.next() {
        if OPTIONS_WITH_VALUE.contains(&argument) {
            rest.next()?;
        } else if !argument.starts_with('-') {
            return Some(argument);
        }
    }
    None
}

/// Those whose value stands behind them as a word of its own.
const OPTIONS_WITH_VALUE: [&str; 6] = [
    "-C",
    "-c",
    "--git-dir",
    "--work-tree",
    "--namespace",
    "--config-env",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_their_signatures() {
        let check = |steps, expected| assert_eq!(signatures_of(steps), expected, "{steps:?}");
        check("", 0);
        check("pick 26e8f20 c2\n\n# comment\np 67a575b c3", 2);
        check("reword 26e8f20 c2\nfixup -C 67a575b c3\nsquash 67 c4", 4);
        check(
            "drop 26e8f20 c2\nexec make\nbreak\nlabel side\nreset onto\nupdate-ref x",
            0,
        );
        check("merge -C cae8178 side # Merge\nm side", 2);
        check("revert 3f8f438 c10", 1);
        check("\u{0}\u{1}pick", 0);
    }

    #[test]
    fn verbs() {
        let check = |line: &str, expected| {
            let arguments: Vec<&str> = line.split(' ').collect();
            assert_eq!(verb(&arguments), expected, "{line}");
        };
        check("git rebase -i HEAD~14", Some("rebase"));
        check("git -C rebase commit", Some("commit"));
        check(
            "git -c a=b --no-pager --git-dir=x pull --rebase",
            Some("pull"),
        );
        check("git --version", None);
        check("git -C", None);
        check("git", None);
    }
}
