//! PKCS#11 tokens, as the step sees them.

use keystead_core::Certificates;

use super::*;

const PROVIDER: &str = "/usr/lib/token.so";

fn token(constraints: Constraints) -> RequestBody {
    import_as(KeyForm::Token, PROVIDER.as_bytes().to_vec(), constraints)
}

fn keys() -> Vec<TokenKey> {
    let key = |byte: u8| TokenKey {
        public: PublicKey::ed25519(&[byte; 32]),
        name: Name::new("on token").unwrap(),
    };
    vec![key(1), key(2)]
}

fn open(world: &mut World, constraints: Constraints) -> Told {
    let (_, told) = world.ask(token(constraints));
    world.step(Event::Done(told.job(), Done::Opened(Some(keys()))))
}

#[test]
fn its_keys_come_in_with_the_constraints_of_the_import() {
    let mut world = World::new();
    let told = open(&mut world, lasting(10));
    assert!(told.closed.is_empty());
    assert!(
        matches!(told.only(), (Outcome::Approve, Some(ResponseBody::Keys(keys))) if keys.len() == 2)
    );
    assert_eq!(world.listed().len(), 2);
    // As OpenSSH's agent: nothing new is a failure, and what was there stays as it was.
    assert_eq!(
        open(&mut world, Constraints::default()).only().0,
        Outcome::Refuse
    );
    let told = world.wake();
    assert_eq!(told.closed, [PathBuf::from(PROVIDER)]);
    assert!(world.listed().is_empty());
}

#[test]
fn the_library_goes_with_its_last_key() {
    let mut world = World::new();
    open(&mut world, Constraints::default());
    let ids = world.listed();
    for (id, is_last) in [(ids[0], false), (ids[1], true)] {
        let (_, told) = world.ask(RequestBody::Remove { keys: vec![id] });
        assert_eq!(told.closed.len(), usize::from(is_last));
    }
}

#[test]
fn a_token_that_nobody_waits_for_is_closed() {
    let mut world = World::new();
    let (id, told) = world.ask(token(Constraints::default()));
    let job = told.job();
    let (_, told) = world.ask(RequestBody::Cancel { target: id });
    assert_eq!(told.closed, [PathBuf::from(PROVIDER)]);
    let told = world.step(Event::Done(job, Done::Opened(Some(keys()))));
    assert!(told.answers.is_empty() && world.listed().is_empty());

    let (_, told) = world.ask(token(Constraints::default()));
    let told = world.step(Event::Done(told.job(), Done::Opened(None)));
    assert_eq!(told.closed, [PathBuf::from(PROVIDER)]);
    assert_eq!(told.only().0, Outcome::Refuse);
}

#[test]
fn its_keys_sign_there() {
    let mut world = World::new();
    let (_, told) = world.ask(token(confirmed()));
    let told = world.step(Event::Done(told.job(), Done::Opened(Some(keys()))));
    let (_, Some(ResponseBody::Keys(entries))) = told.only() else {
        panic!()
    };
    let (_, told) = world.ask(sign(&entries[1], b"x"));
    assert!(matches!(told.started[0].1, Work::Ask(_)));
    let told = world.step(Event::Done(told.job(), Done::Answered(true)));
    let (job, work) = told.started.into_iter().next().unwrap();
    let Work::Token {
        provider,
        work: TokenWork::Sign { key, .. },
    } = work
    else {
        panic!()
    };
    assert_eq!((provider, key), (PathBuf::from(PROVIDER), entries[1].id));
    let told = world.step(Event::Done(job, Done::Signed(Some(b"x".to_vec()))));
    assert_eq!(told.only().0, Outcome::Refuse);
}

#[test]
fn libraries_are_those_that_are_allowed() {
    for (path, is_allowed) in [
        (&b"/usr/lib/token.so"[..], true),
        (b"/usr/share/token.so", false),
        (b"token.so", false),
        (b"\xff", false),
    ] {
        let mut world = World::new();
        let request = import_as(KeyForm::Token, path.to_vec(), Constraints::default());
        let (_, told) = world.ask(request);
        assert_eq!(told.started.len(), usize::from(is_allowed), "{path:?}");
        if !is_allowed {
            assert_eq!(told.only().0, Outcome::Refuse);
        }
    }
}

#[test]
fn certificates_that_are_none_of_its_keys_are_passed_over() {
    for (only, expected) in [(false, Outcome::Approve), (true, Outcome::Refuse)] {
        let mut world = World::new();
        let constraints = Constraints {
            certificates: Some(Certificates {
                only,
                blobs: vec![keys()[0].public.blob().to_vec(), b"x".to_vec()],
            }),
            ..Constraints::default()
        };
        assert_eq!(open(&mut world, constraints).only().0, expected);
    }
}
