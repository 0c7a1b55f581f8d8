use keystead_channel::session::requests::{
    Approver, Bytes, KeyType, List as ListRequest, Method, OpenPgp, Show, SshSig,
};
use keystead_channel::session::{
    ApprovalTag, List, Octets, RequestId, ServerId, SessionId, Text, UserId, request_hash,
};
use keystead_core::Name;

use super::*;
use crate::pins::Pin;
use crate::words::Tone;

const KEY: KeyId = KeyId([0x22; 16]);
const UNTIL_MS: u64 = 1_700_000_060_000;

fn own() -> ApprovalEntry {
    ApprovalEntry {
        server_id: [1; 16],
        server: Name::new("work").unwrap(),
        public: [9; 32],
    }
}

fn approval(request: &Request) -> Approval {
    let body = request.encode(RequestId([7; 16]));
    let user = UserId([2; 32]);
    let method = request.method();
    Approval {
        tag: ApprovalTag,
        server: ServerId([1; 16]),
        user,
        session: SessionId([3; 16]),
        method,
        request_hash: request_hash(&user, method.number(), &body),
        body: Octets(body),
        nonce: [4; 16],
        expires_unix_ms: UNTIL_MS,
        public_key: Some(Octets(vec![5; 32])),
        label: Some(Label::Open(Text("deploy".into()))),
    }
}

fn host_key() -> PublicKey {
    PublicKey::ed25519(&[6; 32])
}

fn pins() -> Pins {
    let mut pins = Pins::default();
    let pin = Pin {
        host_key: host_key().fingerprint(),
        time: 0,
        workstation: "laptop".into(),
    };
    let mut disk = keystead_daemon::MemoryDisk::default();
    pins.pin("db1", pin, &mut disk).unwrap();
    pins
}

fn judged(request: &Request, pins: &Pins) -> Result<Judged, No> {
    judge_approval(&approval(request), request, &own(), ServerRules { pins })
}

/// `!` marks a row that warns.
#[track_caller]
fn check(request: &Request, line: &str, rows: &str) {
    let judged = judged(request, &pins()).unwrap();
    let mut shown = String::new();
    for row in judged.asked.rows() {
        let mark = if row.tone == Tone::Warn { "!" } else { "" };
        shown.push_str(&format!("{mark}{}|{}\n", row.label, row.value));
    }
    assert_eq!(shown, rows);
    assert_eq!(judged.asked.line(), line);
    assert_eq!(judged.nonce, [4; 16]);
}

#[track_caller]
fn check_refused(request: &Request, reason: &str) {
    let no = judged(request, &Pins::default()).unwrap_err();
    assert_eq!((no.outcome, &*no.reason), (Outcome::Refuse, reason));
}

fn sign(fields: SignFields) -> Request {
    Request::Sign(Sign { key: KEY, fields })
}

fn login(host_key: Option<Vec<u8>>) -> SshLogin {
    SshLogin {
        session: Octets(vec![8; 32]),
        user: Text("alex".into()),
        algorithm: Text("ssh-ed25519".into()),
        public_key: Octets(PublicKey::ed25519(&[5; 32]).blob().to_vec()),
        host_key: host_key.map(Octets),
    }
}

#[test]
fn a_login_at_a_pinned_host() {
    let (own, host) = (
        PublicKey::ed25519(&[5; 32]).fingerprint(),
        host_key().fingerprint(),
    );
    let fields = SignFields::SshLogin(login(Some(host_key().blob().to_vec())));
    check(
        &sign(fields),
        &format!("key server work: ssh login as alex at db1 ({host}) with deploy"),
        &format!(
            "Key server|work\nLog in as|alex\nHost|db1 (this key is pinned to it)\n\
             Host key|{host}\nWith key|deploy (held by the server)\n|{own}\n\
             Until|22:14:20 UTC, by the server's clock; for this once\n"
        ),
    );
}

#[test]
fn a_login_at_a_host_that_nobody_knows_or_that_it_does_not_name() {
    let own = PublicKey::ed25519(&[5; 32]).fingerprint();
    let other = PublicKey::ed25519(&[7; 32]);
    let host = other.fingerprint();
    check(
        &sign(SignFields::SshLogin(login(Some(other.blob().to_vec())))),
        &format!("key server work: ssh login as alex at {host} with deploy"),
        &format!(
            "Key server|work\nLog in as|alex\n!Host|no host is pinned here to this key\n\
             Host key|{host}\nWith key|deploy (held by the server)\n|{own}\n\
             Until|22:14:20 UTC, by the server's clock; for this once\n"
        ),
    );
    check(
        &sign(SignFields::SshLogin(login(None))),
        "key server work: ssh login as alex at a destination not proved with deploy",
        &format!(
            "Key server|work\nLog in as|alex\n!Host|destination not proved\n\
             !|any host may get this login\nWith key|deploy (held by the server)\n|{own}\n\
             Until|22:14:20 UTC, by the server's clock; for this once\n"
        ),
    );
}

#[test]
fn other_signatures() {
    let own = PublicKey::ed25519(&[5; 32]).fingerprint();
    let key = format!(
        "With key|deploy (held by the server)\n|{own}\n\
         Until|22:14:20 UTC, by the server's clock; for this once\n"
    );
    let sshsig = SshSig {
        namespace: Text("git".into()),
        hash_name: Text("sha512".into()),
        hash: Octets(vec![0xab; 2]),
    };
    check(
        &sign(SignFields::SshSig(sshsig)),
        "key server work: signature in the namespace git with deploy",
        &format!(
            "Key server|work\nSign|a hash in the namespace git\nHash|sha512 abab\n\
             !Content|not proved: only its hash came\n{key}"
        ),
    );
    let openpgp = OpenPgp {
        hash: 10,
        digest: Octets(vec![0xcd; 2]),
    };
    check(
        &sign(SignFields::OpenPgp(openpgp)),
        "key server work: an OpenPGP signature with deploy",
        &format!(
            "Key server|work\nSign|an OpenPGP digest\nDigest|SHA-512 cdcd\n\
             !Content|text not proved: only its digest came\n{key}"
        ),
    );
    let digest = Bytes {
        bytes: Octets(vec![0xef; 2]),
    };
    check(
        &sign(SignFields::Digest(digest)),
        "key server work: signature of a digest with deploy",
        &format!(
            "Key server|work\nSign|a digest\nDigest|efef\n\
             !|nobody knows of what: it may be anything\n{key}"
        ),
    );
    let message = Bytes {
        bytes: Octets(b"pay 1\n\x1b[2Jpay \\u{a} 2\xff".to_vec()),
    };
    check(
        &sign(SignFields::Message(message, DigestName::Sha256)),
        "key server work: signature of 22 bytes with deploy",
        &format!(
            "Key server|work\nSign|22 bytes, hashed by SHA-256\n\
             SHA-256|{}\n!|nobody here knows what these bytes are for\n{key}\
             Message|pay 1\n|\\u{{1b}}[2Jpay \\\\u{{a}} 2\\xff\n",
            hex::encode(&key_id(b"pay 1\n\x1b[2Jpay \\u{a} 2\xff").0)
        ),
    );
}

#[test]
fn a_long_message_says_what_is_not_shown() {
    let bytes = Bytes {
        bytes: Octets(vec![b'x'; 65_536]),
    };
    let request = sign(SignFields::Message(bytes, DigestName::None));
    let asked = judged(&request, &Pins::default()).unwrap().asked;
    let rows = asked.rows();
    let last = rows.last().unwrap();
    assert_eq!(last.value, "61440 bytes more, which are not shown");
    assert_eq!(last.tone, Tone::Warn);
}

#[test]
fn a_secret_that_leaves() {
    let own = PublicKey::ed25519(&[5; 32]).fingerprint();
    let retrieve = |intent| {
        Request::Retrieve(Retrieve {
            key: KEY,
            intent,
            kind: keystead_channel::session::requests::KeyType::Ed25519,
        })
    };
    let key = format!(
        "Secret|deploy (held by the server)\n|{own}\n\
         Until|22:14:20 UTC, by the server's clock; for this once\n"
    );
    check(
        &retrieve(Intent::Export),
        "key server work: export of deploy",
        &format!(
            "Key server|work\nExport|a secret, to the workstation and beyond\n\
             !|whoever gets it there has it for good\n{key}"
        ),
    );
    check(
        &retrieve(Intent::LocalOnly),
        "key server work: retrieval of deploy",
        &format!(
            "Key server|work\nRetrieve|a secret, for use on the workstation\n\
             !|whoever controls the workstation gets it\n{key}"
        ),
    );
    check_refused(
        &retrieve(Intent::Null),
        "a retrieval that gives nothing out",
    );
}

fn policy(change: impl FnOnce(&mut Policy)) -> Request {
    let mut policy = Policy {
        users: None,
        host_keys: None,
        namespaces: None,
        unproved_destination: None,
        hours: None,
        hourly_max: None,
        quorum: None,
    };
    change(&mut policy);
    Request::Policy(PolicyChange { key: KEY, policy })
}

#[test]
fn conditions_in_words() {
    let own_print = PublicKey::ed25519(&[5; 32]).fingerprint();
    let key = format!(
        "Of key|deploy (held by the server)\n|{own_print}\n\
         Until|22:14:20 UTC, by the server's clock; for this once\n"
    );
    let host = host_key();
    let all = policy(|it| {
        it.users = Some(List(vec![Text("alex".into()), Text("root".into())]));
        it.host_keys = Some(List(vec![key_id(host.blob()).0, [0; 32]]));
        it.namespaces = Some(List(vec![]));
        it.unproved_destination = Some(UnprovedDestination::Allow);
        it.hours = Some(Hours {
            weekdays: 0b1_1111,
            from_minute: 480,
            to_minute: 1_080,
        });
        it.hourly_max = Some(20);
        it.quorum = Some(Quorum {
            approvers: List(vec![ApproverId::of(&own().public), ApproverId([8; 16])]),
            count: 1,
        });
    });
    check(
        &all,
        "key server work: other conditions for deploy",
        &format!(
            "Key server|work\nChange|the conditions of a key, to these:\nUsers|alex, root\n\
             Hosts|db1 ({}), SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n\
             Namespaces|none at all\nHours|Mon Tue Wed Thu Fri, 08:00 to 18:00 UTC\n\
             Count|at most 20 an hour\nApprovers|1 of: the key here, {}\n\
             !|logins to a destination not proved are allowed\n{key}",
            host.fingerprint(),
            "08".repeat(16),
        ),
    );
    check(
        &policy(|_| ()),
        "key server work: other conditions for deploy",
        &format!(
            "Key server|work\nChange|the conditions of a key, to these:\n\
             !|nobody is asked to approve from then on\n{key}"
        ),
    );
}

fn change(add: Option<Approver>, remove: Option<ApproverId>) -> Request {
    Request::Approvers(ApproverChange {
        add,
        remove,
        recovery_code: None,
        recovery: None,
    })
}

#[test]
fn approvers_come_and_go() {
    let until = "Until|22:14:20 UTC, by the server's clock; for this once\n";
    let approver = || Approver {
        public_key: [3; 32],
        label: Text("spare".into()),
    };
    let id = ApproverId::of(&[3; 32]);
    check(
        &change(Some(approver()), None),
        "key server work: the new approver spare",
        &format!(
            "Key server|work\nNew approver|spare\nIts id|{id}\n\
             !|it may approve from then on, as you do here\n{until}"
        ),
    );
    let own_id = ApproverId::of(&own().public);
    check(
        &change(None, Some(own_id)),
        &format!("key server work: the end of the approver {own_id}"),
        &format!(
            "Key server|work\nNo approver|{own_id}\n\
             !|this is the key here: it is asked no more\n{until}"
        ),
    );
    let none = "a change of approvers that is none, or two";
    check_refused(&change(None, None), none);
    check_refused(&change(Some(approver()), Some(id)), none);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let broken = sign(SignFields::SshLogin(login(Some(vec![1, 2, 3]))));
    check_refused(&broken, "the host key of the login cannot be read");
    let mut fields = login(None);
    fields.public_key = Octets(vec![1]);
    check_refused(
        &sign(SignFields::SshLogin(fields)),
        "the key of the login cannot be read",
    );
    let nothing = "nothing that anyone approves";
    check_refused(&Request::Delete(Show { key: KEY }), nothing);
    let list = ListRequest {
        after: None,
        limit: 1,
    };
    check_refused(&Request::List(list), nothing);
}

/// The text is read whole: no part of it, nothing behind it, no other hash, no other request.
#[test]
fn a_text_is_read_whole() {
    let text = |it: &Approval| it.encode();
    let request = sign(SignFields::SshLogin(login(None)));
    let whole = text(&approval(&request));
    assert!(read_approval(&whole).is_ok());
    for len in 0..whole.len() {
        assert!(read_approval(&whole[..len]).is_err(), "{len}");
    }
    assert!(read_approval(&[&whole[..], &[0]].concat()).is_err());
    for change in [
        |it: &mut Approval| it.request_hash[0] ^= 1,
        |it: &mut Approval| it.user.0[0] ^= 1,
        |it: &mut Approval| it.method = Method::Retrieve,
        |it: &mut Approval| it.body.0.push(0),
    ] {
        let mut changed = approval(&request);
        change(&mut changed);
        assert!(read_approval(&text(&changed)).is_err());
    }
    let deletes = approval(&Request::Delete(Show { key: KEY }));
    assert!(read_approval(&text(&deletes)).is_err());
}

/// Whoever has the session may call a key what they like: what is asked says which it is.
#[test]
fn a_label_never_stands_alone() {
    let request = Request::Retrieve(Retrieve {
        key: KEY,
        intent: Intent::Export,
        kind: KeyType::P256,
    });
    let mut approval = approval(&request);
    approval.public_key = Some(Octets(vec![4; 65]));
    let pins = pins();
    let judged = judge_approval(&approval, &request, &own(), ServerRules { pins: &pins });
    let rows = judged.unwrap().asked.rows();
    let id = format!("key {KEY}");
    assert!(rows.iter().any(|row| row.value == id), "{rows:?}");
}

#[test]
fn a_lock_is_lifted_in_words_and_now() {
    let text = |unix_s| {
        let account = keystead_channel::session::AccountName::parse("kim").unwrap();
        let server = ServerId([1; 16]);
        let text = UnlockText {
            server,
            account,
            unix_s,
        };
        text.encode()
    };
    let unlock = read_unlock(&text(1_000), 1_300).unwrap();
    let judged = judge_unlock(&unlock, &own());
    assert_eq!(
        judged.asked.line(),
        "key server work: lifting the lock of kim"
    );
    let rows = judged.asked.rows();
    let rows: Vec<(&str, &str)> = rows.iter().map(|it| (it.label, &*it.value)).collect();
    assert!(rows.contains(&("Unlock", "the account kim")), "{rows:?}");
    // Another time is another act.
    let other = read_unlock(&text(1_001), 1_300).unwrap();
    assert_ne!(judge_unlock(&other, &own()).nonce, judged.nonce);
    for (text, now_unix_s, reason) in [
        (
            text(1_000),
            1_301,
            "the text that lifts a lock is of another time than now",
        ),
        (
            text(1_000),
            699,
            "the text that lifts a lock is of another time than now",
        ),
        (
            text(1_000)[..40].to_vec(),
            1_000,
            "the text that lifts a lock is none: the message is cut off",
        ),
    ] {
        let no = read_unlock(&text, now_unix_s).unwrap_err();
        assert_eq!((no.outcome, &*no.reason), (Outcome::Refuse, reason));
    }
}
