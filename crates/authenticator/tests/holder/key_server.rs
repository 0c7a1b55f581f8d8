//! Kinds 13 to 15: what a key server wants approved, keys that approve, local copies.

use keystead_authenticator::control::{Command, Reply};
use keystead_authenticator::holder::Decide;
use keystead_authenticator::question::Answer;
use keystead_authenticator::words::Asked as Words;
use keystead_channel::session::requests::{Request, Sign, SignFields, SshSig};
use keystead_channel::session::{
    AccountName, Approval, ApprovalTag, ApproverId, KeyId, Octets, RequestId, ServerId, SessionId,
    Text, UnlockText, UserId, request_hash,
};
use keystead_core::{
    ApproveServerRequest, Decision, MakeApprovalKeyRequest, Name, OpenLocalRequest, Outcome,
    RequestBody, ResponseBody,
};

use keystead_formats::ssh::{PublicKey, signature};

use crate::world::{Asked, Workstation, World};

const SERVER: [u8; 16] = [0x51; 16];

fn text(server: [u8; 16], nonce: u8) -> Vec<u8> {
    let request = Request::Sign(Sign {
        key: KeyId([2; 16]),
        fields: SignFields::SshSig(SshSig {
            namespace: Text("git".into()),
            hash_name: Text("sha512".into()),
            hash: Octets(vec![7; 64]),
        }),
    });
    let body = request.encode(RequestId([nonce; 16]));
    let user = UserId([3; 32]);
    let method = request.method();
    let approval = Approval {
        tag: ApprovalTag,
        server: ServerId(server),
        user,
        session: SessionId([4; 16]),
        method,
        request_hash: request_hash(&user, method.number(), &body),
        body: Octets(body),
        nonce: [nonce; 16],
        expires_unix_ms: 1_700_000_060_000,
        public_key: None,
        label: None,
    };
    approval.encode()
}

fn approve(text: &[u8]) -> RequestBody {
    RequestBody::ApproveServer(ApproveServerRequest {
        text: text.to_vec(),
    })
}

fn make(server_id: [u8; 16], name: &str) -> RequestBody {
    RequestBody::MakeApprovalKey(MakeApprovalKeyRequest {
        server_id,
        server: Name::new(name).unwrap(),
    })
}

/// A workstation whose holder has made the approval key of [`SERVER`], called `work`.
fn with_key() -> (World, Workstation, [u8; 32]) {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let asked = laptop.ask(&mut world, make(SERVER, "work"));
    world.decide(Decision::Approve(()));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    let public = key_of(&laptop, &asked);
    (world, laptop, public)
}

fn key_of(laptop: &Workstation, asked: &Asked) -> [u8; 32] {
    match laptop.final_response(asked).unwrap().body {
        Some(ResponseBody::ApprovalKey(public)) => public,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_signed(laptop: &Workstation, asked: &Asked, public: &[u8; 32], text: &[u8]) {
    let Some(ResponseBody::ServerApproval(given)) = laptop.final_response(asked).unwrap().body
    else {
        panic!("no approval");
    };
    assert_eq!(given.approver, ApproverId::of(public).0);
    let signature = signature::ed25519(&given.signature);
    PublicKey::ed25519(public).verify(text, &signature).unwrap();
}

#[test]
fn a_text_is_approved_once_over_a_restart_too() {
    let (mut world, mut laptop, public) = with_key();
    let wanted = text(SERVER, 1);
    let asked = laptop.ask(&mut world, approve(&wanted));
    let Words::Server(act) = world.questions[0].asked() else {
        panic!("another question");
    };
    assert_eq!(act.server.as_str(), "work");
    // Nothing of it is granted in advance.
    assert_eq!(world.questions[0].choices.grant, None);
    world.decide(Decision::Approve(()));
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Approve));
    check_signed(&laptop, &asked, &public, &wanted);
    let entry = world.log().pop().unwrap();
    assert_eq!(
        (entry.kind.as_str(), entry.decision.as_str()),
        ("approve-server", "approve")
    );
    assert_eq!(entry.server.as_deref(), Some("work"));
    assert_eq!(entry.namespace.as_deref(), Some("git"));

    for is_restarted in [false, true] {
        if is_restarted {
            world.restart();
            laptop = laptop.connect(&mut world);
            unlock(&mut world);
        }
        let again = laptop.ask(&mut world, approve(&wanted));
        assert_eq!(
            laptop.outcomes(&mut world, &again),
            [Outcome::Refuse],
            "{is_restarted}"
        );
    }
    let other = text(SERVER, 2);
    let asked = laptop.ask(&mut world, approve(&other));
    world.decide(Decision::Approve(()));
    check_signed_after(&mut world, &mut laptop, &asked, &public, &other);
}

fn check_signed_after(
    world: &mut World,
    laptop: &mut Workstation,
    asked: &Asked,
    public: &[u8; 32],
    text: &[u8],
) {
    assert_eq!(laptop.outcome(world, asked), Some(Outcome::Approve));
    check_signed(laptop, asked, public, text);
}

fn unlock(world: &mut World) {
    world.event(keystead_authenticator::holder::Event::Command {
        caller: crate::world::CALLER,
        command: Command::Unlock,
        passphrase: Some(crate::world::passphrase()),
    });
}

/// What lifts the lock of an account at [`SERVER`], so many seconds from now.
fn lift(world: &World, server: [u8; 16], from_now_s: i64) -> Vec<u8> {
    let text = UnlockText {
        server: ServerId(server),
        account: AccountName::parse("kim").unwrap(),
        unix_s: world.now.unix_s.checked_add_signed(from_now_s).unwrap(),
    };
    text.encode()
}

#[test]
fn a_lock_is_lifted_once_by_who_approves_there() {
    let (mut world, mut laptop, public) = with_key();
    let wanted = lift(&world, SERVER, 0);
    let asked = laptop.ask(&mut world, approve(&wanted));
    assert_eq!(
        world.questions[0].asked().line(),
        "key server work: lifting the lock of kim"
    );
    assert_eq!(world.questions[0].choices.grant, None);
    world.decide(Decision::Approve(()));
    check_signed_after(&mut world, &mut laptop, &asked, &public, &wanted);
    let entry = world.log().pop().unwrap();
    assert_eq!(
        (entry.kind.as_str(), entry.decision.as_str()),
        ("approve-server", "approve")
    );
    assert_eq!(entry.user.as_deref(), Some("kim"));
    for (text, outcome) in [
        (wanted, Outcome::Refuse),
        (lift(&world, SERVER, 302), Outcome::Refuse),
        (lift(&world, SERVER, -302), Outcome::Refuse),
        (lift(&world, [0x52; 16], 0), Outcome::UnknownKey),
        (b"keystead/1 unlock".to_vec(), Outcome::Refuse),
    ] {
        let asked = laptop.ask(&mut world, approve(&text));
        assert_eq!(laptop.outcomes(&mut world, &asked), [outcome]);
        assert!(world.questions.is_empty());
    }
}

#[test]
fn two_questions_about_one_nonce_give_one_approval() {
    let (mut world, mut laptop, _) = with_key();
    let wanted = text(SERVER, 1);
    let first = laptop.ask(&mut world, approve(&wanted));
    let second = laptop.ask(&mut world, approve(&wanted));
    assert_eq!(world.questions.len(), 2);
    world.decide(Decision::Approve(()));
    world.decide(Decision::Approve(()));
    let outcomes = [&first, &second].map(|it| laptop.outcome(&mut world, it));
    assert!(outcomes.contains(&Some(Outcome::Approve)), "{outcomes:?}");
    assert!(outcomes.contains(&Some(Outcome::Refuse)), "{outcomes:?}");
}

#[test]
fn a_refusal_gives_nothing_and_a_block_covers_that_server_alone() {
    let (mut world, mut laptop, _) = with_key();
    let asked = laptop.ask(&mut world, approve(&text(SERVER, 1)));
    world.decide(Answer::Block);
    assert_eq!(laptop.outcome(&mut world, &asked), Some(Outcome::Refuse));
    assert!(laptop.final_response(&asked).unwrap().body.is_none());
    let blocked = laptop.ask(&mut world, approve(&text(SERVER, 2)));
    assert_eq!(laptop.outcomes(&mut world, &blocked), [Outcome::Refuse]);
    let other = laptop.ask(&mut world, make([0x52; 16], "home"));
    world.decide(Decision::Approve(()));
    assert_eq!(laptop.outcome(&mut world, &other), Some(Outcome::Approve));
    let asked = laptop.ask(&mut world, approve(&text([0x52; 16], 3)));
    assert_eq!(laptop.outcomes(&mut world, &asked), [Outcome::Ack]);
}

#[test]
fn what_is_no_text_or_of_another_server_asks_nobody() {
    let (mut world, mut laptop, _) = with_key();
    let whole = text(SERVER, 1);
    for (sent, expected) in [
        (whole[..whole.len() - 1].to_vec(), Outcome::Refuse),
        ([&whole[..], &[0]].concat(), Outcome::Refuse),
        (Vec::new(), Outcome::Refuse),
        (text([0x99; 16], 1), Outcome::UnknownKey),
    ] {
        let asked = laptop.ask(&mut world, approve(&sent));
        assert_eq!(laptop.outcomes(&mut world, &asked), [expected]);
    }
    assert!(world.questions.is_empty());
}

#[test]
fn a_server_has_one_key_and_its_name_stays() {
    let (mut world, mut laptop, public) = with_key();
    let again = laptop.ask(&mut world, make(SERVER, "another name"));
    let Words::MakeApproval(words) = world.questions[0].asked() else {
        panic!("another question");
    };
    assert_eq!((words.server.as_str(), words.is_known), ("work", true));
    world.decide(Decision::Approve(()));
    assert_eq!(laptop.outcome(&mut world, &again), Some(Outcome::Approve));
    assert_eq!(key_of(&laptop, &again), public);
    let other = laptop.ask(&mut world, make([0x52; 16], "work"));
    world.decide(Decision::Approve(()));
    assert_eq!(laptop.outcome(&mut world, &other), Some(Outcome::Approve));
    let names: Vec<String> = world
        .holder
        .keys()
        .approvals()
        .map(|it| it.server.to_string())
        .collect();
    assert_eq!(names, ["work", "work 2"]);
    // No workstation is told of them as keys that sign.
    assert_eq!(world.holder.keys().entries().len(), 1);
}

#[test]
fn it_stays_over_a_restart_is_sealed_and_goes_when_told() {
    let (mut world, mut laptop, public) = with_key();
    world.restart();
    laptop = laptop.connect(&mut world);
    world.command(Command::Lock);
    let locked = laptop.ask(&mut world, approve(&text(SERVER, 1)));
    assert_eq!(laptop.outcomes(&mut world, &locked), [Outcome::Busy]);
    unlock(&mut world);
    let wanted = text(SERVER, 2);
    let asked = laptop.ask(&mut world, approve(&wanted));
    world.decide(Decision::Approve(()));
    check_signed_after(&mut world, &mut laptop, &asked, &public, &wanted);
    let remove = |server: &str| Command::ApprovalRemove {
        server: server.to_owned(),
    };
    assert!(matches!(
        world.command(remove("other")),
        Some(Reply::Failed { .. })
    ));
    assert!(matches!(
        world.command(remove("work")),
        Some(Reply::Done { .. })
    ));
    let gone = laptop.ask(&mut world, approve(&text(SERVER, 3)));
    assert_eq!(laptop.outcomes(&mut world, &gone), [Outcome::UnknownKey]);
}

#[test]
fn local_copies_open_by_a_key_of_the_pairing_and_the_salt() {
    let (mut world, mut laptop) = World::paired(Decide::Ask);
    let open = |world: &mut World, laptop: &mut Workstation, salt: u8| {
        let what = Name::new("work").unwrap();
        let salt = [salt; 32];
        let asked = laptop.ask(
            world,
            RequestBody::OpenLocal(OpenLocalRequest { salt, what }),
        );
        world.decide(Decision::Approve(()));
        assert_eq!(laptop.outcome(world, &asked), Some(Outcome::Approve));
        match laptop.final_response(&asked).unwrap().body {
            Some(ResponseBody::LocalKey(key)) => *key.secret().expose(),
            other => panic!("{other:?}"),
        }
    };
    let first = open(&mut world, &mut laptop, 1);
    assert_eq!(open(&mut world, &mut laptop, 1), first);
    assert_ne!(open(&mut world, &mut laptop, 2), first);
    world.restart();
    laptop = laptop.connect(&mut world);
    unlock(&mut world);
    assert_eq!(open(&mut world, &mut laptop, 1), first);
    let mut desk = Workstation::pair(&mut world);
    assert_ne!(open(&mut world, &mut desk, 1), first);
    // It stands in no entry of the log.
    let hex: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!format!("{:?}", world.log()).contains(&hex));
}
