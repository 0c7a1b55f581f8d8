//! What is no request, or none for a local authenticator.

use super::*;

fn request(body: RequestBody) -> Vec<u8> {
    wire::encode_request(&Request {
        id: RequestId([3; 16]),
        unix_s: 0,
        wait_s: 60,
        want_ack: false,
        body,
    })
}

#[test]
fn every_cut_of_a_message_is_answered_or_ends_the_link() {
    let whole = request(import(ed25519(), confirmed()));
    for len in 0..whole.len() {
        let mut world = World::new();
        world.asked.push((RequestId([3; 16]), Kind::Import));
        let told = world.step(Event::Request(&whole[..len]));
        if told.is_end {
            assert!(told.answers.is_empty());
        } else {
            assert_eq!(told.outcomes(), [Outcome::Malformed], "{len}");
        }
        assert!(world.listed().is_empty());
    }
}

#[test]
fn what_names_no_request_ends_the_link() {
    for message in [&b""[..], b"\0", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 40]] {
        assert!(World::new().step(Event::Request(message)).is_end);
    }
}

#[test]
fn other_kinds_are_not_done_here() {
    for body in [
        RequestBody::Me {
            nonce_c: Some([1; 16]),
        },
        RequestBody::Hosts,
        RequestBody::Unpair,
        RequestBody::Confirm {
            pair_key: keystead_core::Secret::take(&mut [1; 32]),
        },
        RequestBody::MakeKey(keystead_core::MakeKeyRequest {
            name: Name::new("main").unwrap(),
            algorithm: "ssh-ed25519".into(),
            purposes: Vec::new(),
        }),
        RequestBody::ApproveServer(keystead_core::ApproveServerRequest { text: vec![0xa0] }),
        RequestBody::MakeApprovalKey(keystead_core::MakeApprovalKeyRequest {
            server_id: [1; 16],
            server: Name::new("work").unwrap(),
        }),
        RequestBody::OpenLocal(keystead_core::OpenLocalRequest {
            salt: [1; 32],
            what: Name::new("work").unwrap(),
        }),
    ] {
        assert_eq!(World::new().outcome(body), Outcome::Unsupported);
    }
}

#[test]
fn an_open_id_is_not_taken_twice() {
    let mut world = World::new();
    let entry = world.add(ed25519(), confirmed());
    world.asked.push((RequestId([3; 16]), Kind::Sign));
    let again = request(sign(&entry, b"x"));
    let told = world.step(Event::Request(&again));
    let job = told.job();
    let told = world.step(Event::Request(&again));
    assert_eq!(told.outcomes(), [Outcome::Malformed]);
    let told = world.step(Event::Done(job, Done::Answered(true)));
    assert_eq!(told.outcomes(), [Outcome::Approve]);
}

#[test]
fn an_unknown_key_is_named_so() {
    let mut world = World::new();
    let entry = world.add(ed25519(), Constraints::default());
    world.outcome(RequestBody::Remove { keys: Vec::new() });
    assert_eq!(world.outcome(sign(&entry, b"x")), Outcome::UnknownKey);
}

#[cfg(not(feature = "pkcs11"))]
#[test]
fn tokens_need_their_feature() {
    let token = import_as(
        KeyForm::Token,
        b"/usr/lib/token.so".to_vec(),
        Constraints::default(),
    );
    assert_eq!(World::new().outcome(token), Outcome::Unsupported);
}
