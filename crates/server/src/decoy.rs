//! Rows of nobody: opened for a name without an account, so that it costs what one with
//! an account costs.
//!
//! **Invariant**: as long as an account's rows are, sealed under the same key, and never
//! stored.

use keystead_channel::log::LogId;
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
        let account = AccountName::parse("a-name-of-nobody").map(|name| {
            let mut account = Account::pending(
                NOBODY,
                NOBODYS_ID,
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

    /// Takes both as they come from the database, opens them, names the account's log, and
    /// forgets it all.
    pub fn open(&self, sealing: &Sealing) {
        let account = self.account(sealing);
        // What decides takes a copy of it.
        let copy = account.clone();
        let log = LogId::of(&NOBODYS_ID);
        std::hint::black_box((account, copy, self.chain(sealing), log));
    }

    fn account(&self, sealing: &Sealing) -> Option<Account> {
        Account::from_row(&self.account.clone()?, sealing).ok()
    }

    fn chain(&self, sealing: &Sealing) -> Option<Chain> {
        Chain::from_row(&self.chain.clone(), sealing).ok()
    }
}

/// A number that no account reaches; rows have none below zero.
const NOBODY: AccountNo = AccountNo(i64::MAX);

const NOBODYS_ID: UserId = UserId([0; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    /// What does not open is given up before most of the work is done.
    #[tokio::test]
    async fn it_opens_whole() {
        let folder = tempfile::tempdir().unwrap();
        let server = crate::server::tests::server(folder.path()).await;
        let (decoy, sealing) = (&server.decoy, &server.sealing);
        assert!(decoy.account(sealing).is_some_and(|it| it.no == NOBODY));
        assert_eq!(decoy.chain(sealing), Some(Chain::new(NOBODY)));
    }
}
