//! What is known of the content whose hash a namespace signature is over.

use keystead_core::hex;
use keystead_formats::ssh::sshsig::SshSig;
use keystead_formats::ssh::to_be_signed::GIT_NAMESPACE;

use crate::commit::{Commit, GitObject, Header, Person, Tag};
use crate::show::Safe;
use crate::words::{Content, GitForm, Hop, KeyWords, Origin, Sign};

/// The words for a signature in a namespace.
pub(super) fn sign(
    sshsig: &SshSig,
    preimage: Option<&[u8]>,
    way: Vec<Hop>,
    key: &KeyWords,
    origin: Origin,
) -> Sign {
    Sign {
        namespace: sshsig.namespace.clone(),
        hash_name: sshsig.hash_algorithm.name().to_owned(),
        hash: hex::encode(&sshsig.hash),
        content: content(sshsig, preimage),
        way,
        key: key.clone(),
        origin,
    }
}

fn content(sshsig: &SshSig, preimage: Option<&[u8]>) -> Content {
    let Some(preimage) = preimage else {
        return Content::NotProved;
    };
    if !sshsig.is_of(preimage) {
        return Content::Differs;
    }
    match sshsig.namespace.as_str() {
        GIT_NAMESPACE => object_content(preimage),
        _ => Content::Unreadable {
            bytes: preimage.len(),
        },
    }
}

/// What is known of bytes that were proved.
pub(super) fn object_content(proved: &[u8]) -> Content {
    match GitObject::parse(proved) {
        Some(GitObject::Commit(commit)) => commit_content(&commit),
        Some(GitObject::Tag(tag)) => tag_content(&tag),
        None => Content::Unreadable {
            bytes: proved.len(),
        },
    }
}

fn commit_content(commit: &Commit<'_>) -> Content {
    let mut rows = vec![("Tree", commit.tree.to_owned())];
    rows.extend(commit.parents.iter().map(|it| ("Parent", (*it).to_owned())));
    rows.push(("Author", person(&commit.author)));
    if commit.committer.who != commit.author.who {
        rows.push(("Committer", person(&commit.committer)));
    } else if commit.committer != commit.author {
        let date = commit.committer.date();
        rows.push(("Committer", format!("the same, {}", unbroken(&date))));
    }
    if !commit.others.is_empty() {
        let others: Vec<String> = commit.others.iter().map(in_short).collect();
        rows.push(("Also signed", others.join(", ")));
    }
    Content::Git {
        form: GitForm::Commit,
        rows,
        message: commit.message.to_owned(),
        below: commit.others.iter().flat_map(in_full).collect(),
    }
}

fn tag_content(tag: &Tag<'_>) -> Content {
    let rows = vec![
        ("Tag", Safe(tag.name).to_string()),
        ("Of", format!("{} {}", Safe(tag.target), tag.object)),
        ("Tagger", person(&tag.tagger)),
    ];
    Content::Git {
        form: GitForm::Tag,
        rows,
        message: tag.message.to_owned(),
        below: Vec::new(),
    }
}

fn person(person: &Person<'_>) -> String {
    format!("{}, {}", Safe(person.who), unbroken(&person.date()))
}

/// On one line of the screen (U+00A0).
fn unbroken(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// A header where there is room for it, or how long it is.
fn in_short(header: &Header<'_>) -> String {
    let name = Safe(header.name);
    match header.lines.as_slice() {
        [line] if is_short(line) => format!("{name} {}", Safe(line)),
        [_] => format!("{name} (below)"),
        lines => format!("{name} ({} lines, below)", lines.len()),
    }
}

/// The lines of a header that is not in short already.
fn in_full(header: &Header<'_>) -> Vec<String> {
    let first = match header.lines.as_slice() {
        [line] if is_short(line) => return Vec::new(),
        _ => format!("{}:", Safe(header.name)),
    };
    let lines = header.lines.iter().map(|it| Safe(it).to_string());
    std::iter::once(first).chain(lines).collect()
}

fn is_short(line: &str) -> bool {
    line.chars().count() <= SHORT_CHARS_MAX
}

/// An encoding's name; what is longer stands behind the message.
const SHORT_CHARS_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\
        author Alex <alex@test> 1700000000 +0100\n";

    fn shown(rest: &str) -> (Vec<(&'static str, String)>, Vec<String>) {
        let content = object_content(format!("{HEADS}{rest}").as_bytes());
        let Content::Git { rows, below, .. } = content else {
            panic!("{content:?}");
        };
        (rows, below)
    }

    #[test]
    fn dates_are_signed_and_shown() {
        let check = |committer: &str, expected: &[&str]| {
            let (rows, _) = shown(&format!("committer {committer}\n\nMend it\n"));
            let rows = rows[1..].iter().map(|(_, it)| it.replace('\u{a0}', " "));
            let rows: Vec<String> = rows.collect();
            assert_eq!(rows, expected);
        };
        let author = "Alex <alex@test>, 2023-11-14 23:13:20 +0100";
        check("Alex <alex@test> 1700000000 +0100", &[author]);
        check(
            "Alex <alex@test> 1700000001 +0000",
            &[author, "the same, 2023-11-14 22:13:21 +0000"],
        );
        check(
            "Evil <evil@test> 1700000000 +0100",
            &[author, "Evil <evil@test>, 2023-11-14 23:13:20 +0100"],
        );
    }

    #[test]
    fn headers_that_are_not_known_are_shown_whole() {
        let long = "x".repeat(41);
        let (rows, below) = shown(&format!(
            "committer Alex <alex@test> 1700000000 +0100\n\
             encoding KOI8-R\nnote {long}\nmergetag object 1\n type commit\n \x1b[2J\n\nMend it\n"
        ));
        let also = "encoding KOI8-R, note (below), mergetag (3 lines, below)";
        assert_eq!(rows.last(), Some(&("Also signed", also.to_owned())));
        let lines = [
            "note:",
            &long,
            "mergetag:",
            "object 1",
            "type commit",
            "\\u{1b}[2J",
        ];
        assert_eq!(below, lines);
    }
}
