//! A full database of version 1 comes up at the next start, and goes on as if nothing had been.

use keystead_channel::session::requests::{
    Context, Intent, KeyType, Put, Request, Retrieve, Retrieved,
};
use keystead_channel::session::{InvitationLink, KeyId, Octets};
use keystead_keeper::server::Session;
use keystead_tests::Postgres;

use crate::acknowledged::Acknowledged;
use crate::guesses::{A_CONNECTION, Guesses, NO_BUCKETS};
use crate::person::Person;
use crate::postgres::configured;
use crate::server::Folder;

/// `change` is given statements that take the database back to version 1.
async fn all_of_version_1_is_there(folder: Folder, change: impl FnOnce(&Folder, &str)) {
    folder.configure_tables(NO_BUCKETS);
    let server = folder.run();
    let alex = Person::register(&server, "alex").await;
    let session = alex.log_in(&server).await.unwrap();
    let mut done = Acknowledged::default();
    done.go_on_for(3, &session).await.unwrap();
    let secret = put(&session).await;
    assert_eq!(retrieve(&session, secret).await, sealed());
    let sam = server.folder.must(&["invite", "sam"]);
    for name in ["alex", "nobody"] {
        let guesses = Guesses::new(&server, name).await;
        assert_eq!(guesses.make().await, A_CONNECTION);
    }
    let (folder, _) = server.stop();
    change(&folder, TO_VERSION_1);

    let server = folder.run();
    // Of what was guessed before nothing is forgotten: the fifth is evaluated, and then both wait.
    for name in ["alex", "nobody"] {
        let guesses = Guesses::new(&server, name).await;
        assert!(guesses.make().await < A_CONNECTION, "{name}");
    }
    let session = alex.log_in_patiently(&server).await.unwrap();
    assert_eq!(retrieve(&session, secret).await, sealed());
    done.check_last(&session).await;
    done.step(&session).await.unwrap();
    done.check(&session).await;
    let sam = InvitationLink::parse(sam.trim()).unwrap();
    Person::register_with(&server, sam).await.unwrap();
}

async fn put(session: &Session) -> KeyId {
    let nonce = [8; 32];
    let put = Put {
        nonce,
        context: Context::Stored,
        kind: KeyType::Arbitrary,
        value: Octets(sealed()),
        label: Octets(vec![0x1b; 24 + 6 + 16]),
        replaces: None,
    };
    session.done(&Request::Put(put)).await.unwrap();
    KeyId::of(&session.user(), &nonce)
}

async fn retrieve(session: &Session, key: KeyId) -> Vec<u8> {
    let retrieve = Request::Retrieve(Retrieve {
        key,
        intent: Intent::Export,
        kind: KeyType::Arbitrary,
    });
    let answer = session.done(&retrieve).await.unwrap();
    let retrieved = Retrieved::decode(answer.result.unwrap().expose()).unwrap();
    retrieved.value.unwrap().0.expose().to_vec()
}

/// What a client seals a secret of 32 bytes to: here only its length counts.
fn sealed() -> Vec<u8> {
    vec![0x5a; 24 + 4 + 32 + 1 + 16]
}

/// What version 2 made is undone (`store/schema/2.*.sql`).
const TO_VERSION_1: &str = "
    DROP INDEX guess_tried;
    CREATE INDEX guess_unknown ON guess (last_ms) WHERE known = 0;
    DELETE FROM schema;
    INSERT INTO schema (version) VALUES (1);
";

#[tokio::test(flavor = "multi_thread")]
async fn all_of_version_1_is_there_on_sqlite() {
    let change = |folder: &Folder, statements: &str| {
        let database = rusqlite::Connection::open(folder.file("keystead.db")).unwrap();
        database.execute_batch(statements).unwrap();
    };
    all_of_version_1_is_there(Folder::new(), change).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_version_1_is_there_on_postgres() {
    let database = Postgres::start().unwrap();
    let change = |_: &Folder, statements: &str| {
        database.sql("keys", statements).unwrap();
    };
    all_of_version_1_is_there(configured(&database.address()), change).await;
}
