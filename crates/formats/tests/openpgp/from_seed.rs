//! The key that trezor-gpg makes of a seed, byte for byte (`spec/vectors/openpgp_from_seed.json`).

use keystead_formats::openpgp::build::Signer;
use keystead_formats::openpgp::packet::{Reader, TAG_SIGNATURE};
use keystead_formats::openpgp::{
    Curve, Form, KeyPacket, PublicKey, Transferable, Unsigned, Usage, armor,
};
use keystead_formats::ssh::signature::VerifyError;
use serde_json::Value;

use super::unhex;

#[test]
fn byte_for_byte() {
    let file = include_str!("../../../../spec/vectors/openpgp_from_seed.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let mut seen = 0;
    for row in file["vectors"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let public = |name: &str| unhex(&text(&row[name]))[1..].to_vec();
        let created = u32::try_from(row["created"].as_u64().unwrap()).unwrap();
        let sign_public = public("sign_public_slip10").try_into().unwrap();
        let primary = KeyPacket::new(PublicKey::ed25519(&sign_public), created);
        let ecdh = PublicKey::ecdh(Curve::Curve25519, &public("ecdh_public_slip10")).unwrap();
        let subkey = KeyPacket::new(ecdh, created);
        for (packet, named) in [(&primary, &row["primary"]), (&subkey, &row["subkey"])] {
            assert_eq!(packet.body(), unhex(&text(&named["packet_body"])));
            assert_eq!(
                packet.fingerprint().to_string(),
                text(&named["fingerprint"])
            );
            let keygrip = packet.key().unwrap().keygrip();
            assert_eq!(keygrip.to_string(), text(&named["keygrip"]));
        }
        let armored = text(&row["armored_public_key"]);
        let bytes = armor::read(armor::Block::PublicKey, &armored).unwrap();
        let mut signatures = signatures(&bytes).into_iter();
        let mut finish = |unsigned: Unsigned| {
            let signature = signatures.next().unwrap();
            let mut wrong = signature.clone();
            wrong[5] ^= 1;
            let refused = unsigned.clone().finish(&wrong);
            assert_eq!(refused.err(), Some(VerifyError::False));
            unsigned.finish(&signature).unwrap()
        };
        let signer = Signer::new(&primary).unwrap();
        let user_id = text(&row["user_id"]);
        let mut key = Transferable::new(primary.clone());
        let signed = finish(signer.user_id(&user_id, Form::Trezor, created));
        key.push_user_id(&user_id, &signed);
        let signed = finish(signer.binding(&subkey, Usage::Encrypt, None, Form::Trezor, created));
        key.push_subkey(subkey, &signed);
        assert_eq!(key.armor(), armored);
        seen += 1;
    }
    assert!(seen > 0);
}

/// r ‖ s of each signature in a key of Ed25519.
fn signatures(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(bytes);
    let mut signatures = Vec::new();
    while !reader.is_empty() {
        let packet = reader.packet().unwrap();
        if packet.tag != TAG_SIGNATURE {
            continue;
        }
        let mut reader = Reader::new(packet.body);
        reader.take(4).unwrap();
        for _ in ["hashed", "unhashed"] {
            let len = usize::from(reader.u16().unwrap());
            reader.take(len).unwrap();
        }
        reader.take(2).unwrap();
        let mut signature = Vec::new();
        for _ in ["r", "s"] {
            let number = reader.mpi().unwrap();
            signature.resize(signature.len() + 32 - number.len(), 0);
            signature.extend_from_slice(number);
        }
        signatures.push(signature);
    }
    signatures
}
