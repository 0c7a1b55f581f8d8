//! From a row's key to the slots of its table.
//!
//! **Invariant**: a key that has not the form of its table's is a corrupt row: nothing is
//! loaded under it, so whoever looks for it finds an error.

use keystead_channel::session::{KeyId, SessionId};

use super::overlay::Rows;
use super::{AccountNo, Cell, Key, LogIndex, NameTag, Row, Table};

impl Rows<'_> {
    /// One row, or that there is none.
    pub(super) fn load(&mut self, table: Table, key: &Key, row: Option<&Row>) {
        let sealing = self.sealing;
        match (table, key.cells.as_slice()) {
            (Table::System, _) => self.system.load((), row, sealing),
            (Table::Account, [Cell::Int(no)]) => {
                self.accounts.load(AccountNo(*no), row, sealing);
            }
            (Table::Chain, [Cell::Int(no)]) => self.chains.load(AccountNo(*no), row, sealing),
            (Table::Gone, [Cell::Int(no)]) => self.gone.load(AccountNo(*no), row, sealing),
            (Table::Secret, [Cell::Int(no), key]) => {
                if let Some(key) = key.as_array() {
                    self.secrets
                        .load((AccountNo(*no), KeyId(key)), row, sealing);
                }
            }
            (Table::Session, [id]) => {
                if let Some(id) = id.as_array() {
                    self.sessions.load(SessionId(id), row, sealing);
                }
            }
            (Table::Guess, [tag]) => {
                if let Some(tag) = tag.as_array() {
                    self.guesses.load(NameTag(tag), row, sealing);
                }
            }
            (Table::Pass, [hash]) => {
                if let Some(hash) = hash.as_array() {
                    self.passes.load(hash, row, sealing);
                }
            }
            (Table::Invitation, [hash]) => {
                if let Some(hash) = hash.as_array() {
                    self.invitations.load(hash, row, sealing);
                }
            }
            _ => {}
        }
    }

    /// Chains that were to be checked, and whose account's last entry is elsewhere, do not
    /// open: an older form of the row was put back, or the index was changed.
    pub(super) fn check_ends(&mut self, ends: &[LogIndex]) {
        for no in &self.wanted.ends {
            let Ok(Some(chain)) = self.chains.find(no) else {
                continue;
            };
            let is_its_end = match ends.iter().find(|it| it.account == *no) {
                Some(end) => chain.ends_at(end),
                None => chain.next_seq == 0,
            };
            if !is_its_end {
                tracing::error!(account = no.0, "a chain does not end where its row says");
                self.chains.spoil(no);
            }
        }
    }
}
