//! A script as steps. The language, one step a line:
//!
//! ```text
//! # a comment                              says why, for who reads
//! include NAME                             plays another script first
//! env NAME=VALUE                           for all programs from here on
//! unset NAME                               no such variable any more
//! PROGRAM WORDS…                           runs, and must end with status 0
//! ! PROGRAM WORDS…                         must end with another status
//! PROGRAM WORDS… <FILE 3<FILE              standard input, descriptor 3
//! at-terminal PROGRAM WORDS…               all streams are the terminal
//! at-once N PROGRAM WORDS…                 N of them at the same time
//! until PROGRAM WORDS…                     again and again until it ends with 0
//! PROGRAM WORDS… &NAME                     goes on in the background
//! wait-for NAME STREAM REGEX [VARIABLE]    until it shows that; keeps the first group
//! answer NAME REGEX KEYS                   at the next question there that shows this
//! type NAME TEXT                           at that program's terminal, \n is Enter
//! kill NAME, stop NAME, pause NAME, resume NAME
//! pid NAME VARIABLE                        keeps its process id
//! wait NAME                                until it ends; what follows is about it
//! status N, ! status N                     how the last program ended, or did not
//! stdout REGEX, stderr REGEX, terminal REGEX   what the last program showed
//! ! stdout REGEX, …                        what it did not show
//! keep VARIABLE STREAM REGEX               keeps the first group of what it showed
//! write FILE TEXT, append FILE TEXT        \n is a line's end
//! file FILE REGEX, ! file FILE REGEX       what is in a file
//! there FILE, ! there FILE                 whether there is one
//! halve FILE                               cuts it in half
//! sshd [NAME [LINES]]                      starts a private sshd, or starts it again: the one
//!                                          called sshd, or another; $PORT_NAME is its port,
//!                                          LINES count before its own configuration
//! postgres                                 starts a private PostgreSQL; $DATABASE is its address
//! ```
//!
//! STREAM is `stdout`, `stderr` or `terminal`: what the person's terminal
//! showed, which programs reach even where their output is redirected.

use crate::failure::{Failure, Result};

/// One line that does something.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// Counted from 1.
    pub(crate) line: usize,
    /// As written, for who looks for what went wrong.
    pub(crate) text: String,
    /// The line starts with `!`.
    pub(crate) is_negated: bool,
    /// First word.
    pub(crate) verb: String,
    /// The rest of the line.
    pub(crate) rest: String,
}

/// Parses a script.
pub(crate) fn parse(text: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for (at, whole) in text.lines().enumerate() {
        let line = whole.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (is_negated, line) = match line.strip_prefix("! ") {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        if is_negated && NOT_NEGATED.contains(&verb) {
            return Err(Failure::new(format!(
                "line {}: ! {verb} means nothing",
                at + 1
            )));
        }
        steps.push(Step {
            line: at + 1,
            text: whole.trim().to_owned(),
            is_negated,
            verb: verb.to_owned(),
            rest: rest.trim().to_owned(),
        });
    }
    if steps.is_empty() {
        return Err(Failure::new("a script without a step tests nothing"));
    }
    Ok(steps)
}

/// Steps whose opposite means nothing.
const NOT_NEGATED: &[&str] = &[
    "include", "env", "until", "wait-for", "answer", "type", "kill", "stop", "pause", "resume",
    "wait", "keep", "write", "append", "halve", "sshd", "postgres", "at-once",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&[(usize, bool, &str, &str)]>) {
        let steps = parse(text).ok();
        let steps: Option<Vec<(usize, bool, &str, &str)>> = steps.as_ref().map(|steps| {
            steps
                .iter()
                .map(|s| (s.line, s.is_negated, s.verb.as_str(), s.rest.as_str()))
                .collect()
        });
        assert_eq!(steps.as_deref(), expected, "{text}");
    }

    #[test]
    fn scripts_are_parsed() {
        check(
            "# a\n\nssh sshd true\n",
            Some(&[(3, false, "ssh", "sshd true")]),
        );
        check(
            "! ssh  sshd\nsshd",
            Some(&[(1, true, "ssh", "sshd"), (2, false, "sshd", "")]),
        );
    }

    #[test]
    fn what_means_nothing_is_refused() {
        check("", None);
        check("# only talk", None);
        check("! kill agent", None);
    }
}
