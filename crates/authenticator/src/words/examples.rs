//! Requests that tests of several modules begin with.

use keystead_core::Name;

use super::{
    Asked, Bound, Called, Content, Destination, GitForm, Hop, Login, Origin, Sign, Signify,
    SignifyContent,
};

/// A host that is pinned as `db1`.
pub(crate) fn hop(host_key: &str) -> Hop {
    Hop {
        called: Called::Pinned("db1".into()),
        host_key: host_key.into(),
    }
}

/// A login at it, but for a change.
pub(crate) fn login(change: impl FnOnce(&mut Login)) -> Asked {
    let mut login = Login {
        user: "alex".into(),
        destination: Destination::Proved(hop("SHA256:one")),
        bound: Bound::ToHost,
        way: vec![],
        key: Name::new("main").unwrap().into(),
        certificate: None,
        origin: Origin::default(),
    };
    change(&mut login);
    Asked::Login(login)
}

/// A signature for git, but for a change.
pub(crate) fn git(form: GitForm, change: impl FnOnce(&mut Sign)) -> Asked {
    let mut sign = Sign {
        namespace: "git".into(),
        hash_name: "sha512".into(),
        hash: "00".into(),
        content: Content::Git {
            form,
            rows: vec![],
            message: String::new(),
            below: vec![],
        },
        way: vec![],
        key: Name::new("main").unwrap().into(),
        origin: Origin::default(),
    };
    change(&mut sign);
    Asked::Sign(sign)
}

/// A signature of a file, but for a change.
pub(crate) fn signify(change: impl FnOnce(&mut Signify)) -> Asked {
    let mut sign = Signify {
        content: SignifyContent::Whole {
            bytes: 10,
            sha256: "00ff".into(),
            text: None,
        },
        trusted_comment: "file:a".into(),
        key: Name::new("release").unwrap().into(),
        origin: Origin::default(),
    };
    change(&mut sign);
    Asked::Signify(sign)
}
