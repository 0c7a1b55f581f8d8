//! What an entry of the log costs: CPU of the ledger and SQLite, and bytes, with 256 acts
//! that wait at any time.
//!
//! `cargo run --release -p keystead-server --example ledger [ACCOUNTS] [ENTRIES]`

#![expect(
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement: rounded figures on stdout, of numbers that it chose itself"
)]

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use keystead_channel::session::requests::{Method, SignPurpose};
use keystead_channel::session::{AccountName, Profile, Status, UserId};
use keystead_server::ledger::{Act, Action, Decided, Detail, Ledger, Log, NewEntry};
use keystead_server::rows::{Account, AccountNo, NameTag, Rows};
use keystead_server::sealing::{MasterSource, Sealing};
use keystead_server::store::{Now, Store, Wanted};
use rustix::time::{ClockId, clock_gettime};

type Failure = Box<dyn std::error::Error>;

/// 256 clients that sign at once.
const CLIENTS: usize = 256;

#[derive(Clone, Copy)]
struct Sign(AccountNo, UserId, u64);

impl Act for Sign {
    type Answer = ();

    fn wanted(&self, wanted: &mut Wanted) {
        wanted.chain(self.0);
    }

    fn decide(self, _now: Now, _rows: &mut Rows<'_>) -> Decided<()> {
        let mut request_hash = [7; 32];
        request_hash[..8].copy_from_slice(&self.2.to_be_bytes());
        Decided {
            entries: vec![NewEntry {
                log: Log::Of(self.0, self.1),
                action: Action::Method(Method::Sign),
                outcome: Status::Done,
                actor: [5; 8],
                key: [6; 16],
                request_hash,
                detail: Detail {
                    purpose: Some(SignPurpose::SshLogin),
                    ..Detail::NONE
                },
            }],
            answer: (),
        }
    }
}

struct Register(u64);

impl Act for Register {
    type Answer = (AccountNo, UserId);

    fn wanted(&self, _wanted: &mut Wanted) {}

    fn decide(self, now: Now, rows: &mut Rows<'_>) -> Decided<(AccountNo, UserId)> {
        let no = rows.new_account_no();
        let mut user = UserId([1; 32]);
        user.0[..8].copy_from_slice(&self.0.to_be_bytes());
        let mut tag = NameTag([1; 16]);
        tag.0[..8].copy_from_slice(&self.0.to_be_bytes());
        if let Ok(name) = AccountName::parse(&format!("user{}", self.0)) {
            let credentials = ([3; 192], [4; 32], Profile::Standard);
            rows.put_account(Account::pending(no, user, tag, name, credentials, now.ms));
            rows.new_chain(no);
        }
        Decided {
            entries: Vec::new(),
            answer: (no, user),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut numbers = std::env::args().skip(1);
    let accounts = numbers.next().map_or(Ok(1_000), |it| it.parse::<u64>())?;
    let entries = numbers
        .next()
        .map_or(Ok(200_000), |it| it.parse::<usize>())?;
    let folder = tempfile::tempdir()?;
    let master = folder.path().join("master.key");
    let mut options = std::fs::OpenOptions::new();
    options.create(true).write(true).mode(0o600);
    std::io::Write::write_all(&mut options.open(&master)?, &[7; 32])?;
    let store = Store::open("sqlite:server.db", folder.path()).await?;
    let (sealing, _) = Sealing::begin(&store, MasterSource::File(master)).await?;
    let ledger = Ledger::start(store, sealing).await?;

    let mut holders = Vec::new();
    for number in 0..accounts {
        holders.push(ledger.commit(Register(number)));
    }
    let holders = futures_util::future::try_join_all(holders).await?;
    let holders: Vec<_> = holders.into_iter().map(|it| it.answer).collect();
    let bytes_before = size(folder.path())?;

    for receipts in [false, true] {
        let (cpu, wall) = (now(ClockId::ProcessCPUTime), now(ClockId::Monotonic));
        run(&ledger, &holders, entries, receipts).await?;
        let each = |from: f64, clock| (now(clock) - from) * 1e6 / entries as f64;
        println!(
            "{entries} entries, receipts {receipts}: {:.1} µs CPU, {:.1} µs wall each",
            each(cpu, ClockId::ProcessCPUTime),
            each(wall, ClockId::Monotonic),
        );
    }
    ledger.stop().await;
    drop(ledger);
    let bytes = size(folder.path())? - bytes_before;
    println!("{:.1} bytes an entry", bytes as f64 / (2 * entries) as f64);
    Ok(())
}

async fn run(
    ledger: &Ledger,
    holders: &[(AccountNo, UserId)],
    entries: usize,
    receipts: bool,
) -> Result<(), Failure> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (ledger, next, holders) = (ledger.clone(), next.clone(), holders.to_vec());
        clients.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= entries {
                    return Ok(());
                }
                // Neighbours in time are no neighbours by number.
                let (no, user) = holders[number * 7_919 % holders.len()];
                let committed = ledger.commit(Sign(no, user, number as u64)).await?;
                if receipts {
                    std::hint::black_box(committed.receipt());
                }
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done?.map_err(|error: keystead_server::store::StoreError| error)?;
    }
    Ok(())
}

fn now(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Of the database, its log included.
fn size(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".db") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}
