//! Key servers as keepers: what is asked of them, approvals on their way, sessions that are
//! lent and that end.

use keystead_agent::evidence::Seen;
use keystead_agent::key_control;
use keystead_agent::servers::{About, Came, Do, Errand, Trouble, TroubleKind};
use keystead_agent::{Action, ClientId, Event};
use keystead_channel::log::{Detail, Leaf, LogId};
use keystead_channel::session::requests::{
    Answer, Entries, Entry, KeyPurpose, KeyType, Label, Method, Receipt, Request, SignFields,
    Signed,
};
use keystead_channel::session::{
    KeyId, List, Octets, RequestId, ServerId, Status, Text, UserId, request_hash,
};
use keystead_core::{
    Name, Outcome, PairingId, RequestBody, ResponseBody, SecretBytes, ServerApproval,
};
use keystead_formats::ssh::agent::Response;
use keystead_keeper::server::ServerName;
use keystead_keeper::server::control::{Command, Reply, State};
use keystead_keeper::{self as keeper};

use crate::fixture::*;

const LOGIN: &str = "login-ed25519";
const USER: UserId = UserId([9; 32]);
const KEY: KeyId = KeyId([4; 16]);
const OTHER: ClientId = ClientId(2);

fn lab() -> ServerName {
    "lab".parse().unwrap()
}

/// A bench whose one key, the captured one, is held by a server.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.keeper.lock().unwrap().keys.clear();
    give(&mut bench, None);
    bench
}

fn command(bench: &mut Bench, client: ClientId, command: Command, behind: &[&[u8]]) -> Vec<Action> {
    let copy = |bytes: &&[u8]| SecretBytes::take(&mut bytes.to_vec());
    bench.step(Event::ServerCommand {
        client,
        command,
        behind: behind.iter().map(copy).collect(),
    })
}

/// A login elsewhere has made a session; the agent goes on with it and lists its keys.
fn give(bench: &mut Bench, master_key: Option<&[u8]>) {
    let ticket = [1; 68];
    let mut behind: Vec<&[u8]> = vec![&ticket];
    behind.extend(master_key);
    let give = Command::ServerGive {
        server: "lab".to_owned(),
        ticket_bytes: 68,
        master_key_bytes: master_key.map(<[u8]>::len),
    };
    let actions = command(bench, CLIENT, give, &behind);
    assert!(matches!(&doings(&actions)[..], [Do::Open { .. }]));
    let about = About {
        address: "https://lab.example".to_owned(),
        account: "alex".to_owned(),
        user: USER,
        server: ServerId([8; 16]),
        life_s: 43_200,
    };
    let server = lab();
    let actions = bench.step(Event::Server(Came::Opened { server, about }));
    let (errand, _) = one_ask(&actions);
    let actions = came(bench, errand, Ok(listed(vec![entry()])));
    assert!(
        matches!(&said(&actions)[..], [Reply::Done {}]),
        "{actions:?}"
    );
}

/// The captured key as the server lists it.
fn entry() -> Entry {
    let key = key_entry("main", noted("ed25519")).public_key;
    Entry {
        key: KEY,
        kind: KeyType::Ed25519,
        context: None,
        label: Label::Open(Text("main".to_owned())),
        revision: 0,
        created_unix_ms: 0,
        replaces: None,
        public_key: Some(Octets(key[key.len() - 32..].to_vec())),
        purposes: List(vec![KeyPurpose::SshLogin, KeyPurpose::SshSig]),
        policy: None,
    }
}

fn listed(entries: Vec<Entry>) -> Answer {
    let entries = List(entries);
    Answer::done(
        Entries {
            entries,
            more: false,
        }
        .encode(),
    )
}

/// The captured signature of a step, as a server gives it.
fn signed(step: &str) -> Answer {
    let Ok(Response::Signature(blob)) = Response::parse(captured(step, "<").last().unwrap()) else {
        panic!("{step} has no signature");
    };
    let signature = Octets(blob[blob.len() - 64..].to_vec());
    Answer::done(Signed { signature }.encode())
}

fn refused(status: Status, condition: Option<u32>) -> Answer {
    let detail = Detail {
        condition,
        ..Detail::NONE
    };
    let leaf = Leaf {
        log: LogId::of(&USER),
        user_seq: 3,
        before: [0; 32],
        time_unix_ms: 0,
        action: 12,
        outcome: 16,
        actor: [0; 8],
        key: KEY.0,
        request_hash: [0; 32],
        detail: detail.encode(),
    };
    Answer {
        receipt: Some(Receipt {
            index: 3,
            leaf: Octets(leaf.encode()),
            path: List(Vec::new()),
            checkpoint: Octets(Vec::new()),
        }),
        ..Answer::of(status)
    }
}

fn trouble(kind: TroubleKind) -> Trouble {
    Trouble {
        kind,
        message: "the session has ended".to_owned(),
        hint: "log in again",
    }
}

fn came(bench: &mut Bench, errand: Errand, answer: Result<Answer, Trouble>) -> Vec<Action> {
    bench.step(Event::Server(Came::Answer { errand, answer }))
}

fn doings(actions: &[Action]) -> Vec<&Do> {
    let doings = actions.iter().filter_map(|action| match action {
        Action::Server(act) => Some(act),
        _ => None,
    });
    doings.collect()
}

/// The one request that goes out.
#[track_caller]
fn one_ask(actions: &[Action]) -> (Errand, &Request) {
    let asks: Vec<_> = asks(actions);
    assert_eq!(asks.len(), 1, "{actions:?}");
    asks[0]
}

fn asks(actions: &[Action]) -> Vec<(Errand, &Request)> {
    let doings = doings(actions).into_iter();
    let asks = doings.filter_map(|act| match act {
        Do::Ask {
            errand, request, ..
        } => Some((*errand, &**request)),
        _ => None,
    });
    asks.collect()
}

fn said(actions: &[Action]) -> Vec<&Reply> {
    let replies = actions.iter().filter_map(|action| match action {
        Action::ServerReply { reply, .. } => Some(reply),
        _ => None,
    });
    replies.collect()
}

#[track_caller]
fn failed(actions: &[Action]) -> (u8, String) {
    match &said(actions)[..] {
        [Reply::Failed(failure)] => (failure.status, failure.message.clone()),
        other => panic!("{other:?}"),
    }
}

/// Goes on until the server is asked for the captured signature.
fn ask_login(bench: &mut Bench, step: &str) -> Vec<Action> {
    let messages = captured(step, ">");
    let mut actions = Vec::new();
    for message in &messages {
        actions = bench.frame(message);
    }
    // A program that was looked at a moment ago is not looked at again.
    actions.extend(bench.looked(Seen::default()));
    actions
}

fn errand_of(actions: &[Action]) -> Errand {
    one_ask(actions).0
}

fn state(bench: &mut Bench) -> State {
    let actions = command(bench, CLIENT, Command::ServerStatus {}, &[]);
    match &said(&actions)[..] {
        [Reply::Servers { servers }] => servers[0].state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn its_keys_stand_among_the_others() {
    let mut bench = bench();
    let answer = bench.ask(&keystead_formats::ssh::agent::Request::RequestIdentities);
    let Response::Identities(identities) = answer else {
        panic!("no list");
    };
    assert_eq!(identities[0].comment, b"main@lab");
    let status = keystead_agent::control::Command::Status {};
    let replies = replies(bench.command(&status));
    let keystead_agent::control::Reply::Status(status) = &replies[0] else {
        panic!("no status");
    };
    assert_eq!(status.keys[0].keeper, "lab");
    assert_eq!(status.keys[0].key_type, "ed25519");
}

#[test]
fn what_ssh_cannot_use_is_not_listed() {
    let mut bench = bench();
    let sealed = Entry {
        context: Some(keystead_channel::session::requests::Context::Stored),
        ..entry()
    };
    let message = Entry {
        purposes: List(vec![KeyPurpose::Message]),
        ..entry()
    };
    let secp256k1 = Entry {
        kind: KeyType::Secp256k1,
        ..entry()
    };
    let refresh = Command::ServerRefresh {
        server: "lab".to_owned(),
    };
    let actions = command(&mut bench, CLIENT, refresh, &[]);
    let errand = errand_of(&actions);
    came(
        &mut bench,
        errand,
        Ok(listed(vec![sealed, message, secp256k1])),
    );
    let answer = bench.ask(&keystead_formats::ssh::agent::Request::RequestIdentities);
    assert_eq!(answer, Response::Identities(Vec::new()));
}

#[test]
fn a_login_goes_as_fields_and_its_entry_has_the_servers_hash_of_the_request() {
    let mut bench = bench();
    let actions = ask_login(&mut bench, LOGIN);
    let doing = doings(&actions);
    let [
        Do::Ask {
            errand,
            request,
            id,
            server,
        },
    ] = &doing[..]
    else {
        panic!("{doing:?}");
    };
    assert_eq!(*server, lab());
    let Request::Sign(sign) = &**request else {
        panic!("no signature asked");
    };
    let SignFields::SshLogin(login) = &sign.fields else {
        panic!("no login");
    };
    assert_eq!(sign.key, KEY);
    assert_eq!(login.user.0, "root");
    assert_eq!(login.algorithm.0, "ssh-ed25519");
    let host = keystead_formats::ssh::line::KeyLine::parse(noted("host_ed25519"));
    let host = host.unwrap().key.blob().to_vec();
    assert_eq!(login.host_key, Some(Octets(host)), "hostbound");
    let hash = request_hash(&USER, 12, &request.encode(*id));
    let actions = came(&mut bench, *errand, Ok(signed(LOGIN)));
    let Response::Signature(signature) = one_answer(&actions) else {
        panic!("no signature");
    };
    let expected = Response::parse(captured(LOGIN, "<").last().unwrap()).unwrap();
    assert_eq!(Response::Signature(signature), expected);
    assert_eq!(lines(&actions), [""; 0]);
    let entry = bench.last_entry();
    let told = (entry.decision.as_str(), entry.keeper.as_deref());
    assert_eq!(told, ("approve", Some("lab")));
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(entry.request_hash, Some(digits));
    // Its proof is the server's log: this one owes no receipt for it.
    assert_eq!(entry.pairing, None);
    let report = bench.audited();
    assert_eq!((report.faults.len(), report.keepers.len()), (0, 0));
}

#[test]
fn a_login_without_bind_has_no_host_key_and_an_sshsig_its_namespace() {
    let mut bench = bench();
    let actions = ask_login(&mut bench, "login-unbound");
    let (errand, request) = one_ask(&actions);
    let Request::Sign(sign) = request else {
        panic!("no signature asked");
    };
    assert!(matches!(&sign.fields, SignFields::SshLogin(login) if login.host_key.is_none()));
    came(&mut bench, errand, Ok(signed("login-unbound")));
    let actions = ask_login(&mut bench, "sshsig-git");
    let (errand, request) = one_ask(&actions);
    let Request::Sign(sign) = request else {
        panic!("no signature asked");
    };
    let SignFields::SshSig(fields) = &sign.fields else {
        panic!("no SSHSIG");
    };
    assert_eq!(
        (fields.namespace.0.as_str(), fields.hash.0.len()),
        ("git", 64)
    );
    let actions = came(&mut bench, errand, Ok(signed("sshsig-git")));
    assert!(matches!(one_answer(&actions), Response::Signature(_)));
}

#[test]
fn a_signature_that_does_not_hold_is_not_given_out() {
    let mut bench = bench();
    let errand = errand_of(&ask_login(&mut bench, LOGIN));
    let actions = came(&mut bench, errand, Ok(signed("sshsig-git")));
    assert_eq!(one_answer(&actions), Response::Failure);
    assert_eq!(lines(&actions), ["keystead: lab: its signature is false"]);
    assert_eq!(bench.last_entry().decision, "no-answer");
}

#[test]
fn what_the_server_says_no_to_is_told_with_its_reason() {
    let check = |answer: Result<Answer, Trouble>, line: &str, decision: &str| {
        let mut bench = bench();
        let errand = errand_of(&ask_login(&mut bench, LOGIN));
        let actions = came(&mut bench, errand, answer);
        assert_eq!(one_answer(&actions), Response::Failure);
        assert_eq!(lines(&actions), [line]);
        assert_eq!(bench.last_entry().decision, decision);
    };
    check(
        Ok(refused(Status::Policy, Some(1))),
        "keystead: forbidden by the key's policy at lab (the user is not among those allowed)",
        "refuse",
    );
    check(
        Ok(Answer::of(Status::Policy)),
        "keystead: forbidden by the key's policy at lab",
        "refuse",
    );
    check(
        Ok(Answer::of(Status::NotFound)),
        "keystead: lab: the server has no such key of this account",
        "no-answer",
    );
    check(
        Err(trouble(TroubleKind::LoginRequired)),
        "keystead: the session at lab has ended; log in again: keystead server login --server lab",
        "no-answer",
    );
    check(
        Err(trouble(TroubleKind::Away)),
        "keystead: lab cannot be reached: the session has ended",
        "no-answer",
    );
}

#[test]
fn after_its_end_a_session_is_asked_nothing_and_its_keys_say_why() {
    let mut bench = bench();
    let errand = errand_of(&ask_login(&mut bench, LOGIN));
    came(&mut bench, errand, Err(trouble(TroubleKind::LoginRequired)));
    assert_eq!(state(&mut bench), State::Ended);
    let actions = ask_login(&mut bench, LOGIN);
    assert!(asks(&actions).is_empty());
    let line =
        "keystead: the session at lab has ended; log in again: keystead server login --server lab";
    assert_eq!(lines(&actions), [line]);
    // A new login, and the same key works again.
    give(&mut bench, None);
    assert_eq!(state(&mut bench), State::Open);
    errand_of(&ask_login(&mut bench, LOGIN));
}

#[test]
fn a_log_that_went_back_stops_the_server_until_it_is_accepted() {
    let mut bench = bench();
    let errand = errand_of(&ask_login(&mut bench, LOGIN));
    let stop = Trouble {
        message: "the log went back".to_owned(),
        ..trouble(TroubleKind::Stop)
    };
    let actions = came(&mut bench, errand, Err(stop));
    assert_eq!(lines(&actions), ["keystead: lab: the log went back"]);
    assert_eq!(state(&mut bench), State::Stopped);
    let actions = ask_login(&mut bench, LOGIN);
    assert!(asks(&actions).is_empty());
    let server = "lab".to_owned();
    let actions = command(&mut bench, CLIENT, Command::ServerRefresh { server }, &[]);
    let [Do::Reload(_), Do::Ask { errand, .. }] = &doings(&actions)[..] else {
        panic!("{actions:?}");
    };
    came(&mut bench, *errand, Ok(listed(vec![entry()])));
    assert_eq!(state(&mut bench), State::Open);
}

/// A login that waits for an approval at the phone.
fn waiting(bench: &mut Bench) -> Errand {
    let errand = errand_of(&ask_login(bench, LOGIN));
    let text = b"text".to_vec();
    bench.step(Event::Server(Came::Waiting { errand, text }));
    let fake = bench.keeper.lock().unwrap();
    let Some(keeper::Event::Ask { body, wait_s, .. }) = fake.told.last() else {
        panic!("nobody is asked");
    };
    assert!(matches!(body, RequestBody::ApproveServer(it) if it.text == b"text"));
    assert_eq!(*wait_s, 60);
    drop(fake);
    errand
}

fn approval() -> keeper::Progress {
    let approval = ServerApproval {
        approver: [5; 16],
        signature: [6; 64],
    };
    answer(
        Outcome::Approve,
        Some(ResponseBody::ServerApproval(approval)),
    )
}

#[test]
fn an_approval_goes_to_the_authenticator_and_back_to_the_server() {
    let mut bench = bench();
    let errand = waiting(&mut bench);
    let actions = bench.progress(asking());
    assert_eq!(
        lines(&actions),
        ["keystead: waiting for approval on test-phone (60 s)…"]
    );
    let actions = bench.progress(approval());
    let [
        Do::Approve {
            errand: of,
            approver,
            signature,
        },
    ] = &doings(&actions)[..]
    else {
        panic!("{actions:?}");
    };
    assert_eq!((*of, approver.0, *signature), (errand, [5; 16], [6; 64]));
    let noted = bench.last_entry();
    let told = (noted.kind.as_str(), noted.keeper.as_deref());
    assert_eq!(told, ("approve-server", Some(KEEPER)));
    let actions = came(&mut bench, errand, Ok(signed(LOGIN)));
    assert!(matches!(one_answer(&actions), Response::Signature(_)));
    assert_eq!(lines(&actions), ["keystead: approved on test-phone"]);
}

#[test]
fn a_no_at_the_authenticator_ends_the_request_at_once() {
    let mut bench = bench();
    let errand = waiting(&mut bench);
    bench.progress(asking());
    let actions = bench.progress(answer(Outcome::Refuse, None));
    assert!(matches!(&doings(&actions)[..], [Do::Forget(of)] if *of == errand));
    assert_eq!(one_answer(&actions), Response::Failure);
    assert_eq!(lines(&actions), ["keystead: refused by test-phone"]);
    assert_eq!(bench.last_entry().decision, "refuse");
}

#[test]
fn without_an_approver_or_an_answer_it_is_said_what_lacks() {
    let check = |progress: keeper::Progress, line: &str| {
        let mut bench = bench();
        waiting(&mut bench);
        let actions = bench.progress(progress);
        assert_eq!(one_answer(&actions), Response::Failure);
        assert_eq!(lines(&actions), [line]);
    };
    check(
        answer(Outcome::UnknownKey, None),
        "keystead: lab: test-phone has no key that approves for this server",
    );
    check(
        answer(Outcome::Expire, None),
        "keystead: lab: no answer from test-phone in time",
    );
    let mut bench = bench();
    bench.keeper.lock().unwrap().views.clear();
    let errand = errand_of(&ask_login(&mut bench, LOGIN));
    let text = b"text".to_vec();
    let actions = bench.step(Event::Server(Came::Waiting { errand, text }));
    let line = "keystead: lab: no authenticator is paired that could approve it";
    assert_eq!(lines(&actions), [line]);
}

#[test]
fn who_hangs_up_takes_request_and_approval_back() {
    let mut bench = bench();
    let errand = waiting(&mut bench);
    let connection = PROGRAM;
    let actions = bench.step(Event::HangUp { connection });
    assert!(matches!(&doings(&actions)[..], [Do::Forget(of)] if *of == errand));
    let fake = bench.keeper.lock().unwrap();
    let withdrawn = fake.told.iter().rev().take(2);
    let mut withdrawn = withdrawn.filter(|it| matches!(it, keeper::Event::Withdraw { .. }));
    assert!(withdrawn.next().is_some());
    drop(fake);
    assert_eq!(bench.last_entry().decision, "withdrawn");
    // What comes too late reaches nobody.
    assert!(came(&mut bench, errand, Ok(signed(LOGIN))).is_empty());
}

#[test]
fn nobody_waits_longer_than_was_set() {
    let mut bench = bench();
    let errand = errand_of(&ask_login(&mut bench, LOGIN));
    assert!(answers(&bench.wait(59_000)).is_empty());
    let actions = bench.wait(1_000);
    assert_eq!(one_answer(&actions), Response::Failure);
    assert_eq!(
        lines(&actions),
        ["keystead: no answer from lab within 60 s"]
    );
    assert!(matches!(&doings(&actions)[..], [Do::Forget(of)] if *of == errand));
}

#[test]
fn who_did_not_approve_in_time_is_not_the_server() {
    let mut bench = bench();
    let errand = waiting(&mut bench);
    assert!(answers(&bench.wait(59_000)).is_empty());
    let actions = bench.wait(1_000);
    assert_eq!(one_answer(&actions), Response::Failure);
    assert_eq!(
        lines(&actions),
        ["keystead: lab: no paired authenticator approved it in time"]
    );
    assert!(matches!(&doings(&actions)[..], [Do::Forget(of)] if *of == errand));
    let fake = bench.keeper.lock().unwrap();
    let is_withdrawn = |it: &keeper::Event| matches!(it, keeper::Event::Withdraw { .. });
    assert!(fake.told.iter().any(is_withdrawn));
}

fn lend(bench: &mut Bench, client: ClientId) -> Vec<Action> {
    let server = "lab".to_owned();
    command(bench, client, Command::ServerLend { server }, &[])
}

fn lent(bench: &mut Bench) -> Vec<Action> {
    let ticket = Ok(SecretBytes::take(&mut [1; 68]));
    let server = lab();
    bench.step(Event::Server(Came::Lent { server, ticket }))
}

fn give_back(bench: &mut Bench, client: ClientId) -> Vec<Action> {
    let back = Command::ServerGiveBack {
        server: "lab".to_owned(),
        ticket_bytes: 68,
    };
    command(bench, client, back, &[&[2; 68]])
}

#[test]
fn a_session_is_lent_when_nothing_is_on_its_way_and_asked_nothing_meanwhile() {
    let mut bench = bench();
    let errand = errand_of(&ask_login(&mut bench, LOGIN));
    assert!(lend(&mut bench, CLIENT).is_empty());
    let actions = came(&mut bench, errand, Ok(signed(LOGIN)));
    assert!(matches!(&doings(&actions)[..], [Do::Lend { .. }]));
    let actions = lent(&mut bench);
    let Action::ServerReply {
        client,
        reply,
        behind,
    } = &actions[0]
    else {
        panic!("{actions:?}");
    };
    assert_eq!(
        (*client, reply),
        (CLIENT, &Reply::Ticket { ticket_bytes: 68 })
    );
    assert_eq!(behind.as_ref().unwrap().0.len(), 68);
    assert_eq!(state(&mut bench), State::Lent);
    assert!(asks(&ask_login(&mut bench, LOGIN)).is_empty());
    // It comes back from who has it, and then what waited is asked.
    let (status, _) = failed(&give_back(&mut bench, OTHER));
    assert_eq!(status, 2);
    let actions = give_back(&mut bench, CLIENT);
    assert!(matches!(
        &doings(&actions)[..],
        [Do::GiveBack { .. }, Do::Ask { .. }]
    ));
}

#[test]
fn two_borrowers_follow_each_other() {
    let mut bench = bench();
    assert_eq!(doings(&lend(&mut bench, CLIENT)).len(), 1);
    assert!(lend(&mut bench, OTHER).is_empty());
    lent(&mut bench);
    let actions = give_back(&mut bench, CLIENT);
    assert!(matches!(
        &doings(&actions)[..],
        [Do::GiveBack { .. }, Do::Lend { .. }]
    ));
}

#[test]
fn a_borrower_that_ends_has_it_for_good() {
    let mut bench = bench();
    lend(&mut bench, CLIENT);
    lent(&mut bench);
    ask_login(&mut bench, LOGIN);
    let actions = bench.step(Event::Leave { client: CLIENT });
    assert!(matches!(&doings(&actions)[..], [Do::Close(_)]));
    let line =
        "keystead: the session at lab has ended; log in again: keystead server login --server lab";
    assert_eq!(lines(&actions), [line]);
    assert_eq!(state(&mut bench), State::Ended);
    // One that left before it had the session leaves it here.
    give(&mut bench, None);
    lend(&mut bench, OTHER);
    bench.step(Event::Leave { client: OTHER });
    assert_eq!(state(&mut bench), State::Ended, "it was on its way already");
    // What comes of that is not taken for a session, nor for the next one.
    assert!(lent(&mut bench).is_empty());
    assert_eq!(state(&mut bench), State::Ended);
    give(&mut bench, None);
    assert!(lent(&mut bench).is_empty());
}

#[test]
fn thirty_one_requests_are_on_their_way_and_the_others_wait() {
    let mut bench = bench();
    let ask = || Command::ServerAsk {
        server: "lab".to_owned(),
        method: Method::Ping.number(),
        body_bytes: 0,
    };
    let body = Request::Ping.encode(RequestId([1; 16]));
    let mut sent = Vec::new();
    for _ in 0..40 {
        let actions = command(&mut bench, CLIENT, ask(), &[&body]);
        sent.extend(asks(&actions).iter().map(|(errand, _)| *errand));
    }
    assert_eq!(sent.len(), 31);
    let actions = came(&mut bench, sent[0], Ok(Answer::of(Status::Done)));
    assert!(matches!(&said(&actions)[..], [Reply::Answer { .. }]));
    assert_eq!(asks(&actions).len(), 1);
}

#[test]
fn what_brings_or_fetches_a_secret_does_not_go_through_the_agent() {
    let mut bench = bench();
    for method in [0_u16, 2, 3, 4, 6, 7, 13, 19, 20, 21, 23, 99] {
        let ask = Command::ServerAsk {
            server: "lab".to_owned(),
            method,
            body_bytes: 0,
        };
        let actions = command(&mut bench, CLIENT, ask, &[&[]]);
        let (status, message) = failed(&actions);
        assert_eq!(status, 2, "{method}");
        assert_eq!(message, "this request does not go through the agent");
        assert!(doings(&actions).is_empty());
    }
}

#[test]
fn a_master_key_is_kept_by_choice_and_no_longer_than_the_session() {
    let mut bench = bench();
    let wanted = || Command::ServerMasterKey {
        server: "lab".to_owned(),
    };
    let (_, message) = failed(&command(&mut bench, CLIENT, wanted(), &[]));
    assert_eq!(message, "the agent keeps no master key of lab");
    give(&mut bench, Some(&[7; 32]));
    let actions = command(&mut bench, CLIENT, wanted(), &[]);
    let [Action::ServerReply { behind, .. }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(behind.as_ref().unwrap().0.expose(), [7; 32]);
    let errand = errand_of(&ask_login(&mut bench, LOGIN));
    came(&mut bench, errand, Err(trouble(TroubleKind::LoginRequired)));
    failed(&command(&mut bench, CLIENT, wanted(), &[]));
}

#[test]
fn a_log_out_forgets_session_and_keys_whatever_the_server_says() {
    let check = |answer: Result<Answer, Trouble>, is_told: bool| {
        let mut bench = bench();
        let log_out = Command::ServerLogout {
            server: "lab".to_owned(),
            everywhere: false,
        };
        let errand = errand_of(&command(&mut bench, CLIENT, log_out, &[]));
        let actions = came(&mut bench, errand, answer);
        assert!(matches!(&doings(&actions)[..], [Do::Close(_)]));
        let is_done = matches!(&said(&actions)[..], [Reply::Done {}]);
        assert_eq!(is_done, is_told, "{actions:?}");
        let answer = bench.ask(&keystead_formats::ssh::agent::Request::RequestIdentities);
        assert_eq!(answer, Response::Identities(Vec::new()));
    };
    check(Ok(Answer::of(Status::Done)), true);
    check(Err(trouble(TroubleKind::LoginRequired)), true);
    check(Err(trouble(TroubleKind::Away)), false);
}

#[test]
fn a_command_with_a_session_of_its_own_gets_its_approval_too() {
    let mut bench = bench();
    let approve = Command::ServerApprove {
        server: "lab".to_owned(),
        keeper: None,
        text_bytes: 4,
    };
    command(&mut bench, CLIENT, approve, &[b"text"]);
    let actions = bench.progress(asking());
    assert!(matches!(&said(&actions)[..], [Reply::Waiting { .. }]));
    let actions = bench.progress(approval());
    let [Reply::Approval { approver, .. }] = &said(&actions)[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(*approver, "05".repeat(16));
}

#[test]
fn a_command_that_was_answered_asks_no_other_authenticator_any_more() {
    let mut bench = bench();
    {
        let mut fake = bench.keeper.lock().unwrap();
        let mut other = fake.views[0].clone();
        other.pairing = PairingId([8; 8]);
        other.name = Name::new("other-phone").unwrap();
        fake.views.push(other);
    }
    let approve = Command::ServerApprove {
        server: "lab".to_owned(),
        keeper: None,
        text_bytes: 4,
    };
    command(&mut bench, CLIENT, approve, &[b"text"]);
    let actions = bench.progress(approval());
    assert!(matches!(&said(&actions)[..], [Reply::Approval { .. }]));
    let fake = bench.keeper.lock().unwrap();
    let withdrawn = |it: &&keeper::Event| matches!(it, keeper::Event::Withdraw { .. });
    assert_eq!(fake.told.iter().filter(withdrawn).count(), 1);
}

#[test]
fn what_an_earlier_session_says_is_nothing_of_this_one() {
    let mut bench = bench();
    let errand = errand_of(&ask_login(&mut bench, LOGIN));
    give(&mut bench, None);
    came(&mut bench, errand, Err(trouble(TroubleKind::LoginRequired)));
    assert_eq!(state(&mut bench), State::Open);
    // Nor is it waited for: nothing of this one is on its way.
    let mut bench = self::bench();
    ask_login(&mut bench, LOGIN);
    give(&mut bench, None);
    let actions = lend(&mut bench, CLIENT);
    assert!(matches!(&doings(&actions)[..], [Do::Lend { .. }]));
}

#[test]
fn an_authenticator_that_is_named_is_asked_alone() {
    let mut bench = bench();
    let mut approve = |by: &str| {
        let approve = Command::ServerApprove {
            server: "lab".to_owned(),
            keeper: Some(by.to_owned()),
            text_bytes: 4,
        };
        command(&mut bench, CLIENT, approve, &[b"text"])
    };
    let actions = approve("other-phone");
    let (status, message) = failed(&actions);
    assert_eq!(
        (status, message.as_str()),
        (4, "no paired authenticator is called other-phone")
    );
    assert!(said(&approve("test-phone")).is_empty(), "it is asked");
}

/// `gpg://satoshi@bitcoin.org` on Ed25519 and its signature over a digest, of trezor-firmware's
/// `test_msg_signidentity.py`.
const GPG_KEY: &str = "d18cdf4dbdbb50ef1fdba1ae0539451f3354a366d6a35313712ab82f16d4cd9e";
const GPG_DIGEST: &str = "cd8552569d6e4509266ef137584d1e62c7579b5b8ed69bbafa4b864c6521e7c2";
const GPG_SIGNATURE: &str = "f47f1a09a2875b971811ebbece19c3004c3ecbe84e65666dc8c36cc2fc002544\
    af8a3f545375ebe53d73b41c700df2f9020256c31bb774a7eb03ed9819226407";

/// A front end for gpg wants a signature of the server's key.
fn ask_openpgp(bench: &mut Bench) -> (Errand, SignFields) {
    let key = keystead_formats::ssh::PublicKey::ed25519(&unhex(GPG_KEY).try_into().unwrap());
    let content = [vec![8], unhex(GPG_DIGEST)].concat();
    let actions = bench.step(Event::KeyCommand {
        client: CLIENT,
        command: key_control::Command::KeySign {
            key: key_control::KeyChoice::of_id(keystead_core::KeyId(*key.id().as_bytes())),
            form: 2,
            content_bytes: content.len(),
            flags: 0,
            shown: key_control::Shown::default(),
        },
        behind: vec![SecretBytes::take(&mut content.clone())],
    });
    let (errand, request) = one_ask(&actions);
    let Request::Sign(sign) = request else {
        panic!("no signature asked");
    };
    (errand, sign.fields.clone())
}

fn unhex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    let digits = pairs.map(|it| u8::from_str_radix(std::str::from_utf8(it).unwrap(), 16));
    digits.map(Result::unwrap).collect()
}

#[test]
fn a_digest_of_openpgp_goes_by_purpose_3_and_its_signature_comes_back_as_it_is() {
    let mut bench = bench();
    let refresh = Command::ServerRefresh {
        server: "lab".to_owned(),
    };
    let listing = errand_of(&command(&mut bench, CLIENT, refresh, &[]));
    let key = Entry {
        public_key: Some(Octets(unhex(GPG_KEY))),
        purposes: List(vec![KeyPurpose::OpenPgp]),
        ..entry()
    };
    came(&mut bench, listing, Ok(listed(vec![key])));
    // It is no key of SSH's.
    let answer = bench.ask(&keystead_formats::ssh::agent::Request::RequestIdentities);
    assert_eq!(answer, Response::Identities(Vec::new()));
    let answer = |signature: Vec<u8>| {
        let signature = Octets(signature);
        Answer::done(Signed { signature }.encode())
    };
    let last = |actions: Vec<Action>| {
        let mut replies = actions.into_iter().filter_map(|action| match action {
            Action::KeyReply { reply, behind, .. } => Some((reply, behind)),
            _ => None,
        });
        replies.next_back().unwrap()
    };
    let (errand, fields) = ask_openpgp(&mut bench);
    let SignFields::OpenPgp(fields) = fields else {
        panic!("{fields:?}");
    };
    assert_eq!((fields.hash, fields.digest.0), (8, unhex(GPG_DIGEST)));
    let told = last(came(&mut bench, errand, Ok(answer(unhex(GPG_SIGNATURE)))));
    let signature = told.1.unwrap();
    assert_eq!(signature.0.expose(), unhex(GPG_SIGNATURE));
    // One that does not hold, and one of another length, go to nobody.
    for wrong in [vec![7; 64], vec![7; 63]] {
        let (errand, _) = ask_openpgp(&mut bench);
        let told = last(came(&mut bench, errand, Ok(answer(wrong))));
        let key_control::Reply::Failed(failure) = told.0 else {
            panic!("{:?}", told.0);
        };
        assert!(failure.message.starts_with("lab: ") || failure.message.contains("signature"));
        assert!(told.1.is_none());
    }
}
