//! What git hands to its signer.

use keystead_authenticator::commit::{GitObject, Person};

/// All that is signed is read: what is read, written as git writes it, is the bytes again.
pub(crate) fn object(bytes: &[u8]) {
    let Some(object) = GitObject::parse(bytes) else {
        return;
    };
    let mut lines = Vec::new();
    let message = match &object {
        GitObject::Commit(commit) => {
            lines.push(format!("tree {}", commit.tree));
            lines.extend(commit.parents.iter().map(|id| format!("parent {id}")));
            lines.push(format!("author {}", person(&commit.author)));
            lines.push(format!("committer {}", person(&commit.committer)));
            for header in &commit.others {
                lines.push(format!("{} {}", header.name, header.lines.join("\n ")));
            }
            commit.message
        }
        GitObject::Tag(tag) => {
            lines.push(format!("object {}", tag.object));
            lines.push(format!("type {}", tag.target));
            lines.push(format!("tag {}", tag.name));
            lines.push(format!("tagger {}", person(&tag.tagger)));
            tag.message
        }
    };
    let written = format!("{}\n\n{message}", lines.join("\n"));
    // Zeros may stand before the seconds.
    assert!(written.len() <= bytes.len());
    assert_eq!(GitObject::parse(written.as_bytes()), Some(object));
}

fn person(person: &Person<'_>) -> String {
    assert_eq!(person.date().len(), "2023-11-14 23:13:20 +0100".len());
    format!("{} {} {}", person.who, person.unix_s, person.zone)
}
