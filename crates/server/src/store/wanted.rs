//! What a transaction reads and writes, as lists of rows.
//!
//! **Invariant**: what was not wanted is not there: a look-up of it is an error of ours and
//! never taken for a row that does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use keystead_channel::session::{KeyId, SessionId, UserId};

use crate::rows::{
    Account, AccountNo, Chain, Gone, Guess, Head, HeldSecret, Invitation, Key, LogBlock, LogIndex,
    LogTile, NameTag, Pass, Record, Row, Session, System, Table,
};

use super::{Now, Sweep};

/// Rows to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Rows by their keys.
    pub(crate) keys: BTreeSet<(Table, Key)>,
    /// Accounts in use, by name.
    pub(crate) tags: BTreeSet<NameTag>,
    /// Accounts, by id.
    pub(crate) users: BTreeSet<UserId>,
    /// All sessions of these.
    pub(crate) sessions_of: BTreeSet<AccountNo>,
    /// All passes of these.
    pub(crate) passes_of: BTreeSet<AccountNo>,
    /// The blocks and tiles that the next leaves go on from: those not yet in a full tile,
    /// and, when the size that was held is of another tile, the growing ones above.
    pub log_tail: Option<u64>,
    /// Blocks that overlap these leaves.
    pub blocks: Vec<Range<u64>>,
    /// Tiles, by level and index.
    pub tiles: Vec<(u8, u64)>,
    /// Where entries of accounts are, by `user_seq`.
    pub seqs: Vec<(AccountNo, Range<u64>)>,
    /// Where the last entry of these is.
    pub(crate) ends: BTreeSet<AccountNo>,
}

impl Wanted {
    /// Nothing but the head.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The server's own keys.
    pub fn system(&mut self) -> &mut Self {
        self.want::<System>(&())
    }

    /// An account, with its chain.
    pub fn account(&mut self, no: AccountNo) -> &mut Self {
        self.want::<Account>(&no).want::<Chain>(&no)
    }

    /// An account in use, by its name, with its chain.
    pub fn tag(&mut self, tag: NameTag) -> &mut Self {
        self.tags.insert(tag);
        self
    }

    /// An account by its id, with its chain.
    pub fn user(&mut self, user: UserId) -> &mut Self {
        self.users.insert(user);
        self
    }

    /// Where an account's chain stands.
    pub fn chain(&mut self, no: AccountNo) -> &mut Self {
        self.want::<Chain>(&no)
    }

    /// Where an account's chain stands, which opens only when the account's last entry is
    /// where it says: one that was put back in an older form is built on by nobody.
    pub fn checked_chain(&mut self, no: AccountNo) -> &mut Self {
        self.ends.insert(no);
        self.chain(no)
    }

    /// A secret or key.
    pub fn secret(&mut self, no: AccountNo, key: KeyId) -> &mut Self {
        self.want::<HeldSecret>(&(no, key))
    }

    /// A session.
    pub fn session(&mut self, id: SessionId) -> &mut Self {
        self.want::<Session>(&id)
    }

    /// Every session of an account.
    pub fn sessions_of(&mut self, no: AccountNo) -> &mut Self {
        self.sessions_of.insert(no);
        self
    }

    /// The guesses at a name.
    pub fn guess(&mut self, tag: NameTag) -> &mut Self {
        self.want::<Guess>(&tag)
    }

    /// A device pass.
    pub fn pass(&mut self, hash: [u8; 32]) -> &mut Self {
        self.want::<Pass>(&hash)
    }

    /// Every device pass of an account.
    pub fn passes_of(&mut self, no: AccountNo) -> &mut Self {
        self.passes_of.insert(no);
        self
    }

    /// An invitation.
    pub fn invitation(&mut self, hash: [u8; 32]) -> &mut Self {
        self.want::<Invitation>(&hash)
    }

    /// An account that was deleted.
    pub fn gone(&mut self, no: AccountNo) -> &mut Self {
        self.want::<Gone>(&no)
    }

    /// Whether all of it is rows by their keys: no ranges, and nothing that is found by
    /// something else.
    pub(crate) fn is_by_key(&self) -> bool {
        let Self {
            keys,
            tags,
            users,
            sessions_of,
            passes_of,
            log_tail,
            blocks,
            tiles,
            seqs,
            ends,
        } = self;
        let of_accounts = [sessions_of, passes_of, ends];
        let of_log = blocks.is_empty() && tiles.is_empty() && seqs.is_empty();
        let by_others = !tags.is_empty() || !users.is_empty() || log_tail.is_some();
        !keys.is_empty() && of_log && !by_others && of_accounts.iter().all(|it| it.is_empty())
    }

    fn want<R: Record>(&mut self, key: &R::Key) -> &mut Self {
        let cells = R::key_cells(key);
        self.keys.insert((R::TABLE, Key { cells }));
        self
    }
}

/// Rows that were read, in one snapshot.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// When.
    pub now: Now,
    /// Where the log stood.
    pub head: Head,
    /// Blocks, by their first leaf.
    pub blocks: Vec<LogBlock>,
    /// Tiles.
    pub tiles: Vec<LogTile>,
    /// Where entries are, in order.
    pub seqs: Vec<LogIndex>,
    /// Where last entries are; none of an account that has none.
    pub(crate) ends: Vec<LogIndex>,
    /// The others.
    pub(crate) rows: BTreeMap<(Table, Key), Row>,
    /// What was asked for.
    pub(crate) wanted: Wanted,
    /// What was looked for beside: chains of accounts that were found by something else.
    pub(crate) also: BTreeSet<(Table, Key)>,
    /// The number that the next account gets.
    pub(crate) next_account: i64,
}

/// Rows to be written.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// Where the log stands afterwards; none: where it stood.
    pub head: Option<Head>,
    /// Rows of blocks, deleted before others are put: by their first leaf.
    pub blocks_delete: Vec<Range<u64>>,
    /// Blocks.
    pub blocks_put: Vec<LogBlock>,
    /// Tiles.
    pub tiles_put: Vec<LogTile>,
    /// Where entries are.
    pub index_put: Vec<LogIndex>,
    /// Where entries were, of an account whose leaves are erased.
    pub index_delete: Vec<(AccountNo, Range<u64>)>,
    /// Rows to be put, by table.
    pub(crate) puts: BTreeMap<Table, Vec<Row>>,
    /// Rows to be deleted, by table.
    pub(crate) deletes: BTreeMap<Table, Vec<Key>>,
    /// The number that the next account gets, if that changed.
    pub(crate) next_account: Option<i64>,
    /// Guess rows of unknown names that are new.
    pub(crate) unknown_guesses: usize,
    /// How many such rows stay, the newest, when the others are dropped.
    pub(crate) unknown_guesses_kept: Option<usize>,
    /// How often data keys came or went, if they do now.
    pub(crate) data_keys: Option<u32>,
    /// What has expired.
    pub(crate) sweep: Option<Sweep>,
    /// Of whose secrets the first go, of an account that was deleted, and how many.
    pub(crate) secrets_delete: Option<(AccountNo, u32)>,
}

impl Writes {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a row as it is sealed: for who loads many.
    pub fn put(&mut self, table: Table, row: Row) {
        self.puts.entry(table).or_default().push(row);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let logs = self.blocks_delete.is_empty()
            && self.blocks_put.is_empty()
            && self.tiles_put.is_empty()
            && self.index_put.is_empty()
            && self.index_delete.is_empty();
        self.head.is_none()
            && logs
            && self.puts.is_empty()
            && self.deletes.is_empty()
            && self.next_account.is_none()
            && self.sweep.is_none()
            && self.secrets_delete.is_none()
            && self.data_keys.is_none()
            && self.unknown_guesses_kept.is_none()
    }
}
