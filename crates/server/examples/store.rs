//! What rows cost: bytes a user and a secret, microseconds a read, and batches of 512 acts
//! that each change a session and a chain and add an entry's bytes.
//!
//! `cargo run --release -p keystead-server --example store [USERS] [SECRETS] [ADDRESS] [BATCHES]`

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use keystead_channel::session::{
    AccountName, BindingKind, KeyId, Profile, SessionId, SessionRow, UserId,
};
use keystead_core::{Secret, SecretBytes};
use keystead_daemon::rng::SystemRng;
use keystead_server::rows::{
    Account, AccountNo, AccountState, HeldSecret, LogBlock, LogIndex, NameTag, Rows, Session,
};
use keystead_server::sealing::{MasterSource, Sealing};
use keystead_server::store::{Store, StoreError, Wanted};
use rand_core::RngCore;
use rustix::time::{ClockId, clock_gettime};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let users: i64 = words.next().map_or(Ok(100_000), |word| word.parse())?;
    let secrets: i64 = words.next().map_or(Ok(200_000), |word| word.parse())?;
    let address = words.next().unwrap_or("sqlite:store.db".to_owned());
    let batches: usize = words.next().map_or(Ok(200), |word| word.parse())?;
    let folder = std::env::temp_dir().join(format!("keystead-store-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let outcome = measure(&folder, &address, users, secrets, batches).await;
    std::fs::remove_dir_all(&folder)?;
    outcome
}

async fn measure(
    folder: &Path,
    address: &str,
    users: i64,
    secrets: i64,
    batches: usize,
) -> Result<(), Failure> {
    use std::io::Write as _;
    let master = folder.join("master.key");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options.open(&master)?.write_all(&[7; 32])?;
    let store = Store::open(address, folder).await?;
    let (sealing, _) = Sealing::begin(&store, MasterSource::File(master)).await?;
    let empty = size(folder);
    let from = seconds(ClockId::Monotonic);
    load_users(&store, &sealing, users).await?;
    let with_users = size(folder);
    load_secrets(&store, &sealing, users, secrets).await?;
    let with_secrets = size(folder);
    let took = seconds(ClockId::Monotonic) - from;
    tell(&format!(
        "loaded {users} users and {secrets} secrets in {took:.1} s"
    ));
    tell(&format!("{:.0} B a user", per(with_users - empty, users)));
    tell(&format!(
        "{:.0} B a secret",
        per(with_secrets - with_users, secrets)
    ));
    reads(&store, &sealing, users, secrets).await?;
    acts(&store, &sealing, users, batches).await
}

async fn load_users(store: &Store, sealing: &Sealing, users: i64) -> Result<(), StoreError> {
    for first in (0..users).step_by(STEP) {
        act(store, sealing, Wanted::new(), move |rows| {
            for _ in first..users.min(first + 2_000) {
                let no = rows.new_account_no();
                let name = AccountName::parse(&format!("user{}.somewhere@example.org", no.0));
                let Ok(name) = name else { return };
                let (user, tag) = (UserId(draw()), NameTag(draw()));
                let mut account = Account::pending(
                    no,
                    user,
                    tag,
                    name,
                    ([3; 192], draw(), Profile::Standard),
                    1,
                );
                account.state = AccountState::Active;
                account.storage_key = Some([4; 72]);
                account.recovery = Some(draw());
                rows.put_account(account);
                rows.new_chain(no);
            }
        })
        .await?;
    }
    Ok(())
}

/// Among the users in turn, so that no page is filled by one of them.
async fn load_secrets(
    store: &Store,
    sealing: &Sealing,
    users: i64,
    secrets: i64,
) -> Result<(), StoreError> {
    for first in (0..secrets).step_by(STEP) {
        act(store, sealing, Wanted::new(), move |rows| {
            for number in first..secrets.min(first + 2_000) {
                rows.put_secret(HeldSecret {
                    account: AccountNo(number % users + 1),
                    key: KeyId(key(number)),
                    kind: 1,
                    context: 0,
                    revision: 0,
                    version: 0,
                    made_ms: 1_800_000_000_000,
                    // seal(storage_key, …, len ‖ 32 bytes ‖ type), and a label of 20.
                    value: SecretBytes::fill(77, |_| ()),
                    public_key: Vec::new(),
                    label: vec![5; 60],
                    purposes: 0,
                    policy: None,
                    replaces: None,
                    retrieved: 0,
                    made: draw(),
                });
            }
        })
        .await?;
    }
    Ok(())
}

async fn reads(store: &Store, sealing: &Sealing, users: i64, secrets: i64) -> Result<(), Failure> {
    let mut took = Vec::new();
    for _ in 0..20_000 {
        let number = i64::from(SystemRng.next_u32()) % secrets.max(1);
        let (no, key) = (AccountNo(number % users + 1), KeyId(key(number)));
        let mut wanted = Wanted::new();
        wanted.secret(no, key).chain(no);
        let from = seconds(ClockId::Monotonic);
        let loaded = store.read(wanted).await?;
        let rows = Rows::new(loaded, sealing);
        let is_there = rows.secret(no, key)?.is_some();
        took.push(seconds(ClockId::Monotonic) - from);
        if !is_there {
            return Err("a secret is missing".into());
        }
    }
    tell(&format!(
        "read and open a secret: {}",
        spread(took, 1e6, "µs")
    ));
    Ok(())
}

async fn acts(store: &Store, sealing: &Sealing, users: i64, batches: usize) -> Result<(), Failure> {
    let sessions: Vec<(SessionId, AccountNo)> = (0..256)
        .map(|_| {
            let no = i64::from(SystemRng.next_u32()) % users + 1;
            (SessionId(draw()), AccountNo(no))
        })
        .collect();
    let all = sessions.clone();
    act(store, sealing, Wanted::new(), move |rows| {
        all.into_iter()
            .for_each(|(id, no)| rows.put_session(session(id, no)));
    })
    .await?;
    let (mut took, mut size) = (Vec::new(), 0_u64);
    let cpu = seconds(ClockId::ProcessCPUTime);
    let begun = seconds(ClockId::Monotonic);
    for _ in 0..batches {
        let from = seconds(ClockId::Monotonic);
        size = batch(store, sealing, &sessions, size).await?;
        took.push(seconds(ClockId::Monotonic) - from);
    }
    let wall = seconds(ClockId::Monotonic) - begun;
    let cpu = seconds(ClockId::ProcessCPUTime) - cpu;
    let acts = per(i64::try_from(batches * ACTS)?, 1);
    tell(&format!("a batch of {ACTS}: {}", spread(took, 1e3, "ms")));
    tell(&format!(
        "{:.0} acts a second, {:.1} µs of CPU each",
        acts / wall,
        cpu / acts * 1e6
    ));
    Ok(())
}

/// 512 requests of 256 sessions, with the bytes that their entries take.
async fn batch(
    store: &Store,
    sealing: &Sealing,
    sessions: &[(SessionId, AccountNo)],
    size: u64,
) -> Result<u64, StoreError> {
    let mut wanted = Wanted::new();
    for (id, no) in sessions {
        wanted.session(*id).chain(*no);
    }
    let (sessions, sealing) = (sessions.to_vec(), sealing.clone());
    let decide = move |_, _, loaded| {
        let mut rows = Rows::new(loaded, &sealing);
        let mut indices = Vec::new();
        let mut index = size;
        for (id, no) in sessions.iter().cycle().take(ACTS) {
            if let Ok(Some(session)) = rows.session_mut(*id) {
                session.row.requests += 1;
            }
            if let Ok(Some(chain)) = rows.chain_mut(*no) {
                indices.push(LogIndex {
                    account: *no,
                    seq: chain.next_seq,
                    index,
                });
                chain.next_seq += 1;
                chain.last_index = index;
                index += 1;
            }
        }
        let mut writes = rows.into_writes();
        writes.index_put = indices;
        for first in (size..index).step_by(256) {
            writes.blocks_put.push(LogBlock {
                first,
                count: 256,
                hashes: vec![1; 256 * 32],
                sealed: vec![2; 256 * 75],
            });
        }
        (writes, index)
    };
    store.transact(wanted, decide).await
}

async fn act(
    store: &Store,
    sealing: &Sealing,
    wanted: Wanted,
    act: impl FnOnce(&mut Rows<'_>) + Send + 'static,
) -> Result<(), StoreError> {
    let sealing = sealing.clone();
    let decide = move |_, _, loaded| {
        let mut rows = Rows::new(loaded, &sealing);
        act(&mut rows);
        (rows.into_writes(), ())
    };
    store.transact(wanted, decide).await
}

fn session(id: SessionId, account: AccountNo) -> Session {
    Session {
        row: SessionRow {
            id,
            generation: 1,
            confirmed: true,
            secret: Secret::fill(|_| ()),
            former: Some(Secret::fill(|_| ())),
            login_ms: 1,
            last_ms: 1,
            requests: 0,
        },
        account,
        user: UserId([1; 32]),
        epoch: 0,
        device: "a machine".to_owned(),
        binding: BindingKind::Exporter,
    }
}

fn key(number: i64) -> [u8; 16] {
    // Scattered, and found again by the number.
    let number = u64::try_from(number).unwrap_or_default();
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bytes = [scattered.to_be_bytes(), number.to_be_bytes()].concat();
    bytes.try_into().unwrap_or_default()
}

fn draw<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRng.fill_bytes(&mut bytes);
    bytes
}

fn size(folder: &Path) -> i64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = files
        .filter_map(|file| file.metadata().ok())
        .map(|it| it.len());
    i64::try_from(sizes.sum::<u64>()).unwrap_or(i64::MAX)
}

fn seconds(clock: ClockId) -> f64 {
    let now = clock_gettime(clock);
    per(now.tv_sec, 1) + per(now.tv_nsec, 1) / 1e9
}

fn per(number: i64, of: i64) -> f64 {
    let float = |it: i64| it.to_string().parse::<f64>().unwrap_or(f64::NAN);
    float(number) / float(of)
}

fn spread(mut took: Vec<f64>, unit: f64, name: &str) -> String {
    took.sort_by(f64::total_cmp);
    let at = |part: usize| {
        took.get(took.len() * part / 100)
            .map_or(f64::NAN, |it| it * unit)
    };
    format!("p50 {:.1} {name}, p99 {:.1} {name}", at(50), at(99))
}

#[expect(clippy::print_stdout, reason = "what a measurement is for")]
fn tell(line: &str) {
    println!("{line}");
}

const STEP: usize = 2_000;
const ACTS: usize = 512;
