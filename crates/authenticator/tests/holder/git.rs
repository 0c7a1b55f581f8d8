//! Commits and tags to be signed, as git and `ssh-keygen -Y sign` make them.

use keystead_core::{Evidence, Intent, KeyEntry, RequestBody};
use keystead_formats::ssh::sshsig::{HashAlgorithm, SshSig};

use crate::login::sign;

/// The blob of a signature over `content` in a namespace.
pub(crate) fn blob(namespace: &str, content: &str) -> Vec<u8> {
    SshSig::of(namespace, HashAlgorithm::Sha512, content.as_bytes()).encode()
}

/// A request to sign a commit, its content proved.
pub(crate) fn commit(key: &KeyEntry, message: &str, evidence: Evidence) -> RequestBody {
    let commit = format!(
        "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\
         author Alex <alex@test> 1700000000 +0000\n\
         committer Alex <alex@test> 1700000000 +0000\n\n{message}\n"
    );
    proved(key, &commit, evidence)
}

/// A request to sign a tag, its content proved.
pub(crate) fn tag(key: &KeyEntry, name: &str) -> RequestBody {
    let tag = format!(
        "object 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ntype commit\ntag {name}\n\
         tagger Alex <alex@test> 1700000000 +0000\n\n{name}\n"
    );
    proved(key, &tag, Evidence::default())
}

/// The commits of one act, one after the other.
pub(crate) fn commits<'a>(
    key: &'a KeyEntry,
    what: &'a str,
    count: Option<u32>,
) -> impl Iterator<Item = RequestBody> + 'a {
    (0..).map(move |at: u32| {
        let evidence = Evidence {
            intent: Some(Intent {
                id: [1; 16],
                what: what.to_owned(),
                count,
            }),
            ..Evidence::default()
        };
        commit(key, &format!("Step {at}"), evidence)
    })
}

fn proved(key: &KeyEntry, content: &str, evidence: Evidence) -> RequestBody {
    let evidence = Evidence {
        preimage: Some(content.as_bytes().to_vec()),
        ..evidence
    };
    sign(key, blob("git", content), evidence)
}
