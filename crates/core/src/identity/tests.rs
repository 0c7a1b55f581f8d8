use super::*;

type Row = (
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
);

/// Measured by running libagent 0.16 (`string_to_identity`, then `proto = ssh`, as trezor-agent
/// does). Where it transliterates other characters, they stand here as they were.
#[rustfmt::skip]
const ROWS: [Row; 24] = [
    ("localhost", None, None, "localhost", None, None, "ssh://localhost"),
    ("user@host", None, Some("user"), "host", None, None, "ssh://user@host"),
    ("user@host:22", None, Some("user"), "host", Some("22"), None, "ssh://user@host:22"),
    ("ssh://user@host:22", Some("ssh"), Some("user"), "host", Some("22"), None, "ssh://user@host:22"),
    ("ssh://user@host", Some("ssh"), Some("user"), "host", None, None, "ssh://user@host"),
    ("HOST", None, None, "HOST", None, None, "ssh://HOST"),
    ("Host.Example.com", None, None, "Host.Example.com", None, None, "ssh://Host.Example.com"),
    ("user@host/", None, Some("user"), "host", None, Some("/"), "ssh://user@host/"),
    ("user@host/path", None, Some("user"), "host", None, Some("/path"), "ssh://user@host/path"),
    ("user@host:2222/a/b", None, Some("user"), "host", Some("2222"), Some("/a/b"), "ssh://user@host:2222/a/b"),
    ("a@b@c", None, Some("a@b"), "c", None, None, "ssh://a@b@c"),
    ("host:", None, None, "host", None, None, "ssh://host"),
    ("host:notanumber", None, None, "host", Some("notanumber"), None, "ssh://host:notanumber"),
    ("10.0.0.7", None, None, "10.0.0.7", None, None, "ssh://10.0.0.7"),
    ("[2001:db8::1]:22", None, None, "[2001:db8::1]", Some("22"), None, "ssh://[2001:db8::1]:22"),
    ("2001:db8::1", None, None, "2001:db8:", Some("1"), None, "ssh://2001:db8::1"),
    ("ssh://ko\u{17e}u\u{161}\u{10d}ek@host", Some("ssh"), Some("ko\u{17e}u\u{161}\u{10d}ek"), "host", None, None, "ssh://ko\u{17e}u\u{161}\u{10d}ek@host"),
    ("git@github.com:org/repo.git", None, Some("git"), "github.com", Some("org"), Some("/repo.git"), "ssh://git@github.com:org/repo.git"),
    ("foo bar", None, None, "foo bar", None, None, "ssh://foo bar"),
    ("gpg://x@y", Some("gpg"), Some("x"), "y", None, None, "ssh://x@y"),
    ("https://a@b:1/p?q#f", Some("https"), Some("a"), "b", Some("1"), Some("/p?q#f"), "ssh://a@b:1/p?q#f"),
    ("user:pw@host", None, Some("user:pw"), "host", None, None, "ssh://user:pw@host"),
    ("file.pub", None, None, "file.pub", None, None, "ssh://file.pub"),
    ("\u{65e5}\u{672c}@host", None, Some("\u{65e5}\u{672c}"), "host", None, None, "ssh://\u{65e5}\u{672c}@host"),
];

#[test]
fn texts_are_taken_apart_as_trezor_agent_does() {
    for (text, protocol, user, host, port, path, uri) in ROWS {
        let owned = |part: Option<&str>| part.map(str::to_owned);
        let expected = IdentityParts {
            protocol: owned(protocol),
            user: owned(user),
            host: host.to_owned(),
            port: owned(port),
            path: owned(path),
        };
        let parts = IdentityParts::parse(text);
        assert_eq!(parts.as_ref(), Ok(&expected), "{text}");
        assert_eq!(parts.unwrap().uri(Protocol::Ssh), uri, "{text}");
    }
}

#[test]
fn a_text_without_a_host_is_none() {
    for text in ["", "user@", "ssh://", ":22", "/path", "ssh://user@:22/path"] {
        assert_eq!(
            IdentityParts::parse(text),
            Err(IdentityError::Empty),
            "{text}"
        );
    }
}

#[track_caller]
fn check(
    uri: &str,
    curve: Curve,
    derivation: Derivation,
    expected: Result<Algorithm, IdentityError>,
) {
    let identity = Identity::new(uri, curve, 7, derivation);
    if let Ok(identity) = &identity {
        assert_eq!(identity.uri(), uri);
        assert_eq!(identity.index(), 7);
        let rest = uri.split_once("://").map(|it| it.1);
        assert_eq!(Some(identity.rest()), rest);
    }
    assert_eq!(identity.map(|it| it.algorithm()), expected, "{uri}");
}

#[test]
fn identities_name_keys_that_can_exist() {
    use Curve::{Curve25519, Ed25519, Nist256p1, Secp256k1};
    use Derivation::{Agree, Sign};
    let none = |protocol, curve, derivation| {
        Err(IdentityError::Curve {
            protocol,
            curve,
            derivation,
        })
    };
    check("ssh://a@b", Nist256p1, Sign, Ok(Algorithm::EcdsaP256));
    check("ssh://a@b", Ed25519, Sign, Ok(Algorithm::Ed25519));
    check(
        "ssh://a",
        Secp256k1,
        Sign,
        none(Protocol::Ssh, Secp256k1, Sign),
    );
    check(
        "ssh://a",
        Nist256p1,
        Agree,
        none(Protocol::Ssh, Nist256p1, Agree),
    );
    check(
        "gpg://A <a@b>",
        Secp256k1,
        Sign,
        Ok(Algorithm::EcdsaSecp256k1),
    );
    check(
        "gpg://A <a@b>",
        Secp256k1,
        Agree,
        Ok(Algorithm::EcdhSecp256k1),
    );
    check("gpg://A <a@b>", Nist256p1, Agree, Ok(Algorithm::EcdhP256));
    check("gpg://A <a@b>", Curve25519, Agree, Ok(Algorithm::X25519));
    check(
        "gpg://A",
        Ed25519,
        Agree,
        none(Protocol::Gpg, Ed25519, Agree),
    );
    check(
        "gpg://A",
        Curve25519,
        Sign,
        none(Protocol::Gpg, Curve25519, Sign),
    );
    check("age://a", Curve25519, Agree, Ok(Algorithm::X25519));
    check(
        "age://a",
        Nist256p1,
        Agree,
        none(Protocol::Age, Nist256p1, Agree),
    );
    check("signify://a", Ed25519, Sign, Ok(Algorithm::Ed25519));
    check(
        "signify://a",
        Nist256p1,
        Sign,
        none(Protocol::Signify, Nist256p1, Sign),
    );
    check(
        "keystead://wallet",
        Nist256p1,
        Sign,
        Ok(Algorithm::EcdsaP256),
    );
}

#[test]
fn texts_that_are_no_identity() {
    use Curve::Nist256p1;
    use Derivation::Sign;
    let unknown = |uri: &str| Err(IdentityError::Protocol(uri.to_owned()));
    check("https://a", Nist256p1, Sign, unknown("https://a"));
    check("SSH://a", Nist256p1, Sign, unknown("SSH://a"));
    check("a@b", Nist256p1, Sign, unknown("a@b"));
    check("", Nist256p1, Sign, Err(IdentityError::Empty));
    check("ssh://", Nist256p1, Sign, Err(IdentityError::Empty));
    check(
        "ssh://\u{e9}",
        Nist256p1,
        Sign,
        Err(IdentityError::NotAscii(0xe9)),
    );
    check(
        "ssh://a\n",
        Nist256p1,
        Sign,
        Err(IdentityError::NotAscii(0x0a)),
    );
    check(
        "ssh://a\u{7f}",
        Nist256p1,
        Sign,
        Err(IdentityError::NotAscii(0x7f)),
    );
    let long = format!("ssh://{}", "a".repeat(Identity::URI_BYTES_MAX - 6));
    check(&long, Nist256p1, Sign, Ok(Algorithm::EcdsaP256));
    check(
        &format!("{long}a"),
        Nist256p1,
        Sign,
        Err(IdentityError::TooLong { bytes: 1_025 }),
    );
}

#[test]
fn secp256k1_is_refused_for_ssh_with_the_reason() {
    let refused = Identity::new("ssh://a", Curve::Secp256k1, 0, Derivation::Sign).unwrap_err();
    assert_eq!(refused.to_string(), "SSH has no type of key on secp256k1");
}

#[test]
fn the_wallets_own_identity_is_one() {
    let own = Identity::of_wallet();
    let made = Identity::new(own.uri(), own.curve(), own.index(), own.derivation());
    assert_eq!(made, Ok(own));
}

#[test]
fn words_and_numbers_agree() {
    for curve in Curve::ALL {
        assert_eq!(curve.as_str().parse(), Ok(curve));
    }
    assert!("p256".parse::<Curve>().is_err());
    for derivation in [Derivation::Sign, Derivation::Agree] {
        let number = u64::from(derivation.number());
        assert_eq!(Derivation::from_number(number), Some(derivation));
    }
    assert_eq!(Derivation::from_number(44), None);
}
