//! `spec/vectors/pairing.json`: the check values of section 8 and the bytes of
//! every message, made without this code.

#![expect(
    clippy::disallowed_types,
    reason = "a published seed signs the text of the vectors"
)]

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use keystead_channel::mailbox::{ConnId, Item, Mailbox, MailboxDirection};
use keystead_channel::pairing::{Answered, LocalAddress, Offer, RelayUrl};
use keystead_channel::pairing::{Hello, Offered, Receive, Scanned, open_hello, seal_hello};
use keystead_channel::session::requests::{
    Label, Method, Request as SessionRequest, Sign, SignFields, SshLogin,
};
use keystead_channel::session::{
    self, Approval, ApprovalTag, ApproverId, KeyId as SessionKeyId, Octets,
    RequestId as SessionRequestId, ServerId, SessionId, Text, UserId,
};
use keystead_channel::wire::{
    Fault, check_receipt, decode_local_response, decode_receipt, decode_request, decode_response,
    encode_body, encode_receipt, encode_request, encode_response, next_receipt, receive_response,
    request_hash,
};
use keystead_core::{
    AckResponse, ApproveServerRequest, Certificates, Constraints, Evidence, Host, ImportRequest,
    Intent, KeyEntry, KeyForm, KeyId, Kind, LocalKey, LockRequest, MakeApprovalKeyRequest,
    MakeKeyRequest, MeResponse, OpenLocalRequest, Outcome, Purpose, ReceiptChain, Request,
    RequestBody, RequestHash, RequestId, Response, ResponseBody, SecretBytes, ServerApproval,
    SessionBind, SignForm, SignRequest, SignedReceipt, TransportAddress,
};
use serde_json::Value;

use crate::common::{Script, UNIX_S, bytes, counting, hex, key_pair, name, secret, text, vectors};
use crate::derived;

const ID: RequestId = RequestId([
    0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f,
]);

/// An SSH string (RFC 4251 section 5).
fn ssh(content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap();
    [&len.to_be_bytes(), content].concat()
}

fn host_blob() -> Vec<u8> {
    [ssh(b"ssh-ed25519"), ssh(&[0xa5; 32])].concat()
}

fn sha256(content: &[u8]) -> [u8; 32] {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content);
    hash.as_ref().try_into().unwrap()
}

fn receipt_key(vectors: &Value) -> [u8; 32] {
    bytes(&vectors["receipt_key"], "public").try_into().unwrap()
}

fn key(vectors: &Value, called: &str) -> KeyEntry {
    let public_key = [ssh(b"ssh-ed25519"), ssh(&receipt_key(vectors))].concat();
    KeyEntry {
        id: KeyId(sha256(&public_key)),
        algorithm: "ssh-ed25519".into(),
        public_key,
        name: name(called),
        purposes: vec![Purpose::SshLogin, Purpose::SshSig, Purpose::GitCommit],
    }
}

/// What is asked of keys that were brought.
fn of_custody(vectors: &Value, what: &str) -> (RequestBody, u16, bool) {
    match what {
        "remove" => {
            let keys = vec![key(vectors, "main").id];
            (RequestBody::Remove { keys }, 60, true)
        }
        "remove all" => (RequestBody::Remove { keys: Vec::new() }, 10, false),
        "lock" | "unlock" => {
            let lock = LockRequest {
                lock: what == "lock",
                passphrase: opaque(b"hunter2"),
            };
            (RequestBody::Lock(lock), 10, false)
        }
        "import, limited" => (import(vectors, what), 300, true),
        _ => (import(vectors, what), 60, true),
    }
}

/// What a key server makes a workstation ask.
fn of_a_server(what: &str) -> RequestBody {
    match what {
        "approve a server" => RequestBody::ApproveServer(ApproveServerRequest {
            text: approval().encode(),
        }),
        "make an approval key" => RequestBody::MakeApprovalKey(MakeApprovalKeyRequest {
            server_id: [0x51; 16],
            server: name("work"),
        }),
        _ => RequestBody::OpenLocal(OpenLocalRequest {
            salt: counting(0x30),
            what: name("work"),
        }),
    }
}

/// The meaning of a request of the vectors.
fn request(vectors: &Value, what: &str) -> Request {
    let sign = |flags, evidence| {
        RequestBody::Sign(SignRequest {
            key: key(vectors, "main").id,
            form: SignForm::Ssh,
            content: b"whole blob".to_vec(),
            flags,
            evidence,
            identity: None,
        })
    };
    let (body, wait_s, want_ack) = match what {
        "me" => (RequestBody::Me { nonce_c: None }, 60, true),
        "me, pairing" => {
            let nonce_c = Some(counting(0x10));
            (RequestBody::Me { nonce_c }, 60, true)
        }
        "sign" => (sign(0, evidence()), 60, true),
        "sign, no evidence" => (sign(4, Evidence::default()), 100, false),
        "hosts" => (RequestBody::Hosts, 60, true),
        "unpair" => (RequestBody::Unpair, 60, true),
        "confirm" => {
            let pair_key = secret(counting(0x40));
            (RequestBody::Confirm { pair_key }, 60, true)
        }
        "cancel" => {
            let target = RequestId(counting(0x70));
            (RequestBody::Cancel { target }, 1, true)
        }
        "make a key" => {
            let make = MakeKeyRequest {
                name: name("work"),
                algorithm: "ssh-ed25519".into(),
                purposes: Vec::new(),
            };
            (RequestBody::MakeKey(make), 300, true)
        }
        "sign, git" => (sign(0, git_evidence()), 60, true),
        "sign, an intent without count" => {
            let evidence = Evidence {
                process_path: Some("/usr/bin/ssh".into()),
                intent: Some(intent("ansible", None)),
                ..Evidence::default()
            };
            (sign(2, evidence), 60, true)
        }
        "approve a server" | "open local copies" => (of_a_server(what), 60, true),
        "make an approval key" => (of_a_server(what), 300, true),
        _ => match derived::request(what, key(vectors, "main").id) {
            Some((body, wait_s)) => (body, wait_s, true),
            None => of_custody(vectors, what),
        },
    };
    Request {
        id: ID,
        unix_s: UNIX_S,
        wait_s,
        want_ack,
        body,
    }
}

/// The text of a key server that wants a login approved (`spec/session.md` section 8).
fn approval() -> Approval {
    let public_key = [ssh(b"ssh-ed25519"), ssh(&[0x56; 32])].concat();
    let request = SessionRequest::Sign(Sign {
        key: SessionKeyId([0x55; 16]),
        fields: SignFields::SshLogin(SshLogin {
            session: Octets(counting::<32>(0).to_vec()),
            user: Text("alex".into()),
            algorithm: Text("ssh-ed25519".into()),
            public_key: Octets(public_key),
            host_key: Some(Octets(host_blob())),
        }),
    });
    let body = request.encode(SessionRequestId([0x57; 16]));
    let user = UserId([0x52; 32]);
    Approval {
        tag: ApprovalTag,
        server: ServerId([0x51; 16]),
        user,
        session: SessionId([0x53; 16]),
        method: Method::Sign,
        request_hash: session::request_hash(&user, Method::Sign.number(), &body),
        body: Octets(body),
        nonce: [0x54; 16],
        expires_unix_ms: 1_700_000_060_000,
        public_key: Some(Octets(vec![0x56; 32])),
        label: Some(Label::Open(Text("deploy".into()))),
    }
}

/// The imports of the vectors.
fn import(vectors: &Value, what: &str) -> RequestBody {
    let seed = bytes(&vectors["receipt_key"], "seed");
    let public = receipt_key(vectors);
    let fields = [
        ssh(b"ssh-ed25519"),
        ssh(&public),
        ssh(&[&seed[..], &public].concat()),
    ];
    let mut import = ImportRequest {
        form: KeyForm::Agent,
        key: opaque(&fields.concat()),
        passphrase: None,
        name: None,
        constraints: Constraints::default(),
        purposes: Vec::new(),
    };
    match what {
        "import" => {}
        "import, for OpenPGP" => {
            import.form = KeyForm::File;
            import.key = opaque(b"-----BEGIN PRIVATE KEY-----\n");
            import.name = Some(name("mail"));
            import.purposes = vec![Purpose::OpenPgpDecrypt];
        }
        "import, limited" => {
            import.form = KeyForm::File;
            import.key = opaque(b"-----BEGIN OPENSSH PRIVATE KEY-----\n");
            import.passphrase = Some(opaque(b"hunter2"));
            import.name = Some(name("work"));
            import.constraints = limits();
        }
        "import, a token" => {
            import.form = KeyForm::Token;
            import.key = opaque(b"/usr/lib/softhsm/libsofthsm2.so");
            import.passphrase = Some(opaque(b"1234"));
            import.constraints.certificates = Some(Certificates {
                only: false,
                blobs: Vec::new(),
            });
        }
        _ => panic!("what is {what}?"),
    }
    RequestBody::Import(import)
}

/// One of each kind: to db1 from here (OpenSSH PROTOCOL.agent, restrict-destination-v00).
fn limits() -> Constraints {
    let from = [ssh(b""), ssh(b""), ssh(b"")].concat();
    let to = [ssh(b""), ssh(b"db1"), ssh(b"")].concat();
    let destination = [ssh(&from), ssh(&to), ssh(b"")].concat();
    let certificate = [ssh(b"ssh-ed25519-cert-v01@openssh.com"), ssh(&[0x33; 32])].concat();
    Constraints {
        lifetime_s: Some(3_600),
        confirm: true,
        destinations: Some(ssh(&destination)),
        sk_provider: Some("/usr/lib/sk.so".into()),
        certificates: Some(Certificates {
            only: true,
            blobs: vec![certificate],
        }),
    }
}

fn opaque(content: &[u8]) -> SecretBytes {
    SecretBytes::take(&mut content.to_vec())
}

fn intent(what: &str, count: Option<u32>) -> Intent {
    Intent {
        id: counting(0xb0),
        what: what.into(),
        count,
    }
}

fn git_evidence() -> Evidence {
    Evidence {
        arguments: vec!["git".into(), "commit".into(), "-S".into()],
        files: vec!["/tmp/.git_signing_buffer_tmpQ".into()],
        parents: vec!["/usr/bin/git".into(), "/usr/bin/bash".into()],
        intent: Some(intent("git rebase", Some(14))),
        is_background: true,
        ..Evidence::default()
    }
}

fn evidence() -> Evidence {
    Evidence {
        binds: vec![SessionBind {
            host_key: host_blob(),
            session_id: counting::<32>(0).to_vec(),
            signature: [ssh(b"ssh-ed25519"), ssh(&[0x5a; 64])].concat(),
            forwarding: false,
        }],
        host_names: vec!["db1".into(), "db1.example.org".into()],
        preimage: Some(b"tree 4b825dc6\n".to_vec()),
        process_path: Some("/usr/bin/ssh".into()),
        ..Evidence::default()
    }
}

/// The meaning of a response's body in the vectors.
fn body(vectors: &Value, what: &str) -> Option<ResponseBody> {
    Some(match what {
        "ack" => ResponseBody::Ack(AckResponse::default()),
        "ack, pairing" => ResponseBody::Ack(AckResponse {
            pairing: Some((counting(0x20), name("phone"))),
        }),
        "me" => ResponseBody::Me(MeResponse {
            name: name("phone"),
            keys: vec![key(vectors, "main")],
            transports: vec![
                TransportAddress::Relay("https://relay.example.org".into()),
                TransportAddress::Local("192.0.2.9:4712".into()),
            ],
            push_url: None,
            receipt_key: receipt_key(vectors),
            wallets: Vec::new(),
        }),
        "me, push" => ResponseBody::Me(MeResponse {
            name: name("phone"),
            keys: Vec::new(),
            transports: Vec::new(),
            push_url: Some("https://push.example.org/x".into()),
            receipt_key: receipt_key(vectors),
            wallets: Vec::new(),
        }),
        "me, a socket" => ResponseBody::Me(MeResponse {
            name: name("spare"),
            keys: vec![KeyEntry {
                purposes: vec![Purpose::SshLogin, Purpose::SshCertificate],
                ..key(vectors, "ca")
            }],
            transports: vec![
                TransportAddress::Unix("/run/keystead/socket".into()),
                TransportAddress::Local("127.0.0.1:4712".into()),
            ],
            push_url: None,
            receipt_key: receipt_key(vectors),
            wallets: Vec::new(),
        }),
        "import" => ResponseBody::Keys(vec![key(vectors, "work")]),
        "signature" => ResponseBody::Signature([ssh(b"ssh-ed25519"), ssh(&[0x11; 64])].concat()),
        "hosts" => ResponseBody::Hosts(vec![Host {
            user: "alex".into(),
            host: "db1.example.org".into(),
            host_key: sha256(&host_blob()),
            unix_s: UNIX_S - 3_600,
        }]),
        "unpair" | "confirm" | "cancel" | "remove" | "lock" => ResponseBody::Empty,
        "make a key" => ResponseBody::Key(key(vectors, "work")),
        "approve a server" => {
            let text = approval().encode();
            let key = Ed25519KeyPair::from_seed_unchecked(&counting::<32>(0xa0)).unwrap();
            let public = key.public_key().as_ref().try_into().unwrap();
            ResponseBody::ServerApproval(ServerApproval {
                approver: ApproverId::of(public).0,
                signature: key.sign(&text).as_ref().try_into().unwrap(),
            })
        }
        "make an approval key" => {
            let public = bytes(&vectors["approval"], "public");
            ResponseBody::ApprovalKey(public.try_into().unwrap())
        }
        "open local copies" => ResponseBody::LocalKey(LocalKey::new(secret(counting(0x90)))),
        _ => {
            let key = |called: &str| key(vectors, called);
            let id_of = |public_key: &[u8]| KeyId(sha256(public_key));
            return derived::body(what, key, id_of, receipt_key(vectors));
        }
    })
}

#[test]
fn every_request_has_its_bytes() {
    let vectors = vectors();
    let mut kinds = Vec::new();
    for vector in vectors["requests"].as_array().unwrap() {
        let what = text(vector, "what");
        let expected = bytes(vector, "bytes");
        let request = request(&vectors, what);
        kinds.push(request.body.kind());
        assert_eq!(hex(&encode_request(&request)), hex(&expected), "{what}");
        let decoded = decode_request(&expected).unwrap();
        assert_eq!(hex(&encode_request(&decoded)), hex(&expected), "{what}");
        let hash = request_hash(&expected).to_string();
        assert_eq!(hash, text(vector, "request_hash"), "{what}");
    }
    for kind in Kind::ALL {
        assert!(kinds.contains(&kind), "{kind:?} has no golden bytes");
    }
}

#[test]
fn a_servers_text_reads_as_it_was_written() {
    let vectors = vectors();
    let of_text = &vectors["approval"];
    let text = bytes(of_text, "text");
    assert_eq!(hex(&approval().encode()), hex(&text));
    let (read, request) = Approval::read(&text).unwrap();
    assert_eq!(read, approval());
    assert!(matches!(request, SessionRequest::Sign(_)));
    assert_eq!(hex(&read.body.0), self::text(of_text, "body"));
}

#[test]
fn every_response_and_receipt_has_its_bytes() {
    let vectors = vectors();
    let mut chain = ReceiptChain::default();
    let mut outcomes = Vec::new();
    for vector in vectors["responses"].as_array().unwrap() {
        let what = text(vector, "what");
        let expected = bytes(vector, "bytes");
        let request = request(&vectors, text(vector, "request"));
        let request_hash = request_hash(&encode_request(&request));
        let outcome = outcome(vector);
        outcomes.push(outcome);
        let body = body(&vectors, what);
        let received = receive_response(&expected, |_| Some(request.body.kind())).unwrap();
        let decoded = &received.response;
        assert_eq!(decoded.body, body, "{what}");
        assert_eq!(decoded.outcome, outcome, "{what}");
        let response = Response {
            id: ID,
            unix_s: UNIX_S + 5,
            request_hash,
            outcome,
            body,
            receipt: receipt(vector, &mut chain, decoded, request_hash),
        };
        assert_eq!(hex(&encode_response(&response)), hex(&expected), "{what}");
        if response.receipt.is_some() {
            check_receipt(&received, &receipt_key(&vectors)).unwrap();
        }
    }
    for outcome in Outcome::ALL {
        assert!(
            outcomes.contains(&outcome),
            "{outcome:?} has no golden bytes"
        );
    }
}

/// Purposes, transports and keys of later versions are left out; the receipt, which is
/// about the bytes, still holds.
#[test]
fn what_later_versions_add_is_left_out() {
    let vectors = vectors();
    for vector in vectors["later"].as_array().unwrap() {
        let what = text(vector, "what");
        let request = request(&vectors, text(vector, "request"));
        let expected = bytes(vector, "bytes");
        let received = receive_response(&expected, |_| Some(request.body.kind())).unwrap();
        let read = &received.response;
        assert_eq!(
            read.body,
            body(&vectors, text(vector, "reads_as")),
            "{what}"
        );
        assert_ne!(encode_response(read), expected, "{what}");
        check_receipt(&received, &receipt_key(&vectors)).unwrap();
    }
}

/// On a local link each message stands behind its length, and answers have no receipt.
#[test]
fn the_local_link_has_its_bytes() {
    let vectors = vectors();
    let local = |message: &[u8]| ssh(message);
    for vector in vectors["local"].as_array().unwrap() {
        let what = text(vector, "what");
        let request = request(&vectors, text(vector, "request"));
        let kind = request.body.kind();
        let asks = encode_request(&request);
        assert_eq!(hex(&local(&asks)), text(vector, "asks"), "{what}");
        let answers = bytes(vector, "answers");
        let decoded = decode_local_response(&answers[4..], |_| Some(kind)).unwrap();
        assert_eq!(decoded.request_hash, request_hash(&asks), "{what}");
        assert_eq!(hex(&local(&encode_response(&decoded))), hex(&answers));
        let channel = decode_response(&answers[4..], |_| Some(kind))
            .err()
            .unwrap();
        assert_eq!(channel.fault, Fault::MissingKey(6), "a channel wants one");
    }
    let of_channel = &vectors["responses"].as_array().unwrap()[4];
    let signed = decode_local_response(&bytes(of_channel, "bytes"), |_| Some(Kind::Sign));
    assert_eq!(signed.err().unwrap().fault, Fault::Misplaced(6));
}

fn outcome(vector: &Value) -> Outcome {
    let number = vector["outcome"].as_u64().unwrap();
    Outcome::from_number(u8::try_from(number).unwrap()).unwrap()
}

/// The receipt that the chain says must come next; its signature is the vector's.
fn receipt(
    vector: &Value,
    chain: &mut ReceiptChain,
    decoded: &Response,
    request_hash: RequestHash,
) -> Option<SignedReceipt> {
    let signed = decoded.receipt.clone()?;
    let expected = bytes(vector, "receipt");
    let (outcome, body) = (decoded.outcome, decoded.body.as_ref());
    let receipt = next_receipt(chain, request_hash, outcome, body, UNIX_S + 5);
    assert_eq!(hex(&encode_receipt(&receipt)), hex(&expected));
    assert_eq!(decode_receipt(&expected).unwrap(), receipt);
    *chain = ReceiptChain::after(receipt.seq, &expected);
    Some(SignedReceipt {
        bytes: expected,
        signature: signed.signature,
    })
}

#[test]
fn every_body_of_a_key_is_the_hash_of_its_key() {
    let vectors = vectors();
    let body = encode_body(&ResponseBody::Key(key(&vectors, "work")));
    // {1: {1: key_id, …}}: five keys, the first of 32 bytes.
    assert_eq!(hex(&body[..6]), "a101a5015820");
}

#[test]
fn every_offer_has_its_link() {
    let vectors = vectors();
    for vector in vectors["offers"].as_array().unwrap() {
        let relay = vector["relay"].as_str();
        let relay = relay.map(|url| RelayUrl::new(url).unwrap());
        let addresses = vector["addresses"].as_array().unwrap().iter();
        let addresses: Vec<_> = addresses
            .map(|it| LocalAddress::new(it.as_str().unwrap()).unwrap())
            .collect();
        let client = key_pair(&bytes(&vectors["keys"]["C"], "sk"));
        let secret = secret(counting(0));
        let name = name(text(vector, "name"));
        let offer = Offer::new(client.public(), secret, name, relay, addresses).unwrap();
        assert_eq!(offer.link(), text(vector, "link"));
        assert_eq!(offer.qr_text().unwrap(), text(vector, "qr_text"));
        let read = Offer::parse(text(vector, "link")).unwrap();
        assert_eq!(read.link(), text(vector, "link"));
        // No secret key is in it: neither as bytes nor in any shift of base64.
        assert!(!contains(&bytes(vector, "bytes"), client.secret().expose()));
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[test]
fn an_offer_made_with_known_randomness_holds_no_secret_key() {
    let vectors = vectors();
    let secret_key = bytes(&vectors["keys"]["C"], "sk");
    let mut script = Script::new(&[&secret_key, &counting::<16>(0)]);
    let relay = Some(RelayUrl::new("https://relay.example.org").unwrap());
    let offered = Offered::make(0, name("laptop"), relay, Vec::new(), &mut script).unwrap();
    let vector = &vectors["offers"][0];
    assert_eq!(offered.offer().link(), text(vector, "link"));
}

#[test]
fn the_hello_has_its_bytes() {
    let vectors = vectors();
    let vector = &vectors["hello"];
    let client = key_pair(&bytes(&vectors["keys"]["C"], "sk"));
    let hello = Hello {
        server: key_pair(&bytes(&vectors["keys"]["S"], "sk")).public(),
        commitment: bytes(vector, "commitment").try_into().unwrap(),
    };
    let sealed_box_secret = bytes(vector, "sealed_box_secret");
    let mut script = Script::new(&[&bytes(vector, "R16"), &sealed_box_secret]);
    let one_time = secret(counting(0));
    let frame = seal_hello(&hello, &client.public(), &one_time, &mut script).unwrap();
    assert_eq!(hex(&frame), text(vector, "frame"));
    assert_eq!(hex(&sha256(&frame)), text(vector, "frame_sha256"));
    assert_eq!(open_hello(&frame, &client, &one_time).unwrap(), hello);
}

/// Both sides, with the randomness of section 8, show the code of section 8.
#[test]
fn both_sides_show_the_code() {
    let vectors = vectors();
    let vector = &vectors["hello"];
    let client_secret = bytes(&vectors["keys"]["C"], "sk");
    let mut script = Script::new(&[&client_secret, &counting::<16>(0), &counting::<16>(0x10)]);
    let relay = Some(RelayUrl::new("https://relay.example.org").unwrap());
    let offered = Offered::make(0, name("laptop"), relay, Vec::new(), &mut script).unwrap();

    let server_secret = bytes(&vectors["keys"]["S"], "sk");
    let nonce_s: [u8; 32] = counting(0x20);
    let r16 = bytes(vector, "R16");
    let sealed_box_secret = bytes(vector, "sealed_box_secret");
    let parts = [server_secret.as_slice(), &nonce_s, &r16, &sealed_box_secret];
    let offer = Offer::parse(&offered.offer().link()).unwrap();
    let scanned = Scanned::answer(offer, 0, &mut Script::new(&parts)).unwrap();
    assert_eq!(hex(scanned.hello()), text(vector, "frame"));

    let Receive::Greeted(greeted) = offered.receive(0, scanned.hello(), &mut script) else {
        panic!("the hello was not taken");
    };
    let RequestBody::Me { nonce_c } = greeted.request() else {
        panic!("not a me request");
    };
    let nonce_c = nonce_c.unwrap();
    assert_eq!(nonce_c, counting(0x10));
    let answered: Answered = scanned.receive_me(0, nonce_c);
    assert_eq!(answered.code().to_string(), text(vector, "code"));
    let ack = answered.ack(&nonce_c, name("phone")).unwrap();
    let (revealed, own_name) = ack.pairing.unwrap();
    assert_eq!(revealed, nonce_s);
    let compared = greeted.receive_ack(0, &revealed, own_name).unwrap();
    assert_eq!(compared.code(), answered.code());
}

#[test]
fn every_mailbox_has_its_tokens() {
    let vectors = vectors();
    for vector in vectors["mailboxes"].as_array().unwrap() {
        let direction = match text(vector, "direction") {
            "c2s" => MailboxDirection::ClientToServer,
            _ => MailboxDirection::ServerToClient,
        };
        let mailbox = match vector["day"].as_u64() {
            None => Mailbox::of_offer(&secret(counting(0)), direction),
            Some(day) => Mailbox::of_pairing(&secret(counting(0x40)), direction, day),
        };
        assert_eq!(hex(mailbox.read_token()), text(vector, "read_token"));
        assert_eq!(hex(mailbox.write_token()), text(vector, "write_token"));
        assert_eq!(mailbox.id().to_string(), text(vector, "id"));
    }
}

#[test]
fn the_item_has_its_bytes() {
    let vectors = vectors();
    let vector = &vectors["item"];
    let frame = bytes(vector, "frame");
    let item = Item {
        conn: ConnId(bytes(vector, "conn").try_into().unwrap()),
        seq: 7,
        frame: &frame,
    };
    assert_eq!(hex(&item.encode()), text(vector, "bytes"));
    assert_eq!(Item::decode(&bytes(vector, "bytes")), Ok(item));
}
