//! `spec/pairing.md` section 5.1, kinds 10 and 11, and section 3.1: keys that are brought to an
//! authenticator, and an authenticator on the same machine.

use keystead_core::{
    Constraints, ImportRequest, KeyForm, KeyId, Name, Outcome, PairingId, RequestBody, SecretBytes,
    SignRequest, TransportAddress,
};
use keystead_keeper::AskId;

use crate::world::{By, World, sign};

fn import(name: &str, lifetime_s: Option<u32>) -> RequestBody {
    RequestBody::Import(ImportRequest {
        form: KeyForm::Agent,
        key: SecretBytes::take(&mut name.as_bytes().to_vec()),
        passphrase: None,
        name: Some(Name::new(name).unwrap()),
        constraints: Constraints {
            lifetime_s,
            ..Constraints::default()
        },
        purposes: Vec::new(),
    })
}

fn names(world: &World) -> Vec<String> {
    let keys = world.keepers.keys();
    keys.map(|(_, _, key)| key.name.to_string()).collect()
}

fn id_of(world: &World, name: &str) -> KeyId {
    let mut keys = world.keepers.keys();
    keys.find(|(_, _, key)| key.name.as_str() == name)
        .unwrap()
        .2
        .id
}

fn outcome(world: &mut World, ask: AskId) -> Outcome {
    world.wait_for(ask).as_ref().unwrap().outcome
}

fn approve(world: &mut World, pairing: PairingId, body: RequestBody) {
    let ask = world.ask_for(pairing, body, 60);
    assert_eq!(outcome(world, ask), Outcome::Approve);
}

#[test]
fn keys_that_are_brought_and_removed_are_listed_at_once_and_after_a_restart() {
    let mut world = World::new(41);
    let (_, pairing) = world.pair("phone", By::Both);
    for name in ["one", "two", "three"] {
        approve(&mut world, pairing, import(name, None));
    }
    approve(&mut world, pairing, import("one", None));
    assert_eq!(names(&world), ["main", "one", "two", "three"]);
    world.restart_agent();
    assert_eq!(names(&world), ["main", "one", "two", "three"]);
    let keys = vec![id_of(&world, "two")];
    approve(&mut world, pairing, RequestBody::Remove { keys });
    assert_eq!(names(&world), ["main", "one", "three"]);
    let keys = Vec::new();
    approve(&mut world, pairing, RequestBody::Remove { keys });
    world.run(1_000);
    assert_eq!(
        names(&world),
        ["main"],
        "which were brought, the keeper knows"
    );
}

#[test]
fn a_key_with_a_lifetime_is_looked_for_when_it_is_over() {
    let mut world = World::new(42);
    let (peer, pairing) = world.pair("phone", By::Both);
    approve(&mut world, pairing, import("one", Some(3_600)));
    world.run(3_599_000);
    assert_eq!(names(&world), ["main", "one"]);
    world.peers[peer].brought.clear();
    world.run(5_000);
    assert_eq!(names(&world), ["main"]);
}

#[test]
fn a_key_that_is_not_there_any_more_is_not_listed_any_more() {
    let mut world = World::new(43);
    let (peer, pairing) = world.pair("phone", By::Relay);
    approve(&mut world, pairing, import("one", None));
    world.peers[peer].brought.clear();
    let RequestBody::Sign(of_main) = sign(b"blob") else {
        panic!("a sign request");
    };
    let gone = RequestBody::Sign(SignRequest {
        key: id_of(&world, "one"),
        ..of_main
    });
    let ask = world.ask_for(pairing, gone, 60);
    assert_eq!(outcome(&mut world, ask), Outcome::UnknownKey);
    world.run(1_000);
    assert_eq!(names(&world), ["main"]);
}

#[test]
fn an_authenticator_on_this_machine_is_dialled_at_its_socket() {
    let mut world = World::new(44);
    let (peer, pairing) = world.pair("spare", By::Tcp);
    let socket = "/run/user/1000/keystead/direct".to_owned();
    let way = TransportAddress::Unix(socket.clone());
    world.peers[peer].transports = vec![way];
    // The next channel opens after a restart, and asks for the addresses of today.
    world.run(11 * 60_000);
    world.restart_agent();
    approve(&mut world, pairing, sign(b"blob"));
    world.run(1_000);
    let expected = format!("unix:{socket}");
    assert_eq!(
        world.keepers.pairings()[0].addresses[..],
        [expected.as_str()]
    );
    world.peers[peer].listens = Some(expected.clone());
    world.restart_agent();
    assert_eq!(world.keepers.pairings()[0].addresses, [expected]);
    let opened = world.peers[peer].channels_opened;
    approve(&mut world, pairing, sign(b"another"));
    assert_eq!(world.peers[peer].channels_opened, opened + 1);
}
