//! A whole registration and a whole login, Argon2id included, byte for byte
//! (`spec/vectors/session.json`, `opaque_login`: made without this code).

use keystead_core::SecretBytes;
use serde_json::Value;

use super::Script;
use super::vectors::{array, blind, bytes, vectors};
use crate::session::binding::Binding;
use crate::session::fields::{Nullable, Text};
use crate::session::frame::{Frame, Handle};
use crate::session::hello::{BindingKind, Greeted, Hellos, Limits, ServerHello};
use crate::session::ids::{ServerId, UserId};
use crate::session::requests::{Open, OpenedResult};
use crate::session::{
    Account, AccountName, AwaitFinish, AwaitUpload, Credentials, Extras, LoggedIn, LoginSent,
    LoginStart, Password, Place, Profile, RegisterSent, RegisterStart, ServerKeys,
};

/// What one stage draws at the client, in the order of its draws.
fn client_draws(stage: &Value) -> Vec<u8> {
    [
        blind(stage, "blind"),
        bytes(stage, "ephemeral_seed"),
        bytes(stage, "client_nonce"),
    ]
    .concat()
}

/// At the server; it draws a masking key for a record of nobody whether it needs it or not.
fn server_draws(stage: &Value) -> Vec<u8> {
    [
        vec![0; 64],
        bytes(stage, "masking_nonce"),
        bytes(stage, "server_ephemeral_seed"),
        bytes(stage, "server_nonce"),
    ]
    .concat()
}

fn read(frame: &[u8]) -> Frame<'_> {
    Frame::decode(&frame[4..]).unwrap()
}

fn credentials(vectors: &Value) -> Credentials {
    Credentials {
        name: AccountName::parse(vectors["name"].as_str().unwrap()).unwrap(),
        password: Password::new(vectors["password"].as_str().unwrap()).unwrap(),
    }
}

fn open() -> Open {
    Open {
        known: Nullable(None),
        device: Text("laptop".to_owned()),
        pass_wanted: false,
    }
}

fn opened() -> OpenedResult {
    OpenedResult {
        user: UserId([0x21; 32]),
        checkpoint: None,
        consistency: None,
        chain_head: None,
        limits: Limits::DEFAULT,
        pass: None,
        failed_logins: None,
    }
}

/// Both ends after hello.
struct Ends {
    keys: ServerKeys,
    greeted: Greeted,
    place: Place,
}

impl Ends {
    fn new(vectors: &Value) -> Self {
        let client = bytes(vectors, "client_hello");
        let server = bytes(vectors, "server_hello");
        let hello = ServerHello::decode(&server).unwrap();
        let hellos = Hellos::of(&client, &server);
        let server_id = ServerId::of(&hello.opaque_key);
        let handle = Handle(u32::try_from(vectors["handle"].as_u64().unwrap()).unwrap());
        let mut setup = bytes(vectors, "server_setup");
        // The key that masks what nobody has; it takes no part.
        setup.extend_from_slice(&hello.opaque_key);
        let keys = ServerKeys::from_bytes(&SecretBytes::take(&mut setup)).unwrap();
        assert_eq!(keys.public(), hello.opaque_key);
        let place = Place {
            server: server_id,
            hellos,
            handle,
            exporter: Some(array(vectors, "exporter")),
            lowest_binding: BindingKind::Exporter,
        };
        Self {
            keys,
            greeted: Greeted {
                hello,
                server_id,
                hellos,
                next: 1,
            },
            place,
        }
    }

    /// Frames 21 and 22, and `opened`.
    fn finish(&self, client: LoginSent, server: (AwaitFinish, Vec<u8>), stage: &Value) -> LoggedIn {
        let (server, frame_21) = server;
        assert_eq!(frame_21, bytes(stage, "frame_21"));
        let mut rng = Script(bytes(stage, "request_id"));
        let received = client.receive(&read(&frame_21), &self.greeted, open(), &mut rng);
        let (client, frame_22) = received.unwrap();
        assert_eq!(frame_22, bytes(stage, "frame_22"));
        let opening = server.receive(&read(&frame_22), 0).unwrap();
        let (session, row, frame) = opening.opened(&opened(), 0).unwrap();
        assert_eq!(frame, bytes(stage, "opened"));
        assert_eq!(session.id().0, *bytes(stage, "session_id"));
        assert_eq!(*row.secret.expose(), *bytes(stage, "resume"));
        client.receive(&read(&frame)).unwrap()
    }
}

#[test]
fn a_registration_and_a_login_have_their_bytes() {
    let vectors = &vectors()["opaque_login"];
    let ends = Ends::new(vectors);
    let record = registration(vectors, &ends);

    let stage = &vectors["login"];
    let binding = Binding::Exporter(array(vectors, "exporter"));
    let mut rng = Script(client_draws(stage));
    let (handle, extras) = (ends.place.handle, Extras::default());
    let started = LoginSent::start(handle, credentials(vectors), binding, extras, &mut rng);
    let (client, frame_20) = started.unwrap();
    assert_eq!(frame_20, bytes(stage, "frame_20"));
    let start = LoginStart::decode(read(&frame_20).body).unwrap();
    let account = Account::Known {
        record: &record,
        seed: &array(vectors, "user_seed"),
        profile: Profile::Standard,
    };
    let mut rng = Script(server_draws(stage));
    let answered = AwaitFinish::start(&ends.keys, ends.place, &start, &account, 0, &mut rng);
    let logged_in = ends.finish(client, answered.unwrap(), stage);
    assert_eq!(
        logged_in.export_key.expose()[..],
        bytes(vectors, "export_key")
    );
}

fn registration(vectors: &Value, ends: &Ends) -> [u8; 192] {
    let stage = &vectors["registration"];
    let mut rng = Script(blind(vectors, "blind"));
    let exporter = array(vectors, "exporter");
    let (handle, mine) = (ends.place.handle, credentials(vectors));
    let (client, frame_10) = RegisterSent::start(handle, mine, exporter, None, &mut rng).unwrap();
    assert_eq!(frame_10, bytes(vectors, "frame_10"));
    let start = RegisterStart::decode(read(&frame_10).body).unwrap();
    let mut rng = Script(bytes(vectors, "user_seed"));
    let answered = AwaitUpload::start(&ends.keys, ends.place, &start, 0, &mut rng);
    let (server, frame_11) = answered.unwrap();
    assert_eq!(frame_11, bytes(vectors, "frame_11"));
    let mut rng = Script([bytes(vectors, "envelope_nonce"), client_draws(stage)].concat());
    let profile = Profile::Standard;
    let received = client.receive(&read(&frame_11), &ends.greeted, profile, &mut rng);
    let (client, frame_12) = received.unwrap();
    assert_eq!(frame_12, bytes(stage, "frame_12"));
    let uploaded = server.receive(&read(&frame_12), 0).unwrap();
    let record = uploaded.record;
    let mut rng = Script(server_draws(stage));
    let answered = uploaded.answer(&ends.keys, 0, &mut rng).unwrap();
    let logged_in = ends.finish(client, answered, stage);
    assert_eq!(
        logged_in.export_key.expose()[..],
        bytes(vectors, "export_key")
    );
    record
}

/// The stronger profiles, once each: 256 MiB, and 2 GiB.
#[test]
#[ignore = "needs 2 GiB of memory and some seconds"]
fn the_stronger_profiles_log_in() {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    let vectors = &vectors()["opaque_login"];
    for profile in [Profile::Strong, Profile::Strongest] {
        let ends = Ends::new(vectors);
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let (handle, mine) = (ends.place.handle, credentials(vectors));
        let exporter = array(vectors, "exporter");
        let (client, sent) = RegisterSent::start(handle, mine, exporter, None, &mut rng).unwrap();
        let start = RegisterStart::decode(read(&sent).body).unwrap();
        let answered = AwaitUpload::start(&ends.keys, ends.place, &start, 0, &mut rng);
        let (server, sent) = answered.unwrap();
        let received = client.receive(&read(&sent), &ends.greeted, profile, &mut rng);
        let (client, sent) = received.unwrap();
        let uploaded = server.receive(&read(&sent), 0).unwrap();
        let (server, sent) = uploaded.answer(&ends.keys, 0, &mut rng).unwrap();
        assert_eq!(read(&sent).body[0], profile.byte());
        let received = client.receive(&read(&sent), &ends.greeted, open(), &mut rng);
        let (client, sent) = received.unwrap();
        let opening = server.receive(&read(&sent), 0).unwrap();
        let (_, _, sent) = opening.opened(&opened(), 0).unwrap();
        assert!(client.receive(&read(&sent)).is_ok());
    }
}
