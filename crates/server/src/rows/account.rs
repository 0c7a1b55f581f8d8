//! Accounts, and where their chains stand.
//!
//! **Invariant**: an account's row carries a version that its chain's row names, so that an
//! older form of either, put back alone, does not pass for the present one.

use keystead_channel::session::{AccountName, KeyId, Profile, RECORD_BYTES, UserId};
use zeroize::Zeroizing;

use super::record::{account_no, narrow};
use super::{AccountNo, Cell, LogIndex, NameTag, PlainReader, PlainWriter, Record, Row, Table};

/// An account.
#[derive(Clone)]
pub struct Account {
    /// Internal.
    pub no: AccountNo,
    /// Drawn by the server.
    pub user: UserId,
    /// Of its name; unique among those that are not pending.
    pub tag: NameTag,
    /// Where it stands.
    pub state: AccountState,
    /// When it was registered.
    pub made_ms: u64,
    /// Counted up by each change ([`super::Rows`] does).
    pub(super) version: u32,
    /// Canonical.
    pub name: AccountName,
    /// OPAQUE's record.
    pub record: [u8; RECORD_BYTES],
    /// The credential id.
    pub seed: [u8; 32],
    /// How the password is stretched.
    pub profile: Profile,
    /// The client's seal of `storage_key`; none while pending.
    pub storage_key: Option<[u8; 72]>,
    /// H(recovery code).
    pub recovery: Option<[u8; 32]>,
    /// When the loss of all approvers was declared (section 8.3).
    pub recovery_started_ms: Option<u64>,
    /// Who approves.
    pub approvers: Vec<Approver>,
}

impl Account {
    /// One that is pending.
    #[must_use]
    pub fn pending(
        no: AccountNo,
        user: UserId,
        tag: NameTag,
        name: AccountName,
        credentials: ([u8; RECORD_BYTES], [u8; 32], Profile),
        now_ms: u64,
    ) -> Self {
        let (record, seed, profile) = credentials;
        Self {
            no,
            user,
            tag,
            state: AccountState::Pending,
            made_ms: now_ms,
            version: 0,
            name,
            record,
            seed,
            profile,
            storage_key: None,
            recovery: None,
            recovery_started_ms: None,
            approvers: Vec::new(),
        }
    }
}

/// Where an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// Registered, not complete; reserves no name.
    Pending,
    /// In use.
    Active,
    /// Locked by the operator.
    Locked,
}

impl AccountState {
    fn number(self) -> u64 {
        match self {
            Self::Pending => 0,
            Self::Active => 1,
            Self::Locked => 2,
        }
    }

    fn from_number(number: u64) -> Option<Self> {
        [Self::Pending, Self::Active, Self::Locked]
            .into_iter()
            .find(|state| state.number() == number)
    }
}

/// A key that approves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// Ed25519.
    pub key: [u8; 32],
    /// What the person calls it.
    pub name: String,
    /// When it was added.
    pub added_ms: u64,
}

/// Where an account's chain stands, and what counts with it: rewritten at each entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Whose; [`AccountNo::SYSTEM`] is the system log.
    pub account: AccountNo,
    /// The account's: sessions of another one are dead.
    pub epoch: u32,
    /// The next entry's `user_seq`.
    pub next_seq: u64,
    /// The last leaf's hash; zeros before the first.
    pub last_hash: [u8; 32],
    /// Where the last leaf is.
    pub last_index: u64,
    /// How many secrets there are.
    pub secrets: u32,
    /// Which version the account's row has.
    pub(super) account_version: u32,
    /// Counted up by each change of the guesses at the account's name.
    pub(super) guess_version: u32,
    /// Whether there are any.
    pub(super) has_guess: bool,
    /// Signatures of keys whose policy counts them, of an hour and those beside it.
    pub(super) counts: Vec<Count>,
}

/// Signatures of one key in one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) key: KeyId,
    /// Since 1970.
    pub(super) hour: u32,
    pub(super) n: u32,
}

impl Chain {
    /// Whether this is its last entry.
    pub(super) fn ends_at(&self, last: &LogIndex) -> bool {
        Some(self.next_seq) == last.seq.checked_add(1) && self.last_index == last.index
    }

    /// The signatures of a key in an hour.
    pub(super) fn count(&self, key: KeyId, hour: u32) -> u32 {
        let found = self
            .counts
            .iter()
            .find(|it| it.key == key && it.hour == hour);
        found.map_or(0, |it| it.n)
    }

    /// Counts one more. Those of the hours beside it stay, for a clock that goes back a little.
    pub(super) fn count_one(&mut self, key: KeyId, hour: u32) {
        let n = self.count(key, hour).saturating_add(1);
        self.counts
            .retain(|it| it.hour.abs_diff(hour) <= 1 && (it.key, it.hour) != (key, hour));
        self.counts.push(Count { key, hour, n });
    }

    /// Before the first entry.
    #[must_use]
    pub fn new(account: AccountNo) -> Self {
        Self {
            account,
            epoch: 0,
            next_seq: 0,
            last_hash: [0; 32],
            last_index: 0,
            secrets: 0,
            account_version: 0,
            guess_version: 0,
            has_guess: false,
            counts: Vec::new(),
        }
    }
}

/// An account that was deleted: its leaves are erased after a year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// What its number was.
    pub account: AccountNo,
    /// When it was deleted.
    pub at_ms: u64,
    /// What its id was.
    pub user: UserId,
}

/// What a restored backup held, and was deleted since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedAgain {
    /// Whose it was.
    pub account: AccountNo,
    /// The account's id; absent when its row does not open.
    pub user: Option<UserId>,
    /// The secret or key; absent: the account with all that it had.
    pub key: Option<KeyId>,
}

impl Record for Account {
    const TABLE: Table = Table::Account;
    type Key = AccountNo;

    fn key(&self) -> AccountNo {
        self.no
    }

    fn key_cells(key: &AccountNo) -> Vec<Cell> {
        vec![Cell::Int(key.0)]
    }

    fn open_cells(&self) -> Vec<Cell> {
        vec![
            Cell::Int(self.no.0),
            Cell::bytes(&self.user.0),
            Cell::bytes(&self.tag.0),
            Cell::number(self.state.number()),
            Cell::number(self.made_ms),
            Cell::number(self.version.into()),
        ]
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let mut out = PlainWriter::with_room(ROOM);
        out.text(self.name.as_str());
        out.bytes(&self.record);
        out.bytes(&self.seed);
        out.number(self.profile.number().into());
        out.maybe_bytes(self.storage_key.as_ref().map(<[u8; 72]>::as_slice));
        out.maybe_bytes(self.recovery.as_ref().map(<[u8; 32]>::as_slice));
        out.maybe_number(self.recovery_started_ms);
        for approver in &self.approvers {
            out.bytes(&approver.key);
            out.text(&approver.name);
            out.number(approver.added_ms);
        }
        out.finish()
    }

    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self> {
        Some(Self {
            no: account_no(row, 0)?,
            user: UserId(row.array(1)?),
            tag: NameTag(row.array(2)?),
            state: AccountState::from_number(row.number(3)?)?,
            made_ms: row.number(4)?,
            version: narrow(row, 5)?,
            name: AccountName::parse(plain.text()?).ok()?,
            record: plain.array()?,
            seed: plain.array()?,
            profile: Profile::from_number(plain.number()?)?,
            storage_key: plain.maybe(PlainReader::array)?,
            recovery: plain.maybe(PlainReader::array)?,
            recovery_started_ms: plain.maybe(PlainReader::number)?,
            approvers: approvers(plain)?,
        })
    }
}

fn approvers(plain: &mut PlainReader<'_>) -> Option<Vec<Approver>> {
    let mut approvers = Vec::new();
    while !plain.is_done() {
        approvers.push(Approver {
            key: plain.array()?,
            name: plain.text()?.to_owned(),
            added_ms: plain.number()?,
        });
    }
    Some(approvers)
}

impl Record for Chain {
    const TABLE: Table = Table::Chain;
    type Key = AccountNo;

    fn key(&self) -> AccountNo {
        self.account
    }

    fn key_cells(key: &AccountNo) -> Vec<Cell> {
        vec![Cell::Int(key.0)]
    }

    fn open_cells(&self) -> Vec<Cell> {
        vec![Cell::Int(self.account.0)]
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let mut out = PlainWriter::with_room(0);
        out.number(self.epoch.into());
        out.number(self.next_seq);
        out.bytes(&self.last_hash);
        out.number(self.last_index);
        out.number(self.secrets.into());
        out.number(self.account_version.into());
        out.number(self.guess_version.into());
        out.number(self.has_guess.into());
        for count in &self.counts {
            out.bytes(&count.key.0);
            out.number(count.hour.into());
            out.number(count.n.into());
        }
        out.finish()
    }

    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self> {
        Some(Self {
            account: account_no(row, 0)?,
            epoch: plain.narrow()?,
            next_seq: plain.number()?,
            last_hash: plain.array()?,
            last_index: plain.number()?,
            secrets: plain.narrow()?,
            account_version: plain.narrow()?,
            guess_version: plain.narrow()?,
            has_guess: match plain.number()? {
                0 => false,
                1 => true,
                _ => return None,
            },
            counts: counts(plain)?,
        })
    }
}

fn counts(plain: &mut PlainReader<'_>) -> Option<Vec<Count>> {
    let mut counts = Vec::new();
    while !plain.is_done() {
        counts.push(Count {
            key: KeyId(plain.array()?),
            hour: plain.narrow()?,
            n: plain.narrow()?,
        });
    }
    Some(counts)
}

impl Record for Gone {
    const TABLE: Table = Table::Gone;
    type Key = AccountNo;

    fn key(&self) -> AccountNo {
        self.account
    }

    fn key_cells(key: &AccountNo) -> Vec<Cell> {
        vec![Cell::Int(key.0)]
    }

    fn open_cells(&self) -> Vec<Cell> {
        vec![Cell::Int(self.account.0), Cell::number(self.at_ms)]
    }

    fn plain(&self) -> Zeroizing<Vec<u8>> {
        let mut out = PlainWriter::with_room(0);
        out.bytes(&self.user.0);
        out.finish()
    }

    fn read(row: &Row, plain: &mut PlainReader<'_>) -> Option<Self> {
        Some(Self {
            account: account_no(row, 0)?,
            at_ms: row.number(1)?,
            user: UserId(plain.array()?),
        })
    }
}

/// Name, record, seed, storage key, recovery, and two approvers.
const ROOM: usize = 1_024;
