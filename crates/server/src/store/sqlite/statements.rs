//! Statements that are found by something else than a key, made once.
//!
//! **Invariant**: one text for one statement, so that each connection parses it once.

use std::sync::LazyLock;

use crate::rows::Table;

use super::super::schema::Dialect;

type Text = LazyLock<String>;

/// The account in use with a name's tag; if there is none, another one: that at a number or
/// behind it.
pub(super) static BY_TAG: Text = Text::new(|| {
    let own = "SELECT no FROM account WHERE name_tag = ?1 AND state > 0";
    let another = "SELECT no FROM account WHERE no >= ?2 ORDER BY no LIMIT 1";
    let condition = format!("t.no = coalesce(({own}), ({another}))");
    Dialect::select_where(Table::Account, &condition)
});

/// Accounts, by their id.
pub(super) static BY_USER: Text = Text::new(|| {
    let condition = "substr(t.user_id, 1, 8) = substr(?1, 1, 8) AND t.user_id = ?1";
    Dialect::select_where(Table::Account, condition)
});

/// All sessions of an account.
pub(super) static SESSIONS_OF: Text = Text::new(|| of_account(Table::Session));

/// All passes of an account.
pub(super) static PASSES_OF: Text = Text::new(|| of_account(Table::Pass));

/// The first secrets of an account that was deleted.
pub(super) static DELETE_SECRETS: Text = Text::new(|| Dialect::Sqlite.delete_secrets());

/// Accounts that were deleted and whose secrets are there still.
pub(super) static UNFINISHED: Text = Text::new(|| Dialect::Sqlite.unfinished());

/// Where some entries of an account are.
pub(super) static SEQS: Text = Text::new(|| {
    let condition = "t.account = ?1 AND t.seq >= ?2 AND t.seq < ?3 ORDER BY t.seq";
    Dialect::select_where(Table::LeafIndex, condition)
});

/// Where the last entry of an account is.
pub(super) static END: Text = Text::new(|| {
    let condition = "t.account = ?1 ORDER BY t.seq DESC LIMIT 1";
    Dialect::select_where(Table::LeafIndex, condition)
});

/// Blocks that overlap a range: the last one that begins at or before it, and those in it.
pub(super) static BLOCKS: Text = Text::new(|| {
    let condition = "t.first >= coalesce((SELECT max(first) FROM block WHERE first <= ?1), ?1) \
                     AND t.first < ?2 AND t.first + t.leaves > ?1 ORDER BY t.first";
    Dialect::select_where(Table::Block, condition)
});

fn of_account(table: Table) -> String {
    Dialect::select_where(table, "t.account = ?1")
}
