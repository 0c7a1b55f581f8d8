//! Rows of nobody: opened for a name without an account, so that it costs what one with
//! an account costs.
//!
//! **Invariant**: as long as an account's rows are, sealed under the same key, and never
//! stored.

use keystead_channel::session::{AccountName, Profile, RECORD_BYTES, UserId};

use crate::rows::{Account, AccountNo, AccountState, Chain, NameTag, Record, Row};
use crate::sealing::Sealing;

/// An account's row and its chain's.
pub struct Decoy {
    account: Option<Row>,
    chain: Row,
}

impl Decoy {
    /// Sealed as rows are sealed now.
    #[must_use]
    pub fn new(sealing: &Sealing) -> Self {
        // A name of a usual length; the longest one makes a row half as long again.
        let account = AccountName::parse("a decoy".replace(' ', "-").as_str()).map(|name| {
            let mut account = Account::pending(
                NOBODY,
                UserId([0; 32]),
                NameTag([0; 16]),
                name,
                ([0; RECORD_BYTES], [0; 32], Profile::Standard),
                0,
            );
            account.state = AccountState::Active;
            account.storage_key = Some([0; 72]);
            account.recovery = Some([0; 32]);
            account.to_row(sealing)
        });
        Self {
            account: account.ok(),
            chain: Chain::new(NOBODY).to_row(sealing),
        }
    }

    /// Takes both as they come from the database, opens them, and forgets what was in them.
    pub fn open(&self, sealing: &Sealing) {
        let account = self.account.clone().and_then(|row| {
            let account = Account::from_row(&row, sealing).ok();
            // What decides takes a copy of it.
            account.map(|it| (it.clone(), it))
        });
        let chain = Chain::from_row(&self.chain.clone(), sealing);
        std::hint::black_box((account, chain.is_ok()));
    }
}

/// A number that no account has.
const NOBODY: AccountNo = AccountNo(-1);
