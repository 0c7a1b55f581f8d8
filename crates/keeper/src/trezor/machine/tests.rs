mod chance;

use super::*;
use crate::trezor::event::{Answer as Typed, SecretReport};
use crate::trezor::messages::Said;
use crate::trezor::proof::PublicHalf;
use crate::trezor::protobuf::Writer;
use keystead_core::{Curve, Derivation, Evidence, Identity, SignForm, SignRequest, hex};

/// trezor-firmware, `tests/device_tests/misc/test_msg_signidentity.py`: the key of
/// ssh://satoshi@bitcoin.org, index 47, and its signature over [`CHALLENGE`].
const NODE: &str = "0373f21a3da3d0e96fc2189f81dd826658c3d76b2d55bd1da349bc6c3573b13ae4";
const CHALLENGE: &str = "cd8552569d6e4509266ef137584d1e62c7579b5b8ed69bbafa4b864c6521e7c2";
const SIGNATURE: &str = "005122cebabb852cdd32103b602662afa88e54c0c0c1b38d7099c64dcd49efe908288114e66ed2d8c82f23a7\
                         0b769a4db723173ec53840c08aafb840d3f09a18d3";
/// Another key of the curve: SEC 2's generator.
const OTHER_NODE: &str = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
const SESSION: [u8; 32] = [7; 32];

/// How far a conversation is as the next message comes.
#[derive(Clone, Copy, Debug)]
enum At {
    /// The cable opens.
    Opening,
    /// `Initialize` is out.
    Features,
    /// The wallet's key is asked for.
    Wallet,
    /// The person is asked for the PIN.
    Pin,
    /// The person is asked for the passphrase.
    Passphrase,
    /// The request's key is asked for.
    Key,
    /// The signature is asked for.
    Signature,
    /// The session is ended, to lock it.
    Ending,
    /// It is locked.
    Locking,
    /// The request was taken back, and `Cancel` is out.
    TakenBack,
    /// Nothing is asked, and the cable is closed.
    Idle,
}

/// What a device says, by its message or in the place of one.
#[derive(Clone, Copy, Debug)]
enum Says {
    Features,
    Key,
    OtherKey,
    NoKey,
    Signature,
    FalseSignature,
    Point,
    Button,
    Pin,
    NewPin,
    Passphrase,
    State,
    Cancelled,
    WrongPin,
    Busy,
    /// `Failure_InProgress`, of a device that is shown its backup.
    InProgress,
    /// The bytes of a device that speaks the newer protocol alone.
    NewProtocol,
    Success,
    Unknown,
    /// A message that is none.
    Garbled,
    /// A report that is none.
    NoReport,
}

struct Bed(Machine);

impl Bed {
    fn at(at: At) -> Self {
        let mut bed = Self(Machine::new(Setup {
            name: Name::new("trezor").unwrap(),
            wallet: None,
            is_passphrase_on_device: false,
        }));
        let ask = if matches!(at, At::Ending | At::Locking) {
            Event::Lock { ask: AskId(1) }
        } else {
            Event::Ask {
                ask: AskId(1),
                body: wanted(),
                wait_s: 60,
            }
        };
        if matches!(at, At::Idle) {
            return bed;
        }
        bed.step(ask);
        if matches!(at, At::Opening) {
            return bed;
        }
        bed.step(Event::Link(LinkEvent::Up));
        let said: &[Says] = match at {
            At::Opening | At::Idle | At::Features | At::TakenBack => &[],
            At::Wallet | At::Ending => &[Says::Features],
            At::Pin => &[Says::Features, Says::Pin],
            At::Passphrase => &[Says::Features, Says::Passphrase],
            At::Key => &[Says::Features, Says::Key],
            At::Locking => &[Says::Features, Says::Success],
            At::Signature => &[Says::Features, Says::Key, Says::Key],
        };
        for says in said {
            bed.says(*says);
        }
        if matches!(at, At::TakenBack) {
            bed.says(Says::Features);
            bed.step(Event::Withdraw { ask: AskId(1) });
        }
        bed
    }

    fn step(&mut self, event: Event) -> Vec<String> {
        self.step_at(1_000, event)
    }

    fn step_at(&mut self, mono_ms: u64, event: Event) -> Vec<String> {
        let now = Now {
            unix_s: 1_700_000_000,
            mono_ms,
        };
        let actions = self.0.step(now, event);
        actions.into_iter().map(shown).collect()
    }

    fn says(&mut self, says: Says) -> String {
        let reports: Vec<Vec<u8>> = match message(says) {
            Some(message) => message.reports().iter().map(<[u8]>::to_vec).collect(),
            None => vec![vec![b'!'; 64]],
        };
        let told = reports.into_iter().map(|it| self.report(it));
        let told: Vec<String> = told.filter(|it| !it.is_empty()).collect();
        told.join(", ")
    }

    fn report(&mut self, mut report: Vec<u8>) -> String {
        let report = SecretReport(SecretBytes::take(&mut report));
        self.step(Event::Link(LinkEvent::Report(report))).join(", ")
    }
}

fn identity() -> Identity {
    let uri = "ssh://satoshi@bitcoin.org";
    Identity::new(uri, Curve::Nist256p1, 47, Derivation::Sign).unwrap()
}

fn wanted() -> RequestBody {
    let half = PublicHalf::of(&identity(), &hex::decode(NODE).unwrap()).unwrap();
    RequestBody::Sign(SignRequest {
        key: half.id(),
        form: SignForm::Ssh,
        content: hex::decode(CHALLENGE).unwrap(),
        flags: 0,
        evidence: Evidence::default(),
        identity: Some(identity()),
    })
}

/// None of what is no report at all.
fn message(says: Says) -> Option<Message> {
    let node = hex::decode(NODE).unwrap();
    let key = |node: &[u8]| Writer::new().message(1, &Writer::new().bytes(6, node));
    let signed = |signature: &[u8]| Writer::new().bytes(2, &node).bytes(3, signature);
    let failure = |code| Writer::new().number(1, code).text(2, "Text");
    let (number, body) = match says {
        Says::Features => {
            let version = Writer::new().number(2, 2).number(3, 6).number(4, 0);
            (17, version.number(12, 1).bytes(35, &SESSION))
        }
        Says::Key => (12, key(&node)),
        Says::OtherKey => (12, key(&hex::decode(OTHER_NODE).unwrap())),
        Says::NoKey => (12, key(&[5; 33])),
        Says::Signature => (54, signed(&hex::decode(SIGNATURE).unwrap())),
        Says::FalseSignature => (54, signed(&[1; 65])),
        Says::Point => (62, Writer::new().bytes(1, &[4; 65])),
        Says::Button => (26, Writer::new().number(1, 8)),
        Says::Pin => (18, Writer::new().number(1, 1)),
        Says::NewPin => (18, Writer::new().number(1, 2)),
        Says::Passphrase => (41, Writer::new()),
        Says::State => (77, Writer::new()),
        Says::Cancelled => (3, failure(4)),
        Says::WrongPin => (3, failure(7)),
        Says::Busy => (3, failure(15)),
        Says::InProgress => (3, failure(19)),
        Says::NewProtocol => {
            let mut body = [[8, 17].as_slice(), &[0; 18]].concat();
            let body = SecretBytes::take(&mut body);
            return Some(Message { number: 3, body });
        }
        Says::Success => (2, Writer::new()),
        Says::Unknown => (999, Writer::new()),
        Says::Garbled => (12, Writer::new().number(1, 1)),
        Says::NoReport => return None,
    };
    Some(Message {
        number,
        body: body.finish(),
    })
}

fn shown(action: Action) -> String {
    match action {
        Action::OpenLink => "open".to_owned(),
        Action::CloseLink => "close".to_owned(),
        Action::Send(reports) => {
            let first = reports.iter().next().unwrap();
            format!("send {}", u16::from_be_bytes([first[3], first[4]]))
        }
        Action::Progress {
            progress: Progress::Done(Ok(answer)),
            ..
        } => format!("{:?}", answer.outcome),
        Action::Progress {
            progress: Progress::Done(Err(error)),
            ..
        }
        | Action::Finished {
            end: Err(error), ..
        } => format!("error: {error}"),
        Action::Progress { .. } => "asking".to_owned(),
        Action::Finished { end: Ok(_), .. } => "finished".to_owned(),
        Action::Say { .. } => "say".to_owned(),
        Action::Ask { what, .. } => match what {
            Question::Pin { is_again: false } => "ask PIN".to_owned(),
            Question::Pin { is_again: true } => "ask PIN again".to_owned(),
            Question::Passphrase { .. } => "ask passphrase".to_owned(),
        },
        Action::QuestionOver(_) => "question over".to_owned(),
    }
}

const ALL_AT: [At; 11] = [
    At::Opening,
    At::Features,
    At::Wallet,
    At::Pin,
    At::Passphrase,
    At::Key,
    At::Signature,
    At::Ending,
    At::Locking,
    At::TakenBack,
    At::Idle,
];

const ALL_SAYS: [Says; 21] = [
    Says::Features,
    Says::Key,
    Says::OtherKey,
    Says::NoKey,
    Says::Signature,
    Says::FalseSignature,
    Says::Point,
    Says::Button,
    Says::Pin,
    Says::NewPin,
    Says::Passphrase,
    Says::State,
    Says::Cancelled,
    Says::WrongPin,
    Says::Busy,
    Says::InProgress,
    Says::NewProtocol,
    Says::Success,
    Says::Unknown,
    Says::Garbled,
    Says::NoReport,
];

/// What each message does in each state: a line each in `tests.table`.
#[test]
fn every_message_in_every_state() {
    let mut table = String::new();
    for at in ALL_AT {
        table += &format!("{at:?}\n");
        for says in ALL_SAYS {
            let told = Bed::at(at).says(says);
            table += &format!("  {says:?}: {told}\n");
        }
    }
    assert_eq!(table, include_str!("tests.table"), "{table}");
}

/// Whatever came, the request ends: by an answer, or by its time.
#[test]
fn every_request_ends() {
    for at in ALL_AT {
        for first in ALL_SAYS {
            for second in ALL_SAYS {
                let mut bed = Bed::at(at);
                bed.says(first);
                bed.says(second);
                while let Some(wake_ms) = bed.0.next_wake_ms() {
                    assert!(wake_ms <= 1_000 + PASSPHRASE_LIFE_MS + 60_000, "{at:?}");
                    bed.step_at(wake_ms, Event::Tick);
                }
                assert!(bed.0.running.is_none(), "{at:?} {first:?} {second:?}");
                assert!(bed.0.queue.is_empty());
                assert!(matches!(bed.0.link, Link::Closed));
            }
        }
    }
}

#[test]
fn what_a_person_answers() {
    #[track_caller]
    fn check(at: At, answer: Typed, expected: &[&str]) {
        let mut bed = Bed::at(at);
        let question = QuestionId(1);
        assert_eq!(bed.step(Event::Answer { question, answer }), expected);
    }
    let text = |text: &str| Typed::Text(SecretBytes::take(&mut text.as_bytes().to_vec()));
    check(At::Pin, text("1357"), &["send 19"]);
    check(At::Pin, text("0"), &["say", "ask PIN"]);
    check(At::Pin, text(""), &["say", "ask PIN"]);
    check(
        At::Pin,
        Typed::Cancel,
        &["send 20", "error: trezor: no PIN was given"],
    );
    check(
        At::Pin,
        Typed::OnDevice,
        &["send 20", "error: trezor: no PIN was given"],
    );
    check(At::Passphrase, text(""), &["send 42"]);
    check(At::Passphrase, text(&"a".repeat(128)), &["send 42"]);
    check(
        At::Passphrase,
        text(&"a".repeat(129)),
        &["say", "ask passphrase"],
    );
    let none = ["send 20", "error: trezor: no passphrase was given"];
    check(At::Passphrase, Typed::Cancel, &none);
    // These features say nothing of typing it there.
    check(At::Passphrase, Typed::OnDevice, &none);
    for at in [
        At::Opening,
        At::Features,
        At::Wallet,
        At::Key,
        At::TakenBack,
        At::Idle,
    ] {
        check(at, text("1"), &[]);
    }
}

/// The first model waits for ever for what its field cannot hold.
#[test]
fn the_first_model_takes_50_bytes_of_a_passphrase() {
    let first = |bytes: usize| {
        let mut bed = Bed::at(At::Features);
        let body = Writer::new().number(2, 1).number(3, 12).number(12, 1);
        let body = body.bytes(35, &SESSION).finish();
        for report in (Message { number: 17, body }).reports().iter() {
            bed.report(report.to_vec());
        }
        bed.says(Says::Passphrase);
        let answer = Typed::Text(SecretBytes::take(&mut vec![b'a'; bytes]));
        let question = QuestionId(1);
        bed.step(Event::Answer { question, answer })
    };
    assert_eq!(first(50), ["send 42"]);
    assert_eq!(first(51), ["say", "ask passphrase"]);
}

/// A passphrase that the device refuses is not said to it again unasked.
#[test]
fn a_refused_passphrase_is_asked_for_again() {
    let mut bed = Bed::at(At::Passphrase);
    let answer = Typed::Text(SecretBytes::take(&mut [b'a'; 60]));
    let question = QuestionId(1);
    bed.step(Event::Answer { question, answer });
    assert!(bed.says(Says::Busy).starts_with("error: "));
    let (ask, body, wait_s) = (AskId(2), wanted(), 60);
    bed.step(Event::Ask { ask, body, wait_s });
    bed.step(Event::Link(LinkEvent::Up));
    bed.says(Says::Features);
    assert_eq!(bed.says(Says::Passphrase), "ask passphrase");
}

/// A device that is slow, or ends by the first what another program left behind, is asked who it
/// is a second time, and both answers are good.
#[test]
fn a_silent_device_is_asked_twice() {
    let mut bed = Bed::at(At::Features);
    assert_eq!(bed.step_at(1_000 + BEGIN_WAIT_MS, Event::Tick), ["send 0"]);
    let mut silent = Bed::at(At::Features);
    silent.step_at(1_000 + BEGIN_WAIT_MS, Event::Tick);
    assert_eq!(
        silent.step_at(1_000 + OPEN_WAIT_MS, Event::Tick),
        ["close", "error: trezor: the Trezor does not answer"]
    );
    assert_eq!(bed.says(Says::Features), "send 11");
    assert_eq!(bed.says(Says::Features), "");
    assert_eq!(bed.says(Says::Key), "send 11");
    // A third one is none of its.
    let told = bed.says(Says::Features);
    assert!(told.contains("that was not asked"), "{told}");
}

#[test]
fn a_text_of_several_pages_is_told_once() {
    let mut bed = Bed::at(At::Signature);
    assert_eq!(bed.says(Says::Button), "asking, say, send 27");
    assert_eq!(bed.says(Says::Button), "send 27");
    assert_eq!(bed.says(Says::Signature), "Approve, close");
}

#[test]
fn messages_without_end_are_an_end() {
    for says in [Says::Button, Says::Passphrase, Says::State] {
        let mut bed = Bed::at(At::Passphrase);
        let answer = Typed::Text(SecretBytes::take(&mut b"x".to_vec()));
        let question = QuestionId(1);
        bed.step(Event::Answer { question, answer });
        let told: Vec<String> = (0..300).map(|_| bed.says(says)).collect();
        let ended = told.iter().position(|it| it.starts_with("close"));
        let ended = ended.unwrap_or_else(|| panic!("{says:?} goes on"));
        assert!(told[ended].contains("misbehaved"), "{}", told[ended]);
        assert!(told[ended + 1..].iter().all(String::is_empty), "{says:?}");
    }
}

/// The cable is pulled, and nobody plugs it in again: the time counts all the same.
#[test]
fn a_passphrase_is_forgotten_where_the_session_is_lost() {
    let fault = |bed: &mut Bed| {
        let fault = LinkFault::Away("why".to_owned());
        bed.step(Event::Link(LinkEvent::Down(fault)));
    };
    let garbled = |bed: &mut Bed| drop(bed.says(Says::Garbled));
    let ends: [&dyn Fn(&mut Bed); 2] = [&fault, &garbled];
    for end in ends {
        let mut bed = Bed::at(At::Passphrase);
        let answer = Typed::Text(SecretBytes::take(&mut b"x".to_vec()));
        let question = QuestionId(1);
        bed.step(Event::Answer { question, answer });
        end(&mut bed);
        assert!(bed.0.passphrase.is_some());
        let wake_ms = bed.0.next_wake_ms();
        assert_eq!(wake_ms, Some(1_000 + PASSPHRASE_LIFE_MS));
        bed.step_at(1_000 + PASSPHRASE_LIFE_MS, Event::Tick);
        assert!(bed.0.passphrase.is_none());
        assert_eq!(bed.0.next_wake_ms(), None);
    }
}

/// A locked device's features name no passphrase: that it was asked for counts.
#[test]
fn a_wallet_behind_a_passphrase_is_known_by_the_question() {
    let open = |asked: &[Says]| {
        let mut bed = Bed::at(At::Idle);
        let (ask, wait_s) = (AskId(1), 60);
        bed.step(Event::Open { ask, wait_s });
        bed.step(Event::Link(LinkEvent::Up));
        bed.says(Says::Features);
        for says in asked {
            bed.says(*says);
        }
        if !asked.is_empty() {
            let answer = Typed::Text(SecretBytes::take(&mut b"x".to_vec()));
            let question = QuestionId(1);
            bed.step(Event::Answer { question, answer });
        }
        bed.says(Says::Key);
        bed.0.session.map(|it| it.has_passphrase)
    };
    assert_eq!(open(&[]), Some(false));
    assert_eq!(open(&[Says::Passphrase]), Some(true));
}

#[test]
fn reports_that_are_cut_repeated_or_lie() {
    let whole = message(Says::Key).unwrap().reports();
    let whole: Vec<Vec<u8>> = whole.iter().map(<[u8]>::to_vec).collect();
    assert_eq!(whole.len(), 1);
    let long = Writer::new()
        .bytes(2, &[7; 80])
        .message(1, &Writer::new().bytes(6, &hex::decode(NODE).unwrap()));
    let long = Message {
        number: 12,
        body: long.finish(),
    };
    let long: Vec<Vec<u8>> = long.reports().iter().map(<[u8]>::to_vec).collect();
    assert_eq!(long.len(), 3);
    let changed = |report: &[u8], at: usize, to: u8| {
        let mut report = report.to_vec();
        report[at] = to;
        report
    };
    #[track_caller]
    fn check(reports: &[&[u8]], expected: &str) {
        let mut bed = Bed::at(At::Wallet);
        let told = reports.iter().map(|it| bed.report(it.to_vec()));
        let told: Vec<String> = told.filter(|it| !it.is_empty()).collect();
        assert_eq!(told.join(", "), expected);
    }
    let all: Vec<&[u8]> = long.iter().map(Vec::as_slice).collect();
    check(&all, "send 11");
    let misbehaved = |what: &str| format!("close, error: trezor misbehaved: it sends {what}");
    // Cut: what stands behind is a part of it. Then it is no message.
    check(
        &[all[0], all[2], &whole[0]],
        &misbehaved("message 12: a field that cannot be"),
    );
    // Repeated.
    check(
        &[all[0], all[0], all[1]],
        &misbehaved("message 12: a field that cannot be"),
    );
    check(&[all[1]], &misbehaved("a report that begins no message"));
    check(
        &[&whole[0][..63]],
        &misbehaved("something that is no report"),
    );
    check(
        &[&[whole[0].as_slice(), &[0]].concat()],
        &misbehaved("something that is no report"),
    );
    check(
        &[&changed(&whole[0], 0, b'!')],
        &misbehaved("something that is no report"),
    );
    check(
        &[&changed(&whole[0], 1, b'!')],
        &misbehaved("a report that begins no message"),
    );
    check(
        &[&changed(&whole[0], 6, 1)],
        &misbehaved("a message of 65573 bytes"),
    );
    // Its length is a lie: shorter, it is cut in a field; longer, nothing follows.
    check(
        &[&changed(&whole[0], 8, 30)],
        &misbehaved("message 12: it ends within a field"),
    );
    check(&[&changed(&whole[0], 8, 200)], "");
    let mut bed = Bed::at(At::Wallet);
    bed.report(changed(&whole[0], 8, 200));
    let told = bed.step_at(1_000 + ANSWER_WAIT_MS, Event::Tick);
    assert_eq!(told[0], "close");
    assert!(told[1].contains("the Trezor does not answer"), "{told:?}");
    // A message that was begun for somebody else is none of ours.
    let mut bed = Bed::at(At::Features);
    assert_eq!(bed.report(all[1].to_vec()), "");
    assert_eq!(bed.says(Says::Features), "send 11");
}

#[test]
fn what_the_cable_says() {
    #[track_caller]
    fn check(at: At, fault: LinkFault, expected: &str) {
        let told = Bed::at(at).step(Event::Link(LinkEvent::Down(fault)));
        assert!(
            told.iter().any(|it| it.contains(expected)) || (told.is_empty() && expected.is_empty()),
            "{at:?} {told:?}"
        );
    }
    let away = || LinkFault::Away("why".to_owned());
    check(At::Opening, away(), "no Trezor is there (why)");
    check(At::Features, away(), "no Trezor is there (why)");
    check(At::Wallet, away(), "was unplugged while it was asked (why)");
    check(At::Pin, away(), "was unplugged while it was asked (why)");
    check(At::Pin, away(), "question over");
    check(
        At::Signature,
        away(),
        "was unplugged while it was asked (why)",
    );
    check(At::Ending, away(), "was unplugged while it was asked (why)");
    check(At::TakenBack, away(), "");
    check(At::Idle, away(), "");
    check(
        At::Opening,
        LinkFault::Busy,
        "another program has the Trezor open",
    );
    let forbidden = LinkFault::Forbidden("denied".to_owned());
    check(At::Opening, forbidden, "may not be opened (denied)");
}

#[test]
fn what_is_read_is_what_was_written() {
    for says in ALL_SAYS {
        let Some(message) = message(says) else {
            continue;
        };
        let is_garbled = matches!(says, Says::Garbled);
        assert_eq!(Said::read(&message).is_err(), is_garbled, "{says:?}");
    }
}
