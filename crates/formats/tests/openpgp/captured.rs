//! Bytes that GnuPG 2.2.40 wrote: what is read is written the same, and named the same.

use keystead_formats::ParseError;
use keystead_formats::openpgp::digest::Digest;
use keystead_formats::openpgp::packet::{Reader, TAG_SIGNATURE};
use keystead_formats::openpgp::{
    Curve, Fingerprint, HashAlgorithm, KeyPacket, Keygrip, PublicKey, Trailer, Transferable,
};
use keystead_formats::sexp::Sexp;

use super::unhex;

const CAPTURED: &str = include_str!("../messages/gnupg-2.2.40.txt");

fn lines(kind: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let words = CAPTURED.lines().map(|line| line.split(' ').collect());
    words.filter_map(move |words: Vec<&str>| match words.split_first() {
        Some((first, rest)) if *first == kind => Some(rest.to_vec()),
        _ => None,
    })
}

fn key_of(sexp: &Sexp) -> PublicKey {
    if let Some(rsa) = sexp.find("rsa") {
        return PublicKey::rsa(rsa.value("n").unwrap(), rsa.value("e").unwrap()).unwrap();
    }
    let ecc = sexp.find("ecc").unwrap();
    let (name, point) = (ecc.value("curve").unwrap(), ecc.value("q").unwrap());
    let mut curves = Curve::ALL.into_iter();
    match curves
        .find(|it| it.gcrypt_name().as_bytes() == name)
        .unwrap()
    {
        Curve::Ed25519 => PublicKey::ed25519(point[1..].try_into().unwrap()),
        Curve::Curve25519 => PublicKey::ecdh(Curve::Curve25519, &point[1..]).unwrap(),
        curve => PublicKey::ecdsa(curve, point).unwrap(),
    }
}

#[test]
fn keygrips_and_readkey() {
    let mut curves = Vec::new();
    for line in lines("readkey") {
        let bytes = unhex(line[1]);
        let sexp = Sexp::parse_canonical(&bytes).unwrap();
        let key = key_of(&sexp);
        assert_eq!(key.keygrip().to_string(), line[0]);
        assert_eq!(line[0].parse::<Keygrip>(), Ok(key.keygrip()));
        assert_eq!(key.sexp().encode(), bytes);
        curves.push(key.curve());
    }
    for curve in Curve::ALL.map(Some).into_iter().chain([None]) {
        assert!(
            curves.contains(&curve),
            "{curve:?} is not among the captured"
        );
    }
}

#[test]
fn public_keys() {
    let names: Vec<_> = lines("names").collect();
    let mut seen = 0;
    for line in lines("export") {
        let bytes = unhex(line[1]);
        let key = Transferable::read(&bytes).unwrap();
        assert_eq!(key.bytes(), bytes);
        assert_eq!(Transferable::read(key.armor().as_bytes()), Ok(key.clone()));
        assert_eq!(key.user_ids().len(), 1);
        for packet in std::iter::once(key.primary()).chain(key.subkeys()) {
            let fingerprint = packet.fingerprint();
            let public = packet.key().unwrap();
            let text = fingerprint.to_string();
            let found = names.iter().find(|it| it[0] == text).unwrap();
            assert_eq!(public.keygrip().to_string(), found[1]);
            assert_eq!(text.parse::<Fingerprint>(), Ok(fingerprint));
            let again = KeyPacket::new(public.clone(), packet.created_unix_s());
            assert_eq!(again.body(), packet.body());
            seen += 1;
        }
    }
    assert_eq!(seen, names.len());
}

#[test]
fn every_proper_prefix_of_a_key_is_refused() {
    let line = lines("export").next().unwrap();
    let bytes = unhex(line[1]);
    // Between packets a key may end.
    let mut ends = Vec::new();
    let mut reader = Reader::new(&bytes);
    while !reader.is_empty() {
        reader.packet().unwrap();
        ends.push(bytes.len() - reader.rest().len());
    }
    for len in 0..bytes.len() {
        let read = Transferable::read(&bytes[..len]);
        assert_eq!(read.is_ok(), ends.contains(&len), "{len}");
        if !ends.contains(&len) {
            assert_eq!(read, Err(ParseError::Truncated), "{len}");
        }
    }
    let twice = [bytes.as_slice(), &bytes].concat();
    assert_eq!(Transferable::read(&twice), Err(ParseError::LeftOver));
}

#[test]
fn the_trailer_proves_a_document() {
    for line in lines("signature") {
        let (document, file) = (unhex(line[1]), unhex(line[2]));
        let packet = Reader::new(&file).packet().unwrap();
        assert_eq!(packet.tag, TAG_SIGNATURE);
        let mut reader = Reader::new(packet.body);
        let head: [u8; 4] = reader.array().unwrap();
        let area_len = usize::from(reader.u16().unwrap());
        let area = reader.take(area_len).unwrap();
        let hashed_len = 6 + area_len;
        let unhashed_len = usize::from(reader.u16().unwrap());
        reader.take(unhashed_len).unwrap();
        let digest_start: [u8; 2] = reader.array().unwrap();
        let end = [
            &[4, 0xff][..],
            &u32::try_from(hashed_len).unwrap().to_be_bytes(),
        ]
        .concat();
        let hashed = [&document, &packet.body[..hashed_len], &end].concat();
        let (found, trailer) = Trailer::split(&hashed).unwrap();
        assert_eq!(found, document);
        // Byte for byte: whoever knows time and key can try the same.
        assert_eq!(trailer.encode(), hashed[document.len()..]);
        assert_eq!(trailer.hash, HashAlgorithm::from_id(head[3]).unwrap());
        assert_eq!(trailer.key_algorithm, head[2]);
        assert!(
            area.windows(20)
                .any(|it| Some(it) == trailer.issuer.map(|it| it.0).as_ref().map(|it| &it[..]))
        );
        assert!(trailer.signers_user_id.is_some());
        let digest = Digest::of(trailer.hash, &[&hashed]);
        assert_eq!(digest.bytes()[..2], digest_start);
        for len in 0..hashed.len() {
            assert!(Trailer::split(&hashed[..len]).is_err(), "{len}");
        }
    }
}
