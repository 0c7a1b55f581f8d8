//! `spec/vectors/session.json`: bodies, requests and answers, made without this code.

use keystead_channel::session::requests::{
    Answer, Approve, Approver, ApproverChange, Audit, Bytes, Complete, Context, DigestName,
    Generate, Head, Hours, Import, Intent, KeyPurpose, KeyType, Label, LabelChange, List as Page,
    LogOut, Method, Open, OpenPgp, PasswordFinish, PasswordStart, Policy, PolicyChange, Put,
    Quorum, Receipt, RecoveryCode, Request, Retrieve, Scope, SeenLog, Sessions, Show, Sign,
    SignFields, SshLogin, SshSig, UnprovedDestination, recovery_hash,
};
use keystead_channel::session::{
    AccountName, ApproverId, ClientHello, ErrorBody, KeyId, List, LoginStart, Notice, Nullable,
    Octets, Profile, RegisterStart, RegisterUpload, RequestId, Resume, SecretOctets, ServerHello,
    ServerId, SessionId, Text, UserId, request_hash,
};
use keystead_channel::wire::Fault;
use keystead_core::{Secret, SecretBytes};
use serde_json::Value;

const ID: RequestId = RequestId([1; 16]);
const NONCE: [u8; 32] = [0x22; 32];
const USER: UserId = UserId([0x21; 32]);

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../spec/vectors/session.json")).unwrap()
}

fn bytes(value: &Value, key: &str) -> Vec<u8> {
    let text = value[key].as_str().unwrap_or_else(|| panic!("{key}"));
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn entries(vectors: &Value, list: &str) -> Vec<(String, Method, Vec<u8>)> {
    let entries = vectors[list].as_array().unwrap().iter();
    let entry = |it: &Value| {
        let method = Method::from_number(it["method"].as_u64().unwrap()).unwrap();
        let name = it["name"].as_str().unwrap().to_owned();
        (name, method, bytes(it, "plain"))
    };
    entries.map(entry).collect()
}

fn key() -> KeyId {
    KeyId::of(&USER, &NONCE)
}

fn text<const MAX: usize>(it: &str) -> Text<MAX> {
    Text(it.to_owned())
}

fn octets<const MAX: usize>(byte: u8, len: usize) -> Octets<MAX> {
    Octets(vec![byte; len])
}

fn policy() -> Policy {
    Policy {
        users: Some(List(vec![text("alex")])),
        host_keys: Some(List(vec![[0x71; 32]])),
        namespaces: Some(List(vec![text("git"), text("file")])),
        unproved_destination: Some(UnprovedDestination::Allow),
        hours: Some(Hours {
            weekdays: 31,
            from_minute: 480,
            to_minute: 1_080,
        }),
        hourly_max: Some(20),
        quorum: Some(Quorum {
            approvers: List(vec![ApproverId([0x72; 16])]),
            count: 1,
        }),
    }
}

fn no_policy() -> Policy {
    Policy {
        users: None,
        host_keys: None,
        namespaces: None,
        unproved_destination: None,
        hours: None,
        hourly_max: None,
        quorum: None,
    }
}

fn open(known: Option<SeenLog>, pass_wanted: bool) -> Request {
    Request::Open(Open {
        known: Nullable(known),
        device: text("laptop"),
        pass_wanted,
    })
}

fn put(context: Context, kind: KeyType, replaces: Option<KeyId>) -> Request {
    Request::Put(Put {
        nonce: NONCE,
        context,
        kind,
        value: octets(0x83, 77),
        label: octets(0x84, 50),
        replaces,
    })
}

fn generate(kind: KeyType, purposes: Vec<KeyPurpose>) -> Generate {
    Generate {
        nonce: NONCE,
        kind,
        label: Label::Open(text("signing")),
        replaces: None,
        size: None,
        purposes: List(purposes),
        policy: None,
    }
}

fn sign(fields: SignFields) -> Request {
    Request::Sign(Sign { key: key(), fields })
}

fn login(host_key: Option<u8>) -> Request {
    sign(SignFields::SshLogin(SshLogin {
        session: octets(0x87, 32),
        user: text("alex"),
        algorithm: text("ssh-ed25519"),
        public_key: octets(0x88, 51),
        host_key: host_key.map(|byte| octets(byte, 51)),
    }))
}

fn label(revision: u32, label: Label) -> Request {
    let key = key();
    Request::Label(LabelChange {
        key,
        revision,
        label,
    })
}

fn opening() -> Vec<(&'static str, Request)> {
    vec![
        ("open", open(Some(SeenLog { epoch: 1, size: 99 }), true)),
        ("open_first", open(None, false)),
        ("ping", Request::Ping),
        (
            "complete",
            Request::Complete(Complete {
                storage_key: [0x81; 72],
                user: USER,
                recovery_hash: [0x82; 32],
            }),
        ),
        ("storage_key", Request::StorageKey),
    ]
}

fn storing() -> Vec<(&'static str, Request)> {
    let key = key();
    vec![
        ("put", put(Context::Generated, KeyType::Arbitrary, None)),
        (
            "put_replacing",
            put(Context::Imported, KeyType::Rsa, Some(key)),
        ),
        (
            "make",
            Request::Make(generate(
                KeyType::Ed25519,
                vec![KeyPurpose::SshLogin, KeyPurpose::SshSig],
            )),
        ),
        (
            "make_full",
            Request::Make(Generate {
                replaces: Some(key),
                size: Some(4_096),
                policy: Some(policy()),
                ..generate(KeyType::Rsa, vec![KeyPurpose::SshLogin])
            }),
        ),
        (
            "import",
            Request::Import(Import {
                nonce: NONCE,
                kind: KeyType::P256,
                label: Label::Open(text("brought")),
                replaces: None,
                value: SecretOctets(SecretBytes::fill(32, |bytes| bytes.fill(0x85))),
                purposes: List(vec![KeyPurpose::Message]),
                policy: None,
            }),
        ),
        (
            "retrieve",
            Request::Retrieve(Retrieve {
                key,
                intent: Intent::LocalOnly,
                kind: KeyType::Arbitrary,
            }),
        ),
        (
            "list",
            Request::List(Page {
                after: None,
                limit: 100,
            }),
        ),
        (
            "list_after",
            Request::List(Page {
                after: Some(key),
                limit: 7,
            }),
        ),
        ("show", Request::Show(Show { key })),
        ("label", label(1, Label::Sealed(octets(0x86, 45)))),
        ("label_open", label(2, Label::Open(text("new name")))),
        ("delete", Request::Delete(Show { key })),
    ]
}

fn signing() -> Vec<(&'static str, Request)> {
    let bytes = |it: &[u8]| Bytes {
        bytes: Octets(it.to_vec()),
    };
    vec![
        ("sign_ssh_login", login(Some(0x89))),
        ("sign_ssh_login_unproved", login(None)),
        (
            "sign_sshsig",
            sign(SignFields::SshSig(SshSig {
                namespace: text("git"),
                hash_name: text("sha512"),
                hash: octets(0x8a, 64),
            })),
        ),
        (
            "sign_openpgp",
            sign(SignFields::OpenPgp(OpenPgp {
                hash: 8,
                digest: octets(0x8b, 32),
            })),
        ),
        (
            "sign_message",
            sign(SignFields::Message(bytes(b"text"), DigestName::Keccak256)),
        ),
        ("sign_digest", sign(SignFields::Digest(bytes(&[0x8c; 32])))),
        (
            "approve",
            Request::Approve(Approve {
                sub: 9,
                approver: ApproverId([0x72; 16]),
                signature: [0x8d; 64],
            }),
        ),
        (
            "policy",
            Request::Policy(PolicyChange {
                key: key(),
                policy: policy(),
            }),
        ),
        (
            "policy_none",
            Request::Policy(PolicyChange {
                key: key(),
                policy: no_policy(),
            }),
        ),
        ("approvers", approvers(None, None)),
        (
            "approver_add",
            approvers(
                Some(Approver {
                    public_key: [0x8e; 32],
                    label: text("phone"),
                }),
                None,
            ),
        ),
        (
            "approver_remove",
            approvers(None, Some(ApproverId([0x72; 16]))),
        ),
    ]
}

fn approvers(add: Option<Approver>, remove: Option<ApproverId>) -> Request {
    Request::Approvers(ApproverChange {
        add,
        remove,
        recovery_code: None,
        recovery: None,
    })
}

fn reading() -> Vec<(&'static str, Request)> {
    let head = |from_size, indices| {
        Request::Head(Head {
            from_size,
            indices: List(indices),
        })
    };
    vec![
        (
            "audit",
            Request::Audit(Audit {
                scope: Scope::All,
                keys: None,
                after_unix_ms: None,
                before_unix_ms: None,
                cursor: None,
                proofs: false,
            }),
        ),
        (
            "audit_full",
            Request::Audit(Audit {
                scope: Scope::Keys,
                keys: Some(List(vec![key()])),
                after_unix_ms: Some(1_700_000_000_000),
                before_unix_ms: Some(1_700_000_001_000),
                cursor: Some(256),
                proofs: true,
            }),
        ),
        ("head", head(None, Vec::new())),
        ("head_full", head(Some(99), vec![0, 5])),
        ("sessions", Request::Sessions(Sessions { close: None })),
        (
            "session_close",
            Request::Sessions(Sessions {
                close: Some(SessionId([0x51; 16])),
            }),
        ),
        ("log_out", Request::LogOut(LogOut { everywhere: false })),
        (
            "log_out_everywhere",
            Request::LogOut(LogOut { everywhere: true }),
        ),
        (
            "password_start",
            Request::PasswordStart(PasswordStart {
                request: [0x61; 32],
            }),
        ),
        (
            "password_finish",
            Request::PasswordFinish(PasswordFinish {
                record: [0x63; 192],
                profile: Profile::Strong,
                storage_key: [0x81; 72],
            }),
        ),
        (
            "recovery_code",
            Request::RecoveryCode(RecoveryCode {
                recovery_hash: [0x82; 32],
            }),
        ),
        ("delete_account", Request::DeleteAccount),
    ]
}

#[test]
fn every_request_has_its_bytes() {
    let mut built = opening();
    built.extend(storing());
    built.extend(signing());
    built.extend(reading());
    let expected = entries(&vectors(), "requests");
    assert_eq!(built.len(), expected.len());
    for ((name, request), (expected_name, method, plain)) in built.iter().zip(&expected) {
        assert_eq!(name, expected_name);
        assert_eq!(request.method(), *method, "{name}");
        assert_eq!(request.encode(ID), *plain, "{name}");
        let (id, read) = Request::decode(*method, plain).unwrap();
        assert_eq!((id, read.encode(id)), (ID, plain.clone()), "{name}");
    }
    let methods: std::collections::BTreeSet<_> = built.iter().map(|it| it.1.method()).collect();
    assert_eq!(methods.len(), Method::ALL.len(), "each method is there");
}

#[test]
fn every_answer_is_read_and_written_back() {
    for (name, method, plain) in entries(&vectors(), "answers") {
        let answer = Answer::decode(method, &plain);
        let answer = answer.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(answer.encode(), plain, "{name}");
        for len in 0..plain.len() {
            assert!(
                Answer::decode(method, &plain[..len]).is_err(),
                "{name} {len}"
            );
        }
        let longer = [plain.as_slice(), &[0]].concat();
        let read = Answer::decode(method, &longer).map(drop);
        assert_eq!(read, Err(Fault::LeftOver), "{name}");
        if answer.result.is_some() {
            let other = Answer::decode(Method::Ping, &plain);
            let is_waiting = name == "waiting";
            assert_eq!(other.is_ok(), is_waiting, "{name} as an answer to ping");
        }
    }
    let receipt = Receipt {
        index: 5,
        leaf: octets(0x41, 40),
        path: List(vec![[0x42; 32], [0x43; 32]]),
        checkpoint: Octets(b"keystead/00".to_vec()),
    };
    let expected = bytes(&vectors()["set_up"], "receipt");
    assert_eq!(receipt.encode(), expected);
}

/// No prefix of a request is one, nor a request with a byte more, nor under a method
/// with other fields.
#[test]
fn requests_are_read_whole_and_under_their_method_alone() {
    for (name, method, plain) in entries(&vectors(), "requests") {
        for len in 0..plain.len() {
            assert!(
                Request::decode(method, &plain[..len]).is_err(),
                "{name} {len}"
            );
        }
        let longer = [plain.as_slice(), &[0]].concat();
        let read = Request::decode(method, &longer).map(drop);
        assert_eq!(read, Err(Fault::LeftOver), "{name}");
        for at in 0..plain.len() {
            let mut altered = plain.clone();
            altered[at] ^= 0x20;
            if let Ok((id, request)) = Request::decode(method, &altered) {
                assert_eq!(request.encode(id), altered, "{name} {at}");
            }
        }
    }
    for method in Method::ALL {
        let nothing = Request::decode(*method, &[0xa0]).map(drop);
        assert_eq!(nothing, Err(Fault::MissingKey(0)), "{method:?}");
        let mut surplus = vec![0xa2, 0, 0x50];
        surplus.extend([1; 16]);
        surplus.extend([0x18, 99, 0]);
        assert!(Request::decode(*method, &surplus).is_err(), "{method:?}");
    }
}

#[test]
fn set_up_bodies_are_read_whole() {
    type Read = fn(&[u8]) -> Result<Vec<u8>, Fault>;
    macro_rules! read {
        ($type:ty) => {
            |bytes| <$type>::decode(bytes).map(|it| it.encode())
        };
    }
    let bodies: [(&str, Read); 14] = [
        ("client_hello", read!(ClientHello)),
        ("server_hello", read!(ServerHello)),
        ("register_start", read!(RegisterStart)),
        ("register_start_open", read!(RegisterStart)),
        ("register_upload", read!(RegisterUpload)),
        ("login_start", read!(LoginStart)),
        ("login_start_full", read!(LoginStart)),
        ("resume", read!(Resume)),
        ("resume_unknown", read!(Resume)),
        ("error", read!(ErrorBody)),
        ("error_wait", read!(ErrorBody)),
        ("notice_closed", read!(Notice)),
        ("notice_log_key", read!(Notice)),
        ("receipt", read!(Receipt)),
    ];
    let vectors = vectors();
    assert_eq!(vectors["set_up"].as_object().unwrap().len(), bodies.len());
    for (name, read) in bodies {
        let body = bytes(&vectors["set_up"], name);
        assert_eq!(read(&body), Ok(body.clone()), "{name}");
        for len in 0..body.len() {
            assert!(read(&body[..len]).is_err(), "{name} {len}");
        }
        let longer = [body.as_slice(), &[0]].concat();
        assert_eq!(read(&longer), Err(Fault::LeftOver), "{name}");
    }
}

#[test]
fn lengths_and_numbers_have_limits() {
    let check = |request: Request, expected: Fault| {
        let plain = request.encode(ID);
        let read = Request::decode(request.method(), &plain).map(drop);
        assert_eq!(read, Err(expected));
    };
    let value = |len| {
        Request::Put(Put {
            nonce: NONCE,
            context: Context::Stored,
            kind: KeyType::Arbitrary,
            value: octets(0, len),
            label: octets(0, 40),
            replaces: None,
        })
    };
    check(value(65_582), Fault::StringLength(65_582));
    let longest = value(65_581).encode(ID);
    assert!(Request::decode(Method::Put, &longest).is_ok());
    let long_label = text::<256>(&"x".repeat(257));
    check(label(0, Label::Open(long_label)), Fault::StringLength(257));
    let too_many = List(vec![0; 257]);
    let head = Head {
        from_size: None,
        indices: too_many,
    };
    check(Request::Head(head), Fault::ListLength(257));
    let hidden = Text("a\u{202e}b".to_owned());
    check(label(0, Label::Open(hidden)), Fault::Text);
}

#[test]
fn ids_are_as_the_vectors_say() {
    let vectors = vectors();
    let ids = &vectors["ids"];
    let hello = ServerHello::decode(&bytes(&vectors["set_up"], "server_hello")).unwrap();
    assert_eq!(ServerId::of(&hello.opaque_key).0, *bytes(ids, "server_id"));
    assert_eq!(key().0, *bytes(ids, "key_id"));
    assert_eq!(ApproverId::of(&[0x8e; 32]).0, *bytes(ids, "approver_id"));
    let hash = request_hash(&USER, Method::Sign.number(), b"body");
    assert_eq!(hash, *bytes(ids, "request_hash"));
    let code = Secret::fill(|bytes| bytes.fill(0x66));
    assert_eq!(recovery_hash(&code), *bytes(ids, "recovery_hash"));
    assert_eq!(key().to_string(), ids["key_id"].as_str().unwrap());
}

#[test]
fn names_are_as_the_vectors_say() {
    let k_name = Secret::fill(|bytes| bytes.fill(0xb1));
    let k_fake = Secret::fill(|bytes| bytes.fill(0xb2));
    for case in vectors()["names"].as_array().unwrap() {
        let typed = case["typed"].as_str().unwrap();
        let name = AccountName::canonicalise(typed).unwrap();
        assert_eq!(name.as_str(), case["name"].as_str().unwrap(), "{typed}");
        assert_eq!(name.tag(&k_name), *bytes(case, "tag"), "{typed}");
        assert_eq!(
            name.decoy_seed(&k_fake),
            *bytes(case, "decoy_seed"),
            "{typed}"
        );
    }
}
