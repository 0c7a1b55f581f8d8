//! Several keys on one server, each with its own allowed set.

use std::sync::Arc;

use keystead_channel::curve::{
    Allowed, ClientHandshake, ClientSetup, ExtensionSet, Identity, PublicKey, Refusal,
    ServerHandshake, ServerSetup, Timing, TooManyIdentities,
};

use super::common::{NOW, Pair, full, key_pair, rng};
use super::model::public;

const C: [u8; 32] = [0xc1; 32];
const STRANGER: [u8; 32] = [0x77; 32];

fn many(count: u8) -> (Vec<PublicKey>, Result<ServerSetup, TooManyIdentities>) {
    let client = key_pair(C).public();
    let identities: Vec<_> = (0..count)
        .map(|index| {
            Arc::new(Identity {
                keys: key_pair([index + 1; 32]),
                allowed: Allowed::only(client, ExtensionSet::NONE, &mut rng(u64::from(index))),
            })
        })
        .collect();
    let publics = identities.iter().map(|identity| identity.keys.public());
    (
        publics.collect(),
        ServerSetup::new(identities, full(), Timing::STREAM),
    )
}

#[test]
fn a_server_with_many_keys_goes_on_with_the_one_that_opens() {
    let (publics, setup) = many(64);
    let setup = Arc::new(setup.unwrap());
    let pair = Pair::new(&full());
    for server in [publics[0], publics[31], publics[63]] {
        let client = ClientSetup {
            keys: Arc::clone(&pair.client),
            server,
            offer: full(),
            floor: ExtensionSet::NONE,
            timing: Timing::STREAM,
        };
        let (client, hello) = ClientHandshake::start(client, NOW, &mut rng(1)).unwrap();
        let (next, cookie) = ServerHandshake::new(Arc::clone(&setup), NOW)
            .receive(&hello, NOW, &mut rng(2))
            .unwrap();
        assert_eq!(next.own(), server);
        let (_, vouch) = client.receive(&cookie, NOW, &mut rng(3)).unwrap();
        assert_eq!(next.receive(&vouch, NOW).unwrap().own(), server);
    }
    assert_eq!(many(65).1.err(), Some(TooManyIdentities));
}

#[test]
fn each_key_of_a_server_admits_its_own_clients() {
    let [ours, theirs] = [[1; 32], [2; 32]].map(|secret| {
        Arc::new(Identity {
            keys: key_pair(secret),
            allowed: Allowed::only(
                public(&secret.map(|byte| byte + 8)),
                ExtensionSet::NONE,
                &mut rng(1),
            ),
        })
    });
    let setup = ServerSetup::new(vec![ours, theirs], full(), Timing::STREAM).unwrap();
    let setup = Arc::new(setup);
    let meet = |server: [u8; 32], client: [u8; 32]| {
        let client = ClientSetup {
            keys: key_pair(client),
            server: public(&server),
            offer: full(),
            floor: ExtensionSet::NONE,
            timing: Timing::STREAM,
        };
        let (client, hello) = ClientHandshake::start(client, NOW, &mut rng(1))?;
        let (next, cookie) =
            ServerHandshake::new(Arc::clone(&setup), NOW).receive(&hello, NOW, &mut rng(2))?;
        let (_, vouch) = client.receive(&cookie, NOW, &mut rng(3))?;
        next.receive(&vouch, NOW).map(|_| ())
    };
    assert_eq!(meet([1; 32], [9; 32]), Ok(()));
    assert_eq!(meet([2; 32], [10; 32]), Ok(()));
    assert_eq!(meet([1; 32], [10; 32]), Err(Refusal::NotAllowed));
    assert_eq!(meet([2; 32], [9; 32]), Err(Refusal::NotAllowed));
}

#[test]
fn an_allowed_set_forgets() {
    let (one, other) = (public(&C), public(&STRANGER));
    let mut allowed = Allowed::new(&mut rng(1));
    assert_eq!(allowed.floor(&one), None);
    allowed.admit(one, ExtensionSet::PAIRING);
    assert_eq!(allowed.floor(&one), Some(ExtensionSet::PAIRING));
    assert_eq!(allowed.floor(&other), None);
    allowed.admit(one, ExtensionSet::NONE);
    assert_eq!(allowed.floor(&one), Some(ExtensionSet::NONE));
    allowed.remove(&one);
    assert_eq!(allowed.floor(&one), None);
}
