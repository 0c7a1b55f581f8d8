//! Accounts with some history, so that no table is empty, and the database as it was before.

use std::sync::Arc;

use keystead_channel::session::requests::{
    Approver, ApproverChange, Context, Generate, Import, KeyPurpose, KeyType, Label, LabelChange,
    Policy, PolicyChange, Put, Request, Show,
};
use keystead_channel::session::{AccountName, KeyId, List, Octets, SecretOctets, Status, Text};
use keystead_core::SecretBytes;
use keystead_daemon::SystemRng;
use keystead_keeper::server::{ServerError, Session};
use keystead_server::ledger::{
    Act, Action, Decided, Detail, Log, NO_KEY, NO_REQUEST, NewEntry, OPERATOR,
};
use keystead_server::rows::{Invitation, Rows};
use keystead_server::server::Server;
use keystead_server::store::{Now, Wanted};
use keystead_vault::client::{Place, Value};
use keystead_vault::held::Kind;
use rand_core::RngCore;

use crate::database::{Content, Database};
use crate::person::Person;
use crate::reading::sign;

/// Two accounts, the tickets of a session of each, and older forms of the database.
pub(crate) struct History {
    pub(crate) people: Vec<(Person, SecretBytes)>,
    pub(crate) older: Vec<Content>,
}

impl History {
    pub(crate) async fn write(database: &Database) -> Self {
        let mut older = Vec::new();
        let server = database.server().await.unwrap();
        let anna = Person::register(&server, "anna-canary", ANNAS).await;
        let bert = Person::register(&server, "bert-canary", BERTS).await;
        server.ledger.commit(Invite).await.unwrap();
        let session = log_in(&anna, &server).await;
        let keys = keep(&anna, &session).await;
        let at_berts = log_in(&bert, &server).await;
        let berts = keep(&bert, &at_berts).await;
        wrong(&anna, &server).await;
        older.push(database.content());
        change(&session, &keys).await;
        for _ in 0..SIGNATURES {
            let signed = sign(keys[3], b"to be signed");
            session.done(&signed).await.unwrap();
            at_berts
                .done(&sign(berts[3], b"to be signed"))
                .await
                .unwrap();
        }
        older.push(database.content());
        change(&at_berts, &berts).await;
        leave(&server).await;
        let session = anna.move_on(&server, session).await.unwrap();
        session.done(&sign(keys[3], b"to be signed")).await.unwrap();
        wrong(&anna, &server).await;
        stranger(&anna, &server).await;
        older.push(database.content());
        let session = anna.move_on(&server, session).await.unwrap();
        session.done(&Request::Ping).await.unwrap();
        session.done(&sign(keys[3], b"to be signed")).await.unwrap();
        wrong(&anna, &server).await;
        let tickets = [session, at_berts].map(|it| it.into_ticket().unwrap().encode());
        server.ledger.stop().await;
        server.store.close().await.unwrap();
        let people = [anna, bert].into_iter().zip(tickets).collect();
        Self { people, older }
    }
}

async fn log_in(person: &Person, server: &Arc<Server>) -> Session {
    let logged_in = person.log_in(server, &person.watch).await;
    logged_in.map_err(|it| it.to_string()).unwrap().session
}

/// A wrong password: it is counted.
async fn wrong(person: &Person, server: &Arc<Server>) {
    let refused = person.log_in_by(server, &person.seen(), "not it").await;
    assert!(matches!(refused, Err(ServerError::WrongPassword)));
}

/// One that is guessed at without an account.
async fn stranger(person: &Person, server: &Arc<Server>) {
    let name = AccountName::parse("nobody-canary").unwrap();
    let refused = person.log_in_as(server, name).await;
    assert!(matches!(refused, Err(ServerError::WrongPassword)));
}

/// An account that is deleted again.
async fn leave(server: &Arc<Server>) {
    let carl = Person::register(server, "carl-canary", BERTS).await;
    let session = log_in(&carl, server).await;
    keep(&carl, &session).await;
    session.done(&Request::DeleteAccount).await.unwrap();
}

/// Secrets that the client seals, keys and bytes that the server holds.
async fn keep(person: &Person, session: &Session) -> Vec<KeyId> {
    let mut keys = Vec::new();
    for (context, c, canary) in [
        (
            Context::Generated,
            "client-generated",
            &b"generated canary"[..],
        ),
        (Context::Imported, "imported key", &b"imported canary"[..]),
        (Context::Stored, "stored", &b"stored canary"[..]),
    ] {
        let nonce = nonce();
        let key = KeyId::of(&person.user, &nonce);
        let place = Place {
            user: &person.user.0,
            key: &key.0,
        };
        let bytes = SecretBytes::take(&mut canary.to_vec());
        let value = Value::of(Kind::Arbitrary, bytes).unwrap();
        let storage = &person.storage;
        let put = Put {
            nonce,
            context,
            kind: KeyType::Arbitrary,
            value: Octets(storage.seal_value(place, c, &value, &mut SystemRng)),
            label: Octets(storage.seal_label(place, 0, "sealed label canary", &mut SystemRng)),
            replaces: None,
        };
        session.done(&Request::Put(put)).await.unwrap();
        keys.push(key);
    }
    for (kind, policy) in [
        (KeyType::Ed25519, None),
        (KeyType::Ed25519, Some(hourly(1))),
        (KeyType::Secp256k1, None),
    ] {
        let nonce = nonce();
        let make = Generate {
            nonce,
            kind,
            label: Label::Open(Text("open label canary".to_owned())),
            replaces: None,
            size: None,
            purposes: List(vec![KeyPurpose::Message]),
            policy,
        };
        session.done(&Request::Make(make)).await.unwrap();
        keys.push(KeyId::of(&person.user, &nonce));
    }
    keys.push(import(person, session).await);
    session.done(&sign(keys[4], b"to be signed")).await.unwrap();
    let refused = session.ask(&sign(keys[4], b"to be signed")).await.unwrap();
    assert_eq!(refused.status, Status::Policy);
    keys
}

async fn import(person: &Person, session: &Session) -> KeyId {
    let nonce = nonce();
    let import = Import {
        nonce,
        kind: KeyType::Arbitrary,
        label: Label::Open(Text("open label canary".to_owned())),
        replaces: None,
        value: SecretOctets(SecretBytes::take(&mut b"held value canary".to_vec())),
        purposes: List(vec![]),
        policy: None,
    };
    session.done(&Request::Import(import)).await.unwrap();
    KeyId::of(&person.user, &nonce)
}

/// What can change does.
async fn change(session: &Session, keys: &[KeyId]) {
    let key = keys[5];
    let label = Request::Label(LabelChange {
        key,
        revision: 1,
        label: Label::Open(Text("another label canary".to_owned())),
    });
    session.done(&label).await.unwrap();
    let policy = hourly(7);
    let policy = Request::Policy(PolicyChange { key, policy });
    session.done(&policy).await.unwrap();
    let delete = Request::Delete(Show { key: keys[2] });
    session.done(&delete).await.unwrap();
    let approvers = Request::Approvers(ApproverChange {
        add: Some(Approver {
            public_key: APPROVER,
            label: Text("approver canary".to_owned()),
        }),
        remove: None,
        recovery_code: None,
        recovery: None,
    });
    session.done(&approvers).await.unwrap();
}

fn hourly(hourly_max: u32) -> Policy {
    Policy {
        users: None,
        host_keys: None,
        namespaces: None,
        unproved_destination: None,
        hours: None,
        hourly_max: Some(hourly_max),
        quorum: None,
    }
}

fn nonce() -> [u8; 32] {
    let mut nonce = [0; 32];
    SystemRng.fill_bytes(&mut nonce);
    nonce
}

/// What the operator does for somebody who is to come.
struct Invite;

impl Act for Invite {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.invitation(INVITATION_HASH);
    }

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<()> {
        rows.put_invitation(Invitation {
            hash: INVITATION_HASH,
            made_ms: now.ms,
            used: false,
            name: AccountName::parse("invited-canary").unwrap(),
        });
        let entry = NewEntry {
            log: Log::System,
            action: Action::OperatorAct,
            outcome: Status::Done,
            actor: OPERATOR,
            key: NO_KEY,
            request_hash: NO_REQUEST,
            detail: Detail::NONE,
        };
        Decided {
            entries: vec![entry],
            answer: (),
        }
    }
}

pub(crate) const ANNAS: &str = "anna's password canary";

pub(crate) const BERTS: &str = "bert's password canary";

const INVITATION_HASH: [u8; 32] = [0x1e; 32];

/// The base point of Ed25519: a key that is one.
const APPROVER: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};

/// With the rest over the end of a tile of 256 leaves.
const SIGNATURES: usize = 110;
