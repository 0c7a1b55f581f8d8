//! A git commit or tag, as git hands it to the signer.
//!
//! **Invariant**: parsed whole or not at all. What cannot be read here is
//! shown as "content not proved", never in part.
//!
//! Source: git's `Documentation/gitformat-signature.adoc` and `commit.c`:
//! headers `NAME VALUE\n`, a continued line starts with a space, an empty line,
//! the message. The signature itself is not among the bytes that are signed.

use std::str;

use keystead_daemon::utc;

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
    /// Who wrote it.
    pub author: Person<'a>,
    /// Who committed it.
    pub committer: Person<'a>,
    /// Headers that this version does not know; they are signed too.
    pub others: Vec<Header<'a>>,
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
    /// Who tagged it.
    pub tagger: Person<'a>,
    /// The message, as it stands.
    pub message: &'a str,
}

/// Somebody, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person<'a> {
    /// `Name <address>`.
    pub who: &'a str,
    /// Seconds since 1970.
    pub unix_s: u64,
    /// `+0100`.
    pub zone: &'a str,
}

/// A header's name, and its value in lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub name: &'a str,
    /// At least one.
    pub lines: Vec<&'a str>,
}

impl<'a> GitObject<'a> {
    /// Reads the bytes; none when they are neither a commit nor a tag, whole.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        let (headers, message) = text.split_once("\n\n")?;
        let headers = headers_of(headers)?;
        match headers.first()?.name {
            "tree" => commit_of(headers, message).map(Self::Commit),
            "object" => tag_of(headers, message).map(Self::Tag),
            _ => None,
        }
    }
}

/// The headers in order; one may go on over lines that start with a space.
fn headers_of(text: &str) -> Option<Vec<Header<'_>>> {
    let mut headers: Vec<Header<'_>> = Vec::new();
    for line in text.split('\n') {
        if let Some(more) = line.strip_prefix(' ') {
            // Belongs to the header before, which must exist.
            headers.last_mut()?.lines.push(more);
            continue;
        }
        let (name, value) = line.split_once(' ')?;
        headers.push(Header {
            name,
            lines: vec![value],
        });
    }
    Some(headers)
}

fn commit_of<'a>(headers: Vec<Header<'a>>, message: &'a str) -> Option<Commit<'a>> {
    let mut rest = headers.into_iter().peekable();
    let tree = object_id(expect(&mut rest, "tree")?)?;
    let mut parents = Vec::new();
    while rest.peek().is_some_and(|it| it.name == "parent") {
        parents.push(object_id(expect(&mut rest, "parent")?)?);
    }
    let author = person(expect(&mut rest, "author")?)?;
    let committer = person(expect(&mut rest, "committer")?)?;
    let others: Vec<Header<'_>> = rest.collect();
    // git takes each of these once; a second one could tell another story to another reader.
    if others
        .iter()
        .any(|it| matches!(it.name, "tree" | "parent" | "author" | "committer"))
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

fn tag_of<'a>(headers: Vec<Header<'a>>, message: &'a str) -> Option<Tag<'a>> {
    let mut rest = headers.into_iter();
    let tag = Tag {
        object: object_id(expect(&mut rest, "object")?)?,
        target: expect(&mut rest, "type")?,
        name: expect(&mut rest, "tag")?,
        tagger: person(expect(&mut rest, "tagger")?)?,
        message,
    };
    rest.next().is_none().then_some(tag)
}

/// The value of the next header, which has this name and one line: git writes these so, and what
/// stood below would be read by nobody.
fn expect<'a>(headers: &mut impl Iterator<Item = Header<'a>>, wanted: &str) -> Option<&'a str> {
    let header = headers.next().filter(|it| it.name == wanted)?;
    match header.lines.as_slice() {
        [line] => Some(line),
        _ => None,
    }
}

/// Hex of an object id: SHA-1 or SHA-256.
fn object_id(value: &str) -> Option<&str> {
    let lengths = [SHA1_HEX_DIGITS, SHA256_HEX_DIGITS];
    let is_hex = value.bytes().all(|b| b.is_ascii_hexdigit());
    (is_hex && lengths.contains(&value.len())).then_some(value)
}

/// `Name <address> seconds zone`.
fn person(value: &str) -> Option<Person<'_>> {
    let (person, time) = value.rsplit_once("> ")?;
    let (seconds, zone) = time.split_once(' ')?;
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_zone = zone.len() == ZONE_BYTES && zone.strip_prefix(['+', '-']).is_some_and(is_digits);
    let unix_s = seconds.parse().ok().filter(|_| is_digits(seconds))?;
    (is_zone && unix_s <= LAST_SECOND).then_some(Person {
        who: value.get(..=person.len())?,
        unix_s,
        zone,
    })
}

impl Person<'_> {
    /// The date as it was there, `2023-11-14 23:13:20 +0100`.
    #[must_use]
    pub fn date(&self) -> String {
        let number = |at: std::ops::Range<usize>| {
            let digits = self.zone.get(at).and_then(|it| it.parse::<u64>().ok());
            digits.unwrap_or_default()
        };
        let offset_s = number(1..3) * 3_600 + number(3..5) * 60;
        let local_s = match self.zone.starts_with('-') {
            true => self.unix_s.saturating_sub(offset_s),
            false => self.unix_s.saturating_add(offset_s),
        };
        format!("{} {}", utc(local_s).trim_end_matches('Z'), self.zone)
    }
}

/// Hex digits of a SHA-1 object id.
const SHA1_HEX_DIGITS: usize = 40;
/// Hex digits of a SHA-256 object id.
const SHA256_HEX_DIGITS: usize = 64;
/// `+0100`.
const ZONE_BYTES: usize = 5;

/// The end of the year 9999: what is later has no date that people write.
pub(crate) const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    const PARENT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const AUTHOR: &str = "Alex <alex@test> 1700000000 +0100";

    const ALEX: Person<'_> = Person {
        who: "Alex <alex@test>",
        unix_s: 1_700_000_000,
        zone: "+0100",
    };

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
                author: ALEX,
                committer: ALEX,
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
                tagger: ALEX,
                message: "First\n",
            }))
        );
    }

    #[test]
    fn headers_may_go_on_over_lines_and_unknown_ones_are_kept_whole() {
        let text = format!(
            "tree {TREE}\nauthor {AUTHOR}\ncommitter {AUTHOR}\nencoding UTF-8\nmergetag object x\n type y\n\nm"
        );
        let Some(GitObject::Commit(commit)) = GitObject::parse(text.as_bytes()) else {
            panic!("{text}");
        };
        let header = |name, lines: &[&'static str]| Header {
            name,
            lines: lines.to_vec(),
        };
        let mergetag = header("mergetag", &["object x", "type y"]);
        assert_eq!(commit.others, [header("encoding", &["UTF-8"]), mergetag]);
    }

    /// git reads them to the end of the line, and nobody would read what stands below.
    #[test]
    fn no_known_header_goes_on_over_lines() {
        let tag = format!("object {TREE}\ntype commit\ntag v1\ntagger {AUTHOR}\n\nFirst\n");
        for (text, headers) in [(commit_text(), 4), (tag, 4)] {
            assert!(GitObject::parse(text.as_bytes()).is_some());
            let lines: Vec<&str> = text.split('\n').collect();
            for behind in 1..=headers {
                let mut more = lines.clone();
                more.insert(behind, " and more");
                let text = more.join("\n");
                assert_eq!(GitObject::parse(text.as_bytes()), None, "{text}");
            }
        }
    }

    #[test]
    fn a_date_is_as_it_was_there() {
        let check = |time: &str, expected: Option<&str>| {
            let text = format!("A <a@x> {time}");
            let date = person(&text).map(|it| it.date());
            assert_eq!(date.as_deref(), expected, "{time}");
        };
        check("1700000000 +0000", Some("2023-11-14 22:13:20 +0000"));
        check("1700000000 +0530", Some("2023-11-15 03:43:20 +0530"));
        check("1700000000 -0800", Some("2023-11-14 14:13:20 -0800"));
        check("253402300799 +0000", Some("9999-12-31 23:59:59 +0000"));
        for time in [
            " +0000",
            "+1 +0000",
            "1 0000",
            "1 +000",
            "1 +00000",
            "1 +0x00",
            "253402300800 +0000",
            "18446744073709551616 +0000",
        ] {
            check(time, None);
        }
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
