//! Our lines in the file of allowed signers (ssh-keygen(1), ALLOWED SIGNERS).
//!
//! **Invariant:** outside of the block between the two marker lines no byte of the file changes,
//! and taking the block away gives back the bytes that were there before it was put in.

use keystead_formats::ssh::line::KeyLine;

use crate::failure::{Failure, Status};

/// A file of allowed signers, as text above, within and below our block.
pub(super) struct Signers<'a> {
    /// As it was before the block came, a last line without its end included.
    above: &'a str,
    lines: Vec<String>,
    below: &'a str,
}

impl<'a> Signers<'a> {
    /// Finds the block.
    pub(super) fn parse(text: &'a str) -> Result<Self, Failure> {
        let edited = || {
            Failure::new("the lines of keystead in the allowed signers file were edited")
                .hint("take the lines with \"# keystead:\" and what is between them out of it")
        };
        let Some((above, rest)) = text.split_once(BEGIN) else {
            if text.contains(END) || text.contains(MARK) {
                return Err(edited());
            }
            return Ok(Self {
                above: text,
                lines: Vec::new(),
                below: "",
            });
        };
        let (above, rest) = match rest.strip_prefix(CUT) {
            Some(rest) => (above.strip_suffix('\n').ok_or_else(edited)?, rest),
            None if above.is_empty() || above.ends_with('\n') => (above, rest),
            None => return Err(edited()),
        };
        let rest = rest.strip_prefix('\n').ok_or_else(edited)?;
        let (block, below) = rest.split_once(END).ok_or_else(edited)?;
        if below.contains(MARK) || !(block.is_empty() || block.ends_with('\n')) {
            return Err(edited());
        }
        Ok(Self {
            above,
            lines: block.lines().map(str::to_owned).collect(),
            below,
        })
    }

    /// Adds a line, unless it is there.
    pub(super) fn add(&mut self, line: String) {
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }

    /// The whole file with the block; its last line is whole.
    pub(super) fn text(&self) -> String {
        let cut = if self.above.is_empty() || self.above.ends_with('\n') {
            ("", "")
        } else {
            ("\n", CUT)
        };
        let lines: String = self.lines.iter().map(|it| format!("{it}\n")).collect();
        let (above, below) = (self.above, self.below);
        format!("{above}{}{BEGIN}{}\n{lines}{END}{below}", cut.0, cut.1)
    }

    /// The whole file without the block.
    pub(super) fn text_without(&self) -> String {
        format!("{}{}", self.above, self.below)
    }
}

/// The line that makes a key good for commits of `mail`, in git's namespace alone.
pub(super) fn line(mail: &str, key: &KeyLine) -> Result<String, Failure> {
    // A principal is a pattern list: what has a meaning there cannot stand in an address here.
    let is_plain = |it: char| !it.is_whitespace() && !it.is_control() && !"\",*?!#".contains(it);
    if mail.is_empty() || !mail.chars().all(is_plain) {
        let message = format!("{mail:?} cannot stand in an allowed signers file");
        return Err(Failure::new(message).status(Status::Usage));
    }
    Ok(format!(
        "{mail} namespaces=\"git\" {}",
        key.key.line(&key.comment)
    ))
}

/// How our marker lines begin.
const MARK: &str = "# keystead:";

/// The first of our lines.
const BEGIN: &str = "# keystead: begin (`keystead git setup --undo` takes these lines away)";

/// Stands behind [`BEGIN`] where the line above had no end before.
const CUT: &str = " and the line break above";

/// The last of our lines.
const END: &str = "# keystead: end\n";

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIzdX1GLCIbV0bTyp/nhnNI1n/C+6H7bYr1AiKSwBLHV main";

    fn key() -> KeyLine {
        KeyLine::parse(KEY).unwrap()
    }

    #[track_caller]
    fn check(text: &str) {
        let line = line("a@b", &key()).unwrap();
        let mut signers = Signers::parse(text).unwrap();
        signers.add(line.clone());
        let with = signers.text();
        let mut again = Signers::parse(&with).unwrap();
        again.add(line.clone());
        assert_eq!(again.text(), with, "twice is once");
        assert_eq!(again.lines, [line]);
        assert_eq!(again.text_without(), text);
    }

    #[test]
    fn the_block_comes_and_goes() {
        check("");
        check("c@d ssh-ed25519 AAAA\n");
        check("c@d ssh-ed25519 AAAA\n\n# own\n");
        check("c@d ssh-ed25519 AAAA");
    }

    #[test]
    fn what_stands_below_stays_below() {
        let text = format!("x\n{BEGIN}\n{END}y\n");
        let mut signers = Signers::parse(&text).unwrap();
        signers.add("a".to_owned());
        assert_eq!(signers.text(), format!("x\n{BEGIN}\na\n{END}y\n"));
        assert_eq!(signers.text_without(), "x\ny\n");
    }

    #[test]
    fn edited_markers_are_refused() {
        for text in [
            BEGIN.to_owned(),
            END.to_owned(),
            format!("{END}{BEGIN}\n"),
            format!("{BEGIN}\n{END}{BEGIN}\n{END}"),
            format!("x{BEGIN}\n{END}"),
            format!("x\n{BEGIN} more\n{END}"),
            format!("{BEGIN}{CUT}\n{END}"),
            format!("x\n{BEGIN}\nline {END}"),
        ] {
            assert!(Signers::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_names_the_namespace_and_a_plain_address() {
        assert_eq!(
            line("alex@example.org", &key()).unwrap(),
            format!("alex@example.org namespaces=\"git\" {KEY}")
        );
        for mail in ["", "a b", "*", "a,b", "a\nb", "!a", "\"a\"", "#a"] {
            assert!(line(mail, &key()).is_err(), "{mail:?}");
        }
    }
}
