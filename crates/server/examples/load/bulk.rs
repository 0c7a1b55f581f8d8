//! Rows in bulk, through the storage trait, and what they weigh.

use keystead_channel::session::{AccountName, KeyId, Profile, UserId};
use keystead_core::SecretBytes;
use keystead_daemon::rng::SystemRng;
use keystead_server::rows::{Account, AccountNo, AccountState, HeldSecret, NameTag, Rows};
use keystead_server::sealing::{MasterSource, Sealing};
use keystead_server::store::{Store, Wanted};
use keystead_tests::{About, Failure, Result};
use rand_core::RngCore;

use crate::say;
use crate::server::Server;
use crate::times::seconds;

/// What was loaded.
pub(crate) struct Loaded {
    pub(crate) took_s: f64,
    /// Bytes, and rows.
    pub(crate) users: (i64, i64),
    pub(crate) secrets: (i64, i64),
}

/// Users, then secrets among them in turn, so that no page is filled by one of them. The
/// server is stopped meanwhile.
pub(crate) async fn load(server: &Server, users: i64, secrets: i64) -> Result<Loaded> {
    let begun = seconds();
    let before = server.bytes()?;
    let first = fill(server, Fill::Users, users).await?;
    let with_users = server.bytes()?;
    say_rate("users", users, seconds() - begun);
    let begun_secrets = seconds();
    fill(server, Fill::Secrets { first, users }, secrets).await?;
    say_rate("secrets", secrets, seconds() - begun_secrets);
    server.settle()?;
    let with_secrets = server.bytes()?;
    Ok(Loaded {
        took_s: seconds() - begun,
        users: (with_users - before, users),
        secrets: (with_secrets - with_users, secrets),
    })
}

fn say_rate(what: &str, count: i64, took_s: f64) {
    let rate = count as f64 / took_s;
    say(&format!(
        "{count} {what} were loaded in {took_s:.1} s: {rate:.0} a second"
    ));
}

#[derive(Clone, Copy)]
enum Fill {
    Users,
    Secrets { first: i64, users: i64 },
}

/// Gives the number of the first account that was made.
async fn fill(server: &Server, what: Fill, count: i64) -> Result<i64> {
    let store = Store::open(&server.address(), server.folder()).await;
    let store = store.about("the database")?;
    let master = MasterSource::File(server.folder().join("master.key"));
    let (sealing, _) = Sealing::begin(&store, master).await.about("the keys")?;
    let mut first = i64::MAX;
    for begin in (0..count).step_by(STEP) {
        let numbers = begin..count.min(begin.saturating_add(ROWS));
        let sealing = sealing.clone();
        let filled = store.transact(Wanted::new(), move |_, _, loaded| {
            let mut rows = Rows::new(loaded, &sealing);
            let made = numbers.map(|number| match what {
                Fill::Users => user(&mut rows),
                Fill::Secrets { first, users } => {
                    rows.put_secret(secret(AccountNo(first + number % users)));
                    Some(first)
                }
            });
            let made = made.collect::<Option<Vec<i64>>>();
            (rows.into_writes(), made)
        });
        let made = filled.await.about("bulk rows")?;
        let made = made.ok_or_else(|| Failure::new("a name is none"))?;
        first = first.min(made.into_iter().min().unwrap_or(first));
    }
    store.close().await.about("the database")?;
    Ok(first)
}

fn user(rows: &mut Rows<'_>) -> Option<i64> {
    let no = rows.new_account_no();
    let name = AccountName::parse(&format!("user{}.somewhere@example.org", no.0)).ok()?;
    let (user, tag) = (UserId(draw()), NameTag(draw()));
    let credentials = ([3; 192], draw(), Profile::Standard);
    let mut account = Account::pending(no, user, tag, name, credentials, 1);
    account.state = AccountState::Active;
    account.storage_key = Some([4; 72]);
    account.recovery = Some(draw());
    rows.put_account(account);
    rows.new_chain(no);
    Some(no.0)
}

fn secret(account: AccountNo) -> HeldSecret {
    HeldSecret {
        account,
        key: KeyId(draw()),
        kind: 1,
        context: 0,
        revision: 0,
        version: 0,
        made_ms: MADE_MS,
        // seal(storage_key, …, len ‖ 32 bytes ‖ type), and a label of 20.
        value: SecretBytes::fill(77, |_| ()),
        public_key: Vec::new(),
        label: vec![5; 60],
        purposes: 0,
        policy: None,
        replaces: None,
        retrieved: 0,
        made: draw(),
    }
}

fn draw<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRng.fill_bytes(&mut bytes);
    bytes
}

/// 10,000 rows a transaction: some MiB, and one wait for the disk.
const STEP: usize = 10_000;
const ROWS: i64 = 10_000;

/// In the year 2027.
const MADE_MS: u64 = 1_800_000_000_000;
