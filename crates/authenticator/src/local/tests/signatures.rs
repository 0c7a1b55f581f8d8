//! What is signed, by which kind of key.

use keystead_formats::ssh::wire::Reader;

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
fn rsa_signs_beside_the_step_by_the_flags() {
    let (folder, file) = made(&["-t", "rsa", "-b", "2048"]);
    let mut world = World::new();
    let (_, told) = world.ask(import_as(KeyForm::File, file, Constraints::default()));
    let (_, Some(ResponseBody::Keys(keys))) = told.only() else {
        panic!()
    };
    let entry = &keys[0];
    for (flags, algorithm) in [
        (0, "ssh-rsa"),
        (1, "ssh-rsa"),
        (2, "rsa-sha2-256"),
        (4, "rsa-sha2-512"),
        (6, "rsa-sha2-256"),
    ] {
        let (_, told) = world.ask(sign_with_flags(entry, b"content", flags));
        let (job, work) = told.started.into_iter().next().unwrap();
        let Work::Sign(slow) = work else { panic!() };
        let signature = sign::sign_with(&slow.key, &slow.content, slow.options).unwrap();
        let mut reader = Reader::new(&signature);
        assert_eq!(reader.name(), Ok(algorithm), "{flags}");
        assert_eq!(reader.string().unwrap().len(), 256);
        let told = world.step(Event::Done(job, Done::Signed(Some(signature))));
        let signature = told.signature();
        // `formats` takes no SHA-1; OpenSSL says of it what it is.
        match algorithm {
            "ssh-rsa" => assert!(is_sha_1_of(&folder, &signature, b"content")),
            _ => assert!(verifies(entry, b"content", &signature)),
        }
    }
}

fn is_sha_1_of(folder: &tempfile::TempDir, signature: &[u8], content: &[u8]) -> bool {
    let path = |name: &str| folder.path().join(name);
    let mut reader = Reader::new(signature);
    reader.name().unwrap();
    std::fs::write(path("signature"), reader.string().unwrap()).unwrap();
    std::fs::write(path("content"), content).unwrap();
    let public = std::process::Command::new("ssh-keygen")
        .args(["-e", "-m", "PKCS8", "-f"])
        .arg(path("key.pub"))
        .output()
        .unwrap();
    std::fs::write(path("public"), public.stdout).unwrap();
    let verified = std::process::Command::new("openssl")
        .args(["dgst", "-sha1", "-verify"])
        .arg(path("public"))
        .arg("-signature")
        .args([path("signature"), path("content")])
        .status();
    verified.unwrap().success()
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
