//! Guesses: counted before they are evaluated, on however many processes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use keystead_channel::log::{Action, Leaf};
use keystead_channel::session::requests::{Audit, AuditPage, Open, Request, Scope};
use keystead_channel::session::{Extras, FrameType, LoginSent, Status};
use keystead_core::Secret;
use keystead_daemon::SystemRng;
use keystead_server::server::Server;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::common::{Person, Place, Wire, ask, error, frame, open, recovery_code, settings};

crate::on_both! {
    a_thousand_parallel_guesses_are_five,
    a_locked_name_is_opened_by_its_recovery_code_once,
    a_stranger_does_not_keep_the_owner_out,
    an_unknown_name_looks_like_a_known_one,
    failed_logins_are_told,
}

/// A thousand at once over two processes: never a sixth before the first wait.
#[expect(
    clippy::disallowed_methods,
    reason = "how long the guesses took decides how many may be looked at"
)]
async fn a_thousand_parallel_guesses_are_five(place: Place) {
    let here = place.server(settings()).await;
    let there = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&here).await.unwrap();
    for name in ["alex", "nobody"] {
        let started = Instant::now();
        let guesses = (0..1_000).map(|number| {
            let server = if number % 2 == 0 { &here } else { &there };
            let (server, guesser) = (Arc::clone(server), Person::new(name, "wrong"));
            async move {
                let guessed = tokio::spawn(async move { guesser.guess(&server).await });
                guessed.await.unwrap()
            }
        });
        let statuses = join_all(guesses).await;
        let evaluated = statuses.iter().filter(|it| **it == Status::Done).count();
        assert!(
            statuses
                .iter()
                .all(|it| matches!(it, Status::Done | Status::Wait))
        );
        // Five, and one at the end of each wait of 1, 2, 4 … s that is over by now.
        let elapsed_s = started.elapsed().as_secs();
        let waits = (0..12)
            .take_while(|it| (1_u64 << (it + 1)) - 1 <= elapsed_s)
            .count();
        assert!(evaluated >= 5, "{name}: {evaluated}");
        assert!(
            evaluated <= 5 + waits,
            "{name}: {evaluated} in {elapsed_s} s"
        );
    }
}

/// Few free ones and short waits, so that a test need not wait.
pub(crate) fn strict() -> keystead_server::settings::Settings {
    let mut settings = settings();
    settings.guesses.free = 2;
    settings.guesses.lock_after = 3;
    settings
}

async fn guess(server: &Arc<Server>, name: &'static str) -> Status {
    Person::new(name, "wrong").guess(server).await
}

/// Guesses until the name is locked: two free ones, and one after a wait of a second.
pub(crate) async fn lock(server: &Arc<Server>, name: &'static str) {
    assert_eq!(guess(server, name).await, Status::Done);
    assert_eq!(guess(server, name).await, Status::Done);
    assert_eq!(guess(server, name).await, Status::Wait);
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        match guess(server, name).await {
            Status::Wait => {}
            status => break assert_eq!(status, Status::Done),
        }
    }
    assert_eq!(guess(server, name).await, Status::Locked);
}

fn code(byte: u8) -> Extras {
    Extras {
        recovery_code: Some(Secret::fill(|bytes| bytes.fill(byte))),
        ..Extras::default()
    }
}

async fn tried(
    person: &Person,
    server: &Arc<Server>,
    extras: Extras,
) -> Result<Option<u32>, Status> {
    let logged_in = person.log_in_with(server, extras, open()).await;
    logged_in
        .map(|(_, it)| it.opened.failed_logins)
        .map_err(|it| it.code)
}

async fn a_locked_name_is_opened_by_its_recovery_code_once(place: Place) {
    let server = place.server(strict()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    lock(&server, "alex").await;
    assert_eq!(
        tried(&alex, &server, Extras::default()).await,
        Err(Status::Locked)
    );
    assert_eq!(tried(&alex, &server, code(5)).await, Err(Status::Refused));
    let _ = recovery_code();
    assert_eq!(tried(&alex, &server, code(4)).await, Ok(Some(3)));
    assert_eq!(tried(&alex, &server, Extras::default()).await, Ok(Some(0)));
    lock(&server, "alex").await;
    assert_eq!(
        tried(&alex, &server, code(4)).await,
        Err(Status::Refused),
        "once"
    );
    // A name that nobody has is locked as well.
    lock(&server, "nobody").await;
    let nobody = Person::new("nobody", "secret");
    assert_eq!(tried(&nobody, &server, code(4)).await, Err(Status::Refused));
}

async fn a_stranger_does_not_keep_the_owner_out(place: Place) {
    let server = place.server(strict()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let wants = Open {
        pass_wanted: true,
        ..open()
    };
    let logged_in = alex.log_in_with(&server, Extras::default(), wants).await;
    let pass = logged_in.unwrap().1.opened.pass.unwrap();
    let with_pass = || Extras {
        pass: Some(Secret::fill(|bytes| *bytes = *pass.expose())),
        ..Extras::default()
    };
    lock(&server, "alex").await;
    assert_eq!(tried(&alex, &server, with_pass()).await, Ok(Some(3)));
    // The name stays locked: the pass counts for itself.
    assert_eq!(
        tried(&alex, &server, Extras::default()).await,
        Err(Status::Locked)
    );
    // Another's pass is none.
    Person::new("kim", "secret")
        .register(&server)
        .await
        .unwrap();
    lock(&server, "kim").await;
    let kim = Person::new("kim", "secret");
    assert_eq!(tried(&kim, &server, with_pass()).await, Err(Status::Locked));
    // Ten wrong ones make it void.
    let wrong = Person::new("alex", "wrong");
    for _ in 0..10 {
        assert_eq!(
            tried(&wrong, &server, with_pass()).await,
            Err(Status::Refused)
        );
    }
    assert_eq!(
        tried(&alex, &server, with_pass()).await,
        Err(Status::Locked)
    );
}

/// A name with an account and one without: the same frames, lengths and codes; and who sends
/// one blinded password again gets the same evaluation of it, which is another one a name.
async fn an_unknown_name_looks_like_a_known_one(place: Place) {
    let server = place.server(strict()).await;
    Person::new("alex", "secret")
        .register(&server)
        .await
        .unwrap();
    let (mut seen, mut evaluated) = (Vec::new(), Vec::new());
    for name in ["alex", "nobody"] {
        let mut lengths = Vec::new();
        let mut evaluations = BTreeSet::new();
        let guesser = Person::new(name, "wrong");
        for _ in 0..3 {
            let (mut wire, mut greeted) = Wire::greeted(&server).await;
            let handle = greeted.handle().unwrap();
            let (credentials, binding) = (guesser.credentials(), wire.binding);
            let extras = Extras::default();
            let mut rng = ChaCha20Rng::from_seed([7; 32]);
            let started = LoginSent::start(handle, credentials, binding, extras, &mut rng);
            let answer = wire.exchange(&started.unwrap().1).await;
            lengths.push((frame(&answer).kind, answer.len()));
            if frame(&answer).kind == FrameType::LoginResponse {
                // The profile, and the evaluated element.
                evaluations.insert(frame(&answer).body[..33].to_vec());
            }
            if lengths.len() < 3 {
                let answer = wire.exchange(&bad_finish()).await;
                assert_eq!(error(&answer).code, Status::Refused);
                lengths.push((frame(&answer).kind, answer.len()));
            }
        }
        seen.push(lengths);
        assert_eq!(evaluations.len(), 1, "{name}");
        evaluated.extend(evaluations);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(evaluated[0][0], evaluated[1][0]);
    assert_ne!(evaluated[0], evaluated[1]);
}

/// Frame 22 of somebody who has no password.
fn bad_finish() -> Vec<u8> {
    let mut finish = vec![0, 0, 0, 149, 0x22, 0, 0, 0, 1];
    finish.resize(4 + 149, 7);
    finish
}

/// Those that a name was tried with are told to the owner, and then forgotten; each try and
/// what became of it is in the owner's log.
async fn failed_logins_are_told(place: Place) {
    let server = place.server(settings()).await;
    let alex = Person::new("alex", "secret");
    alex.register(&server).await.unwrap();
    let wrong = Person::new("alex", "wrong");
    assert_eq!(
        tried(&wrong, &server, Extras::default()).await,
        Err(Status::Refused)
    );
    assert_eq!(
        guess(&server, "alex").await,
        Status::Done,
        "one that stops after KE2"
    );
    // Our own client knows by KE2 and sends no KE3; another one guesses that, too.
    let (mut wire, mut greeted) = Wire::greeted(&server).await;
    let handle = greeted.handle().unwrap();
    let (credentials, extras) = (wrong.credentials(), Extras::default());
    let started = LoginSent::start(handle, credentials, wire.binding, extras, &mut SystemRng);
    wire.exchange(&started.unwrap().1).await;
    let answer = wire.exchange(&bad_finish()).await;
    assert_eq!(error(&answer).code, Status::Refused);
    assert_eq!(tried(&alex, &server, Extras::default()).await, Ok(Some(3)));
    assert_eq!(tried(&alex, &server, Extras::default()).await, Ok(Some(0)));
    let (mut wire, logged_in) = alex.log_in(&server).await.unwrap();
    let audit = Request::Audit(Audit {
        scope: Scope::All,
        keys: None,
        after_unix_ms: None,
        before_unix_ms: None,
        cursor: None,
        proofs: false,
    });
    let answer = ask(&mut wire, &mut { logged_in.session }, &audit).await;
    let page = AuditPage::decode(answer.result.unwrap().expose()).unwrap();
    let leaves = page.leaves.0.iter().map(|it| Leaf::decode(&it.0).unwrap());
    let (tried, failed, login) = (Action::LoginAttempt, Action::LoginFailed, Action::Login);
    let actions = leaves.map(|it| Action::from_number(it.action).unwrap());
    let logins = actions.filter(|it| [tried, failed, login].contains(it));
    let expected = [
        tried, tried, tried, failed, tried, login, tried, login, tried, login,
    ];
    assert_eq!(logins.collect::<Vec<_>>(), expected);
}
