//! Messages that the real gpg encrypts open by the points that a keeper would give.

use keystead_formats::openpgp::build::Signer;
use keystead_formats::openpgp::kem::KdfParameters;
use keystead_formats::openpgp::packet::Reader;
use keystead_formats::openpgp::values::Ciphertext;
use keystead_formats::openpgp::{Curve, Form, KeyPacket, PublicKey, Transferable, Usage, point};
use keystead_formats::sexp::Sexp;

use ed25519_dalek::Signer as _;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;

use super::real_gpg::{curve25519_public, gpg, home};

const SECRET: [u8; 32] = [3; 32];
const CREATED: u32 = 1_600_000_000;
/// RFC 4880 §5.1.
const TAG_SESSION_KEY: u8 = 1;

fn public_on(curve: Curve) -> Vec<u8> {
    match curve {
        Curve::NistP256 => {
            let key = p256::SecretKey::from_slice(&SECRET).unwrap().public_key();
            key.to_encoded_point(false).as_bytes().to_vec()
        }
        Curve::Secp256k1 => {
            let key = k256::SecretKey::from_slice(&SECRET).unwrap().public_key();
            key.to_encoded_point(false).as_bytes().to_vec()
        }
        _ => curve25519_public(SECRET).to_vec(),
    }
}

/// What a keeper does: the shared point in its own form.
fn agree(curve: Curve, theirs: &[u8]) -> Vec<u8> {
    match curve {
        Curve::NistP256 => {
            let secret = p256::SecretKey::from_slice(&SECRET).unwrap();
            let theirs = p256::PublicKey::from_sec1_bytes(theirs).unwrap();
            let shared = theirs.to_projective() * *secret.to_nonzero_scalar();
            let shared = p256::PublicKey::from_affine(shared.to_affine()).unwrap();
            shared.to_encoded_point(false).as_bytes().to_vec()
        }
        Curve::Secp256k1 => {
            let secret = k256::SecretKey::from_slice(&SECRET).unwrap();
            let theirs = k256::PublicKey::from_sec1_bytes(theirs).unwrap();
            let shared = theirs.to_projective() * *secret.to_nonzero_scalar();
            let shared = k256::PublicKey::from_affine(shared.to_affine()).unwrap();
            shared.to_encoded_point(false).as_bytes().to_vec()
        }
        _ => {
            let theirs = curve25519_dalek::MontgomeryPoint(theirs.try_into().unwrap());
            theirs.mul_clamped(SECRET).to_bytes().to_vec()
        }
    }
}

/// Sender's point and wrapped key of the first packet of a message (RFC 6637 §10).
fn session_packet(message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let packet = Reader::new(message).packet().unwrap();
    assert_eq!(packet.tag, TAG_SESSION_KEY);
    let mut reader = Reader::new(packet.body);
    assert_eq!(reader.u8(), Ok(3));
    reader.take(8).unwrap();
    assert_eq!(reader.u8(), Ok(18));
    let point = reader.mpi().unwrap().to_vec();
    let len = usize::from(reader.u8().unwrap());
    (point, reader.take(len).unwrap().to_vec())
}

#[test]
fn messages_of_the_real_gpg_open() {
    for curve in [Curve::Curve25519, Curve::NistP256, Curve::Secp256k1] {
        let test_key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        let public = PublicKey::ed25519(test_key.verifying_key().as_bytes());
        let primary = KeyPacket::new(public, CREATED);
        let ecdh = PublicKey::ecdh(curve, &public_on(curve)).unwrap();
        let subkey = KeyPacket::new(ecdh, CREATED);
        let signer = Signer::new(&primary).unwrap();
        let form = Form::Full {
            expires_after_s: None,
        };
        let sign = |unsigned: keystead_formats::openpgp::Unsigned| {
            let signature = test_key.sign(unsigned.digest().bytes());
            unsigned.finish(&signature.to_bytes()).unwrap()
        };
        let mut key = Transferable::new(primary.clone());
        key.push_user_id("t", &sign(signer.user_id("t", form, CREATED)));
        let bound = sign(signer.binding(&subkey, Usage::Encrypt, None, form, CREATED));
        key.push_subkey(subkey.clone(), &bound);
        let home = home();
        assert!(
            gpg(home.path(), &["--import"], key.bytes())
                .status
                .success()
        );
        let sent = gpg(
            home.path(),
            &["--trust-model", "always", "-e", "-r", "t", "-o", "-"],
            b"hello",
        );
        let said = String::from_utf8_lossy(&sent.stderr).into_owned();
        assert!(sent.status.success(), "{said}");
        open(curve, &subkey, &sent.stdout);
    }
}

fn open(curve: Curve, subkey: &KeyPacket, message: &[u8]) {
    let (sender, wrapped) = session_packet(message);
    let asked = point::to_keeper(curve, &sender).unwrap();
    let shared = agree(curve, &asked);
    let x = point::shared_x(curve, &shared).unwrap();
    let kdf = subkey.key().unwrap().kdf().unwrap();
    let param = kdf.param(curve, &subkey.fingerprint());
    let opened = kdf.unwrap(x, &param, &wrapped).unwrap();
    let opened = opened.expose();
    // RFC 6637 §8: the cipher, the key, its sum, padding.
    let key = match opened[0] {
        7 => &opened[1..17],
        9 => &opened[1..33],
        other => panic!("cipher {other}"),
    };
    let sum: u32 = key.iter().map(|byte| u32::from(*byte)).sum();
    let expected = u16::try_from(sum % 65_536).unwrap().to_be_bytes();
    assert_eq!(opened[1 + key.len()..][..2], expected);
    let padding = &opened[3 + key.len()..];
    assert!(
        padding
            .iter()
            .all(|byte| usize::from(*byte) == padding.len())
    );
    for at in 0..wrapped.len() {
        let mut wrong = wrapped.clone();
        wrong[at] ^= 1;
        assert!(kdf.unwrap(x, &param, &wrong).is_err(), "{at}");
    }
    assert!(kdf.unwrap(x, &param[1..], &wrapped).is_err());
    for len in 0..wrapped.len() {
        assert!(kdf.unwrap(x, &param, &wrapped[..len]).is_err(), "{len}");
    }
    as_gpg_2_5_asks(curve, kdf, &sender, &wrapped, &param);
}

/// The same as gpg from 2.5 on sends it to its agent.
fn as_gpg_2_5_asks(curve: Curve, kdf: KdfParameters, sender: &[u8], wrapped: &[u8], param: &[u8]) {
    let length = u8::try_from(wrapped.len()).unwrap();
    let inner = [
        Sexp::pair("c", "7"),
        Sexp::pair("h", "8"),
        Sexp::pair("e", sender),
        Sexp::pair("s", [&[length], wrapped].concat()),
        Sexp::pair("kdf-params", param),
    ];
    let sexp = Sexp::named("enc-val", [Sexp::named("ecc", inner)]);
    let expected = Ciphertext::Kem {
        point: sender.to_vec(),
        kdf,
        wrapped: wrapped.to_vec(),
        param: param.to_vec(),
    };
    assert_eq!(Ciphertext::parse(&sexp.encode()), Ok(expected), "{curve:?}");
    let inner = [Sexp::pair("s", wrapped), Sexp::pair("e", sender)];
    let sexp = Sexp::named("enc-val", [Sexp::named("ecdh", inner)]);
    let point = sender.to_vec();
    assert_eq!(
        Ciphertext::parse(&sexp.encode()),
        Ok(Ciphertext::Ecdh { point })
    );
}
