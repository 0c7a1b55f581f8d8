//! A database for one test.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use keystead_channel::session::{
    AccountName, BindingKind, KeyId, Profile, SessionId, SessionRow, UserId,
};
use keystead_core::{Secret, SecretBytes};

use crate::rows::{
    Account, AccountNo, AccountState, Cell, Guess, HeldSecret, Invitation, NameTag, Pass, Rows,
    SERVER_HELD, Session, System,
};
use crate::sealing::{MasterSource, Sealing};
use crate::store::{Store, StoreError, Wanted};

/// A folder with a master key, and a database.
pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
    pub(super) address: String,
}

impl Place {
    pub(super) fn sqlite() -> Self {
        Self::at("sqlite:server.db".to_owned())
    }

    pub(super) fn at(address: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder, address };
        place.write_master(&[7; 32]);
        place
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn master(&self) -> PathBuf {
        self.path().join("master.key")
    }

    pub(super) fn write_master(&self, bytes: &[u8]) {
        use std::io::Write as _;
        let mut options = std::fs::OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(self.master()).unwrap();
        file.write_all(bytes).unwrap();
    }

    pub(super) async fn store(&self) -> Result<Store, StoreError> {
        Store::open(&self.address, self.path()).await
    }

    pub(super) async fn open(&self) -> (Store, Sealing, System) {
        let store = self.store().await.unwrap();
        let (sealing, system) = Sealing::begin(&store, MasterSource::File(self.master()))
            .await
            .unwrap();
        (store, sealing, system)
    }
}

/// A transaction of one act over `Rows`.
pub(super) async fn act<T: Send + 'static>(
    store: &Store,
    sealing: &Sealing,
    wanted: Wanted,
    act: impl FnOnce(&mut Rows<'_>) -> T + Send + 'static,
) -> Result<T, StoreError> {
    let sealing = sealing.clone();
    let decide = move |_, _, loaded| {
        let mut rows = Rows::new(loaded, &sealing);
        let answer = act(&mut rows);
        (rows.into_writes(), answer)
    };
    store.transact(wanted, decide).await
}

/// Looks at rows outside the lock.
pub(super) async fn look<T>(
    store: &Store,
    sealing: &Sealing,
    wanted: Wanted,
    look: impl FnOnce(&Rows<'_>) -> T,
) -> Result<T, StoreError> {
    let loaded = store.read(wanted).await?;
    Ok(look(&Rows::new(loaded, sealing)))
}

pub(super) fn account(no: AccountNo, name: &str) -> Account {
    let byte = u8::try_from(no.0 % 251).unwrap();
    Account::pending(
        no,
        UserId([byte; 32]),
        NameTag([byte; 16]),
        AccountName::parse(name).unwrap(),
        ([3; 192], [4; 32], Profile::Standard),
        1_000,
    )
}

pub(super) fn secret(account: AccountNo, byte: u8) -> HeldSecret {
    HeldSecret {
        account,
        key: KeyId([byte; 16]),
        kind: 2,
        context: SERVER_HELD,
        revision: 0,
        version: 0,
        made_ms: 5,
        value: SecretBytes::take(&mut [byte; 32]),
        public_key: vec![byte; 32],
        label: b"mine".to_vec(),
        purposes: 3,
        policy: None,
        replaces: None,
        retrieved: 0,
        made: [byte; 16],
    }
}

/// The first account's.
pub(super) fn session(byte: u8, login_ms: u64, last_ms: u64) -> Session {
    Session {
        row: SessionRow {
            id: SessionId([byte; 16]),
            generation: 0,
            confirmed: false,
            secret: Secret::fill(|bytes| bytes.fill(byte)),
            former: None,
            login_ms,
            last_ms,
            requests: 0,
        },
        account: AccountNo(1),
        user: UserId([1; 32]),
        epoch: 0,
        device: "laptop".to_owned(),
        binding: BindingKind::Exporter,
    }
}

/// The first account's.
pub(super) fn pass(byte: u8, made_ms: u64) -> Pass {
    Pass {
        hash: [byte; 32],
        account: AccountNo(1),
        made_ms,
        count: 0,
        tag: NameTag([1; 16]),
    }
}

pub(super) fn invitation(byte: u8, made_ms: u64) -> Invitation {
    Invitation {
        hash: [byte; 32],
        made_ms,
        used: false,
        name: AccountName::parse("kim").unwrap(),
    }
}

/// An account in use with a chain, and its number.
pub(super) async fn register(store: &Store, sealing: &Sealing, name: &str) -> AccountNo {
    let name = name.to_owned();
    act(store, sealing, Wanted::new(), move |rows| {
        let no = rows.new_account_no();
        let mut it = account(no, &name);
        it.state = AccountState::Active;
        rows.put_account(it);
        rows.new_chain(no);
        no
    })
    .await
    .unwrap()
}

/// Counts a name's guesses up by one: what must never be lost or done twice.
pub(super) async fn count(store: &Store, sealing: &Sealing) -> Result<u32, StoreError> {
    let mut wanted = Wanted::new();
    wanted.guess(TAG);
    let counted = act(store, sealing, wanted, |rows| {
        let mut guess = rows.guess(TAG).unwrap().cloned().unwrap_or(guess(TAG));
        guess.count += 1;
        let count = guess.count;
        rows.put_guess(guess);
        count
    });
    counted.await
}

/// What [`count`] has counted to.
pub(super) async fn counted(store: &Store, sealing: &Sealing) -> Result<u32, StoreError> {
    let mut wanted = Wanted::new();
    wanted.guess(TAG);
    look(store, sealing, wanted, |rows| {
        rows.guess(TAG).unwrap().map_or(0, |guess| guess.count)
    })
    .await
}

pub(super) fn guess(tag: NameTag) -> Guess {
    Guess {
        tag,
        is_known: true,
        last_ms: 1,
        count: 0,
        failed: 0,
        refused: 0,
        waits_logged_ms: 0,
        lifted_unix_s: 0,
        version: 0,
    }
}

const TAG: NameTag = NameTag([0x77; 16]);

/// A cell with another bit in each place, and with another length.
pub(super) fn changed(cell: &Cell) -> Vec<Cell> {
    match cell {
        Cell::Int(number) => (0..63).map(|bit| Cell::Int(number ^ (1 << bit))).collect(),
        Cell::Bytes(bytes) => {
            let flipped = (0..bytes.len()).map(|place| {
                let mut bytes = bytes.clone();
                bytes[place] ^= 1 << (place % 8);
                Cell::Bytes(bytes)
            });
            let shorter = bytes.get(1..).map(Cell::bytes);
            flipped.chain(shorter).collect()
        }
    }
}
