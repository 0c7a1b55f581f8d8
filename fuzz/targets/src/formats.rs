//! The decoders of `keystead-formats`.

use keystead_formats::git::signatures_of;
use keystead_formats::ssh::agent::{Request, Response};
use keystead_formats::ssh::certificate::ToBeCertified;
use keystead_formats::ssh::client_config::{
    Change, KeyFiles, WithoutBlock, key_files, with_block, without_block,
};
use keystead_formats::ssh::config_names::Config;
use keystead_formats::ssh::constraint::{Destinations, Path};
use keystead_formats::ssh::destination::Destination;
use keystead_formats::ssh::known_hosts::{Names, names_of};
use keystead_formats::ssh::line::KeyLine;
use keystead_formats::ssh::sshsig::Detached;
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned};

/// What is read is written back byte for byte, both ways.
pub(crate) fn agent(bytes: &[u8]) {
    if let Ok(request) = Request::parse(bytes) {
        assert_eq!(request.encode(), bytes);
    }
    if let Ok(response) = Response::parse(bytes) {
        assert_eq!(response.encode(), bytes);
    }
}

/// A login or SSHSIG stands for every byte of its blob.
pub(crate) fn to_be_signed(bytes: &[u8]) {
    match ToBeSigned::parse(bytes) {
        ToBeSigned::UserAuth(login) => assert_eq!(login.encode(), bytes),
        ToBeSigned::SshSig(signed) => assert_eq!(signed.encode(), bytes),
        ToBeSigned::Certificate(it) => assert_eq!(it.encode(), bytes),
        ToBeSigned::Opaque => {}
    }
}

/// All that an authority signs is read, and written back byte for byte.
pub(crate) fn certificate(bytes: &[u8]) {
    if let Ok(it) = ToBeCertified::parse(bytes) {
        assert_eq!(it.encode(), bytes);
        let _ = it.terms.hold_for_host("db1", 0);
    }
}

/// A constraint is written back, and judged without a panic.
pub(crate) fn destinations(bytes: &[u8]) {
    if let Ok(it) = Destinations::parse(bytes) {
        assert_eq!(it.encode(), bytes);
        let _ = it.permitted(Path::default(), Some("alex"), 0);
    }
}

/// A bind is written back, goes through evidence unchanged, and is verified without a panic.
pub(crate) fn bind(bytes: &[u8]) {
    let Ok(bind) = SessionBind::parse(bytes) else {
        return;
    };
    assert_eq!(bind.encode(), bytes);
    assert_eq!(
        SessionBind::from_evidence(&bind.to_evidence()),
        Ok(bind.clone())
    );
    let _ = bind.verify();
}

/// A key has one blob and one line; as a signature's bytes anything is verified without a panic.
pub(crate) fn key(bytes: &[u8]) {
    let Ok(key) = PublicKey::from_blob(bytes) else {
        return;
    };
    assert_eq!(key.blob(), bytes);
    let line = KeyLine::parse(&key.line("comment")).map(|line| line.key);
    assert_eq!(line.as_ref(), Ok(&key));
    assert!(key.verify(b"", bytes).is_err());
}

/// A detached signature is written back, as blob and as armour.
pub(crate) fn sshsig(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(detached) = Detached::from_armour(&text) {
        let again = Detached::from_armour(&detached.armour());
        assert_eq!(again, Ok(detached));
    }
    if let Ok(detached) = Detached::parse(bytes) {
        assert_eq!(detached.encode(), bytes);
        let _ = detached.verify(b"");
    }
}

/// Texts that a person edits: lines of keys and hosts, configuration, command lines.
pub(crate) fn texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let arguments: Vec<&str> = text.split([' ', '\n']).collect();
    let destination = Destination::parse(&arguments).unwrap_or_default();
    let mut config = Config::default();
    let mut left = INCLUDED_MAX;
    config.read(&text, &mut |word| {
        // What stands behind the word is the file that it names.
        let behind = text.split_once(word).map_or("", |(_, behind)| behind);
        let is_read = left > 0;
        left = left.saturating_sub(1);
        is_read.then(|| behind.to_owned()).into_iter().collect()
    });
    let candidates = config.names(&destination).candidates(&destination);
    let _ = signatures_of(&text);
    for line in text.lines() {
        let Ok(read) = KeyLine::parse(line) else {
            continue;
        };
        let again = KeyLine::parse(&read.key.line(&read.comment)).map(|line| line.key);
        assert_eq!(again.as_ref(), Ok(&read.key));
        // A line that revokes a key leaves it no name.
        let revoked = format!("{text}\n@revoked * {}", read.key.line(""));
        assert_eq!(names_of(&revoked, &read.key, &candidates), Names::Revoked);
        let _ = names_of(&text, &read.key, &candidates);
    }
}

/// The block that is put into a person's file is found again, and taking it away gives back
/// every byte that was there before it.
pub(crate) fn own_config(bytes: &[u8]) {
    let Ok(with) = with_block(Some(bytes), SOCKET, KeyFiles::Ignore) else {
        return;
    };
    assert_eq!(key_files(&with.config), Ok(Some(KeyFiles::Ignore)));
    let again = with_block(Some(&with.config), SOCKET, KeyFiles::Ignore);
    let again = again.map(|it| (it.change, it.config));
    assert_eq!(again, Ok((Change::Keep, with.config.clone())));
    let without = without_block(&with.config);
    if with.change == Change::Add {
        assert_eq!(without, Ok(WithoutBlock::Config(bytes.to_vec())));
    } else {
        assert!(matches!(
            without,
            Ok(WithoutBlock::Config(_) | WithoutBlock::NoFile)
        ));
    }
}

const SOCKET: &str = "/run/user/1000/keystead/agent/ssh.sock";

/// Files that a configuration includes here, so that a run ends soon.
const INCLUDED_MAX: usize = 16;
