//! The real key server under load, over TLS connections that are open: what an operation
//! costs the server and its database, how long it takes, how many pass in a second, what a
//! row weighs. `cargo xtask bench server` runs it and reads its lines
//! `figure NAME VALUE UNIT at-most|at-least TARGET`.
//!
//! **Invariant**: the server is the built program with full durability; only limits of
//! requests and of sources are off. Its CPU and its database's are counted, the
//! generator's never; every receipt's path is checked, and each client checks the
//! signature of the head that it is under.
//!
//! `load SERVER [--postgres] [--users N] [--secrets N] [--seconds S] [--keep FOLDER [--load]]
//! [--only OPERATION:CLIENTS]…`
//!
//! With `--keep` the loaded database stays in a folder and is used again; with `--load` too
//! nothing is measured. With `--only` these phases alone are measured, with nothing else in the database: for
//! who looks for what an operation costs.

#![expect(
    clippy::as_conversions,
    reason = "a measurement: rounded figures of numbers that it chose itself"
)]

mod bulk;
mod client;
mod disk;
mod figures;
mod kept;
mod phase;
mod server;
mod times;

use std::path::PathBuf;
use std::sync::Arc;

use client::{Account, Client, Operation};
use figures::Figures;
use kept::Kept;
use keystead_daemon::rng::SystemRng;
use keystead_tests::{About, Failure, Result};
use phase::Phase;
use rand_core::RngCore;
use server::{Database, Server};

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Argon2id of registrations: as many at once as there are processors.
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .about("the runtime")?;
    runtime.block_on(run(&options))
}

/// What is asked on the command line.
struct Options {
    program: PathBuf,
    database: Database,
    users: i64,
    secrets: i64,
    seconds: f64,
    keep: Option<PathBuf>,
    loads_only: bool,
    only: Vec<(Operation, usize)>,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let program = words.next().ok_or_else(|| Failure::new(USAGE))?;
        let mut options = Self {
            program: PathBuf::from(program),
            database: Database::Sqlite,
            users: 10_000,
            secrets: 100_000,
            seconds: 3.0,
            keep: None,
            loads_only: false,
            only: Vec::new(),
        };
        while let Some(word) = words.next() {
            if word == "--only" {
                let asked = words.next().and_then(|it| phase(&it));
                options.only.push(asked.ok_or_else(|| Failure::new(USAGE))?);
                continue;
            }
            if word == "--keep" {
                let folder = words.next().ok_or_else(|| Failure::new(USAGE))?;
                options.keep = Some(PathBuf::from(folder));
                continue;
            }
            let mut number = || {
                let value = words.next().and_then(|it| it.parse::<u32>().ok());
                value.ok_or_else(|| Failure::new(USAGE))
            };
            match word.as_str() {
                "--postgres" => options.database = Database::Postgres,
                "--load" => options.loads_only = true,
                "--users" => options.users = number()?.into(),
                "--secrets" => options.secrets = number()?.into(),
                "--seconds" => options.seconds = number()?.into(),
                _ => return Err(Failure::new(USAGE)),
            }
        }
        if options.loads_only && options.keep.is_none() {
            return Err(Failure::new(USAGE));
        }
        Ok(options)
    }

    fn rows(&self) -> (i64, i64) {
        (self.users, self.secrets)
    }
}

/// `OPERATION:CLIENTS`.
fn phase(word: &str) -> Option<(Operation, usize)> {
    let (name, count) = word.split_once(':')?;
    let operation = Operation::ALL.into_iter().find(|it| it.name() == name)?;
    let count = count.parse().ok().filter(|count| *count <= CLIENTS_MAX)?;
    Some((operation, count))
}

async fn run(options: &Options) -> Result<()> {
    let kept = options.keep.as_deref();
    let kept = kept.map(|folder| Kept::new(folder, options.database, options.rows()));
    let kept = kept.transpose()?;
    if let Some(kept) = kept.as_ref().filter(|_| options.loads_only) {
        return kept.server(&options.program).await.map(drop);
    }
    let mut server = Server::new(&options.program, options.database)?;
    let disk = disk::measure(server.folder())?;
    say(&format!("the disk's fdatasync: {}", disk.spread()));
    let mut figures = Figures::new(options.database, disk);
    server.start()?;
    let mut clients = register(&server).await?.1;
    client::prepare(&mut clients).await?;
    if !options.only.is_empty() {
        for asked in &options.only {
            let measured = phase::run(&server, &mut clients, *asked, options.seconds).await?;
            say(&measured.line());
        }
        return Ok(());
    }
    say("With nothing else in the database:");
    let mut empty = Vec::new();
    for operation in [Operation::Login, Operation::Sign, Operation::Retrieve] {
        let measured = phase::run(&server, &mut clients, (operation, 64), options.seconds).await?;
        say(&measured.line());
        empty.push(measured);
    }
    drop(clients);
    server.stop()?;
    let (server, loaded) = match kept {
        None => {
            let loaded = bulk::load(&server, options.users, options.secrets).await?;
            (server, loaded)
        }
        Some(kept) => kept.server(&options.program).await?,
    };
    figures.rows(&loaded);
    full(server, &empty, options.seconds, &mut figures).await?;
    figures.tell();
    Ok(())
}

/// All that is promised, over the loaded database.
async fn full(
    mut server: Server,
    empty: &[Phase],
    seconds: f64,
    figures: &mut Figures,
) -> Result<()> {
    let ready_ms = server.start()?;
    figures.memory_and_start(ready_ms, server.rss_mib()?);
    say("With that database:");
    let (registered, mut clients) = register(&server).await?;
    let mut take = |measured: &Phase| {
        figures.take(measured);
        let before = empty.iter().find(|it| it.is_same(measured));
        figures.flat(before, measured);
    };
    registered.iter().for_each(&mut take);
    client::prepare(&mut clients).await?;
    for operation in Operation::ALL {
        for count in CLIENTS {
            let measured = phase::run(&server, &mut clients, (operation, count), seconds).await?;
            say(&measured.line());
            take(&measured);
        }
    }
    entries(&mut server, clients, seconds, figures).await
}

/// 256 new accounts: one by one, then by 64 at once.
async fn register(server: &Server) -> Result<(Vec<Phase>, Vec<Client>)> {
    let run = SystemRng.next_u32();
    let (mut phases, mut clients) = (Vec::new(), Vec::new());
    for (all, at_once) in REGISTRATIONS {
        let mut new = Vec::new();
        for _ in 0..all {
            let number = clients.len() + new.len();
            new.push(Client::new(server, &format!("load{run:08x}.{number}@example.org")).await?);
        }
        let measured = phase::register(server, (new, at_once), &mut clients).await?;
        say(&measured.line());
        phases.push(measured);
    }
    Ok((phases, clients))
}

/// What an entry weighs, and what 1,000 sessions on 1,000 connections do.
async fn entries(
    server: &mut Server,
    clients: Vec<Client>,
    seconds: f64,
    figures: &mut Figures,
) -> Result<()> {
    let accounts = client::leave(clients);
    let mut sizes = Vec::new();
    // Without the room that all before has left. The first round leaves as much as the
    // second one finds, as at any time of full load.
    server.stop()?;
    server.compact()?;
    for _ in 0..ROUNDS {
        let (bytes, mut clients) = at_rest(server, &accounts).await?;
        sizes.push((bytes, log_size(&clients)));
        phase::run(server, &mut clients, (Operation::Sign, 256), seconds).await?;
    }
    let (bytes, clients) = at_rest(server, &accounts).await?;
    sizes.push((bytes, log_size(&clients)));
    if let [.., (bytes, size), (bytes_after, size_after)] = sizes.as_slice() {
        figures.entry(bytes_after - bytes, size_after - size);
    }
    drop(clients);
    server.stop()?;
    server.start()?;
    let mut open = Vec::new();
    for account in accounts.iter().cycle().take(SESSIONS) {
        open.push(Client::log_in(server, account.clone()).await?);
    }
    figures.sessions(server.rss_mib()?);
    drop(open);
    server.stop()
}

/// What the database weighs while nobody uses it; then all log in. A phase is shorter than
/// PostgreSQL's autovacuum sleeps, so what that would have done meanwhile is done here.
async fn at_rest(server: &mut Server, accounts: &[Arc<Account>]) -> Result<(i64, Vec<Client>)> {
    server.stop()?;
    server.vacuum()?;
    let bytes = server.bytes()?;
    server.start()?;
    Ok((bytes, client::come_back(server, accounts).await?))
}

/// How long the log was when the first of them logged in.
fn log_size(clients: &[Client]) -> i64 {
    let sizes = clients.iter().map(Client::log_size);
    sizes.min().unwrap_or_default()
}

#[expect(clippy::print_stdout, reason = "what a measurement is for")]
fn say(line: &str) {
    println!("{line}");
}

const USAGE: &str = "usage: load SERVER [--postgres] [--users N] [--secrets N] [--seconds S] \
    [--keep FOLDER [--load]] [--only login|retrieval|signature|resumption:CLIENTS]…";

/// As many as register.
const CLIENTS_MAX: usize = 256;

/// At once.
const CLIENTS: [usize; 4] = [1, 8, 64, 256];

/// How many, and how many of them at once; together the most clients. Many, because a tick
/// of CPU time is 10 ms.
const REGISTRATIONS: [(usize, usize); 2] = [(16, 1), (240, 64)];

const SESSIONS: usize = 1_000;

/// Of signatures, until the last one's entries are weighed.
const ROUNDS: usize = 2;
