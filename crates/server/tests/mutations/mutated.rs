//! After each change a client logs in, reads everything and verifies the log: each answer
//! is the one from before or an error that names what is wrong, never a third thing.
//!
//! 300 changes on SQLite and 60 on PostgreSQL; `KEYSTEAD_MUTATIONS=1000` makes 1,000 of
//! each, three minutes on SQLite, `KEYSTEAD_MUTATION_SEED` others, and `KEYSTEAD_SHOW=1`
//! tells each error.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use keystead_server::rows::{Cell, Table};
use keystead_server::server::Server;
use tracing_subscriber::fmt::MakeWriter;

use crate::change::{Change, Kind};
use crate::database::{Content, Database, Kept, Row};
use crate::history::History;
use crate::reading::Reading;

/// A database, what its clients got of it, and how to put it back.
struct Before {
    database: Database,
    kept: Kept,
    now: Content,
    history: History,
    readings: Vec<Reading>,
    said: Said,
}

impl Before {
    async fn new(database: Database) -> Self {
        let said = Said::listen();
        let history = History::write(&database).await;
        let kept = database.keep();
        let now = database.content();
        let mut before = Self {
            database,
            kept,
            now,
            history,
            readings: Vec::new(),
            said,
        };
        before.readings = before.read().await.unwrap();
        for reading in &before.readings {
            let failed: Vec<_> = reading.answers.iter().filter(|it| it.1.is_err()).collect();
            assert!(failed.is_empty(), "{failed:#?}");
        }
        before
    }

    /// Starts the server, and lets everybody read; then the database is as it was.
    async fn read(&self) -> Result<Vec<Reading>, String> {
        let server = self.database.server().await.map_err(|it| it.to_string());
        let readings = match server {
            Ok(server) => Ok(self.read_at(&server).await),
            Err(error) => Err(error),
        };
        self.database.put_back(&self.kept);
        readings
    }

    async fn read_at(&self, server: &Arc<Server>) -> Vec<Reading> {
        let mut readings = Vec::new();
        for (person, ticket) in &self.history.people {
            readings.push(Reading::of(server, person, ticket).await);
        }
        let mut export = server.ledger.export(None);
        let exported = loop {
            match export.next().await {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(Vec::new()),
                Err(error) => break Err(error.to_string()),
            }
        };
        let mut operator = Reading::default();
        operator.answers.insert("export".to_owned(), exported);
        readings.push(operator);
        server.ledger.stop().await;
        server.store.close().await.unwrap();
        readings
    }

    /// The errors after a change; a text where there is a third thing.
    async fn after(&self, change: &Change) -> Result<Vec<String>, String> {
        self.said.clear();
        let readings = match self.read().await {
            Ok(readings) => readings,
            Err(error) => return Ok(vec![error]),
        };
        let mut errors = Vec::new();
        for (reading, before) in readings.iter().zip(&self.readings) {
            errors.extend(third(reading, before)?);
        }
        let is_unnamed = |it: &String| it.contains("list: Answered(Corrupt)");
        if change.table == Table::Secret && errors.iter().any(is_unnamed) {
            return Err("the list names no entry".to_owned());
        }
        let is_in_log = matches!(
            change.table,
            Table::Head | Table::Chain | Table::LeafIndex | Table::Block | Table::Tile
        );
        if is_in_log && errors.is_empty() && !self.is_dead(change) {
            return Err("nobody names it".to_owned());
        }
        Ok(errors)
    }
}

impl Before {
    /// Rows that say nothing of a live entry: a block that was merged into another since, put
    /// beside it, and where the chain of a deleted account stands.
    fn is_dead(&self, change: &Change) -> bool {
        let key = change.table.shape().key;
        let rows = &self.now[&change.table];
        let is_there = |row: &Row| rows.iter().any(|it| it[..key] == row[..key]);
        let is_merged = change.kind == Kind::Older && !change.rows.iter().any(is_there);
        let is_of_live = |row: &Row| {
            let live = &self.now[&Table::Account];
            row[0] == Cell::Int(0) || live.iter().any(|it| it[0] == row[0])
        };
        let is_of_account = matches!(change.table, Table::Chain | Table::LeafIndex);
        is_merged || (is_of_account && !change.rows.iter().any(is_of_live))
    }
}

/// What are errors now; a text if something else differs.
fn third(reading: &Reading, before: &Reading) -> Result<Vec<String>, String> {
    let mut errors = Vec::new();
    let is_contradicted = |name: &str| {
        reading
            .contradicted
            .is_some_and(|key| name.contains("list") || name.contains(&key.to_string()))
    };
    for (name, answer) in &reading.answers {
        match (answer, before.answers.get(name)) {
            (Err(error), _) => errors.push(format!("{name}: {error}")),
            (Ok(_), _) if is_contradicted(name) => {}
            (Ok(answer), Some(Ok(was))) if answer == was => {}
            (Ok(answer), was) => {
                let text = String::from_utf8_lossy(answer);
                let was = was.map(|it| {
                    it.clone()
                        .map(|it| String::from_utf8_lossy(&it).into_owned())
                });
                return Err(format!("{name} is {text:?}, was {was:?}"));
            }
        }
    }
    let asked = |it: &&String| !reading.answers.contains_key(*it) && !is_contradicted(it);
    let missing = before.answers.keys().find(asked);
    if let Some(name) = missing.filter(|_| errors.is_empty()) {
        return Err(format!("{name} is not asked"));
    }
    let leaves = reading.leaves.iter().zip(&before.leaves);
    if let Some(at) = leaves.into_iter().position(|(it, was)| it != was) {
        // Those of the reading itself are new each time.
        if at < before.leaves.len().saturating_sub(NEW_LEAVES) {
            return Err(format!("entry {at} is another"));
        }
    }
    Ok(errors)
}

async fn run(database: Database, first: u64, wanted: usize) {
    let before = Before::new(database).await;
    let mut counts: BTreeMap<(Table, Kind), (usize, usize)> = BTreeMap::new();
    let (mut broken, mut seed, mut done) = (Vec::new(), first, 0);
    while done < wanted {
        let change = Change::make(&before.database, &before.now, &before.history.older, seed);
        if let Some(change) = change {
            done += 1;
            let count = counts.entry((change.table, change.kind)).or_default();
            match before.after(&change).await {
                Ok(errors) if errors.is_empty() => count.0 += 1,
                Ok(errors) => {
                    count.1 += 1;
                    let said = before.said.take();
                    if std::env::var_os("KEYSTEAD_SHOW").is_some() {
                        println!("seed {seed}: {}: {errors:#?}\n{said}", change.said());
                    }
                }
                Err(third) => broken.push(format!("seed {seed}: {}: {third}", change.said())),
            }
        }
        seed += 1;
    }
    println!("seeds {first} to {seed}: (unnoticed, errors) {counts:#?}");
    assert!(
        broken.is_empty(),
        "{} of {wanted}:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// What the server says to its operator.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn listen() -> Self {
        let said = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(said.clone())
            .with_ansi(false);
        let _ = subscriber.try_init();
        said
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Said {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    run(Database::sqlite(), first_seed(), changes(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    run(Database::postgres(), first_seed(), changes(60)).await;
}

/// Where to begin: another number tries other changes.
fn first_seed() -> u64 {
    let first = std::env::var("KEYSTEAD_MUTATION_SEED").ok();
    first.map_or(0, |it| it.parse().unwrap())
}

fn changes(or: usize) -> usize {
    let changes = std::env::var("KEYSTEAD_MUTATIONS").ok();
    changes.map_or(or, |it| it.parse().unwrap())
}

/// The entries of one reading, at the most.
const NEW_LEAVES: usize = 60;
