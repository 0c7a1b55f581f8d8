//! `spec/vectors/session.json` (made without this code) and `spec/vectors/opaque.json`
//! (RFC 9807 appendix C) against what only the inside can show.

use keystead_core::Secret;
use opaque_ke::ksf::Identity;
use opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialFinalization, CredentialRequest, Identifiers,
    RegistrationUpload, ServerLogin, ServerLoginParameters, ServerRegistration, ServerSetup,
};
use serde_json::Value;

use super::Script;
use crate::session::binding::{Binding, SessionKind, context};
use crate::session::error_frame;
use crate::session::frame::{Frame, FrameType, Handle};
use crate::session::hello::{BindingKind, Greeted, Greeting, Hellos, Limits, ServerHello};
use crate::session::ids::{ServerId, SessionId, UserId};
use crate::session::keys::{Direction, SessionKeys, ToClient, ToServer, TrafficSecret};
use crate::session::opaque::{Profile, Suite1};
use crate::session::requests::{Answer, Method, OpenedResult};
use crate::session::resume::Ticket;
use crate::session::row::{SessionRow, Turned, Verdict};
use crate::session::sealed::{Direct, Epoch, Label, Sub};
use crate::session::server::Place;
use crate::session::set_up::{Resume, decode_response, encode_response};
use crate::session::status::{ErrorBody, Status};

const EXPORTER: [u8; 32] = [0x31; 32];
const HANDLE: Handle = Handle(7);

pub(super) fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../../spec/vectors/session.json")).unwrap()
}

pub(super) fn bytes(value: &Value, key: &str) -> Vec<u8> {
    let text = value[key].as_str().unwrap_or_else(|| panic!("{key}"));
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

pub(super) fn array<const N: usize>(value: &Value, key: &str) -> [u8; N] {
    bytes(value, key).try_into().unwrap()
}

fn secret<const N: usize>(value: &Value, key: &str) -> Secret<N> {
    Secret::take(&mut array(value, key))
}

fn hellos(vectors: &Value) -> (Hellos, ServerHello) {
    let client = bytes(&vectors["set_up"], "client_hello");
    let server = bytes(&vectors["set_up"], "server_hello");
    let hello = ServerHello::decode(&server).unwrap();
    (Hellos::of(&client, &server), hello)
}

#[test]
fn contexts_hold_everything_that_a_login_is_bound_to() {
    let vectors = vectors();
    let (hellos, hello) = hellos(&vectors);
    let server = ServerId::of(&hello.opaque_key);
    let check = |kind, binding: &Binding, name| {
        let context = context(kind, binding, &server, &hellos, HANDLE);
        assert_eq!(context, bytes(&vectors["contexts"], name), "{name}");
    };
    let bound = Binding::Exporter(EXPORTER);
    check(SessionKind::Registration, &bound, "registration");
    check(SessionKind::Request, &bound, "request");
    check(SessionKind::Request, &Binding::Unbound, "unbound");
}

#[test]
fn frames_have_their_bytes() {
    let vectors = vectors();
    let frames = &vectors["frames"];
    let (_, hello) = Greeting::start(&mut Script(vec![0x11; 16]));
    assert_eq!(hello, bytes(frames, "hello"));
    let body = ErrorBody {
        code: Status::Wait,
        wait_s: Some(3_600),
    };
    assert_eq!(error_frame(HANDLE, body), bytes(frames, "error"));
    let response = bytes(frames, "login_response");
    let frame = Frame::decode(&response[4..]).unwrap();
    assert_eq!(frame.kind, FrameType::LoginResponse);
    let (profile, ke2) = decode_response(frame.body).unwrap();
    assert_eq!((profile, ke2), (2, &[0x69; 320]));
    assert_eq!(encode_response(Profile::Strong, ke2), frame.body);
    assert_eq!(frame.encode(), response);
}

/// One step of a direction: opens what the vectors hold, and seals the same.
fn step<D: Direction>(key: &TrafficSecret<D>, epoch: Epoch, case: &Value) {
    let number = |field: &str| case[field].as_u64().unwrap();
    let body = bytes(case, "body");
    let mut direct = Direct::new(key, epoch, number("n"));
    let opened = direct.open(&body).unwrap();
    assert_eq!(opened.plain.bytes(), bytes(case, "plain"));
    assert_eq!((opened.n, opened.sub), (number("n"), number("sub")));
    let label = Label {
        sub: Sub::Of(opened.sub),
        method: opened.method,
    };
    let mut direct = Direct::new(key, epoch, number("n"));
    assert_eq!(direct.seal(label, bytes(case, "plain")), Ok(body.clone()));

    for at in 0..body.len() {
        for bit in 0..8 {
            let mut altered = body.clone();
            altered[at] ^= 1 << bit;
            let mut direct = Direct::new(key, epoch, number("n"));
            assert!(direct.open(&altered).is_err(), "byte {at}, bit {bit}");
            assert!(direct.open(&body).is_err(), "nothing opens after it");
        }
    }
    for len in 0..body.len() {
        assert!(
            Direct::new(key, epoch, number("n"))
                .open(&body[..len])
                .is_err()
        );
    }
    // Another number, session or generation; and no frame twice.
    let mut later = Direct::new(key, epoch, number("n") + 1);
    assert!(later.open(&body).is_err());
    let session = SessionId([0; 16]);
    let elsewhere = Epoch { session, ..epoch };
    assert!(
        Direct::new(key, elsewhere, number("n"))
            .open(&body)
            .is_err()
    );
    let generation = epoch.generation + 1;
    let other = Epoch {
        generation,
        ..epoch
    };
    assert!(Direct::new(key, other, number("n")).open(&body).is_err());
    let mut direct = Direct::new(key, epoch, number("n"));
    assert!(direct.open(&body).is_ok());
    assert!(direct.open(&body).is_err());
}

#[test]
fn a_session_key_gives_keys_and_frames() {
    let vectors = vectors();
    let login = &vectors["login"];
    let (id, keys) = SessionKeys::of_login(secret(login, "session_key"));
    assert_eq!(id.0, *bytes(login, "session_id"));
    assert_eq!(*keys.to_server.expose(), *bytes(login, "c2s"));
    assert_eq!(*keys.to_client.expose(), *bytes(login, "s2c"));
    assert_eq!(*keys.resume.expose(), *bytes(login, "resume"));
    let epoch = Epoch {
        session: id,
        generation: 0,
    };
    for case in vectors["sealed"].as_array().unwrap() {
        match case["direction"].as_u64() {
            Some(0) => step::<ToServer>(&keys.to_server, epoch, case),
            Some(1) => step::<ToClient>(&keys.to_client, epoch, case),
            other => panic!("{other:?}"),
        }
    }
}

/// Frames 30 and 31, byte for byte, from both sides' randomness.
#[test]
fn a_resumption_is_as_the_vectors_say() {
    let vectors = vectors();
    let case = &vectors["resumption"];
    let (hellos, hello) = hellos(&vectors);
    let server = ServerId::of(&hello.opaque_key);
    let id = SessionId(array(&vectors["login"], "session_id"));
    let ticket = Ticket {
        session: id,
        generation: 0,
        server,
        secret: secret(&vectors["login"], "resume"),
    };
    let mut row = SessionRow::of_login(id, secret(&vectors["login"], "resume"), 0);
    let greeted = Greeted {
        hellos,
        server_id: server,
        hello,
        next: 0,
    };
    let drawn = |first: &str, second: &str| {
        let both = [bytes(case, first), bytes(case, second)];
        Script(both.concat())
    };
    let mut rng = drawn("client_scalar", "client_nonce");
    let binding = Binding::Exporter(EXPORTER);
    let known = crate::session::Nullable(None);
    let sent = ticket.resume(&greeted, HANDLE, binding, known, &mut rng);
    let Ok((client, frame_30)) = sent else {
        panic!("the server is the same");
    };
    assert_eq!(frame_30, bytes(case, "frame_30"));

    let place = Place {
        server,
        hellos,
        handle: HANDLE,
        exporter: Some(EXPORTER),
        lowest_binding: BindingKind::Exporter,
    };
    let resume = Resume::decode(Frame::decode(&frame_30[4..]).unwrap().body).unwrap();
    let transcript = resume.claim.transcript(&hellos, &server, &binding);
    assert_eq!(transcript, *bytes(case, "transcript"));
    let Verdict::Resume(resumption) = row.judge(&resume, &place, 0, &Limits::DEFAULT) else {
        panic!("refused");
    };
    let answer = Answer::decode(Method::Open, &bytes(&vectors["answers"][1], "plain"));
    let opened = OpenedResult::decode(answer.unwrap().result.unwrap().expose());
    let mut rng = drawn("server_scalar", "server_nonce");
    let (turn, unopened) = resumption.draw(&mut rng).unwrap();
    let turned = turn.apply(&mut row, 0, &Limits::DEFAULT);
    assert_eq!(turned, Turned::On);
    let (session, frame_31) = unopened.opened(&opened.unwrap()).unwrap();
    assert_eq!(frame_31, bytes(case, "frame_31"));
    assert_eq!(*row.secret.expose(), *bytes(case, "resume"));
    assert!(session.is_of(&row));
    let Ok((client, opened)) = client.receive(&Frame::decode(&frame_31[4..]).unwrap()) else {
        panic!("not resumed");
    };
    assert_eq!(opened.user, UserId([0x21; 32]));
    assert_eq!(client.into_ticket().generation(), 1);
}

/// A point of small order, sent by either side, gives no session.
#[test]
fn points_that_give_zeros_are_refused() {
    for point in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let scalar = Secret::fill(|bytes| bytes.fill(0x55));
        let shared = crate::session::resume::exchange(&scalar, &point);
        assert!(shared.is_none());
    }
}

/// Suite 1 without the stretching, as the RFC's vectors have it.
struct Unstretched;

impl CipherSuite for Unstretched {
    type OprfCs = <Suite1 as CipherSuite>::OprfCs;
    type KeyExchange = <Suite1 as CipherSuite>::KeyExchange;
    type Ksf = Identity;
}

/// A random scalar is drawn from 64 bytes and reduced: a scalar of 32 bytes with as
/// many zeros behind it stays what it is.
pub(super) fn blind(inputs: &Value, key: &str) -> Vec<u8> {
    let mut wide = bytes(inputs, key);
    wide.resize(64, 0);
    wide
}

fn setup(inputs: &Value) -> ServerSetup<Unstretched> {
    let parts = [
        bytes(inputs, "oprf_seed"),
        bytes(inputs, "server_private_key"),
        // The public key that stands in for unknown clients; any one will do.
        bytes(inputs, "server_public_key"),
    ];
    ServerSetup::deserialize(&parts.concat()).unwrap()
}

fn identities(inputs: &Value) -> [Option<Vec<u8>>; 2] {
    ["client_identity", "server_identity"].map(|key| inputs.get(key).map(|_| bytes(inputs, key)))
}

#[test]
fn opaque_is_that_of_rfc_9807() {
    let text = include_str!("../../../../../spec/vectors/opaque.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        if vector["fake"] == true {
            an_unknown_client_gets_the_bytes(vector);
        } else {
            a_registration_and_a_login_have_the_bytes(vector);
        }
    }
}

fn a_registration_and_a_login_have_the_bytes(vector: &Value) {
    let (inputs, outputs) = (&vector["inputs"], &vector["outputs"]);
    let [client_id, server_id] = identities(inputs);
    let identifiers = Identifiers {
        client: client_id.as_deref(),
        server: server_id.as_deref(),
    };
    let setup = setup(inputs);
    let password = bytes(inputs, "password");
    let seed = bytes(inputs, "credential_identifier");

    let mut rng = Script(blind(inputs, "blind_registration"));
    let client = ClientRegistration::<Unstretched>::start(&mut rng, &password).unwrap();
    let request = client.message;
    assert_eq!(
        request.serialize()[..],
        bytes(outputs, "registration_request")
    );
    let response = ServerRegistration::start(&setup, request, &seed)
        .unwrap()
        .message;
    assert_eq!(
        response.serialize()[..],
        bytes(outputs, "registration_response")
    );
    let parameters = ClientRegistrationFinishParameters::new(identifiers, None);
    let mut rng = Script(bytes(inputs, "envelope_nonce"));
    let registered = client
        .state
        .finish(&mut rng, &password, response, parameters);
    let registered = registered.unwrap();
    assert_eq!(
        registered.message.serialize()[..],
        bytes(outputs, "registration_upload")
    );
    assert_eq!(registered.export_key[..], bytes(outputs, "export_key"));
    let record = ServerRegistration::finish(registered.message);

    let drawn = [
        blind(inputs, "blind_login"),
        bytes(inputs, "client_keyshare_seed"),
        bytes(inputs, "client_nonce"),
    ];
    let client = ClientLogin::<Unstretched>::start(&mut Script(drawn.concat()), &password).unwrap();
    assert_eq!(client.message.serialize()[..], bytes(outputs, "KE1"));
    let (server, ke2) = answer(inputs, &setup, record, client.message, vector);
    assert_eq!(ke2.serialize()[..], bytes(outputs, "KE2"));
    let context = bytes(vector, "context");
    let parameters = ClientLoginFinishParameters::new(Some(&context), identifiers, None);
    // The client draws nothing more with 3DH.
    let finished = client
        .state
        .finish(&mut Script(Vec::new()), &password, ke2, parameters);
    let finished = finished.unwrap();
    assert_eq!(finished.message.serialize()[..], bytes(outputs, "KE3"));
    assert_eq!(finished.session_key[..], bytes(outputs, "session_key"));
    assert_eq!(finished.export_key[..], bytes(outputs, "export_key"));
    let ke3 = CredentialFinalization::deserialize(&bytes(outputs, "KE3")).unwrap();
    let parameters = ServerLoginParameters {
        context: Some(&context),
        identifiers,
    };
    let finished = server.finish(ke3, parameters).unwrap();
    assert_eq!(finished.session_key[..], bytes(outputs, "session_key"));
}

fn an_unknown_client_gets_the_bytes(vector: &Value) {
    let inputs = &vector["inputs"];
    let mut record = [
        bytes(inputs, "client_public_key"),
        bytes(inputs, "masking_key"),
    ]
    .concat();
    record.resize(192, 0);
    let record = ServerRegistration::finish(RegistrationUpload::deserialize(&record).unwrap());
    let ke1 = CredentialRequest::deserialize(&bytes(inputs, "KE1")).unwrap();
    let (_, ke2) = answer(inputs, &setup(inputs), record, ke1, vector);
    assert_eq!(ke2.serialize()[..], bytes(&vector["outputs"], "KE2"));
}

fn answer(
    inputs: &Value,
    setup: &ServerSetup<Unstretched>,
    record: ServerRegistration<Unstretched>,
    ke1: CredentialRequest<Unstretched>,
    vector: &Value,
) -> (
    ServerLogin<Unstretched>,
    opaque_ke::CredentialResponse<Unstretched>,
) {
    let [client_id, server_id] = identities(inputs);
    let context = bytes(vector, "context");
    let parameters = ServerLoginParameters {
        context: Some(&context),
        identifiers: Identifiers {
            client: client_id.as_deref(),
            server: server_id.as_deref(),
        },
    };
    // `opaque-ke` draws the masking key of a record for nobody whether it needs it or not.
    let drawn = [
        vec![0; 64],
        bytes(inputs, "masking_nonce"),
        bytes(inputs, "server_keyshare_seed"),
        bytes(inputs, "server_nonce"),
    ];
    let seed = bytes(inputs, "credential_identifier");
    let mut rng = Script(drawn.concat());
    let started = ServerLogin::start(&mut rng, setup, Some(record), ke1, &seed, parameters);
    let started = started.unwrap();
    (started.state, started.message)
}
