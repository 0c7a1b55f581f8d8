//! The whole database stolen: without the master key it tells nothing and tests no guess;
//! with it a guess costs one Argon2id, the server's keys are had, and nothing that a client
//! sealed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use keystead_core::{Secret, SecretBytes};
use keystead_keeper::server::ServerError;
use keystead_server::rows::{Account, HeldSecret, Record, Row, SERVER_HELD, Table};
use keystead_server::sealing::{MasterSource, Sealing, SealingError};
use keystead_server::store::Store;
use keystead_vault::client::MasterKey;
use keystead_vault::held::{HeldKey, Kind};

use crate::database::{Content, Database, MASTER_KEY, hex};
use crate::history::{ANNAS, BERTS, History};
use crate::person::{MACHINE, RECOVERY_CODE};

async fn without_the_master_key(database: Database) {
    let history = History::write(&database).await;
    let stolen = database.stolen();
    let (sealing, content) = opened(&database).await;
    let is_whole = found(&stolen, &sealing.server().0);
    assert!(is_whole, "it looks where nothing is");
    let mut canaries: Vec<&[u8]> = vec![ANNAS.as_bytes(), BERTS.as_bytes(), MACHINE.as_bytes()];
    canaries.extend([&RECOVERY_CODE[..], &MASTER_KEY, b"canary"]);
    canaries.extend(history.people.iter().map(|it| it.1.expose()));
    let tickets = history
        .people
        .iter()
        .flat_map(|it| it.1.expose().windows(32));
    for secret in canaries.into_iter().chain(tickets) {
        for form in forms(secret) {
            assert!(
                !found(&stolen, &form),
                "{:?}",
                String::from_utf8_lossy(&form)
            );
        }
    }
    // What a guess would be tested against is not there either.
    let mut plains = 0;
    for (table, cells) in rows(&content) {
        let plain = plain(&sealing, table, &cells);
        for window in plain.windows(32).step_by(8) {
            let is_public = matches!(table, Table::Head | Table::Block | Table::Chain);
            let is_empty = window.iter().all(|it| *it == window[0]);
            assert!(
                is_public || is_empty || !found(&stolen, window),
                "{table:?}"
            );
        }
        plains += 1;
    }
    assert!(plains > 10);
    // And no other key than the master key opens it.
    let path = database.folder.path().join("master.key");
    std::fs::write(&path, [7; 32]).unwrap();
    let refused = database.server().await.err();
    assert!(matches!(refused, Some(SealingError::OtherMasterKey)));
}

async fn with_the_master_key(database: Database) {
    let history = History::write(&database).await;
    let (sealing, content) = opened(&database).await;
    // Nobody has guessed at his password yet.
    let bert = &history.people[1].0;
    // A key that the server holds signs for who has it.
    let of = |table| content[&table].iter().map(|it| Row { cells: it.clone() });
    let secrets = of(Table::Secret).map(|row| HeldSecret::from_row(&row, &sealing).unwrap());
    let (held, sealed): (Vec<_>, Vec<_>) = secrets.partition(|it| it.context == SERVER_HELD);
    let key = held.iter().find(|it| it.kind == 2).unwrap();
    let value = SecretBytes::take(&mut key.value.expose().to_vec());
    let key = HeldKey::open(Kind::Ed25519, value, key.public_key.clone()).unwrap();
    assert_eq!(key.public_key().unwrap().len(), 32);
    assert!(
        held.iter()
            .any(|it| it.value.expose() == b"held value canary")
    );
    // What clients sealed opens with nothing that lies there.
    for secret in &sealed {
        assert!(!found(&[secret.value.expose().to_vec()], b"canary"));
    }
    let keys: Vec<Vec<u8>> = rows(&content)
        .map(|(table, cells)| plain(&sealing, table, &cells))
        .chain([MASTER_KEY.to_vec()])
        .collect();
    let accounts = of(Table::Account).map(|row| Account::from_row(&row, &sealing).unwrap());
    let account = accounts
        .into_iter()
        .find(|it| it.user == bert.user)
        .unwrap();
    let sealed = account.storage_key.unwrap();
    for window in keys.iter().flat_map(|it| it.windows(32)) {
        let key = MasterKey::kept(Secret::fill(|place| place.copy_from_slice(window)));
        assert!(key.open_storage_key(&bert.user.0, &sealed).is_err());
    }
    // Guesses can be tried on a server of one's own: the right one opens all, at one
    // Argon2id each.
    let server = database.server().await.unwrap();
    for (password, is_right) in [("password", false), (ANNAS, false), (BERTS, true)] {
        match bert.guess(&server, password).await {
            Ok(logged_in) => {
                assert!(is_right);
                let key = MasterKey::derive(logged_in.export_key);
                key.open_storage_key(&bert.user.0, &sealed).ok().unwrap();
            }
            Err(error) => assert!(!is_right && matches!(error, ServerError::WrongPassword)),
        }
    }
    server.ledger.stop().await;
    server.store.close().await.unwrap();
}

async fn opened(database: &Database) -> (Sealing, Content) {
    let folder = database.folder.path();
    let content = database.content();
    let store = Store::open(&database.address(), folder).await.unwrap();
    let source = MasterSource::File(folder.join("master.key"));
    let (sealing, _) = Sealing::begin(&store, source).await.unwrap();
    (sealing, content)
}

/// Sealed rows whose seal is a row's own.
fn rows(content: &Content) -> impl Iterator<Item = (Table, Vec<keystead_server::rows::Cell>)> {
    let is_sealed = |table: &Table| table.is_sealed() && *table != Table::DataKey;
    let tables = content.iter().filter(move |it| is_sealed(it.0));
    tables.flat_map(|(table, rows)| rows.iter().map(|row| (*table, row.clone())))
}

fn plain(sealing: &Sealing, table: Table, row: &[keystead_server::rows::Cell]) -> Vec<u8> {
    let (sealed, open) = row.split_last().unwrap();
    let plain = sealing.open(table, open, sealed.as_bytes().unwrap());
    plain.unwrap().as_slice().to_vec()
}

fn found(files: &[Vec<u8>], bytes: &[u8]) -> bool {
    let is_in = |file: &Vec<u8>| file.windows(bytes.len()).any(|it| it == bytes);
    files.iter().any(is_in)
}

/// Raw, hexadecimal in either case, and base64 at each of its three places.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let text = hex(secret);
    let mut forms = vec![
        secret.to_vec(),
        text.to_uppercase().into_bytes(),
        text.into(),
    ];
    for before in 0..3 {
        let padded = [&vec![0; before], secret].concat();
        let whole = BASE64_STANDARD_NO_PAD.encode(padded);
        // The characters that are made of the secret alone.
        let (from, to) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
        forms.push(whole.as_bytes()[from..to].to_vec());
    }
    forms
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_without_the_master_key() {
    without_the_master_key(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_without_the_master_key() {
    without_the_master_key(Database::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_with_the_master_key() {
    with_the_master_key(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_with_the_master_key() {
    with_the_master_key(Database::postgres()).await;
}
