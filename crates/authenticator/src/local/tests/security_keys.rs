//! Keys of FIDO tokens: what is passed on, and what is not.

use keystead_formats::ssh::wire::ParseError;

use super::*;

fn handle(application: &str) -> Vec<u8> {
    let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    handle_of(&public, application)
}

pub(super) fn handle_of(public: &[u8], application: &str) -> Vec<u8> {
    Writer::new()
        .string(b"sk-ssh-ed25519@openssh.com")
        .string(public)
        .string(application.as_bytes())
        .u8(1)
        .string(b"handle")
        .string(b"")
        .into_bytes()
}

fn provided(provider: Option<&str>) -> Constraints {
    Constraints {
        sk_provider: provider.map(str::to_owned),
        ..Constraints::default()
    }
}

fn read(mut bytes: Vec<u8>) -> Result<SecurityKey, ParseError> {
    SecurityKey::parse(SecretBytes::take(&mut bytes), None)
}

#[test]
fn handles_are_read_whole() {
    let whole = handle("ssh:");
    let key = read(whole.clone()).unwrap();
    assert_eq!(key.public().type_name(), "sk-ssh-ed25519@openssh.com");
    assert!(key.application() == "ssh:" && key.wants_touch());
    assert_eq!(key.bytes().expose(), whole);
    for len in 0..whole.len() {
        assert_eq!(
            read(whole[..len].to_vec()).err(),
            Some(ParseError::Truncated)
        );
    }
    assert!(read([whole, vec![0]].concat()).is_err());
    let point = [&[4][..], &[1; 64]].concat();
    let ecdsa = Writer::new()
        .string(b"sk-ecdsa-sha2-nistp256@openssh.com")
        .string(b"nistp256")
        .string(&point)
        .string(b"ssh:work")
        .u8(0)
        .string(b"handle")
        .string(b"")
        .into_bytes();
    let key = read(ecdsa).unwrap();
    assert!(key.application() == "ssh:work" && !key.wants_touch());
    assert_eq!(read(ed25519()).err(), Some(ParseError::Unknown));
}

#[test]
fn the_token_is_asked_and_its_signature_checked() {
    let mut world = World::new();
    let entry = world.add(handle("ssh:"), provided(Some("internal")));
    let (_, told) = world.ask(sign(&entry, b"anything"));
    let (job, work) = told.started.into_iter().next().unwrap();
    let Work::SecurityKey { key, content, .. } = work else {
        panic!()
    };
    assert_eq!(key.provider(), Some("internal"));
    assert_eq!(content, b"anything");
    let told = world.step(Event::Done(job, Done::Signed(Some(vec![1, 2, 3]))));
    assert_eq!(told.only().0, Outcome::Refuse);
    let (_, told) = world.ask(sign(&entry, b"anything"));
    let told = world.step(Event::Done(told.job(), Done::Signed(None)));
    assert_eq!(told.only().0, Outcome::Refuse);
}

/// As OpenSSH's agent: taken, but it cannot sign.
#[test]
fn without_a_provider_it_does_not_sign() {
    let mut world = World::new();
    let entry = world.add(handle("ssh:"), provided(None));
    assert_eq!(world.outcome(sign(&entry, b"x")), Outcome::Unsupported);
}

#[test]
fn providers_are_those_that_are_allowed() {
    let check = |patterns: &str, provider: &str, expected| {
        let mut world = World::with(Options {
            providers: patterns.to_owned(),
            ..Options::default()
        });
        let request = import(handle("ssh:"), provided(Some(provider)));
        assert_eq!(world.outcome(request), expected, "{patterns} {provider}");
    };
    let default = DEFAULT_PROVIDERS;
    check(default, "internal", Outcome::Approve);
    check(default, "INTERNAL", Outcome::Approve);
    check("", "internal", Outcome::Approve);
    check(default, "/usr/lib/sk.so", Outcome::Approve);
    check(default, "/usr/lib/x/sk.so", Outcome::Approve);
    check(default, "/usr/lib64/sk.so", Outcome::Approve);
    check(default, "/usr/local/lib/sk.so", Outcome::Approve);
    check(default, "/usr/./lib/sk.so", Outcome::Approve);
    check(default, "/usr/share/sk.so", Outcome::Refuse);
    check(default, "/home/alex/sk.so", Outcome::Refuse);
    check("/usr/*,!/usr/lib/*", "/usr/lib/sk.so", Outcome::Refuse);
    check("/usr/*,!/usr/lib/*", "/usr/share/sk.so", Outcome::Approve);
    check("", "/usr/lib/sk.so", Outcome::Refuse);
}

#[test]
fn applications_can_be_allowed_to_sign_all() {
    for (patterns, application, is_signed) in [
        ("ssh:*,https://example.*", "https://example.org", true),
        ("https://example.*", "ssh:", false),
        ("*,!ssh:work", "ssh:work", false),
        ("", "ssh:", false),
    ] {
        let mut world = World::with(Options {
            websafe_allow: patterns.to_owned(),
            ..Options::default()
        });
        let entry = world.add(handle(application), provided(Some("internal")));
        let (_, told) = world.ask(sign(&entry, b"no SSH message"));
        assert_eq!(told.started.len(), usize::from(is_signed), "{patterns}");
    }
}

/// OpenSSH's `check_websafe_message_contents`, and `-O no-restrict-websafe`.
#[test]
fn a_key_of_a_web_site_signs_ssh_alone() {
    let sshsig = keystead_formats::ssh::sshsig::SshSig::of(
        "file",
        keystead_formats::ssh::sshsig::HashAlgorithm::Sha256,
        b"x",
    )
    .encode();
    let other = PublicKey::ed25519(&[9; 32]);
    let other_login = login(other.blob(), None);
    for no_restrict_websafe in [false, true] {
        for (application, content, is_signed) in [
            ("ssh:", Some(b"x".to_vec()), true),
            ("ssh:work", Some(b"x".to_vec()), true),
            (
                "https://example.org",
                Some(b"x".to_vec()),
                no_restrict_websafe,
            ),
            ("https://example.org", Some(sshsig.clone()), true),
            ("https://example.org", None, true),
            (
                "https://example.org",
                Some(other_login.clone()),
                no_restrict_websafe,
            ),
        ] {
            let mut world = World::with(Options {
                no_restrict_websafe,
                ..Options::default()
            });
            let entry = world.add(handle(application), provided(Some("internal")));
            let content = content.unwrap_or_else(|| login(&entry.public_key, None));
            let (_, told) = world.ask(sign(&entry, &content));
            assert_eq!(told.started.len(), usize::from(is_signed), "{application}");
        }
    }
}
