//! What a pairing hello must be, and who can make one.

use keystead_channel::curve::{PublicKey, Refusal};
use keystead_channel::pairing::{Hello, HelloError, HelloReader, open_hello, seal_hello};
use keystead_sodium::hash::blake2b;
use keystead_sodium::{crypto_box, secretbox};

use crate::common::{Script, bytes, counting, key_pair, rng, secret, vectors};

fn golden() -> Vec<u8> {
    bytes(&vectors()["hello"], "frame")
}

fn check(frame: &[u8], expected: HelloError) {
    let client = key_pair(&bytes(&vectors()["keys"]["C"], "sk"));
    let opened = open_hello(frame, &client, &secret(counting(0)));
    assert_eq!(opened, Err(expected), "{frame:02x?}");
}

#[test]
fn every_prefix_every_changed_byte_and_more_bytes_are_refused() {
    let frame = golden();
    for len in 0..frame.len() {
        check(&frame[..len], HelloError::Frame);
    }
    for at in 0..frame.len() {
        let mut changed = frame.clone();
        changed[at] ^= 0x80;
        let expected = if at < 3 {
            HelloError::Frame
        } else {
            HelloError::Secret
        };
        check(&changed, expected);
    }
    check(&[frame.as_slice(), &[0]].concat(), HelloError::Frame);
}

#[test]
fn other_secrets_and_other_keys_do_not_open_it() {
    let client = key_pair(&bytes(&vectors()["keys"]["C"], "sk"));
    let opened = open_hello(&golden(), &client, &secret([1; 16]));
    assert_eq!(opened, Err(HelloError::Secret));
    // C is part of the outer box's key.
    let other = key_pair(&bytes(&vectors()["keys"]["S"], "sk"));
    let opened = open_hello(&golden(), &other, &secret(counting(0)));
    assert_eq!(opened, Err(HelloError::Secret));
}

/// A frame whose outer box is right, around `sealed`.
fn boxed(sealed: &[u8]) -> Vec<u8> {
    let client = key_pair(&bytes(&vectors()["keys"]["C"], "sk"));
    let label = b"keystead-pair-hello".as_slice();
    let key = blake2b::<32>(&counting::<16>(0), &[label, client.public().as_bytes()]);
    let nonce: [u8; 24] = [b"kspairh1".as_slice(), &[9; 16]]
        .concat()
        .try_into()
        .unwrap();
    let mut boxed = vec![0; sealed.len() + secretbox::TAG_BYTES];
    secretbox::seal(&key, &nonce, sealed, &mut boxed);
    let len = u16::try_from(17 + boxed.len()).unwrap().to_be_bytes();
    [&len[..], &[0x10], &[9; 16], &boxed].concat()
}

#[test]
fn what_is_inside_is_checked_too() {
    let vectors = vectors();
    let inner = bytes(&vectors["hello"], "inner");
    let client = bytes(&vectors["keys"]["C"], "pk").try_into().unwrap();
    let server = bytes(&vectors["keys"]["S"], "pk").try_into().unwrap();
    let seal = |to: &[u8; 32], inner: &[u8]| crypto_box::seal_with(&[7; 32], to, inner).unwrap();
    assert_eq!(boxed(&seal(&client, &inner)), golden());
    check(&boxed(&seal(&server, &inner)), HelloError::Key);

    let mut newer = inner.clone();
    newer[2] = 2;
    let fault = keystead_channel::wire::Fault::Version(2);
    check(
        &boxed(&seal(&client, &newer)),
        HelloError::Unreadable(fault),
    );
    let mut unknown = inner.clone();
    unknown[38] = 3;
    let fault = keystead_channel::wire::Fault::MissingKey(2);
    check(
        &boxed(&seal(&client, &unknown)),
        HelloError::Unreadable(fault),
    );
}

#[test]
fn nothing_is_sealed_to_a_key_of_low_order() {
    let hello = Hello {
        server: PublicKey::new([3; 32]),
        commitment: [4; 32],
    };
    let mut script = Script::new(&[&[9; 16], &[7; 32]]);
    let low = PublicKey::new([0; 32]);
    let sealed = seal_hello(&hello, &low, &secret(counting(0)), &mut script);
    assert_eq!(sealed, Err(HelloError::LowOrder));
}

#[test]
fn two_hellos_of_one_authenticator_look_unrelated() {
    let client = key_pair(&[5; 32]);
    let hello = Hello {
        server: PublicKey::new([3; 32]),
        commitment: [4; 32],
    };
    let mut rng = rng(1);
    let mut seal = || seal_hello(&hello, &client.public(), &secret([6; 16]), &mut rng).unwrap();
    let (first, second) = (seal(), seal());
    assert_eq!(first[..3], second[..3]);
    assert!(
        first[3..]
            .iter()
            .zip(&second[3..])
            .filter(|(a, b)| a == b)
            .count()
            < 20
    );
}

#[test]
fn a_stream_is_cut_behind_the_hello() {
    let frame = golden();
    let stream = [frame.as_slice(), b"next"].concat();
    for step in 1..stream.len() {
        let mut reader = HelloReader::default();
        let mut read = None;
        let mut rest = Vec::new();
        for mut chunk in stream.chunks(step) {
            if read.is_none() {
                read = reader.take(&mut chunk).unwrap();
            }
            rest.extend_from_slice(chunk);
        }
        assert_eq!(
            read.as_deref(),
            Some(frame.as_slice()),
            "in steps of {step}"
        );
        assert_eq!(rest, b"next");
    }
    for (bytes, refusal) in [
        (&[0xff, 0xff, 0x10][..], Refusal::Length),
        (&[0, 81, 1], Refusal::Order),
        (&[0, 154, 0x11], Refusal::Type),
        (b"GET / HTTP/1.1", Refusal::Type),
    ] {
        let taken = HelloReader::default().take(&mut &bytes[..]);
        assert_eq!(taken, Err(refusal), "{bytes:02x?}");
    }
}
