//! Every check of the table in `spec/curve.md` section 4, broken one at a
//! time by a peer made by hand, and what altering the frames on their way does.

use keystead_channel::curve::{
    Aead, AwaitVouch, ClientHandshake, ClientSetup, Extension, ExtensionSet, Offer, Opened,
    Refusal, Timing,
};

use super::common::{NOW, Pair, full, key_pair, low_order_points, offers, rng};
use super::model::{ModelClient, ModelServer, frame, public, seal};

const C: [u8; 32] = [0xc1; 32];
const S: [u8; 32] = [0x51; 32];
const STRANGER: [u8; 32] = [0x77; 32];

fn bind_only() -> Offer {
    offers().remove(3)
}

fn model_client(pair: &Pair, hello_list: &[u8]) -> ModelClient {
    ModelClient {
        c_secret: C,
        ec_secret: [0xec; 32],
        s: *pair.server.public().as_bytes(),
        ctag: [0xc7; 32],
        hello_list: hello_list.to_vec(),
    }
}

/// A Cookie ack for EC and Ctag.
type MakeCookie<'m> = &'m dyn Fn(&[u8; 32], &[u8; 32]) -> Vec<u8>;

/// The list of a Vouch, from V and T.
type MakeProof<'m> = &'m dyn Fn(&AtVouch, &[u8], [u8; 32]) -> Vec<u8>;

/// A model client that has its Cookie ack, before the server under test.
struct AtVouch {
    client: ModelClient,
    server: AwaitVouch,
    hello: Vec<u8>,
    cookie: Vec<u8>,
    es: [u8; 32],
    stag: [u8; 32],
}

fn at_vouch(pair: &Pair, hello_list: &[u8]) -> AtVouch {
    let client = model_client(pair, hello_list);
    let hello = client.hello();
    let (server, cookie) = pair
        .await_hello()
        .receive(&hello, NOW, &mut rng(2))
        .unwrap();
    let (es, stag, _) = client.read_cookie(&cookie);
    AtVouch {
        client,
        server,
        hello,
        cookie,
        es,
        stag,
    }
}

/// What the server says to a Vouch of C, V and list that `make` puts together.
fn judge(
    pair: &Pair,
    hello_list: &[u8],
    make: impl FnOnce(&AtVouch) -> Vec<u8>,
) -> Option<Refusal> {
    let at = at_vouch(pair, hello_list);
    let vouch = make(&at);
    at.server.receive(&vouch, NOW).err()
}

#[test]
fn every_profile_meets_and_talks() {
    for offer in offers() {
        let (mut client, mut server) = Pair::new(&offer).meet();
        assert_eq!(client.profile(), server.profile());
        assert_eq!((client.peer(), server.peer()), (server.own(), client.own()));
        let mut stream = vec![];
        client.seal(b"to the server", NOW, &mut stream).unwrap();
        assert_eq!(
            server.open(&mut stream, NOW),
            Ok(Opened::Message(b"to the server"))
        );
        stream.clear();
        server.seal(b"to the client", NOW, &mut stream).unwrap();
        assert_eq!(
            client.open(&mut stream, NOW),
            Ok(Opened::Message(b"to the client"))
        );
        assert!(client.is_heard());
        let has_bind = client.profile().has(Extension::Bind);
        assert_eq!(client.export(b"x").is_some(), has_bind);
    }
}

#[test]
fn the_server_chooses_what_both_want() {
    let mut pair = Pair::new(&full());
    pair.server_offer = bind_only();
    let (client, server) = pair.meet();
    let profile = client.profile();
    assert_eq!(profile, server.profile());
    assert_eq!(
        profile.extensions(),
        ExtensionSet::NONE.with(Extension::Bind)
    );

    // No algorithm in common: no aead, the rest stands.
    pair.server_offer = Offer::Listed {
        extensions: ExtensionSet::NONE
            .with(Extension::Bind)
            .with(Extension::Aead),
        aeads: vec![Aead::Aes256Gcm],
    };
    let (client, _) = pair.meet();
    assert_eq!(client.profile().aead(), None);
    assert!(client.profile().has(Extension::Bind));

    // The base profile, where a client with lists meets a server that wants none of it.
    pair.server_offer = offers().remove(1);
    assert_eq!(pair.meet().0.profile().extensions(), ExtensionSet::NONE);
}

#[test]
fn a_list_is_length_to_a_strict_end() {
    let mut pair = Pair::new(&full());
    pair.server_offer = Offer::Strict;
    assert_eq!(pair.meet_through(|_, _| ()).err(), Some(Refusal::Length));

    let mut pair = Pair::new(&Offer::Strict);
    pair.server_offer = full();
    let (client, _) = pair.start(1).unwrap();
    let server = ModelServer {
        s_secret: S,
        es: *public(&[0xe5; 32]).as_bytes(),
        stag: [5; 32],
    };
    let (_, hello) = pair.start(1).unwrap();
    let (ec, ctag, list) = server.read_hello(&hello);
    assert!(list.is_empty());
    let cookie = server.cookie(&ec, &ctag, &[1, 0, 0]);
    let refusal = client.receive(&cookie, NOW, &mut rng(3)).err();
    assert_eq!(refusal, Some(Refusal::Length));
    // Without a list in it, a server that knows lists answers in kind.
    assert_eq!(pair.meet().0.profile().extensions(), ExtensionSet::NONE);
}

#[test]
fn server_refuses_a_bad_hello() {
    let pair = Pair::new(&Offer::Strict);
    let good = model_client(&pair, &[]);
    let judge = |hello: &[u8]| pair.await_hello().receive(hello, NOW, &mut rng(2)).err();
    assert_eq!(judge(&good.hello()), None);

    let mut other_server = good.clone();
    other_server.s = *public(&STRANGER).as_bytes();
    assert_eq!(judge(&other_server.hello()), Some(Refusal::HelloBox));

    for point in low_order_points() {
        // Under an all-zero agreement anybody can seal.
        let nonce = [&b"keystead-hello-1"[..], &[0; 8]].concat();
        let boxed = seal(&[1; 32], point.as_bytes(), &nonce, &[0; 32]);
        let hello = frame(1, &[point.as_bytes(), &boxed]);
        assert_eq!(judge(&hello), Some(Refusal::LowOrder), "{point:?}");
    }

    let (_, _, cookie) = pair.hello();
    assert_eq!(judge(&cookie), Some(Refusal::Order));
    let mut unknown = good.hello();
    unknown[2] = 0x10;
    assert_eq!(judge(&unknown), Some(Refusal::Type));
}

#[test]
fn client_refuses_a_bad_cookie() {
    let pair = Pair::new(&full());
    let server = ModelServer {
        s_secret: S,
        es: *public(&[0xe5; 32]).as_bytes(),
        stag: [5; 32],
    };
    let judge = |make: MakeCookie| {
        let (client, hello) = pair.start(1).unwrap();
        let (ec, ctag, _) = server.read_hello(&hello);
        client.receive(&make(&ec, &ctag), NOW, &mut rng(3)).err()
    };
    let with = |es: [u8; 32]| ModelServer {
        es,
        ..server.clone()
    };
    assert_eq!(judge(&|ec, ctag| server.cookie(ec, ctag, &[])), None);
    assert_eq!(judge(&|ec, ctag| server.cookie(ec, ctag, &[1, 0, 0])), None);

    let thief = ModelServer {
        s_secret: STRANGER,
        ..server.clone()
    };
    assert_eq!(
        judge(&|ec, ctag| thief.cookie(ec, ctag, &[])),
        Some(Refusal::CookieBox)
    );
    assert_eq!(
        judge(&|ec, _| server.cookie(ec, &[0; 32], &[])),
        Some(Refusal::Ctag)
    );
    for point in low_order_points() {
        assert_eq!(
            judge(&|ec, ctag| with(*point.as_bytes()).cookie(ec, ctag, &[])),
            Some(Refusal::LowOrder)
        );
    }
    assert_eq!(
        judge(&|ec, ctag| with(*ec).cookie(ec, ctag, &[])),
        Some(Refusal::LowOrder)
    );
    // Chosen, and not offered.
    for list in [&[2, 0, 0][..], &[1, 0, 0, 9, 0, 1, 1], &[3, 0, 0], &[1]] {
        assert_eq!(
            judge(&|ec, ctag| server.cookie(ec, ctag, list)),
            Some(Refusal::Extension)
        );
    }
}

#[test]
fn server_refuses_a_bad_vouch_of_the_base_profile() {
    let pair = Pair::new(&offers().remove(1));
    let good = |at: &AtVouch| {
        let v = at.client.v(&C, &at.client.ec(), &at.stag);
        at.client.vouch(&at.es, &at.client.c(), &v, &[])
    };
    assert_eq!(judge(&pair, &[], good), None);
    let refused = |make: &dyn Fn(&AtVouch) -> Vec<u8>| judge(&pair, &[], make);

    assert_eq!(
        refused(&|at| {
            let v = at.client.v(&C, &at.client.ec(), &at.stag);
            let other_es = *public(&[1; 32]).as_bytes();
            at.client.vouch(&other_es, &at.client.c(), &v, &[])
        }),
        Some(Refusal::VouchBox)
    );
    for point in low_order_points() {
        assert_eq!(
            refused(&|at| {
                let v = at.client.v(&C, &at.client.ec(), &at.stag);
                at.client.vouch(&at.es, point.as_bytes(), &v, &[])
            }),
            Some(Refusal::LowOrder)
        );
    }
    assert_eq!(
        // C claimed by one who has not got Cs.
        refused(&|at| {
            let v = at.client.v(&STRANGER, &at.client.ec(), &at.stag);
            at.client.vouch(&at.es, &at.client.c(), &v, &[])
        }),
        Some(Refusal::V)
    );
    assert_eq!(
        refused(&|at| {
            let v = at.client.v(&C, &[9; 32], &at.stag);
            at.client.vouch(&at.es, &at.client.c(), &v, &[])
        }),
        Some(Refusal::EcMismatch)
    );
    assert_eq!(
        refused(&|at| {
            let v = at.client.v(&C, &at.client.ec(), &[9; 32]);
            at.client.vouch(&at.es, &at.client.c(), &v, &[])
        }),
        Some(Refusal::Stag)
    );
    assert_eq!(
        refused(&|at| {
            let v = at.client.v(&STRANGER, &at.client.ec(), &at.stag);
            at.client
                .vouch(&at.es, public(&STRANGER).as_bytes(), &v, &[])
        }),
        Some(Refusal::NotAllowed)
    );
    assert_eq!(
        // Everything wrong at once: the first in the table's order is named.
        refused(&|at| {
            let v = at.client.v(&STRANGER, &[9; 32], &[9; 32]);
            at.client
                .vouch(&at.es, public(&STRANGER).as_bytes(), &v, &[1])
        }),
        Some(Refusal::EcMismatch)
    );
    assert_eq!(
        // A list where nothing was chosen.
        refused(&|at| {
            let v = at.client.v(&C, &at.client.ec(), &at.stag);
            at.client.vouch(&at.es, &at.client.c(), &v, &[6, 0, 0])
        }),
        Some(Refusal::Extension)
    );
}

#[test]
fn server_refuses_a_bad_proof_of_bind() {
    let pair = Pair::new(&bind_only());
    let list = [1, 0, 0];
    let refused = |make: MakeProof| {
        judge(&pair, &list, |at| {
            let v = at.client.v(&C, &at.client.ec(), &at.stag);
            let t = at.client.t(&at.hello, &at.cookie, &at.client.c(), &v);
            let proof = make(at, &v, t);
            at.client.vouch(&at.es, &at.client.c(), &v, &proof)
        })
    };
    assert_eq!(
        refused(&|at, _, t| ModelClient::proof(&C, &at.es, &t)),
        None
    );
    assert_eq!(refused(&|_, _, _| vec![]), Some(Refusal::Extension));
    assert_eq!(
        refused(&|at, _, t| ModelClient::proof(&C, &at.es, &t)[..66].to_vec()),
        Some(Refusal::Extension)
    );
    assert_eq!(
        refused(&|at, _, t| [ModelClient::proof(&C, &at.es, &t), vec![6, 0, 0]].concat()),
        Some(Refusal::Extension)
    );
    assert_eq!(
        refused(&|at, _, _| ModelClient::proof(&C, &at.es, &[0; 32])),
        Some(Refusal::Bind)
    );
    // T over another Hello, another Cookie ack, another V.
    assert_eq!(
        refused(&|at, v, _| {
            let t = at.client.t(&at.hello[1..], &at.cookie, &at.client.c(), v);
            ModelClient::proof(&C, &at.es, &t)
        }),
        Some(Refusal::Bind)
    );
    // A thief of Ss can forge V of any client, not this.
    assert_eq!(
        refused(&|at, _, t| ModelClient::proof(&STRANGER, &at.es, &t)),
        Some(Refusal::Bind)
    );
}

/// The attack that `bind` is for: DH(C,S) is known to who stole Ss.
#[test]
fn a_thief_of_the_servers_key_cannot_be_its_client() {
    let mut pair = Pair::new(&bind_only());
    pair.server_floor = ExtensionSet::NONE.with(Extension::Bind);
    let forged_v = |at: &AtVouch| {
        let nonce = [&b"ksvouch1"[..], &[0x11; 16]].concat();
        let plain = [at.client.ec(), at.stag].concat();
        [
            &[0x11; 16][..],
            &seal(&S, pair.client.public().as_bytes(), &nonce, &plain),
        ]
        .concat()
    };
    // By the base profile: the server's floor stands in the way.
    let refusal = judge(&pair, &[], |at| {
        at.client
            .vouch(&at.es, pair.client.public().as_bytes(), &forged_v(at), &[])
    });
    assert_eq!(refusal, Some(Refusal::Downgrade));
    // With `bind`: no DH(C,ES).
    let refusal = judge(&pair, &[1, 0, 0], |at| {
        let proof = ModelClient::proof(&S, &at.es, &[0; 32]);
        let c = pair.client.public();
        at.client.vouch(&at.es, c.as_bytes(), &forged_v(at), &proof)
    });
    assert_eq!(refusal, Some(Refusal::Bind));
    // Without a floor the base profile lets the thief in: what the floor is for.
    pair.server_floor = ExtensionSet::NONE;
    let refusal = judge(&pair, &[], |at| {
        at.client
            .vouch(&at.es, pair.client.public().as_bytes(), &forged_v(at), &[])
    });
    assert_eq!(refusal, None);
}

#[test]
fn no_way_down_at_the_client() {
    let floor = ExtensionSet::PAIRING;
    let mut pair = Pair::new(&full());
    pair.client_floor = floor;
    assert!(pair.meet_through(|_, _| ()).is_ok());
    for offer in offers() {
        pair.server_offer = offer.clone();
        let met = pair.meet_through(|_, _| ());
        match met {
            Ok((client, _)) => assert!(client.profile().extensions().has_all(floor)),
            Err(refusal) => {
                let expected = match offer {
                    Offer::Strict => Refusal::Length,
                    Offer::Listed { .. } => Refusal::Downgrade,
                };
                assert_eq!(refusal, expected);
            }
        }
    }
    // It does not even begin with an offer below its floor.
    for offer in [Offer::Strict, bind_only()] {
        pair.client_offer = offer;
        assert_eq!(pair.start(1).err(), Some(Refusal::Downgrade));
    }
}

#[test]
fn no_way_down_at_the_server() {
    let mut pair = Pair::new(&full());
    pair.server_floor = ExtensionSet::PAIRING;
    assert!(pair.meet_through(|_, _| ()).is_ok());
    for offer in [Offer::Strict, bind_only(), offers().remove(2)] {
        pair.client_offer = offer;
        let refusal = pair.meet_through(|_, _| ()).err();
        assert_eq!(refusal, Some(Refusal::Downgrade));
    }
}

#[test]
fn time_runs_out_at_each_step() {
    let mut pair = Pair::new(&full());
    let late = NOW + 10_000;
    let (_, hello) = pair.start(1).unwrap();

    let server = pair.await_hello();
    assert_eq!(server.timeout_ms(), late);
    assert_eq!(
        server.receive(&hello, late, &mut rng(2)).err(),
        Some(Refusal::Timeout)
    );
    let mut server = pair.await_hello();
    server.note_first_byte(NOW + 7);
    server.note_first_byte(NOW + 4_000);
    assert_eq!(server.timeout_ms(), NOW + 5_007);
    assert!(server.receive(&hello, NOW + 5_006, &mut rng(2)).is_ok());
    let mut server = pair.await_hello();
    server.note_first_byte(NOW + 9_000);
    assert_eq!(server.timeout_ms(), late);

    let (client, server, cookie) = pair.hello();
    assert_eq!((client.timeout_ms(), server.timeout_ms()), (late, late));
    assert_eq!(
        client.receive(&cookie, late, &mut rng(3)).err(),
        Some(Refusal::Timeout)
    );
    let (client, _) = pair.start(1).unwrap();
    let (_, vouch) = client.receive(&cookie, late - 1, &mut rng(3)).unwrap();
    assert_eq!(server.receive(&vouch, late).err(), Some(Refusal::Timeout));

    pair.timing = Timing::STORED;
    assert_eq!(pair.await_hello().timeout_ms(), NOW + 60_000);
}

#[test]
fn a_client_of_an_unusable_server_key_does_not_begin() {
    for point in low_order_points() {
        let setup = ClientSetup {
            keys: key_pair(C),
            server: point,
            offer: full(),
            floor: ExtensionSet::NONE,
            timing: Timing::STREAM,
        };
        let refusal = ClientHandshake::start(setup, NOW, &mut rng(1)).err();
        assert_eq!(refusal, Some(Refusal::LowOrder));
    }
}
