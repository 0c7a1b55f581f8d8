//! What no message may be: the list of the vectors, every prefix, every limit.

use keystead_channel::wire::{
    Fault, MESSAGE_BYTES_MAX, ReceiptFault, WireError, check_receipt, decode_receipt,
    decode_request, decode_response, encode_request, encode_response, receive_response,
};
use keystead_core::{
    Evidence, KeyId, Kind, Outcome, Request, RequestBody, RequestId, ResponseBody, SignForm,
    SignRequest,
};
use serde_json::Value;

use crate::common::{UNIX_S, bytes, text, vectors};

fn decode(vector: &Value, bytes: &[u8]) -> Result<(), WireError> {
    match vector["kind"].as_u64() {
        None => decode_request(bytes).map(|_| ()),
        Some(kind) => {
            let kind = Kind::from_number(u8::try_from(kind).unwrap());
            decode_response(bytes, |_| kind).map(|_| ())
        }
    }
}

#[test]
fn each_is_refused_by_the_rule_it_breaks() {
    for vector in vectors()["refused"].as_array().unwrap() {
        let what = text(vector, "what");
        let error = decode(vector, &bytes(vector, "bytes")).expect_err(what);
        let fault = format!("{:?}", error.fault);
        let fault_name = fault.split('(').next().unwrap();
        assert_eq!(fault_name, text(vector, "fault"), "{what}");
        assert_eq!(error.outcome().as_str(), text(vector, "answer"), "{what}");
        assert_eq!(
            error.id.is_some(),
            vector["id"].as_bool().unwrap(),
            "{what}"
        );
    }
}

#[test]
fn every_proper_prefix_is_truncated() {
    let vectors = vectors();
    for list in ["requests", "responses"] {
        for vector in vectors[list].as_array().unwrap() {
            let whole = bytes(vector, "bytes");
            for len in 0..whole.len() {
                let error = decode(vector, &whole[..len]).expect_err("a prefix");
                assert_eq!(error.fault, Fault::Truncated, "{len} of {vector}");
                assert_eq!(error.id.is_some(), len >= 21, "{len} of {vector}");
            }
            let longer = [whole.as_slice(), &[0]].concat();
            let error = decode(vector, &longer).expect_err("a byte more");
            assert_eq!(error.fault, Fault::LeftOver);
            if let Some(receipt) = vector["receipt"].as_str() {
                prefixes_of_receipt(&crate::common::unhex(receipt));
            }
        }
    }
}

fn prefixes_of_receipt(whole: &[u8]) {
    for len in 0..whole.len() {
        assert_eq!(decode_receipt(&whole[..len]), Err(Fault::Truncated));
    }
    let longer = [whole, &[0]].concat();
    assert_eq!(decode_receipt(&longer), Err(Fault::LeftOver));
}

fn sign(content: Vec<u8>, evidence: Evidence) -> Vec<u8> {
    encode_request(&Request {
        id: RequestId([1; 16]),
        unix_s: UNIX_S,
        wait_s: 60,
        want_ack: true,
        body: RequestBody::Sign(SignRequest {
            key: KeyId([2; 32]),
            form: SignForm::Ssh,
            content,
            flags: 0,
            evidence,
            identity: None,
        }),
    })
}

fn check(request: &[u8], expected: Option<Fault>) {
    let fault = decode_request(request).err().map(|error| error.fault);
    assert_eq!(fault, expected);
}

#[test]
fn limits_hold_at_their_very_byte() {
    let preimage = |len| Evidence {
        preimage: Some(vec![0; len]),
        ..Evidence::default()
    };
    check(&sign(Vec::new(), preimage(131_072)), None);
    let longer = sign(Vec::new(), preimage(131_073));
    check(&longer, Some(Fault::StringLength(131_073)));

    let path = |len| Evidence {
        process_path: Some("p".repeat(len)),
        ..Evidence::default()
    };
    check(&sign(Vec::new(), path(4_096)), None);
    check(
        &sign(Vec::new(), path(4_097)),
        Some(Fault::StringLength(4_097)),
    );

    let arguments = |len| Evidence {
        arguments: vec!["a".repeat(len); 64],
        ..Evidence::default()
    };
    check(&sign(Vec::new(), arguments(1_024)), None);
    check(
        &sign(Vec::new(), arguments(1_025)),
        Some(Fault::StringLength(1_025)),
    );

    let host_names = |len| Evidence {
        host_names: vec!["h".repeat(len); 16],
        ..Evidence::default()
    };
    check(&sign(Vec::new(), host_names(255)), None);
    check(
        &sign(Vec::new(), host_names(256)),
        Some(Fault::StringLength(256)),
    );

    let overhead = sign(vec![0; 100_000], Evidence::default()).len() - 100_000;
    let longest = MESSAGE_BYTES_MAX - overhead;
    check(&sign(vec![0; longest], Evidence::default()), None);
    let longer = sign(vec![0; longest + 1], Evidence::default());
    check(&longer, Some(Fault::TooLong(262_145)));
}

#[test]
fn an_announced_length_allocates_nothing() {
    let head = [
        &[0xa6, 0, 1, 1, 0x50][..],
        &[1; 16],
        &[2, 0, 3, 1, 4, 0xf5, 5],
    ]
    .concat();
    for claim in [
        &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
        &[
            0x82, 2, 0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
        &[
            0x82, 2, 0xa5, 1, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
    ] {
        let error = decode_request(&[head.as_slice(), claim].concat())
            .err()
            .unwrap();
        let expected = [Fault::ListLength(u64::MAX), Fault::Truncated];
        assert!(expected.contains(&error.fault), "{error:?}");
    }
}

fn golden_response(what: &str) -> Vec<u8> {
    let vectors = vectors();
    let responses = vectors["responses"].as_array().unwrap();
    let vector = responses.iter().find(|it| text(it, "what") == what);
    bytes(vector.unwrap(), "bytes")
}

#[test]
fn a_receipt_proves_one_answer_under_one_key() {
    let vectors = vectors();
    let receipt_key: [u8; 32] = bytes(&vectors["receipt_key"], "public").try_into().unwrap();
    let signed = || {
        let bytes = golden_response("signature");
        receive_response(&bytes, |_| Some(Kind::Sign)).unwrap()
    };
    assert!(check_receipt(&signed(), &receipt_key).is_ok());
    let check = |change: &dyn Fn(&mut keystead_core::Response), expected: ReceiptFault| {
        let mut received = signed();
        change(&mut received.response);
        assert_eq!(check_receipt(&received, &receipt_key), Err(expected));
    };
    check(&|it| it.receipt = None, ReceiptFault::Missing);
    check(&|it| it.outcome = Outcome::Refuse, ReceiptFault::Answer);
    check(&|it| it.request_hash.0[0] ^= 1, ReceiptFault::Request);
    check(
        &|it| it.receipt.as_mut().unwrap().signature[5] ^= 1,
        ReceiptFault::Signature,
    );
    check(
        &|it| it.receipt.as_mut().unwrap().bytes[5] ^= 1,
        ReceiptFault::Signature,
    );
    let mut other_body = signed().response;
    other_body.body = Some(ResponseBody::Signature(b"another".to_vec()));
    let bytes = encode_response(&other_body);
    let received = receive_response(&bytes, |_| Some(Kind::Sign)).unwrap();
    let other_body = check_receipt(&received, &receipt_key);
    assert_eq!(other_body, Err(ReceiptFault::Answer));
    let other = check_receipt(&signed(), &[9; 32]);
    assert_eq!(other, Err(ReceiptFault::Signature));
}

#[test]
fn an_answer_to_nothing_is_not_read() {
    let bytes = golden_response("busy");
    let error = decode_response(&bytes, |_| None).err().unwrap();
    assert_eq!(error.fault, Fault::NotAsked);
}

#[test]
fn responses_decode_to_what_they_were_made_of() {
    let vectors = vectors();
    for vector in vectors["responses"].as_array().unwrap() {
        let kind = Kind::from_number(u8::try_from(vector["kind"].as_u64().unwrap()).unwrap());
        let expected = bytes(vector, "bytes");
        let response = decode_response(&expected, |_| kind).unwrap();
        assert_eq!(encode_response(&response), expected);
    }
}
