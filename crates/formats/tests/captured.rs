//! Bytes from the real `ssh`, `ssh-add`, `ssh-keygen` and `ssh-agent`, as
//! `tests/messages/capture.py` logged them: decoded as expected, encoded to the same bytes, and
//! refused in every proper prefix.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be read fails the test"
)]

use keystead_core::Purpose;
use keystead_formats::ssh::agent::{Constraint, Request, Response};
use keystead_formats::ssh::certificate::{CertificateOption, Role};
use keystead_formats::ssh::constraint::Destinations;
use keystead_formats::ssh::known_hosts::{Names, names_of};
use keystead_formats::ssh::line::KeyLine;
use keystead_formats::ssh::signature::VerifyError;
use keystead_formats::ssh::sshsig::Detached;
use keystead_formats::ssh::{PublicKey, SessionBind, ToBeSigned};

const CAPTURED: &str = include_str!("messages/openssh-9.2p1.txt");

/// The messages of one step, in order, one way.
fn messages(step: &str, way: &str) -> Vec<Vec<u8>> {
    CAPTURED
        .lines()
        .filter_map(|line| {
            line.strip_prefix(step)?
                .strip_prefix(' ')?
                .strip_prefix(way)
        })
        .map(|hex| unhex(hex.trim()))
        .collect()
}

fn all(way: &str) -> Vec<(&'static str, Vec<u8>)> {
    CAPTURED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (step, rest) = line.split_once(' ')?;
            Some((step, unhex(rest.strip_prefix(way)?.trim())))
        })
        .collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

/// A value of the head of the file.
fn noted(name: &str) -> &'static str {
    CAPTURED
        .lines()
        .find_map(|line| {
            line.strip_prefix("# ")?
                .strip_prefix(name)?
                .strip_prefix(": ")
        })
        .unwrap()
}

fn key(name: &str) -> PublicKey {
    KeyLine::parse(noted(name)).unwrap().key
}

fn known_hosts() -> String {
    let lines = CAPTURED
        .lines()
        .filter_map(|line| line.strip_prefix("# known_hosts: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_said_to_an_agent() {
    let check = |step: &str, expected: &[&str]| {
        let messages = messages(step, ">");
        let seen: Vec<String> = messages
            .iter()
            .map(|message| match Request::parse(message) {
                Ok(request) => format!("{request:?}"),
                Err(error) => error.to_string(),
            })
            .collect();
        assert_eq!(seen, expected, "{step}");
    };
    check("list", &["RequestIdentities"]);
    check("add-ed25519", &["AddIdentity"]);
    check("add-p256", &["AddIdentity"]);
    check("add-p384", &["AddIdentity"]);
    check("add-p521", &["AddIdentity"]);
    check("add-rsa", &["AddIdentity"]);
    check("add-constrained", &["AddIdentity"]);
    check("add-destination", &["AddIdentity"]);
    check("add-certificate", &["AddIdentity", "AddIdentity"]);
    check("login-ed25519", &["Extension", "RequestIdentities", "Sign"]);
    check("sshsig-git", &["RequestIdentities", "Sign"]);
    check("certify-user", &["RequestIdentities", "Sign"]);
    check("certify-host", &["RequestIdentities", "Sign"]);
    check("test", &["Sign"]);
    check("remove", &["RemoveIdentity"]);
    // `ssh-add -D` empties an agent of SSH 1 too, and does not mind the refusal.
    let old = "a message, algorithm or option that is not known";
    check("remove-all", &["RemoveAllIdentities", old]);
    check("lock", &["Lock"]);
    check("unlock", &["Unlock"]);
    check("smartcard", &["AddSmartcard"]);
    check("smartcard-constrained", &["AddSmartcard"]);
    check("smartcard-remove", &["RemoveSmartcard"]);
}

#[test]
fn requests_are_encoded_as_they_came_and_refused_when_cut() {
    let mut seen = 0;
    for (step, message) in all(">") {
        let Ok(request) = Request::parse(&message) else {
            assert_eq!((step, message.as_slice()), ("remove-all", &[9][..]));
            continue;
        };
        assert_eq!(request.encode(), message, "{step}");
        let ends_anywhere = matches!(request, Request::Extension { .. });
        for len in 0..message.len() {
            // An extension's contents have no end of their own; constraints end between two.
            match Request::parse(&message[..len]) {
                Err(_) => {}
                Ok(shorter) => {
                    let constrained = matches!(message[0], 25 | 26);
                    assert!(ends_anywhere || constrained, "{step}: prefix of {len}");
                    assert_eq!(shorter.encode(), &message[..len], "{step}");
                }
            }
        }
        seen += 1;
    }
    assert!(seen > 40, "only {seen} messages");
}

#[test]
fn answers_are_encoded_as_they_came_and_refused_when_cut() {
    for (step, message) in all("<") {
        let response = Response::parse(&message).unwrap();
        assert_eq!(response.encode(), message, "{step}");
        for len in 0..message.len() {
            assert!(
                Response::parse(&message[..len]).is_err(),
                "{step}: prefix of {len}"
            );
        }
    }
}

#[test]
fn an_added_key_is_found_by_its_lengths() {
    let check =
        |step: &str, key_type: &str, comment: &str, constraints: Option<&[Constraint<'_>]>| {
            let message = messages(step, ">").pop().unwrap();
            let Ok(Request::AddIdentity(added)) = Request::parse(&message) else {
                panic!("{step}");
            };
            assert_eq!(added.key_type, key_type, "{step}");
            assert_eq!(added.comment, comment.as_bytes(), "{step}");
            assert_eq!(added.constraints.as_deref(), constraints, "{step}");
        };
    let p256 = "ecdsa-sha2-nistp256";
    check("add-ed25519", "ssh-ed25519", "ed25519@test", None);
    check("add-p256", p256, "p256@test", None);
    check("add-rsa", "ssh-rsa", "rsa@test", None);
    check(
        "add-certificate",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "p256@test",
        None,
    );
    let limits = [Constraint::LifetimeS(60), Constraint::Confirm];
    check(
        "add-constrained",
        "ssh-ed25519",
        "ed25519@test",
        Some(&limits),
    );
    let message = messages("add-destination", ">").pop().unwrap();
    let Ok(Request::AddIdentity(added)) = Request::parse(&message) else {
        panic!("no key");
    };
    let restricted = matches!(
        added.constraints.as_deref(),
        Some([Constraint::Extension {
            name: "restrict-destination-v00@openssh.com",
            ..
        }])
    );
    assert!(restricted);
}

/// A captured login: step, key that logs in, signature algorithm, host key, is it the hostbound
/// method?
type Login = (&'static str, &'static str, &'static str, &'static str, bool);

const LOGINS: [Login; 7] = [
    (
        "login-ed25519",
        "ed25519",
        "ssh-ed25519",
        "host_ed25519",
        true,
    ),
    (
        "login-p256",
        "p256",
        "ecdsa-sha2-nistp256",
        "host_ed25519",
        true,
    ),
    ("login-rsa", "rsa", "rsa-sha2-512", "host_ed25519", true),
    (
        "login-unbound",
        "ed25519",
        "ssh-ed25519",
        "host_ed25519-cert",
        false,
    ),
    (
        "login-host-p256",
        "ed25519",
        "ssh-ed25519",
        "host_ecdsa",
        true,
    ),
    ("login-host-rsa", "ed25519", "ssh-ed25519", "host_rsa", true),
    (
        "login-host-certificate",
        "ed25519",
        "ssh-ed25519",
        "host_ed25519-cert",
        true,
    ),
];

#[test]
fn logins_name_user_key_and_host_and_are_bound_to_them() {
    for (step, key_name, algorithm, host, hostbound) in LOGINS {
        let messages = messages(step, ">");
        let Ok(Request::Extension { name, contents }) = Request::parse(&messages[0]) else {
            panic!("{step}: no bind");
        };
        assert_eq!(name, SessionBind::EXTENSION);
        let bind = SessionBind::parse(contents).unwrap();
        assert_eq!(bind.encode(), contents);
        assert_eq!(bind.verify(), Ok(()), "{step}");
        assert_eq!(
            (&bind.host_key, bind.forwarding),
            (&key(host), false),
            "{step}"
        );
        assert_eq!(
            SessionBind::from_evidence(&bind.to_evidence()).as_ref(),
            Ok(&bind)
        );
        let Ok(Request::Sign { message, .. }) = Request::parse(messages.last().unwrap()) else {
            panic!("{step}: nothing to sign");
        };
        let ToBeSigned::UserAuth(login) = ToBeSigned::parse(message) else {
            panic!("{step}: no login");
        };
        assert_eq!(login.encode(), message);
        assert_eq!(
            (login.user.as_str(), &login.key),
            ("root", &key(key_name)),
            "{step}"
        );
        assert_eq!(login.algorithm, algorithm, "{step}");
        assert_eq!(login.session_id, bind.session_id, "{step}");
        assert_eq!(login.host_key, hostbound.then(|| key(host)), "{step}");
    }
}

#[test]
fn a_second_hop_is_bound_behind_the_first() {
    let binds: Vec<SessionBind> = messages("login-two-hops", ">")
        .iter()
        .filter_map(|message| match Request::parse(message) {
            Ok(Request::Extension { contents, .. }) => SessionBind::parse(contents).ok(),
            _ => None,
        })
        .collect();
    assert!(binds.iter().all(|bind| bind.verify().is_ok()));
    // The login itself; then over the forwarded connection the first hop and the second.
    let forwarding: Vec<bool> = binds.iter().map(|bind| bind.forwarding).collect();
    assert_eq!(forwarding, [false, true, false]);
    assert_eq!(binds[0].session_id, binds[1].session_id);
    assert_ne!(binds[1].session_id, binds[2].session_id);
}

#[test]
fn a_bind_is_read_whole_and_believed_only_with_its_signature() {
    for step in [
        "login-ed25519",
        "login-host-p256",
        "login-host-rsa",
        "login-host-certificate",
    ] {
        let messages = messages(step, ">");
        let Ok(Request::Extension { contents, .. }) = Request::parse(&messages[0]) else {
            panic!("no bind");
        };
        for len in 0..contents.len() {
            assert!(
                SessionBind::parse(&contents[..len]).is_err(),
                "prefix of {len}"
            );
        }
        assert!(SessionBind::parse(&[contents, &[0]].concat()).is_err());
        let mut believed = 0;
        for at in 0..contents.len() - 1 {
            let mut changed = contents.to_vec();
            changed[at] ^= 1;
            believed +=
                usize::from(SessionBind::parse(&changed).is_ok_and(|bind| bind.verify().is_ok()));
        }
        assert_eq!(believed, 0);
    }
}

#[test]
fn whatever_was_signed_is_verified_and_a_changed_bit_is_not() {
    let mut verified = 0;
    let (asked, answered) = (all(">"), all("<"));
    for ((step, asked), (_, answered)) in asked.iter().zip(&answered) {
        let (Ok(Request::Sign { key, message, .. }), Ok(Response::Signature(signature))) =
            (Request::parse(asked), Response::parse(answered))
        else {
            continue;
        };
        let key = PublicKey::from_blob(key).unwrap();
        assert_eq!(key.verify(message, &signature), Ok(()), "{step}");
        let mut changed = signature.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(
            key.verify(message, &changed),
            Err(VerifyError::False),
            "{step}"
        );
        assert_eq!(
            key.verify(b"other", &signature),
            Err(VerifyError::False),
            "{step}"
        );
        for len in 0..signature.len() {
            assert!(
                key.verify(message, &signature[..len]).is_err(),
                "{step}: prefix of {len}"
            );
        }
        verified += 1;
    }
    assert_eq!(verified, 19);
}

/// What `ssh-keygen -Us` of an authority's key asks its agent for.
#[test]
fn a_certificate_says_whom_it_vouches_for() {
    let parsed = |step: &str| {
        let message = messages(step, ">").pop().unwrap();
        let Ok(Request::Sign { message, .. }) = Request::parse(&message) else {
            panic!("{step}");
        };
        let ToBeSigned::Certificate(certificate) = ToBeSigned::parse(message) else {
            panic!("{step}: no certificate");
        };
        *certificate
    };
    let user = parsed("certify-user");
    assert_eq!(user.key, key("rsa"));
    let terms = user.terms;
    assert_eq!((terms.role, terms.serial), (Role::User, 7));
    assert_eq!(terms.key_id, "alex@work");
    assert_eq!(terms.principals, ["alex", "root"]);
    assert_eq!(terms.authority, key("ca"));
    assert!(terms.valid_after_unix_s < terms.valid_before_unix_s);
    let options = |options: &[CertificateOption]| -> Vec<(String, Option<String>)> {
        let pair = |it: &CertificateOption| (it.name.clone(), it.text().map(str::to_owned));
        options.iter().map(pair).collect()
    };
    let address = ("source-address".to_owned(), Some("192.0.2.0/24".to_owned()));
    assert_eq!(options(&terms.critical_options), [address]);
    assert_eq!(
        options(&terms.extensions),
        [("permit-pty".to_owned(), None)]
    );
    let host = parsed("certify-host");
    assert_eq!((host.key, host.terms.role), (key("host_ecdsa"), Role::Host));
    assert_eq!(host.terms.principals, ["db1.test", "*.db.test"]);
    assert!(host.terms.hold_for_host("a.db.test", 1_700_000_000));
    assert!(!host.terms.hold_for_host("a.db.test", 1_500_000_000));
    assert!(!host.terms.hold_for_host("db.test", 1_700_000_000));
}

/// What `ssh-add -h` makes of two hops and an authority in `known_hosts`.
#[test]
fn a_path_of_destinations() {
    let message = messages("add-destination-path", ">").pop().unwrap();
    let Ok(Request::AddIdentity(added)) = Request::parse(&message) else {
        panic!("no key");
    };
    let constraints = added.constraints.unwrap();
    let Constraint::Extension { contents, .. } = constraints[0] else {
        panic!("no extension");
    };
    let inner = keystead_formats::ssh::wire::Reader::new(contents)
        .string()
        .unwrap();
    let destinations = Destinations::parse(inner).unwrap();
    assert_eq!(destinations.encode(), inner);
    let seen: Vec<_> = destinations
        .hops()
        .iter()
        .map(|hop| {
            let from = hop
                .from
                .as_ref()
                .map(|from| (from.host.as_str(), from.keys.len()));
            let to = (hop.to.host.as_str(), hop.to.keys.len());
            (from, to, hop.user.as_deref(), hop.to.keys[0].is_authority)
        })
        .collect();
    let bastion = ("bastion.test", 2);
    let inner = ("db.inner.test", 1);
    assert_eq!(
        seen,
        [
            (None, bastion, None, false),
            (Some(bastion), inner, Some("alex"), true)
        ]
    );
}

#[test]
fn purposes() {
    let check = |step: &str, expected: Purpose| {
        let message = messages(step, ">").pop().unwrap();
        let Ok(Request::Sign { message, .. }) = Request::parse(&message) else {
            panic!("{step}");
        };
        let parsed = ToBeSigned::parse(message);
        assert_eq!(parsed.purpose(), expected, "{step}");
        for len in 0..message.len() {
            assert_eq!(
                ToBeSigned::parse(&message[..len]),
                ToBeSigned::Opaque,
                "{step}: {len}"
            );
        }
        let longer = [message, &[0]].concat();
        assert_eq!(ToBeSigned::parse(&longer), ToBeSigned::Opaque, "{step}");
        match parsed {
            ToBeSigned::SshSig(signed) => {
                assert!(signed.is_of(b"what is signed\n") && !signed.is_of(b"else"));
                assert_eq!(signed.encode(), message);
            }
            ToBeSigned::Certificate(certificate) => assert_eq!(certificate.encode(), message),
            ToBeSigned::UserAuth(_) | ToBeSigned::Opaque => {}
        }
    };
    check("login-ed25519", Purpose::SshLogin);
    check("login-unbound", Purpose::SshLogin);
    check("login-p521", Purpose::SshLogin);
    check("login-certificate", Purpose::SshLogin);
    check("sshsig-file", Purpose::SshSig);
    check("sshsig-p521", Purpose::SshSig);
    check("certify-user", Purpose::SshCertificate);
    check("certify-host", Purpose::SshCertificate);
    check("sshsig-git", Purpose::GitCommit);
    check("test", Purpose::Opaque);
}

#[test]
fn detached_signatures_of_ssh_keygen() {
    for name in ["file", "git"] {
        let quoted = noted(&format!("{name}.sig"));
        let text = quoted.trim_matches('\'').replace("\\n", "\n") + "\n";
        let detached = Detached::from_armour(&text).unwrap();
        assert_eq!(
            (detached.namespace.as_str(), &detached.key),
            (name, &key("ed25519"))
        );
        assert_eq!(detached.armour(), text);
        assert_eq!(detached.verify(b"what is signed\n"), Ok(()));
        assert_eq!(detached.verify(b"else"), Err(VerifyError::False));
        let blob = detached.encode();
        for len in 0..blob.len() {
            assert!(Detached::parse(&blob[..len]).is_err(), "prefix of {len}");
        }
        for len in 0..text.trim_end().len() {
            assert!(
                Detached::from_armour(&text[..len]).is_err(),
                "prefix of {len}"
            );
        }
    }
}

#[test]
fn certificates_are_read_whole_and_their_authority_is_checked() {
    let check = |name: &str, plain: &str, role: Role, principals: &[&str]| {
        let certified = key(name);
        let certificate = certified.certificate().unwrap();
        let terms = &certificate.terms;
        assert_eq!((terms.role, &terms.authority), (role, &key("ca")));
        assert_eq!(terms.principals, principals);
        assert_eq!(certified.without_certificate(), key(plain));
        assert_eq!(certified.fingerprint(), key(plain).fingerprint());
        assert!(certificate.is_signed_in(certified.blob()));
        let mut changed = certified.blob().to_vec();
        changed[60] ^= 1;
        assert!(!certificate.is_signed_in(&changed));
        for len in 0..certified.blob().len() {
            assert!(
                PublicKey::from_blob(&certified.blob()[..len]).is_err(),
                "prefix of {len}"
            );
        }
    };
    check(
        "host_ed25519-cert",
        "host_ed25519",
        Role::Host,
        &["bastion.test", "localhost"],
    );
    check("user-cert", "p256", Role::User, &["alex", "root"]);
}

#[test]
fn names_of_hashed_known_hosts() {
    let hosts = known_hosts();
    let candidates = ["[bastion.test]:2222", "other.test", "bastion.test"].map(str::to_owned);
    let check = |host: &str, expected: &[&str]| {
        let expected = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            names_of(&hosts, &key(host), &candidates),
            Names::Known(expected)
        );
    };
    check("host_ed25519", &["bastion.test", "[bastion.test]:2222"]);
    check("host_rsa", &["bastion.test"]);
    check("host_ecdsa", &[]);
}

#[test]
fn names_of_plain_known_hosts() {
    let plain = |name: &str| {
        let line = noted(name);
        line.rsplit_once(' ').unwrap().0.to_owned()
    };
    let (host, ca) = (plain("host_ed25519"), plain("ca"));
    let candidates = ["web1.test", "db.test", "localhost"].map(str::to_owned);
    let check = |text: String, name: &str, expected: Option<&[&str]>| {
        let expected = match expected {
            Some(names) => Names::Known(names.iter().map(|name| (*name).to_owned()).collect()),
            None => Names::Revoked,
        };
        assert_eq!(names_of(&text, &key(name), &candidates), expected, "{text}");
    };
    let certified = "host_ed25519-cert";
    check(
        format!("Web1.test,10.0.0.1 {host}\n"),
        "host_ed25519",
        Some(&["web1.test", "10.0.0.1"]),
    );
    check(
        format!("*.test {host}"),
        "host_ed25519",
        Some(&["web1.test", "db.test"]),
    );
    check(
        format!("*.test,!db.test {host}"),
        "host_ed25519",
        Some(&["web1.test"]),
    );
    check(
        format!("web?.test {host} # comment"),
        "host_ed25519",
        Some(&["web1.test"]),
    );
    check(
        format!("[web]:2222 {host}"),
        "host_ed25519",
        Some(&["[web]:2222"]),
    );
    check(format!("web {host}"), "host_rsa", Some(&[]));
    check(
        format!("# web {host}\n\nweb\nweb ssh-ed25519 AAAA\n"),
        "host_ed25519",
        Some(&[]),
    );
    check(
        format!("web {host}\n@revoked * {host}"),
        "host_ed25519",
        None,
    );
    check(format!("web {host}\n@revoked * {host}"), certified, None);
    check(format!("web {host}\n@revoked * {ca}"), certified, None);
    check(format!("@later * {host}"), "host_ed25519", Some(&[]));
    check(
        format!("@cert-authority * {ca}"),
        certified,
        Some(&["localhost"]),
    );
    check(format!("@cert-authority *.test {ca}"), certified, Some(&[]));
    check(format!("@cert-authority * {ca}"), "host_ed25519", Some(&[]));
    check(format!("@cert-authority * {ca}"), "user-cert", Some(&[]));
    check(format!("web {host}"), certified, Some(&["web"]));
}

#[test]
fn another_implementation_agrees() {
    for name in ["ed25519", "p256", "rsa", "host_ecdsa", "ca"] {
        let theirs = ssh_key::PublicKey::from_openssh(noted(name)).unwrap();
        let ours = key(name);
        assert_eq!(theirs.to_bytes().unwrap(), ours.blob(), "{name}");
        let fingerprint = theirs.fingerprint(ssh_key::HashAlg::Sha256).to_string();
        assert_eq!(fingerprint, ours.fingerprint(), "{name}");
    }
    let theirs = ssh_key::Certificate::from_openssh(noted("host_ed25519-cert")).unwrap();
    let ours = key("host_ed25519-cert");
    let ours = &ours.certificate().unwrap().terms;
    assert_eq!(theirs.valid_principals(), ours.principals);
    assert_eq!(theirs.key_id(), ours.key_id);
    assert_eq!(
        (theirs.valid_after(), theirs.valid_before()),
        (ours.valid_after_unix_s, ours.valid_before_unix_s)
    );
}
