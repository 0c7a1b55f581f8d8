//! A git commit or tag, as git hands it to the signer.
//!
//! **Invariant**: parsed whole or not at all. What cannot be read here is
//! shown as "content not proved", never in part.
//!
//! Source: git's `Documentation/gitformat-signature.adoc` and `commit.c`:
//! headers `NAME VALUE\n`, a continued line starts with a space, an empty line,
//! the message. The signature itself is not among the bytes that are signed.

use std::str;

/// What is signed, when it is a commit or a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GitObject<'a> {
    /// A commit.
    Commit(Commit<'a>),
    /// An annotated tag.
    Tag(Tag<'a>),
}

/// A commit's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit<'a> {
    /// Hex of the tree's id.
    pub tree: &'a str,
    /// Hex of the parents' ids, in order.
    pub parents: Vec<&'a str>,
    /// `Name <address>`, without the time.
    pub author: &'a str,
    /// As `author`.
    pub committer: &'a str,
    /// Names of headers that this version does not know; they are signed too.
    pub others: Vec<&'a str>,
    /// The message, as it stands.
    pub message: &'a str,
}

/// A tag's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Hex of the id of what is tagged.
    pub object: &'a str,
    /// `commit`, `tree`, `blob` or `tag`.
    pub target: &'a str,
    /// The tag's name.
    pub name: &'a str,
    /// `Name <address>`, without the time.
    pub tagger: &'a str,
    /// The message, as it stands.
    pub message: &'a str,
}

impl<'a> GitObject<'a> {
    /// Reads the bytes; none when they are neither a commit nor a tag, whole.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        let (headers, message) = text.split_once("\n\n")?;
        let headers = headers_of(headers)?;
        match headers.first()? {
            ("tree", _) => commit_of(&headers, message).map(Self::Commit),
            ("object", _) => tag_of(&headers, message).map(Self::Tag),
            _ => None,
        }
    }
}

/// Each header's name and first line; a header may go on over lines that start with a space.
fn headers_of(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut headers: Vec<(&str, &str)> = Vec::new();
    for line in text.split('\n') {
        if line.starts_with(' ') {
            // Belongs to the header before, which must exist.
            headers.last()?;
            continue;
        }
        headers.push(line.split_once(' ')?);
    }
    Some(headers)
}

fn commit_of<'a>(headers: &[(&'a str, &'a str)], message: &'a str) -> Option<Commit<'a>> {
    let mut rest = headers.iter().copied().peekable();
    let tree = object_id(expect(&mut rest, "tree")?)?;
    let mut parents = Vec::new();
    while rest.peek().is_some_and(|(name, _)| *name == "parent") {
        parents.push(object_id(expect(&mut rest, "parent")?)?);
    }
    let author = person(expect(&mut rest, "author")?)?;
    let committer = person(expect(&mut rest, "committer")?)?;
    let others: Vec<&str> = rest.map(|(name, _)| name).collect();
    // git takes each of these once; a second one could tell another story to another reader.
    if others
        .iter()
        .any(|name| matches!(*name, "tree" | "parent" | "author" | "committer"))
    {
        return None;
    }
    Some(Commit {
        tree,
        parents,
        author,
        committer,
        others,
        message,
    })
}

fn tag_of<'a>(headers: &[(&'a str, &'a str)], message: &'a str) -> Option<Tag<'a>> {
    let mut rest = headers.iter().copied().peekable();
    let tag = Tag {
        object: object_id(expect(&mut rest, "object")?)?,
        target: expect(&mut rest, "type")?,
        name: expect(&mut rest, "tag")?,
        tagger: person(expect(&mut rest, "tagger")?)?,
        message,
    };
    rest.next().is_none().then_some(tag)
}

fn expect<'a>(
    headers: &mut impl Iterator<Item = (&'a str, &'a str)>,
    wanted: &str,
) -> Option<&'a str> {
    headers
        .next()
        .filter(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// Hex of an object id: SHA-1 or SHA-256.
fn object_id(value: &str) -> Option<&str> {
    let lengths = [SHA1_HEX_DIGITS, SHA256_HEX_DIGITS];
    let is_hex = value.bytes().all(|b| b.is_ascii_hexdigit());
    (is_hex && lengths.contains(&value.len())).then_some(value)
}

/// `Name <address> seconds zone` without the time.
fn person(value: &str) -> Option<&str> {
    let (person, time) = value.rsplit_once("> ")?;
    let (seconds, zone) = time.split_once(' ')?;
    let is_time = seconds.bytes().all(|b| b.is_ascii_digit()) && zone.len() == ZONE_BYTES;
    is_time.then(|| value.get(..=person.len())).flatten()
}

/// Hex digits of a SHA-1 object id.
const SHA1_HEX_DIGITS: usize = 40;
/// Hex digits of a SHA-256 object id.
const SHA256_HEX_DIGITS: usize = 64;
/// `+0100`.
const ZONE_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    const PARENT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const AUTHOR: &str = "Alex <alex@test> 1700000000 +0100";

    fn commit_text() -> String {
        format!("tree {TREE}\nparent {PARENT}\nauthor {AUTHOR}\ncommitter {AUTHOR}\n\nMend it\n")
    }

    #[test]
    fn a_commit_is_read() {
        let text = commit_text();
        assert_eq!(
            GitObject::parse(text.as_bytes()),
            Some(GitObject::Commit(Commit {
                tree: TREE,
                parents: vec![PARENT],
                author: "Alex <alex@test>",
                committer: "Alex <alex@test>",
                others: vec![],
                message: "Mend it\n",
            }))
        );
    }

    #[test]
    fn a_tag_is_read() {
        let text = format!("object {TREE}\ntype commit\ntag v1\ntagger {AUTHOR}\n\nFirst\n");
        assert_eq!(
            GitObject::parse(text.as_bytes()),
            Some(GitObject::Tag(Tag {
                object: TREE,
                target: "commit",
                name: "v1",
                tagger: "Alex <alex@test>",
                message: "First\n",
            }))
        );
    }

    #[test]
    fn headers_may_go_on_over_lines_and_unknown_ones_are_named() {
        let text = format!(
            "tree {TREE}\nauthor {AUTHOR}\ncommitter {AUTHOR}\nencoding UTF-8\nmergetag object x\n type y\n\nm"
        );
        let Some(GitObject::Commit(commit)) = GitObject::parse(text.as_bytes()) else {
            panic!("{text}");
        };
        assert_eq!(commit.others, ["encoding", "mergetag"]);
    }

    #[test]
    fn no_part_of_a_commit_before_its_message_is_a_commit() {
        let text = commit_text();
        let whole = text.find("\n\n").unwrap() + 2;
        for len in 0..whole {
            assert_eq!(GitObject::parse(&text.as_bytes()[..len]), None, "{len}");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        for (from, to) in [
            ("tree", "free"),
            ("4b825d", "zzzzzz"),
            ("author", "writer"),
            (" 1700000000", ""),
            (
                "\n\nMend",
                "\ntree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nMend",
            ),
        ] {
            let text = commit_text().replacen(from, to, 1);
            assert_eq!(GitObject::parse(text.as_bytes()), None, "{from} -> {to}");
        }
        assert_eq!(GitObject::parse(b"\xff\xff\n\n"), None);
    }
}
