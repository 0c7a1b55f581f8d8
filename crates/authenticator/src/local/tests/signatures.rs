//! What is signed, by which kind of key.

use super::*;

#[test]
fn keys_sign_at_once_and_unasked_whatever_it_is() {
    for key in [ed25519(), p256()] {
        let mut world = World::new();
        let entry = world.add(key, Constraints::default());
        assert_eq!(world.listed(), [entry.id]);
        for content in [&b""[..], b"no SSH message", &login(&entry.public_key, None)] {
            let (_, told) = world.ask(sign(&entry, content));
            assert!(verifies(&entry, content, &told.signature()));
        }
        assert_eq!(world.local.next_wake_ms(), None);
    }
}

/// RFC 8032 section 7.1, test 1.
#[test]
fn the_signature_is_the_standards() {
    let mut world = World::new();
    let entry = world.add(ed25519(), Constraints::default());
    let (_, told) = world.ask(sign(&entry, b""));
    let expected = Writer::new().string(b"ssh-ed25519").string(&bytes(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155
         5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ));
    assert_eq!(told.signature(), expected.into_bytes());
}

#[test]
fn rsa_signs_beside_the_step_and_never_with_sha_1() {
    let (_folder, file) = made(&["-t", "rsa", "-b", "2048"]);
    let mut world = World::new();
    let (_, told) = world.ask(import_as(KeyForm::File, file, Constraints::default()));
    let (_, Some(ResponseBody::Keys(keys))) = told.only() else {
        panic!()
    };
    let entry = &keys[0];
    for (flags, algorithm) in [
        (0, None),
        (1, None),
        (2, Some("rsa-sha2-256")),
        (4, Some("rsa-sha2-512")),
        (6, Some("rsa-sha2-256")),
    ] {
        let (_, told) = world.ask(sign_with_flags(entry, b"content", flags));
        let Some(algorithm) = algorithm else {
            assert_eq!(told.only().0, Outcome::Unsupported, "{flags}");
            continue;
        };
        let (job, work) = told.started.into_iter().next().unwrap();
        let Work::Sign(slow) = work else { panic!() };
        let signature = sign::sign_with(&slow.key, &slow.content, slow.options).unwrap();
        let name = [&[0, 0, 0, 12][..], algorithm.as_bytes()].concat();
        assert!(signature.starts_with(&name), "{flags}");
        let told = world.step(Event::Done(job, Done::Signed(Some(signature))));
        assert!(verifies(entry, b"content", &told.signature()));
    }
}

#[test]
fn a_signature_from_outside_counts_only_if_it_is_one() {
    let (_folder, file) = made(&["-t", "rsa", "-b", "2048"]);
    let mut world = World::new();
    let (_, told) = world.ask(import_as(KeyForm::File, file, Constraints::default()));
    let (_, Some(ResponseBody::Keys(keys))) = told.only() else {
        panic!()
    };
    for wrong in [None, Some(Vec::new()), Some(vec![0; 64])] {
        let (_, told) = world.ask(sign_with_flags(&keys[0], b"content", 2));
        let told = world.step(Event::Done(told.job(), Done::Signed(wrong)));
        assert_eq!(told.only().0, Outcome::Refuse);
    }
}

#[test]
fn every_type_of_file_signs() {
    for arguments in [
        &["-t", "ed25519"][..],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
    ] {
        let (_folder, file) = made(arguments);
        let mut world = World::new();
        let (_, told) = world.ask(import_as(KeyForm::File, file, Constraints::default()));
        let (_, Some(ResponseBody::Keys(keys))) = told.only() else {
            panic!()
        };
        let (_, told) = world.ask(sign(&keys[0], b"content"));
        assert!(
            verifies(&keys[0], b"content", &told.signature()),
            "{arguments:?}"
        );
    }
}

/// `ssh-add` of a key with a `-cert.pub` beside it makes two identities.
#[test]
fn a_certificate_is_an_identity_of_its_own() {
    let (folder, _) = made(&["-t", "ed25519"]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let public = Writer::new()
        .string(b"ssh-ed25519")
        .string(&bytes(
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        ))
        .into_bytes();
    let line = PublicKey::from_blob(&public).unwrap().line("alex");
    std::fs::write(path("user.pub"), line + "\n").unwrap();
    let signed = std::process::Command::new("ssh-keygen")
        .args([
            "-q",
            "-s",
            &path("key"),
            "-I",
            "alex",
            "-n",
            "alex",
            &path("user.pub"),
        ])
        .status()
        .unwrap();
    assert!(signed.success());
    let line = std::fs::read_to_string(path("user-cert.pub")).unwrap();
    let certificate = keystead_formats::ssh::line::KeyLine::parse(line.trim()).unwrap();
    let certificate = certificate.key.blob().to_vec();
    let plain = ed25519();
    // Behind the type: the certificate, then both halves.
    let halves = &plain[4 + b"ssh-ed25519".len()..];
    let with_certificate = Writer::new()
        .string(b"ssh-ed25519-cert-v01@openssh.com")
        .string(&certificate)
        .raw(halves)
        .into_bytes();

    let mut world = World::new();
    let key = world.add(plain, Constraints::default());
    let certified = world.add(with_certificate, Constraints::default());
    assert_eq!(certified.public_key, certificate);
    assert_eq!(world.listed(), [key.id, certified.id]);
    for entry in [&key, &certified] {
        let content = login(&entry.public_key, None);
        let (_, told) = world.ask(sign(entry, &content));
        assert!(verifies(entry, &content, &told.signature()));
    }
    let removed = RequestBody::Remove {
        keys: vec![certified.id],
    };
    assert_eq!(world.outcome(removed), Outcome::Approve);
    assert_eq!(world.listed(), [key.id]);
}
