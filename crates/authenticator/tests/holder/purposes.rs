//! Without a wallet: keys that are made for one purpose, and do nothing else.

use keystead_authenticator::holder::Decide;
use keystead_core::{
    DecryptForm, Evidence, KeyEntry, MakeKeyRequest, Name, Outcome, Purpose, RequestBody,
    ResponseBody, SignForm,
};

use crate::wallet::{
    FILE_KEY, answered, decrypt, digest, plaintext, refused, sign, signature, sshsig, stanza,
    to_sign,
};
use crate::world::{Workstation, World};

fn make(name: &str, algorithm: &str, purposes: Vec<Purpose>) -> RequestBody {
    RequestBody::MakeKey(MakeKeyRequest {
        name: Name::new(name).unwrap(),
        algorithm: algorithm.to_owned(),
        purposes,
    })
}

fn made(
    world: &mut World,
    laptop: &mut Workstation,
    algorithm: &str,
    purpose: Purpose,
) -> KeyEntry {
    let body = make(purpose.as_str(), algorithm, vec![purpose]);
    match answered(world, laptop, body) {
        ResponseBody::Key(key) => key,
        other => panic!("{other:?}"),
    }
}

fn none() -> Evidence {
    Evidence::default()
}

#[test]
fn a_key_is_for_ssh_or_for_one_other_purpose() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    for (algorithm, purposes) in [
        ("x25519", vec![]),
        ("x25519", vec![Purpose::Signify]),
        // Its raw points would open age's stanzas.
        ("x25519", vec![Purpose::AgeUnwrap, Purpose::OpenPgpDecrypt]),
        ("ssh-ed25519", vec![Purpose::OpenPgp, Purpose::Signify]),
        ("ssh-ed25519", vec![Purpose::OpenPgpDecrypt]),
        ("ecdsa-sha2-nistp256", vec![Purpose::Signify]),
        ("ecdh-p256", vec![Purpose::AgeUnwrap]),
        ("ssh-ed25519", vec![Purpose::AgeUnwrap]),
        ("ssh-ed25519", vec![Purpose::SshLogin, Purpose::OpenPgp]),
        ("ssh-ed25519", vec![Purpose::Opaque]),
        ("ecdsa-secp256k1", vec![]),
        ("ecdsa-sha2-nistp384", vec![Purpose::OpenPgp]),
    ] {
        let expected = Some("no key of this type is for that".to_owned());
        let refused = refused(&mut world, &mut laptop, make("x", algorithm, purposes));
        assert_eq!(refused, (Outcome::Unsupported, expected));
    }
}

#[test]
fn keys_do_what_they_are_for_after_a_restart_too() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let mut made = |algorithm, purpose| made(&mut world, &mut laptop, algorithm, purpose);
    let pgp = made("ecdsa-secp256k1", Purpose::OpenPgp);
    let opens = made("ecdh-p256", Purpose::OpenPgpDecrypt);
    let age = made("x25519", Purpose::AgeUnwrap);
    let signs = made("ssh-ed25519", Purpose::Signify);
    world.restart();
    let mut laptop = laptop.connect(&mut world);
    let body = sign(pgp.id, None, SignForm::OpenPgp, digest().encode(), none());
    assert_eq!(signature(answered(&mut world, &mut laptop, body)).len(), 64);
    let body = decrypt(age.id, None, DecryptForm::Age, stanza(&age));
    assert_eq!(plaintext(answered(&mut world, &mut laptop, body)), FILE_KEY);
    let body = decrypt(opens.id, None, DecryptForm::Point, opens.public_key.clone());
    assert_eq!(plaintext(answered(&mut world, &mut laptop, body)).len(), 65);
    let body = sign(
        signs.id,
        None,
        SignForm::Minisign,
        to_sign().encode(),
        none(),
    );
    assert_eq!(
        signature(answered(&mut world, &mut laptop, body)).len(),
        128
    );
}

#[test]
fn an_rsa_key_signs_for_openpgp() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let rsa = made(&mut world, &mut laptop, "ssh-rsa-3072", Purpose::OpenPgp);
    let body = sign(rsa.id, None, SignForm::OpenPgp, digest().encode(), none());
    assert_eq!(
        signature(answered(&mut world, &mut laptop, body)).len(),
        384
    );
}

#[test]
fn keys_do_nothing_else() {
    let (mut world, mut laptop) = World::paired(Decide::Approve);
    let mut made = |algorithm, purpose| made(&mut world, &mut laptop, algorithm, purpose);
    let opens = made("ecdh-p256", Purpose::OpenPgpDecrypt);
    let age = made("x25519", Purpose::AgeUnwrap);
    let signs = made("ssh-ed25519", Purpose::Signify);
    let main = world.key();
    for (body, reason) in [
        (
            sign(main.id, None, SignForm::OpenPgp, digest().encode(), none()),
            "the key main is not for openpgp",
        ),
        (
            sign(
                main.id,
                None,
                SignForm::Minisign,
                to_sign().encode(),
                none(),
            ),
            "the key main is not for signify",
        ),
        (
            decrypt(main.id, None, DecryptForm::Age, vec![0; 64]),
            "the key main is not for age-unwrap",
        ),
        (
            sign(signs.id, None, SignForm::Ssh, sshsig(), none()),
            "the key signify is for signify alone",
        ),
        (
            sign(age.id, None, SignForm::Ssh, sshsig(), none()),
            "the key age-unwrap is for age-unwrap alone",
        ),
        (
            sign(opens.id, None, SignForm::OpenPgp, digest().encode(), none()),
            "the key openpgp-decrypt is not for openpgp",
        ),
        (
            decrypt(age.id, None, DecryptForm::Point, vec![9; 32]),
            "the key age-unwrap is not for openpgp-decrypt",
        ),
        (
            decrypt(opens.id, None, DecryptForm::Age, vec![9; 64]),
            "the key openpgp-decrypt is not for age-unwrap",
        ),
    ] {
        let expected = (Outcome::Refuse, Some(reason.to_owned()));
        assert_eq!(refused(&mut world, &mut laptop, body), expected);
    }
}
