//! What is known of the content whose hash a namespace signature is over.

use keystead_core::hex;
use keystead_formats::ssh::sshsig::SshSig;
use keystead_formats::ssh::to_be_signed::GIT_NAMESPACE;

use crate::commit::{Commit, GitObject, Tag};
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
    rows.push(("Author", Safe(commit.author).to_string()));
    if commit.committer != commit.author {
        rows.push(("Committer", Safe(commit.committer).to_string()));
    }
    if !commit.others.is_empty() {
        rows.push(("Also signed", Safe(&commit.others.join(", ")).to_string()));
    }
    Content::Git {
        form: GitForm::Commit,
        rows,
        message: commit.message.to_owned(),
    }
}

fn tag_content(tag: &Tag<'_>) -> Content {
    let rows = vec![
        ("Tag", Safe(tag.name).to_string()),
        ("Of", format!("{} {}", Safe(tag.target), tag.object)),
        ("Tagger", Safe(tag.tagger).to_string()),
    ];
    Content::Git {
        form: GitForm::Tag,
        rows,
        message: tag.message.to_owned(),
    }
}
